import Attribution
import DeliveryModel
import PostgresClient

/// What is on record of some decisions, put together from five tables.
struct RewardRecords {
    var facts: [(shard: Int, facts: RewardFacts)] = []
    /// Decisions whose text this version cannot read.
    var unreadable: [String] = []
    var now = Timestamp(milliseconds: 0)

    static func read(_ ids: [String], _ connection: PostgresConnection) throws(PostgresError) -> RewardRecords {
        let parameters = [PostgresParameter.textArray(ids)]
        var records = RewardRecords()
        var attempts = try Self.attempts(try connection.query(Statements.rewardAttempts, parameters))
        var trails = try Self.trails(try connection.query(Statements.rewardEvents, parameters))
        var sightings = try Self.sightings(try connection.query(Statements.rewardSightings, parameters))
        let rows = try connection.query(Statements.rewardDecisions, parameters)
        for row in 0..<rows.count {
            let id = try rows[row, 0].text
            records.now = Timestamp(milliseconds: try rows[row, 14].milliseconds)
            guard let decision = try? Decision.decode(try rows[row, 3].byteArray) else {
                records.unreadable.append(id)
                continue
            }
            let trail = trails.removeValue(forKey: id) ?? Trail()
            var facts = RewardFacts(
                decision: decision, acceptedAt: Timestamp(milliseconds: try rows[row, 2].milliseconds),
                attempts: attempts.removeValue(forKey: id) ?? [], conversions: trail.conversions,
                complaints: trail.complaints, sightings: sightings.removeValue(forKey: id) ?? [], rests: trail.rests,
                now: records.now)
            if let state = try rows[row, 4].orNil?.text {
                facts.end = RewardFacts.End(
                    state: state, reason: try rows[row, 5].text,
                    at: Timestamp(milliseconds: try rows[row, 6].milliseconds))
            }
            facts.chosen = RewardFacts.Chosen(
                arm: try rows[row, 7].orNil?.text, propensity: try rows[row, 8].orNil?.double,
                policy: try rows[row, 9].orNil?.text,
                seed: try (rows[row, 10].orNil?.int64).map(UInt64.init(bitPattern:)))
            facts.choice = try (rows[row, 15].orNil?.byteArray).flatMap(ChoiceDocument.decode)
            if let revision = try rows[row, 11].orNil?.int {
                facts.given = RewardFacts.Given(
                    revision: revision, state: Reward.State(rawValue: try rows[row, 12].text) ?? .provisional,
                    digest: try rows[row, 13].byteArray)
            }
            records.facts.append((try rows[row, 1].int, facts))
        }
        return records
    }

    private struct Trail {
        var conversions: [RewardFacts.Conversion] = []
        var complaints: [Timestamp] = []
        var rests: [String] = []
    }

    private static func attempts(_ rows: PostgresRows) throws(PostgresError) -> [String: [RewardFacts.Attempt]] {
        var found: [String: [RewardFacts.Attempt]] = [:]
        for row in 0..<rows.count {
            found[try rows[row, 0].text, default: []].append(
                RewardFacts.Attempt(
                    number: try rows[row, 1].int, step: try rows[row, 2].int, channel: try rows[row, 3].text,
                    provider: try rows[row, 4].text,
                    openedAt: Timestamp(milliseconds: try rows[row, 8].milliseconds),
                    closedAt: Timestamp(milliseconds: try rows[row, 5].milliseconds),
                    verdict: try rows[row, 6].text, propensity: try rows[row, 7].orNil?.double))
        }
        return found
    }

    private static func trails(_ rows: PostgresRows) throws(PostgresError) -> [String: Trail] {
        var found: [String: Trail] = [:]
        for row in 0..<rows.count {
            let id = try rows[row, 0].text
            let at = Timestamp(milliseconds: try rows[row, 2].milliseconds)
            let detail = (try? JSONValue.parse(Array(try rows[row, 3].text.utf8)))?.object ?? JSONObject()
            switch try rows[row, 1].text {
            case "conversion":
                found[id, default: Trail()].conversions.append(
                    RewardFacts.Conversion(
                        at: at, value: detail["value"]?.double ?? 1, credit: detail["credit"]?.double))
            case "rest": found[id, default: Trail()].rests.append(detail["reason"]?.string ?? "")
            default: found[id, default: Trail()].complaints.append(at)
            }
        }
        return found
    }

    private static func sightings(_ rows: PostgresRows) throws(PostgresError) -> [String: [Sighting]] {
        var found: [String: [Sighting]] = [:]
        for row in 0..<rows.count {
            let id = try rows[row, 0].text
            guard let kind = Sighting.Kind(rawValue: try rows[row, 2].text),
                let method = Sighting.Method(rawValue: try rows[row, 5].text)
            else { continue }
            found[id, default: []].append(
                Sighting(
                    decision: id, attempt: try rows[row, 1].int, kind: kind, link: try rows[row, 3].orNil?.int,
                    isHidden: try rows[row, 4].bool, method: method,
                    at: Timestamp(milliseconds: try rows[row, 6].milliseconds), userAgent: try rows[row, 7].text,
                    network: try rows[row, 8].text))
        }
        return found
    }
}
