/// The ports of attribution: where sightings come from, where rewards are kept, and where they go.
package import DeliveryModel

/// A sighting with the name of what brought it: noting the same source again notes nothing.
package struct SourcedSighting: Sendable {
    package let source: String
    package let sighting: Sighting

    package init(source: String, sighting: Sighting) {
        self.source = source
        self.sighting = sighting
    }
}

/// Whom a tracked message went to.
package struct TrackedRecipient: Sendable, Equatable {
    package let decision: String
    package let userID: String
    package let campaign: String
    /// A BCP 47 tag, as given.
    package let locale: String?
    /// Nil when the attempt is not on record yet.
    package let channel: ChannelKind?

    package init(decision: String, userID: String, campaign: String, locale: String?, channel: ChannelKind?) {
        self.decision = decision
        self.userID = userID
        self.campaign = campaign
        self.locale = locale
        self.channel = channel
    }
}

/// The ledger, as those see it who serve a person with a token in hand.
package protocol RecipientLedger: Sendable {
    /// Whom a token is about; nil when no such decision was ever accepted.
    ///
    /// - Parameter decision: As in ``TrackingReference``.
    func recipient(decision: String, attempt: Int) async throws(LedgerError) -> TrackedRecipient?

    /// Where a short link leads; nil when there is none.
    func shortLink(_ code: String) async throws(LedgerError) -> ShortLink?
}

/// A key of tracking tokens as it is on record.
package struct TrackingSecret: Sendable, Equatable {
    package let id: UInt8
    package let secret: [UInt8]
    package let madeAt: Timestamp
    /// Whether every process has had time to learn it: only then are tokens made with it.
    package let isKnown: Bool

    package init(id: UInt8, secret: [UInt8], madeAt: Timestamp, isKnown: Bool) {
        self.id = id
        self.secret = secret
        self.madeAt = madeAt
        self.isKnown = isKnown
    }
}

/// The ledger, as those see it who make and check tokens.
package protocol TrackingKeyLedger: Sendable {
    /// The oldest first.
    func trackingSecrets() async throws(LedgerError) -> [TrackingSecret]
    /// Makes a new one; tokens are made with it two minutes later. Those of the old ones stay good.
    ///
    /// - Throws: `broken` when there are 255 of them.
    func rotateTrackingSecret() async throws(LedgerError) -> UInt8
}

extension TrackingKeys {
    package init(_ secrets: [TrackingSecret]) {
        self.init(
            secrets.map { Key(id: $0.id, secret: $0.secret) },
            newest: (secrets.last { $0.isKnown } ?? secrets.last)?.id)
    }
}

/// A short link as it is on record.
package struct ShortLink: Sendable, Equatable {
    package let code: String
    package let decision: String
    package let attempt: Int
    package let link: Int
    package let url: String

    package init(code: String, decision: String, attempt: Int, link: Int, url: String) {
        self.code = code
        self.decision = decision
        self.attempt = attempt
        self.link = link
        self.url = url
    }
}

/// What one look at the rewards came to.
package struct RewardsGiven: Sendable, Equatable {
    /// Decisions that were looked at.
    package var looked = 0
    package var provisional = 0
    package var final = 0
    package var revised = 0
    /// What is on record for them and cannot be read.
    package var unreadable: [String] = []
    /// How each kind of sighting was judged, for those that are in rewards given now.
    package var verdicts: [String: Int] = [:]

    package init() {}
}

/// The ledger, as attribution sees it.
package protocol RewardLedger: Sendable {
    /// Keeps what was seen, and has the rewards of its decisions looked at a moment later. Repeating is safe.
    ///
    /// - Returns: How many were new.
    func sight(_ sightings: [SourcedSighting]) async throws(LedgerError) -> Int

    /// Looks at decisions that something came for or whose windows have closed: asks `rule` for each, records what
    /// follows, and ends deliveries that rest for a goal which was reached. One transaction: all or nothing.
    ///
    /// - Parameter limit: The most of each kind.
    func giveRewards(
        limit: Int, rule: @escaping @Sendable (RewardFacts) -> RewardRuling
    ) async throws(LedgerError) -> RewardsGiven

    /// Takes or keeps the lease `name` for `seconds`; false while somebody else has it.
    func hold(_ name: String, as holder: String, seconds: Int) async throws(LedgerError) -> Bool

    /// How far each shard's stream is, as noted.
    func rewardPositions() async throws(LedgerError) -> [RewardPosition]

    /// The last reward of a shard that was given longer ago than `age`.
    func rewardPosition(inShard shard: Int, before age: Milliseconds) async throws(LedgerError) -> RewardPosition

    /// The rewards that come after these positions, in the order of their streams.
    func rewards(after positions: [RewardPosition], limit: Int) async throws(LedgerError) -> [RecordedReward]

    /// Whether rewards are on record from transactions that this PostgreSQL has not come to: it is not the one that gave
    /// them, and what it gives now would come before them.
    func isRewardOrderLost() async throws(LedgerError) -> Bool

    /// Notes how far the streams are.
    func reached(_ positions: [RewardPosition]) async throws(LedgerError)
}

/// A place in a shard's rewards. As the id of a stream's entry, `<transaction>-<place>`.
package struct RewardPosition: Sendable, Hashable, Comparable {
    package let shard: Int
    package let transaction: UInt64
    package let place: Int

    package init(shard: Int, transaction: UInt64 = 0, place: Int = 0) {
        self.shard = shard
        self.transaction = transaction
        self.place = place
    }

    package var entry: String { "\(self.transaction)-\(self.place)" }

    /// Nil for a text that is no entry's id.
    package init?(shard: Int, entry: String?) {
        let parts = entry?.split(separator: "-") ?? []
        guard parts.count == 2, let transaction = UInt64(parts[0]), let place = Int(parts[1]) else { return nil }
        self.init(shard: shard, transaction: transaction, place: place)
    }

    package static func < (left: RewardPosition, right: RewardPosition) -> Bool {
        (left.shard, left.transaction, left.place) < (right.shard, right.transaction, right.place)
    }
}

/// One revision as it is on record.
package struct RecordedReward: Sendable {
    package let position: RewardPosition
    /// `martlet.reward/1`.
    package let body: [UInt8]

    package init(position: RewardPosition, body: [UInt8]) {
        self.position = position
        self.body = body
    }
}

/// Where sightings wait between the edge and the ledger.
package protocol SightingQueue: Sendable {
    /// Appends them; returns once Redis has them.
    func append(_ sightings: [Sighting]) async throws(QueueError)
    /// Entries that nobody has read, the oldest first; at most about `limit`.
    func sightings(limit: Int) async throws(QueueError) -> [QueuedEntry<Sighting>]
    /// Entries of processes that have been silent for a while, and are somebody else's now.
    func forgottenSightings(limit: Int) async throws(QueueError) -> [QueuedEntry<Sighting>]
    /// They are in the ledger.
    func settle(_ entries: [QueuedEntry<Sighting>]) async throws(QueueError)
}

/// Where producers' conversions wait.
package protocol ConversionQueue: Sendable {
    /// Entries that nobody has read, the oldest first; at most about `limit`. An item is a conversion's text.
    func conversions(limit: Int) async throws(QueueError) -> [QueuedEntry<[UInt8]>]
    func forgottenConversions(limit: Int) async throws(QueueError) -> [QueuedEntry<[UInt8]>]
    /// They are in the ledger.
    func settle(_ entries: [QueuedEntry<[UInt8]>]) async throws(QueueError)
    /// It cannot be taken, for these reasons.
    func reject(
        _ entry: QueuedEntry<[UInt8]>, id: String?, _ reasons: [Rejection]
    ) async throws(QueueError)
}

/// An entry of a stream that was read and is not settled.
package struct QueuedEntry<Item: Sendable>: Sendable {
    package let shard: Int
    package let entry: String
    package let items: [Item]

    package init(shard: Int, entry: String, items: [Item]) {
        self.shard = shard
        self.entry = entry
        self.items = items
    }
}

/// The streams that rewards go out by.
package protocol RewardStreams: Sendable {
    /// Appends rewards under their positions' ids; what is there already stays as it is.
    ///
    /// - Parameter after: The last position that each stream should hold. A stream that holds less has lost something:
    ///   nothing is appended to it.
    /// - Returns: Streams that hold less than they should, with what they hold.
    func append(
        _ rewards: [RecordedReward], after: [Int: RewardPosition]
    ) async throws(QueueError) -> [RewardPosition]

    /// For each shard how many rewards are in its stream, and how many of them the consumer group that is furthest
    /// behind has not read; nil where nobody reads in a group.
    func backlog() async throws(QueueError) -> [(length: Int, unread: Int?)]
}

/// Where short links are put on record.
package protocol ShortLinkRegister: Sendable {
    /// Returns after the commit. Repeating is safe.
    func record(_ links: [ShortLink]) async throws(LedgerError)
}

/// A revision with the one before it.
package struct RecordedRevision: Sendable {
    package let position: RewardPosition
    /// `martlet.reward/1`.
    package let body: [UInt8]
    /// Nil where this is the first.
    package let before: [UInt8]?
    /// What was chosen for the decision, `martlet.choice/1`; nil where there was nothing to choose.
    package let choice: [UInt8]?

    package init(position: RewardPosition, body: [UInt8], before: [UInt8]?, choice: [UInt8]? = nil) {
        self.position = position
        self.body = body
        self.before = before
        self.choice = choice
    }
}

/// The ledger, as those see it who learn from rewards.
package protocol RevisionLedger: Sendable {
    /// The revisions that come after these positions, in the order of the streams; at most `limit` of each shard.
    ///
    /// - Parameter onlyChosen: Only of decisions for which something was chosen; and the last one that was looked at in each
    ///   shard, with an empty body.
    func revisions(
        after positions: [RewardPosition], onlyChosen: Bool, limit: Int
    ) async throws(LedgerError) -> [RecordedRevision]
    /// Whether rewards are on record from transactions that this PostgreSQL has not come to.
    func isRewardOrderLost() async throws(LedgerError) -> Bool
    /// Takes or keeps the lease `name` for `seconds`; false while somebody else has it.
    func hold(_ name: String, as holder: String, seconds: Int) async throws(LedgerError) -> Bool
}

/// The ledger, as the fit of arms sees it.
package protocol ArmHistoryLedger: RevisionLedger {
    /// A transaction from which on rewards were given at or after a moment; nil where there are none.
    func rewardStart(since moment: Timestamp) async throws(LedgerError) -> UInt64?
    /// What was sent, waits for reactions, and has brought none: the newest first.
    func openChoices(limit: Int) async throws(LedgerError) -> [OpenChoice]
}

/// A choice whose reward is not known yet.
package struct OpenChoice: Sendable {
    package let decision: Decision
    package let choice: MadeChoice
    package let sentAt: Timestamp

    package init(decision: Decision, choice: MadeChoice, sentAt: Timestamp) {
        self.decision = decision
        self.choice = choice
        self.sentAt = sentAt
    }
}
