// How a simulated message centre is set up, what goes wrong on purpose, and what it keeps.

package import DeliveryModel
package import SMPPTransport

package struct SMPPSimulatorSettings: Sendable {
    /// TCP port on 127.0.0.1; 0 takes a free one.
    package var port = 0
    package var systemID = "martlet"
    package var password = "secret"
    /// PEM files; without them the line is not encrypted.
    package var certificateFile: String?
    package var keyFile: String?
    /// Submits that may wait for their answers on one connection; one more is throttled.
    package var windowMax = 1_000
    /// How long answers are held back; milliseconds.
    package var answerDelayMilliseconds: Int64 = 0
    /// How long after a message its receipt comes; milliseconds.
    package var receiptDelayMilliseconds: Int64 = 20
    package var receiptForm = ReceiptForm.both
    /// Receipts name messages in decimal, answers in hexadecimal.
    package var mixesNumberForms = false
    package var faults = SMPPSimulatorFaults()
    package var messagesMax = 2_000
    /// False counts only, for load.
    package var keepsMessages = true
    package var threads = 1
    /// Who reads the messages. With people, what becomes of a message to an ordinary number is theirs to say.
    var people: People?

    package enum ReceiptForm: Sendable { case text, parameters, both }

    package init() {}
}

/// What goes wrong by chance; by default nothing. As JSON, every member optional:
///
///     {"seed": 7, "throttle": 0.1, "cut": 0.01, "per_second": 500, "answer_delay_ms": 20}
package struct SMPPSimulatorFaults: Sendable, Hashable {
    package var seed: UInt64 = 1
    /// Probability of ESME_RTHROTTLED.
    package var throttle = 0.0
    /// Probability that a message is taken, and the line is cut before the answer.
    package var cut = 0.0
    /// More submits a second are throttled; 0 for no limit.
    package var perSecond = 0
    package var answerDelayMilliseconds: Int64?

    package init() {}

    package init(json: JSONValue) throws(SimulatorError) {
        guard let object = json.object else { throw SimulatorError("faults must be an object") }
        let names: Set<String> = ["seed", "throttle", "cut", "per_second", "answer_delay_ms"]
        for member in object.members where !names.contains(member.name) {
            throw SimulatorError("faults has no member \"\(member.name)\": \(names.sorted().joined(separator: ", "))")
        }
        func number(_ name: String, _ range: ClosedRange<Double>) throws(SimulatorError) -> Double? {
            guard let value = object[name] else { return nil }
            guard let number = value.double, range.contains(number) else {
                throw SimulatorError("faults.\(name) must be a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        self.seed = UInt64(try number("seed", 0...9_007_199_254_740_991) ?? 1)
        self.throttle = try number("throttle", 0...1) ?? 0
        self.cut = try number("cut", 0...1) ?? 0
        self.perSecond = Int(try number("per_second", 0...1_000_000) ?? 0)
        self.answerDelayMilliseconds = try number("answer_delay_ms", 0...600_000).map { Int64($0) }
    }

    package var json: JSONValue {
        var object = JSONObject([.init(name: "seed", value: .integer(Int64(truncatingIfNeeded: self.seed)))])
        if self.throttle > 0 { object["throttle"] = .number(self.throttle) }
        if self.cut > 0 { object["cut"] = .number(self.cut) }
        if self.perSecond > 0 { object["per_second"] = .integer(Int64(self.perSecond)) }
        if let delay = self.answerDelayMilliseconds { object["answer_delay_ms"] = .integer(delay) }
        return .object(object)
    }
}

/// A message that the centre took.
package struct ReceivedSubmit: Sendable, Equatable {
    package let id: String
    package let message: SMPPMessage
    package let receivedAt: Timestamp
    /// Which connection brought it, from 1.
    package let connection: Int

    /// Without its header; approximately, for people.
    package var text: String {
        var bytes = self.message.text[...]
        if self.message.esmClass & 0x40 != 0, let length = bytes.first { bytes = bytes.dropFirst(Int(length) + 1) }
        guard self.message.dataCoding == 8 else { return String(decoding: bytes, as: UTF8.self) }
        let units = stride(from: bytes.startIndex, to: bytes.endIndex - bytes.count % 2, by: 2).map {
            UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1])
        }
        return String(decoding: units, as: UTF16.self)
    }
}

package struct SMPPSimulatorCounts: Sendable, Equatable {
    package var connections = 0
    package var binds = 0
    package var bindsRefused = 0
    package var accepted = 0
    package var throttled = 0
    package var refused = 0
    package var cut = 0
    package var receiptsSent = 0
    package var receiptsTaken = 0
    package var replies = 0
    package var enquiries = 0
    package var unbinds = 0
}
