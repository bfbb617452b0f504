import Attribution
import DeliveryModel
import PostgresClient

/// The group statements: rows in, one answer for each row out, in the same order.
struct LedgerStatements: Sendable {
    let settings: PostgresLedger.Settings

    func accept(_ group: [Arrival], _ connection: PostgresConnection) throws(PostgresError) -> [Acceptance] {
        // Of one `supersedes` key only one can be the newest, and one person's messages count one by one: the others
        // come after it, one commit each.
        let (alone, crowd) = self.oneOfEach(group) { arrival in
            (arrival.decision.id, arrival.decision.supersedes, arrival.opening)
        }
        guard crowd.isEmpty else {
            var answers = [Acceptance?](repeating: nil, count: group.count)
            for part in [alone, crowd] {
                for (index, answer) in zip(part, try self.accept(part.map { group[$0] }, connection)) {
                    answers[index] = answer
                }
            }
            return answers.map { $0 ?? .duplicate(isSameText: false) }
        }
        let (first, later) = Self.firstOfEach(group, by: { $0.decision.id })
        let arrivals = first.map { group[$0] }
        let rows = try connection.query(
            Statements.accept,
            [
                .textArray(arrivals) { $0.decision.id }, .int4Array(arrivals) { Int32(clamping: $0.shard) },
                .textArray(arrivals) { $0.decision.campaign },
                .textArray(arrivals) { $0.decision.messageClass.rawValue },
                .textArray(arrivals) { $0.source }, .bytesArray(arrivals) { $0.body },
                .timestamptzArray(arrivals) { $0.dueAt.milliseconds }, .textArray(arrivals) { $0.lease },
                .int4(self.settings.leaseSeconds), .int4(self.settings.horizonSeconds),
                .textArray(arrivals) { $0.opening?.channel.rawValue }, .textArray(arrivals) { $0.opening?.provider },
                .bytesArray(arrivals) { $0.opening?.addressKey },
                .timestamptzArray(arrivals) { $0.opening?.at.milliseconds },
                .textArray(arrivals) { $0.decision.supersedes }, .int8Array(arrivals) { $0.rank },
            ] + Self.recipients(arrivals.map(\.opening)) + self.rules + [
                .int4Array(arrivals) { Int32(clamping: $0.decision.priority) },
                .int8Array(arrivals) { UserKey.of($0.decision.user.id) },
                .int8Array(arrivals) { $0.decision.reward.window.count },
                .bytesArray(arrivals) { $0.choice.map(ChoiceDocument.json) },
            ])
        var fresh: [String: (acceptedAt: Timestamp, answer: OpeningAnswer?)] = [:]
        for row in 0..<rows.count {
            var answer = try Self.ruling(rows[row, 2], rows[row, 3]) ?? .opened as OpeningAnswer?
            // Another commit filled the cap at this very moment: the next statement sees which one it was.
            if answer == .capped("") { answer = nil }
            fresh[try rows[row, 0].text] = (Timestamp(milliseconds: try rows[row, 1].milliseconds), answer)
        }
        var answers = [Acceptance?](repeating: nil, count: group.count)
        var unresolved = later
        for index in first {
            let arrival = group[index]
            guard let new = fresh[arrival.decision.id] else {
                unresolved.append(index)
                continue
            }
            answers[index] = .accepted(
                Self.delivery(arrival, acceptedAt: new.acceptedAt), arrival.opening == nil ? nil : new.answer)
        }
        if !unresolved.isEmpty {
            for (index, answer) in try self.lookUp(unresolved.map { ($0, group[$0]) }, connection) {
                answers[index] = answer
            }
        }
        return answers.map { $0 ?? .duplicate(isSameText: false) }
    }

    /// What is known of arrivals whose id was accepted before.
    private func lookUp(
        _ arrivals: [(index: Int, arrival: Arrival)], _ connection: PostgresConnection
    ) throws(PostgresError) -> [(Int, Acceptance)] {
        let rows = try connection.query(
            Statements.known,
            [
                .textArray(arrivals) { $0.arrival.decision.id }, .bytesArray(arrivals) { $0.arrival.body },
                .textArray(arrivals) { $0.arrival.lease },
            ])
        var answers: [(Int, Acceptance)] = []
        for row in 0..<rows.count {
            let position = try rows[row, 0].int - 1
            guard arrivals.indices.contains(position) else { continue }
            let (index, arrival) = arrivals[position]
            guard try rows[row, 1].text == arrival.source else {
                answers.append((index, .duplicate(isSameText: try rows[row, 2].bool)))
                continue
            }
            guard try rows[row, 3].bool else {
                answers.append((index, .known))
                continue
            }
            // Our own acceptance, whose answer was lost.
            let acceptedAt = Timestamp(milliseconds: try rows[row, 4].milliseconds)
            let isOpen = try rows[row, 5].bool
            let opened: OpeningAnswer? = arrival.opening != nil && isOpen ? .opened : nil
            answers.append((index, .accepted(Self.delivery(arrival, acceptedAt: acceptedAt), opened)))
        }
        return answers
    }

    private static func delivery(_ arrival: Arrival, acceptedAt: Timestamp) -> Delivery {
        Delivery(
            id: arrival.decision.id, shard: arrival.shard, epoch: arrival.lease == nil ? 0 : 1, acceptedAt: acceptedAt,
            dueAt: arrival.dueAt)
    }

    func claim(_ group: [ClaimRequest], _ connection: PostgresConnection) throws(PostgresError) -> [ClaimAnswer] {
        let (first, _) = Self.firstOfEach(group, by: { $0.id })
        let requests = first.map { group[$0] }
        let rows = try connection.query(
            Statements.claim,
            [.textArray(requests) { $0.id }, .textArray(requests) { $0.lease }, .int4(self.settings.leaseSeconds)])
        var answers: [String: ClaimAnswer] = [:]
        for row in 0..<rows.count { answers[try rows[row, 0].text] = try Self.claimAnswer(rows, row) }
        // Who asked for an id that another one of this group asked for looks again in a moment.
        let firsts = Set(first)
        return group.indices.map { index in
            let answer = answers[group[index].id] ?? .missing
            guard !firsts.contains(index), case .claimed(let delivery, _, _) = answer else { return answer }
            return .notNow(until: delivery.dueAt.advanced(by: .seconds(1)))
        }
    }

    private static func claimAnswer(_ rows: PostgresRows, _ row: Int) throws(PostgresError) -> ClaimAnswer {
        switch try rows[row, 1].text {
        case "missing": return .missing
        case "finished": return .finished
        case "not_now": return .notNow(until: Timestamp(milliseconds: try rows[row, 2].milliseconds))
        default: break
        }
        var delivery = Delivery(
            id: try rows[row, 0].text, shard: try rows[row, 3].int, epoch: try rows[row, 4].int,
            acceptedAt: Timestamp(milliseconds: try rows[row, 5].milliseconds),
            dueAt: Timestamp(milliseconds: try rows[row, 6].milliseconds), step: try rows[row, 7].int,
            attempts: try rows[row, 8].int, stepAttempts: try rows[row, 9].int,
            hasSent: try rows[row, 10].bool)
        if let number = try rows[row, 11].orNil?.int {
            delivery.openAttempt = Delivery.OpenAttempt(
                number: number, channel: ChannelKind(rawValue: try rows[row, 12].text) ?? .email,
                provider: try rows[row, 13].text, openedAt: Timestamp(milliseconds: try rows[row, 14].milliseconds))
        }
        delivery.lapses = try rows[row, 15].int
        let kinds = try rows[row, 16].orNil?.text.split(separator: ",") ?? []
        delivery.goalsReached = Set(kinds.compactMap { Goal(rawValue: String($0)) })
        delivery.avoids = try rows[row, 18].orNil?.text
        delivery.devices = DeviceProgress(bytes: try rows[row, 19].byteArray)
        let choice = try rows[row, 20].orNil?.byteArray
        return .claimed(
            delivery, body: try rows[row, 17].byteArray, choice: choice.flatMap(ChoiceDocument.decode))
    }

    func open(_ group: [AttemptOpening], _ connection: PostgresConnection) throws(PostgresError) -> [OpeningAnswer] {
        let (alone, crowd) = self.oneOfEach(group) { ($0.id, nil, $0) }
        guard crowd.isEmpty else {
            var answers = [OpeningAnswer](repeating: .fenced, count: group.count)
            for part in [alone, crowd] {
                for (index, answer) in zip(part, try self.open(part.map { group[$0] }, connection)) {
                    answers[index] = answer
                }
            }
            return answers
        }
        var answers = try self.openOnce(group, connection)
        // Another commit filled the cap at this very moment: a second statement sees which one it was.
        let unnamed = group.filter { answers[Hold(id: $0.id, epoch: $0.epoch)] == .capped("") }
        if !unnamed.isEmpty {
            answers.merge(try self.openOnce(unnamed, connection)) { _, named in named }
        }
        return group.map { answers[Hold(id: $0.id, epoch: $0.epoch)] ?? .fenced }
    }

    private func openOnce(
        _ group: [AttemptOpening], _ connection: PostgresConnection
    ) throws(PostgresError) -> [Hold: OpeningAnswer] {
        let rows = try connection.query(
            Statements.open,
            [
                .textArray(group) { $0.id }, .int4Array(group) { Int32(clamping: $0.epoch) },
                .int4Array(group) { Int32(clamping: $0.number) }, .textArray(group) { $0.channel.rawValue },
                .textArray(group) { $0.provider }, .bytesArray(group) { $0.addressKey },
                .timestamptzArray(group) { $0.at.milliseconds }, .textArray(group) { $0.messageClass.rawValue },
                .textArray(group) { $0.campaign },
            ] + Self.recipients(group) + self.rules)
        var answers: [Hold: OpeningAnswer] = [:]
        for row in 0..<rows.count {
            let hold = Hold(id: try rows[row, 0].text, epoch: try rows[row, 1].int)
            answers[hold] = try rows[row, 2].bool ? .opened : try Self.ruling(rows[row, 3], rows[row, 4])
        }
        return answers
    }

    func close(_ group: [Closing], _ connection: PostgresConnection) throws(PostgresError) -> [Bool] {
        let rows = try connection.query(
            Statements.close,
            Self.closeParameters(group) + [
                .int4(self.settings.horizonSeconds),
                .textArray(group) { self.settings.admission.caps.isEmpty ? nil : $0.releases },
                .textArray(group) { $0.releases == nil ? nil : Self.message($0) }, .textArray(group) { $0.pausedBy },
                .boolArray(group) { $0.next.isDeadLetter }, .textArray(group) { $0.waitsFor?.rawValue },
                .boolArray(group) { $0.isCounted },
                .textArray(group) { $0.avoids }, .float8Array(group) { $0.attempt?.propensity },
                .bytesArray(group) { $0.devicesToKeep.bytes },
            ])
        var answers: [Hold: Bool] = [:]
        for row in 0..<rows.count {
            answers[Hold(id: try rows[row, 0].text, epoch: try rows[row, 1].int)] = try rows[row, 2].bool
        }
        return group.map { answers[Hold(id: $0.id, epoch: $0.epoch)] ?? false }
    }

    func note(_ group: [RecipientEvent], _ connection: PostgresConnection) throws(PostgresError) -> [NoteAnswer] {
        let (first, _) = Self.firstOfEach(group, by: { $0.key })
        let events = first.map { group[$0] }
        let rows = try connection.query(
            Statements.note,
            [
                .textArray(events) { $0.key }, .textArray(events) { $0.target.decision },
                .int8Array(events) { $0.target.user.map(UserKey.of) }, .textArray(events) { $0.kind.rawValue },
                .timestamptzArray(events) { $0.at?.milliseconds },
                .textArray(events) { String(decoding: JSONValue.object($0.detail).encoded(), as: UTF8.self) },
                .text(self.settings.credit.rawValue),
            ])
        var answers: [String: NoteAnswer] = [:]
        for row in 0..<rows.count {
            guard let decision = try rows[row, 2].orNil?.text else { continue }
            let what = try rows[row, 1].text
            answers[try rows[row, 0].text] =
                what == "known" ? .known(decision: decision) : .noted(decision: decision, ends: what == "ended")
        }
        // Who comes with a key that another one of this group has comes second.
        let firsts = Set(first)
        return group.indices.map { index in
            let answer = answers[group[index].key] ?? .missing
            guard !firsts.contains(index), case .noted(let decision, _) = answer else { return answer }
            return .known(decision: decision)
        }
    }

    private static func closeParameters(_ group: [Closing]) -> [PostgresParameter] {
        [
            .textArray(group) { $0.id }, .int4Array(group) { Int32(clamping: $0.epoch) },
            .int4Array(group) { Int32(clamping: $0.step) },
            .int4Array(group) { $0.attempt.map { Int32(clamping: $0.number) } },
            .textArray(group) { $0.channel?.rawValue }, .textArray(group) { $0.attempt?.provider },
            .bytesArray(group) { $0.attempt?.addressKey },
            .timestamptzArray(group) { $0.attempt?.openedAt.milliseconds },
            .timestamptzArray(group) { $0.attempt?.closedAt.milliseconds },
            .textArray(group) { $0.attempt?.outcome.verdict.rawValue },
            .textArray(group) { $0.attempt?.outcome.reason },
            .textArray(group) { ($0.attempt == nil ? $0.detail : $0.attempt?.outcome.detail)?.withoutNUL },
            .textArray(group) { $0.attempt?.outcome.providerMessageID?.withoutNUL },
            .boolArray(group) { $0.attempt?.outcome.isAddressDead ?? false },
            .textArray(group) { $0.next.terminalState?.rawValue }, .textArray(group) { $0.next.reason },
            .timestamptzArray(group) { $0.next.restsUntil?.milliseconds },
            .int4Array(group) { $0.next.nextStep.map { Int32(clamping: $0) } },
            .textArray(group) { $0.plan?.arm }, .float8Array(group) { $0.plan?.propensity },
            .textArray(group) { $0.plan?.policy }, .int8Array(group) { $0.plan.map { Int64(bitPattern: $0.seed) } },
            .timestamptzArray(group) { $0.at.milliseconds },
        ]
    }

    /// The positions of the first item of each key, and of the others.
    private static func firstOfEach<Item>(
        _ group: [Item], by key: (Item) -> String
    ) -> (first: [Int], later: [Int]) {
        var seen = Set<String>()
        var first: [Int] = []
        var later: [Int] = []
        for (index, item) in group.enumerated() {
            if seen.insert(key(item)).inserted { first.append(index) } else { later.append(index) }
        }
        return (first, later)
    }
}

extension String {
    /// What PostgreSQL can keep: a provider's words may hold anything.
    var withoutNUL: String {
        self.utf8.contains(0) ? String(self.unicodeScalars.filter { $0.value != 0 }.map(Character.init)) : self
    }
}

extension NextMove {
    var reason: String {
        switch self {
        case .settle(_, let reason), .setAside(let reason), .rest(_, _, let reason): reason
        }
    }

    var restsUntil: Timestamp? {
        guard case .rest(let until, _, _) = self else { return nil }
        return until
    }

    var nextStep: Int? {
        guard case .rest(_, let step, _) = self else { return nil }
        return step
    }
}

extension RecipientEvent.Target {
    fileprivate var decision: String? {
        guard case .decision(let id) = self else { return nil }
        return id
    }

    fileprivate var user: String? {
        guard case .user(let id) = self else { return nil }
        return id
    }
}
