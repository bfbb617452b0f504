/// The names of everything in Redis. The braces are a cluster hash tag: all keys of a shard live in one slot.
package enum Keys {
    package static let group = "martlet"
    package static let layout = "martlet:layout"

    /// What producers append.
    package static func decisions(_ shard: Int) -> String { "martlet:{\(shard)}:decisions" }
    /// Ids of deliveries that are due.
    package static func work(_ shard: Int) -> String { "martlet:{\(shard)}:work" }
    /// Ids of deliveries that are due soon, by time.
    package static func schedule(_ shard: Int) -> String { "martlet:{\(shard)}:schedule" }
    /// What could not be taken, with the reasons.
    package static func rejects(_ shard: Int) -> String { "martlet:{\(shard)}:rejects" }
}
