/// What a look at a provider shows without sending anything.
package enum ProviderCheck: Sendable, Equatable {
    /// It is there and lets us in.
    case ready(String)
    /// It is there; whether it lets us in only a message shows.
    case reachable(String)
    /// It cannot be used as it is configured.
    case failed(reason: String, detail: String?)
    /// There is nothing to look at.
    case unchecked(String)
}
