import DeliveryModel
import PostgresClient

/// How the rules of admission enter the statements that open attempts, and how their rulings come back.
extension LedgerStatements {
    /// Person, topic, start of the day and name of the message, for each opening.
    static func recipients(_ openings: [AttemptOpening?]) -> [PostgresParameter] {
        [
            .textArray(openings) { $0?.recipient?.person }, .textArray(openings) { $0?.recipient?.topic },
            .timestamptzArray(openings) { $0?.recipient?.dayStart.milliseconds }, .textArray(openings) { $0?.message },
        ]
    }

    /// What holds for the whole fleet: the channels that need consent, and the caps.
    var rules: [PostgresParameter] {
        let rules = self.settings.admission
        return [
            .textArray(rules.needsConsent.map(\.rawValue)), .textArray(rules.caps.map(\.name)),
            .int4Array(rules.caps.map { Int32(clamping: $0.messages) }),
            .int8Array(rules.caps) { cap in
                guard case .rolling(let length) = cap.period else { return nil }
                return length.count / 1000
            },
            .textArray(rules.caps) { $0.channel?.rawValue }, .boolArray(rules.caps) { $0.isPerCampaign },
            .int8(rules.memory.count / 1000),
        ]
    }

    /// What keeps a message from being sent; nil when nothing does.
    static func ruling(_ kind: PostgresCell, _ reason: PostgresCell) throws(PostgresError) -> OpeningAnswer? {
        guard let kind = try kind.orNil?.text, kind != "rests" else { return nil }
        let reason = try reason.orNil?.text ?? ""
        switch kind {
        case "suppressed": return .suppressed(reason: "suppressed." + reason)
        case "withdrawn": return .suppressed(reason: "consent.withdrawn")
        case "not_given": return .suppressed(reason: "consent.missing")
        case "superseded": return .superseded(by: reason)
        case "paused": return .paused(reason)
        case "capped": return .capped(reason)
        default: return .fenced
        }
    }

    /// Names the message that a closing is about, as its opening did.
    static func message(_ closing: Closing) -> String { "\(closing.id)/\(closing.step)" }

    /// The positions of what may be in one statement, and of the others: no `supersedes` key and, where there are
    /// caps, no person may be in it twice.
    func oneOfEach<Item>(
        _ group: [Item], _ of: (Item) -> (id: String, key: String?, opening: AttemptOpening?)
    ) -> (alone: [Int], crowd: [Int]) {
        let hasCaps = !self.settings.admission.caps.isEmpty
        var keys: [String: String] = [:]
        var persons = Set<String>()
        var alone: [Int] = []
        var crowd: [Int] = []
        for (index, item) in group.enumerated() {
            let (id, key, opening) = of(item)
            // The same decision twice is a duplicate, and told apart elsewhere.
            if let key, let first = keys[key], first != id {
                crowd.append(index)
                continue
            }
            if hasCaps, let person = opening?.recipient?.person, !persons.insert(person).inserted {
                crowd.append(index)
                continue
            }
            if let key { keys[key] = id }
            alone.append(index)
        }
        return (alone, crowd)
    }
}
