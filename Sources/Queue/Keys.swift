/// The names of everything in Redis. The braces are a cluster hash tag: all keys of a shard live in one slot.
import DeliveryModel

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
    /// Up to which reward the shard's counts go.
    package static func counted(_ shard: Int) -> String { "martlet:{\(shard)}:counted" }
    /// A person's counts.
    package static func rhythm(_ shard: Int, _ user: String) -> String { "martlet:{\(shard)}:rhythm:\(user)" }
    /// All people's, as a pattern.
    static let rhythms = "martlet:{*}:rhythm:*"
    static func user(ofRhythm key: String) -> String? {
        // Neither the number of a shard nor what is before it has this in it; a user's id may.
        key.firstRange(of: "}:rhythm:").map { String(key[$0.upperBound...]) }
    }
    /// What people did elsewhere, as producers tell.
    package static func activity(_ shard: Int) -> String { "martlet:{\(shard)}:activity" }
    /// How many messages are planned for an hour.
    static func planned(_ channel: ChannelKind, _ hour: Timestamp) -> String {
        "martlet:{planned}:\(channel.rawValue):\(hour.milliseconds / 3_600_000)"
    }
    /// Where an owner's counts are in a shard.
    static func counts(_ shard: Int, _ owner: CountOwner) -> String {
        switch owner {
        case .user(let user): self.rhythm(shard, user)
        case .levels: "martlet:{\(shard)}:learned:levels"
        case .arms(let campaign): "martlet:{\(shard)}:learned:arms:\(campaign)"
        }
    }
    /// All counts of a shard, but for its position.
    static func countPatterns(_ shard: Int) -> [String] {
        [self.rhythm(shard, "*"), "martlet:{\(shard)}:learned:*"]
    }
    /// The tokens of a rate that the fleet keeps together.
    package static func tokens(_ name: String) -> String { "martlet:tokens:\(name)" }
}
