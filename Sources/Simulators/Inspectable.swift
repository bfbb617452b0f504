// What the fleet, its control API and its inbox page need of a simulator.

package import DeliveryModel
import Foundation

/// A simulator that can be looked into while it runs.
package protocol Inspectable: Sendable {
    /// What it is called in the control API, such as `sms`.
    var name: String { get }
    /// Where clients reach it.
    var url: String { get }
    var counts: SimulatorCounts { get }
    /// All counters that it has, under its own names.
    var countsJSON: JSONValue { get }
    var faultsJSON: JSONValue { get }
    /// Up to `limit` messages, the newest first.
    func inbox(limit: Int) -> [InboxEntry]
    /// Replaces all faults.
    ///
    /// - Throws: ``SimulatorError`` with a sentence that says what is wrong with the JSON.
    func setFaults(json: JSONValue) throws(SimulatorError)
    /// Forgets messages and counts.
    func forget()
    func stop() async
}

/// A simulator of a provider that is reached over HTTP.
protocol HTTPInspectable: Inspectable {
    var faults: SimulatorFaults { get }
    func setFaults(_ faults: SimulatorFaults)
}

extension HTTPInspectable {
    package var countsJSON: JSONValue { self.counts.json }
    package var faultsJSON: JSONValue { self.faults.json }

    package func setFaults(json: JSONValue) throws(SimulatorError) {
        self.setFaults(try SimulatorFaults(json: json))
    }
}

extension SimulatorCounts {
    mutating func note(_ reaction: Reaction) {
        self.requests += 1
        switch reaction {
        case .answer(let answer):
            guard answer.status >= 400 else { return }
            self.refused += 1
            self.errors[answer.errorCode ?? String(answer.status), default: 0] += 1
        case .stall: self.stalled += 1
        case .cut: self.cut += 1
        }
    }

    mutating func note(_ verdict: RequestFate.Verdict) {
        switch verdict {
        case .carriedOut: return
        // The request itself was counted when it was carried out.
        case .cutAfter: self.cut += 1
        case .cutBefore:
            self.requests += 1
            self.cut += 1
        case .stalled:
            self.requests += 1
            self.stalled += 1
        case .refused(let status, _):
            self.requests += 1
            self.refused += 1
            self.errors[String(status), default: 0] += 1
        }
    }

    /// The counters as the control API shows them.
    package var json: JSONValue {
        let errors = self.errors.sorted { $0.key < $1.key }
        return .object(
            JSONObject([
                .init(name: "requests", value: .integer(Int64(self.requests))),
                .init(name: "accepted", value: .integer(Int64(self.accepted))),
                .init(name: "repeats", value: .integer(Int64(self.repeats))),
                .init(name: "refused", value: .integer(Int64(self.refused))),
                .init(name: "cut", value: .integer(Int64(self.cut))),
                .init(name: "stalled", value: .integer(Int64(self.stalled))),
                .init(
                    name: "errors",
                    value: .object(JSONObject(errors.map { .init(name: $0.key, value: .integer(Int64($0.value))) }))),
            ]))
    }
}

extension Timestamp {
    static func current() -> Timestamp {
        Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }

    /// RFC 2822 in UTC, such as `Thu, 24 Aug 2023 05:01:45 +0000`.
    var rfc2822: String {
        let seconds = self.milliseconds / 1000
        let days = seconds / 86_400
        let clock = seconds % 86_400
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days; days are not negative here.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        let monthNames = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"]
        let dayNames = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let time = "\(two(clock / 3600)):\(two(clock / 60 % 60)):\(two(clock % 60))"
        return "\(dayNames[Int(days % 7)]), \(two(day)) \(monthNames[Int(month)]) \(year) \(time) +0000"
    }
}

/// 32 hexadecimal digits.
func hexadecimal(_ high: UInt64, _ low: UInt64) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let text = (0..<32).map { index in
        digits[Int(truncatingIfNeeded: (index < 16 ? high : low) >> UInt64(60 - 4 * (index % 16))) & 15]
    }
    return String(decoding: text, as: UTF8.self)
}
