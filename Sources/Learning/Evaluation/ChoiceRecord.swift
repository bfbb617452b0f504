// Reads `martlet.choice/1`: how a decision's arm and slot were chosen, as the ledger keeps it.
import DeliveryModel

/// The record of a decision's choices, as far as an evaluation needs it.
package struct ChoiceRecord: Sendable, Equatable {
    package static let schema = "martlet.choice/1"

    package var arms: LoggedRow.Arms?
    package var slots: LoggedRow.Slots?

    /// Members that are not known are ignored: newer writers may add some.
    package static func decode(_ bytes: [UInt8]) throws(LoggedRow.Flaw) -> ChoiceRecord {
        guard let root = (try? JSONValue.parse(bytes))?.object, root["schema"]?.string == Self.schema else {
            throw .unreadableChoice
        }
        var record = ChoiceRecord()
        if let part = try Self.part(root["arm"]) { record.arms = try Self.arms(part) }
        if let part = try Self.part(root["slot"]) { record.slots = try Self.slots(part) }
        return record
    }

    /// Nil for what is absent or null.
    private static func part(_ value: JSONValue?) throws(LoggedRow.Flaw) -> JSONObject? {
        guard let value, value != .null else { return nil }
        guard let object = value.object else { throw .unreadableChoice }
        return object
    }

    private static func arms(_ part: JSONObject) throws(LoggedRow.Flaw) -> LoggedRow.Arms {
        guard let name = part["chosen"]?.string, let list = part["candidates"]?.array else { throw .unreadableChoice }
        var ids: [String] = []
        var probabilities: [Double] = []
        for item in list.prefix(LoggedRow.candidatesMax + 1) {
            guard let pair = item.array, pair.count >= 2, let id = pair[0].string, let probability = pair[1].double
            else { throw .unreadableChoice }
            ids.append(id)
            probabilities.append(probability)
        }
        guard let chosen = ids.firstIndex(of: name) else { throw .notAmongCandidates }
        guard let propensity = part["propensity"]?.double else { throw .noPropensity }
        return LoggedRow.Arms(
            ids: ids, probabilities: probabilities, chosen: chosen, propensity: propensity,
            isCohort: part["cohort"] == .bool(true), policy: part["policy"]?.string)
    }

    private static func slots(_ part: JSONObject) throws(LoggedRow.Flaw) -> LoggedRow.Slots {
        guard let first = part["first"]?.string.flatMap({ Timestamp(rfc3339: $0) }),
            let hourList = part["hours"]?.array, let startList = part["starts"]?.array,
            let chosen = Self.integer(part["chosen"])
        else { throw .unreadableChoice }
        guard let propensity = part["propensity"]?.double else { throw .noPropensity }
        let hours = hourList.prefix(LoggedRow.candidatesMax + 1).compactMap { value in
            Self.integer(value).flatMap { UInt8(exactly: $0) }
        }
        let starts = startList.prefix(LoggedRow.candidatesMax + 1).compactMap { Self.integer($0) }
        guard hours.count == min(hourList.count, LoggedRow.candidatesMax + 1), hours.count == starts.count else {
            throw .wrongHours
        }
        return LoggedRow.Slots(
            hours: hours, first: Self.hourStart(first, starts), starts: starts, chosen: chosen, propensity: propensity,
            isCohort: part["cohort"] == .bool(true), policy: part["policy"]?.string)
    }

    /// The first candidate may begin within its hour: when that hour began, by when most of the others do.
    private static func hourStart(_ first: Timestamp, _ starts: [Int]) -> Timestamp {
        var counts: [Int: Int] = [:]
        for start in starts.dropFirst() where start >= 0 { counts[start % 3600, default: 0] += 1 }
        guard let usual = counts.max(by: { ($0.value, -$0.key) < ($1.value, -$1.key) })?.key, usual > 0 else {
            return first
        }
        return first.advanced(by: .seconds(Int64(usual - 3600)))
    }

    private static func integer(_ value: JSONValue?) -> Int? {
        guard case .integer(let number)? = value else { return nil }
        return Int(exactly: number)
    }
}
