/// What was seen of messages, and the rewards that follow.
package import Attribution
package import DeliveryModel
import PostgresClient

extension PostgresLedger: RewardLedger {
    /// The most sightings of a kind that are kept for one decision: a flood says no more than its first drops.
    private static let keptOfKind: Int32 = 32
    /// How long what was seen waits for what belongs to it: a machine that follows all links does so in one go.
    private static let judgedAfter: Int32 = 3000
    /// When a decision is looked at again that cannot be read.
    private static let unreadableAgain = Milliseconds.seconds(86_400)

    package func sight(_ sightings: [SourcedSighting]) async throws(LedgerError) -> Int {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.sight,
                [
                    .textArray(sightings) { $0.sighting.decision.withoutNUL }, .textArray(sightings) { $0.source },
                    .int4Array(sightings) { Int32(clamping: $0.sighting.attempt) },
                    .textArray(sightings) { $0.sighting.kind.rawValue },
                    .int4Array(sightings) { $0.sighting.link.map { Int32(clamping: $0) } },
                    .boolArray(sightings) { $0.sighting.isHidden },
                    .textArray(sightings) { $0.sighting.method.rawValue },
                    .timestamptzArray(sightings) { $0.sighting.at.milliseconds },
                    .textArray(sightings) { $0.sighting.userAgent.withoutNUL },
                    .textArray(sightings) { $0.sighting.network.withoutNUL },
                    .int4(Self.keptOfKind), .int4(Self.judgedAfter),
                ])
            return try rows[0, 0].int
        }
    }

    package func giveRewards(
        limit: Int, rule: @escaping @Sendable (RewardFacts) -> RewardRuling
    ) async throws(LedgerError) -> RewardsGiven {
        let statements = LedgerStatements(settings: self.settings)
        // A revision that is there already: somebody else looked at this decision too.
        return try await self.pool.ledgerRun(collisions: ["23505"]) { connection throws(PostgresError) in
            try connection.transaction { () throws(PostgresError) in
                let taken = try connection.query(Statements.rewardTake, [.int4(Int32(clamping: limit))])
                var ids: [String] = []
                for row in 0..<taken.count { ids.append(try taken[row, 0].text) }
                guard !ids.isEmpty else { return RewardsGiven() }
                return try Self.give(ids, rule, statements, connection)
            }
        }
    }

    private static func give(
        _ ids: [String], _ rule: (RewardFacts) -> RewardRuling, _ statements: LedgerStatements,
        _ connection: PostgresConnection
    ) throws(PostgresError) -> RewardsGiven {
        let records = try RewardRecords.read(ids, connection)
        var result = RewardsGiven()
        result.looked = ids.count
        result.unreadable = records.unreadable
        var given: [(shard: Int, reward: Reward, digest: [UInt8])] = []
        var ends: [(id: String, closesAt: Timestamp?)] = records.unreadable.map { id in
            (id, records.now.advanced(by: Self.unreadableAgain))
        }
        var goals: [RecipientEvent] = []
        var again: [String] = []
        for (shard, facts) in records.facts {
            let ruling = rule(facts)
            if let reward = ruling.reward {
                given.append((shard, reward, ruling.digest))
                result.count(reward)
            }
            if ruling.isEarly { again.append(facts.decision.id) }
            if facts.end != nil { ends.append((facts.decision.id, ruling.closesAt)) }
            // Only what is still under way has steps that wait for it.
            guard facts.end == nil else { continue }
            for (goal, at) in ruling.goals {
                goals.append(
                    RecipientEvent(
                        key: "\(goal.rawValue)/\(facts.decision.id)", target: .decision(id: facts.decision.id),
                        kind: goal, at: at))
            }
        }
        if !goals.isEmpty { _ = try statements.note(goals, connection) }
        _ = try connection.query(
            Statements.rewardGive,
            [
                .textArray(given) { $0.reward.decision }, .int4Array(given) { Int32(clamping: $0.reward.revision) },
                .int4Array(given) { Int32(clamping: $0.shard) }, .textArray(given) { $0.reward.state.rawValue },
                .float8Array(given) { $0.reward.reward }, .bytesArray(given) { $0.digest },
                .bytesArray(given) { RewardDocument.json($0.reward) }, .textArray(ends) { $0.id },
                .timestamptzArray(ends) { $0.closesAt?.milliseconds }, .textArray(again),
            ])
        return result
    }

    package func hold(_ name: String, as holder: String, seconds: Int) async throws(LedgerError) -> Bool {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            try connection.query(
                Statements.lease, [.text(name), .text(holder), .int4(Int32(clamping: seconds))]
            ).count > 0
        }
    }

    package func rewardPositions() async throws(LedgerError) -> [RewardPosition] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.rewardPositions, [])
            var positions: [RewardPosition] = []
            for row in 0..<rows.count { positions.append(try Self.position(rows, row)) }
            return positions
        }
    }

    package func rewardPosition(
        inShard shard: Int, before age: Milliseconds
    ) async throws(LedgerError) -> RewardPosition {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.rewardBefore, [.int4(Int32(clamping: shard)), .int8(age.count)])
            return rows.count > 0 ? try Self.position(rows, 0) : RewardPosition(shard: shard)
        }
    }

    package func isRewardOrderLost() async throws(LedgerError) -> Bool {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            try connection.query(Statements.rewardOrderLost, [])[0, 0].bool
        }
    }

    package func rewards(
        after positions: [RewardPosition], limit: Int
    ) async throws(LedgerError) -> [RecordedReward] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.rewardNext, Self.parameters(positions) + [.int4(Int32(clamping: limit))])
            var rewards: [RecordedReward] = []
            for row in 0..<rows.count {
                rewards.append(
                    RecordedReward(position: try Self.position(rows, row), body: try rows[row, 3].byteArray))
            }
            return rewards
        }
    }

    /// Rewards of one shard, for an export.
    ///
    /// - Parameter all: Every revision; otherwise the newest of each decision whose window has closed.
    package func rewards(
        after position: RewardPosition, campaign: String?, since: Timestamp?, all: Bool, limit: Int
    ) async throws(LedgerError) -> [RecordedReward] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.rewardList,
                [
                    .int4(Int32(clamping: position.shard)), .text(String(position.transaction)),
                    .int4(Int32(clamping: position.place)), .text(campaign), .timestamptz(since?.milliseconds),
                    .bool(all), .int4(Int32(clamping: limit)),
                ])
            var rewards: [RecordedReward] = []
            for row in 0..<rows.count {
                rewards.append(
                    RecordedReward(position: try Self.position(rows, row), body: try rows[row, 3].byteArray))
            }
            return rewards
        }
    }

    package func reached(_ positions: [RewardPosition]) async throws(LedgerError) {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            _ = try connection.query(Statements.rewardReached, Self.parameters(positions))
        }
    }

    static func parameters(_ positions: [RewardPosition]) -> [PostgresParameter] {
        [
            .int4Array(positions) { Int32(clamping: $0.shard) }, .textArray(positions) { String($0.transaction) },
            .int4Array(positions) { Int32(clamping: $0.place) },
        ]
    }

    static func position(_ rows: PostgresRows, _ row: Int) throws(PostgresError) -> RewardPosition {
        RewardPosition(
            shard: try rows[row, 0].int, transaction: UInt64(try rows[row, 1].text) ?? 0, place: try rows[row, 2].int)
    }
}

extension PostgresLedger: RecipientLedger {
    package func recipient(
        decision: String, attempt: Int
    ) async throws(LedgerError) -> TrackedRecipient? {
        typealias Found = (id: String, body: [UInt8], channel: ChannelKind?)
        let found = try await self.pool.ledgerRun { connection throws(PostgresError) -> Found? in
            let rows = try connection.query(
                Statements.recipient, [.text(decision.withoutNUL), .int4(Int32(clamping: attempt))])
            guard rows.count > 0 else { return nil }
            return (
                try rows[0, 0].text, try rows[0, 1].byteArray,
                try (rows[0, 2].orNil?.text).flatMap(ChannelKind.init(rawValue:))
            )
        }
        guard let found else { return nil }
        guard let body = try? Decision.decode(found.body) else {
            throw LedgerError(.broken, "this version cannot read the decision \(found.id)")
        }
        return TrackedRecipient(
            decision: found.id, userID: body.user.id, campaign: body.campaign, locale: body.user.locale,
            channel: found.channel)
    }

    package func shortLink(_ code: String) async throws(LedgerError) -> ShortLink? {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.shortLink, [.text(code)])
            guard rows.count > 0 else { return nil }
            return ShortLink(
                code: code, decision: try rows[0, 0].text, attempt: try rows[0, 1].int, link: try rows[0, 2].int,
                url: try rows[0, 3].text)
        }
    }
}

extension RewardsGiven {
    fileprivate mutating func count(_ reward: Reward) {
        switch reward.state {
        case .provisional: self.provisional += 1
        case .final: self.final += 1
        case .revised: self.revised += 1
        }
        for event in reward.events {
            guard let verdict = event.judgement?.verdict else { continue }
            self.verdicts["\(event.type) \(verdict.rawValue)", default: 0] += 1
        }
    }
}
