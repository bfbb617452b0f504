/// The names of everything in Redis. The braces are a cluster hash tag: all keys of a shard live in one slot.
package enum Keys {
    package static let group = "martlet"
    package static let layout = "martlet:layout"
    /// There as long as this Redis has lost nothing.
    package static let mark = "martlet:mark"

    /// What producers append.
    package static func decisions(_ shard: Int) -> String { "martlet:{\(shard)}:decisions" }
    /// Ids of deliveries that are due.
    package static func work(_ shard: Int) -> String { "martlet:{\(shard)}:work" }
    /// Entries of both streams that were read and wait for their turn, by turn.
    package static func ready(_ shard: Int) -> String { "martlet:{\(shard)}:ready" }
    /// The last turn of each flow, the turn being served (`now`), and how many of each stream are ready (`d`, `w`).
    package static func turns(_ shard: Int) -> String { "martlet:{\(shard)}:turns" }
    /// Deliveries that are due soon, with their flows, by time.
    package static func schedule(_ shard: Int) -> String { "martlet:{\(shard)}:schedule" }
    /// The same for crowds: many deliveries of one flow that are due at about the same time, as one member.
    package static func bundles(_ shard: Int) -> String { "martlet:{\(shard)}:bundles" }
    /// How many deliveries are in bundles.
    package static func bundled(_ shard: Int) -> String { "martlet:{\(shard)}:bundled" }
    /// What people and machines did with messages, until it is in the ledger.
    package static func sightings(_ shard: Int) -> String { "martlet:{\(shard)}:sightings" }
    /// What producers report of people who did what the message was for.
    package static func conversions(_ shard: Int) -> String { "martlet:{\(shard)}:conversions" }
    /// What engines learn from.
    package static func rewards(_ shard: Int) -> String { "martlet:{\(shard)}:rewards" }
    /// What could not be taken, with the reasons.
    package static func rejects(_ shard: Int) -> String { "martlet:{\(shard)}:rejects" }
    /// The tokens of a rate that the fleet keeps together.
    package static func tokens(_ name: String) -> String { "martlet:tokens:\(name)" }
}
