/// The ports of learning: where counts are kept, and what the feasible set asks for.

/// One number of a hash of counts, as it is kept: the one who counts knows what the bytes say.
package struct CountField: Sendable, Hashable {
    package var name: [UInt8]
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// A change of counts. Additions commute: whoever adds first, the sum is the same.
package enum CountChange: Sendable, Hashable {
    case add(field: [UInt8], Int64)
    case set(field: [UInt8], [UInt8])
    case remove(field: [UInt8])
}

/// Whose counts.
package enum CountOwner: Sendable, Hashable {
    /// A person's rhythm. Expires when nothing happens for long.
    case user(String)
    /// What campaigns get in response, against what was expected of them.
    case levels
    /// The arms of a campaign.
    case arms(campaign: String)

    /// Whether each shard has its own and all of them together count.
    package var isShared: Bool {
        if case .user = self { false } else { true }
    }
}

/// Changes that belong together.
package struct CountUpdate: Sendable {
    package var owner: CountOwner
    package var changes: [CountChange]

    package init(owner: CountOwner, changes: [CountChange]) {
        self.owner = owner
        self.changes = changes
    }
}

/// How long counts are kept that nothing comes for.
package enum CountMemory {
    package static let person = Milliseconds.seconds(400 * 86_400)
    /// Of campaigns: nothing of theirs counts any more.
    package static let campaign = Milliseconds.seconds(92 * 86_400)
}

/// Counts that the fleet learns from. They can be lost whole: they are counted again from the ledger.
package protocol CountStore: Sendable {
    /// A person's; empty where nothing is known.
    func counts(ofUser user: String) async throws(QueueError) -> [CountField]
    /// Shared ones, one list for each shard: they add up.
    func counts(of owner: CountOwner) async throws(QueueError) -> [[CountField]]
    /// Up to which reward each shard has been counted: the position's text, or nil for none.
    func counted() async throws(QueueError) -> [String?]
    /// Applies `updates` and moves the shard's position from `from` to `to`, in one step; does nothing when the position
    /// is another: then somebody else has counted this.
    ///
    /// - Returns: The position that the shard has now.
    func count(
        _ updates: [CountUpdate], shard: Int, from: String?, to: String
    ) async throws(QueueError) -> String?
    /// Forgets a shard's counts, position and all: it is counted from the beginning.
    func forgetCounts(shard: Int) async throws(QueueError)
    /// Changes by themselves: one that is lost or repeated does little harm.
    func note(_ updates: [(shard: Int, update: CountUpdate)]) async throws(QueueError)
    /// The counts of some people, and where to go on; begin with "0", which also means the end. Who changes meanwhile may
    /// come twice or not at all.
    func users(
        after cursor: String, limit: Int
    ) async throws(QueueError) -> (users: [(user: String, counts: [CountField])], next: String)
}

/// How many messages are planned for each hour, by channel.
package protocol PlanStore: Sendable {
    /// For the hours that begin at these moments.
    func planned(_ channel: ChannelKind, hours: [Timestamp]) async throws(QueueError) -> [Int]
    func plan(_ channel: ChannelKind, hour: Timestamp) async throws(QueueError)
}

/// What people did with the producer's own site or app, where producers tell.
package struct Activity: Sendable, Hashable {
    package var user: String
    package var at: Timestamp
    /// An IANA zone name, where the producer gives it.
    package var timezone: String?

    package init(user: String, at: Timestamp, timezone: String? = nil) {
        self.user = user
        self.at = at
        self.timezone = timezone
    }
}

/// Where producers' activities wait.
package protocol ActivityQueue: Sendable {
    /// Entries that nobody has read and those that somebody read long ago; an item is nil where an entry cannot be read.
    func activities(limit: Int, forgotten: Bool) async throws(QueueError) -> [(
        shard: Int, entry: String, activity: Activity?
    )]
    /// Counts what belongs to an entry and takes it out of its stream, in one step, at most once; for an entry of
    /// another shard's user the count is repeated when the worker dies in between.
    func settle(_ entry: (shard: Int, entry: String), counting update: CountUpdate?) async throws(QueueError)
}

/// A message that a person got or may have got, as caps count it.
package struct ReachedMessage: Sendable, Hashable {
    package var at: Timestamp
    package var campaign: String
    package var channel: String

    package init(at: Timestamp, campaign: String, channel: String) {
        self.at = at
        self.campaign = campaign
        self.channel = channel
    }
}

/// The ledger, as those see it who look for a time that caps leave.
package protocol ReachLedger: Sendable {
    /// The marketing messages of late, as far back as caps look.
    func reach(of user: String) async throws(LedgerError) -> [ReachedMessage]
}
