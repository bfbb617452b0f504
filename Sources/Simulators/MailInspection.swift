// An SMTP simulator as the fleet sees it.
//
// Faults of mail happen at stages of a dialogue, so their JSON differs from that of the HTTP providers:
//
//     {"faults": [{"stage": "rcpt", "probability": 0.1,
//                  "refuse": {"code": 451, "enhanced_code": "4.7.1", "text": "…"}},
//                 {"stage": "dot", "probability": 0.5, "delay_ms": 200},
//                 {"stage": "dot", "cut": "after", "recipient": "@example.com"},
//                 {"stage": "greeting", "stall": true}]}
//
// Stages: greeting, ehlo, starttls, auth, mail, rcpt, data, message, dot. Without a probability it is 1.

import DeliveryModel

struct MailInspection: Inspectable {
    let name: String
    let simulator: SMTPSimulator

    var url: String { "\(self.name)://127.0.0.1:\(self.simulator.port)" }

    var counts: SimulatorCounts {
        let mail = self.simulator.counts
        var counts = SimulatorCounts()
        counts.requests = mail.commands
        counts.accepted = mail.mails
        counts.refused = mail.refusals
        counts.cut = mail.cuts
        counts.stalled = mail.stalls
        return counts
    }

    var countsJSON: JSONValue {
        let mail = self.simulator.counts
        let values: [(String, Int)] = [
            ("accepted", mail.mails), ("recipients", mail.recipients), ("content_bytes", mail.contentBytes),
            ("refused", mail.refusals), ("mistakes", mail.mistakes), ("delayed", mail.delays), ("cut", mail.cuts),
            ("stalled", mail.stalls), ("commands", mail.commands), ("connections", mail.connections),
            ("handshakes", mail.handshakes), ("authentications", mail.authentications),
            ("authentications_refused", mail.authenticationsRefused),
        ]
        return .object(JSONObject(values.map { .init(name: $0.0, value: .integer(Int64($0.1))) }))
    }

    var faultsJSON: JSONValue {
        ["faults": .array(self.simulator.faults.map { $0.json })]
    }

    func setFaults(json: JSONValue) throws(SimulatorError) {
        guard let object = json.object, object.members.allSatisfy({ $0.name == "faults" }) else {
            throw SimulatorError("mail takes {\"faults\": [{\"stage\": …}]}")
        }
        var faults: [SMTPFault] = []
        for element in object["faults"]?.array ?? [] { faults.append(try SMTPFault(json: element)) }
        self.simulator.setFaults(faults)
    }

    func forget() {
        self.simulator.forget()
    }

    func stop() async {
        await self.simulator.stop()
    }

    func inbox(limit: Int) -> [InboxEntry] {
        self.simulator.snapshot(limit: limit).map { mail in
            let reader = MailReader(mail)
            var fields = JSONObject()
            fields["encrypted"] = .bool(mail.isEncrypted)
            fields["user"] = mail.user.map { .string($0) }
            fields["envelope_from"] = .string(mail.sender)
            fields["envelope_to"] = .array(mail.recipients.map { .string($0) })
            fields["headers"] = .string(mail.headers)
            return InboxEntry(
                id: "\(self.name)-\(mail.number)", receivedAt: Timestamp(milliseconds: mail.receivedAtMilliseconds),
                from: reader.from ?? mail.sender, to: mail.recipients.joined(separator: ", "), subject: reader.subject,
                text: reader.text ?? "", html: reader.html, fields: fields)
        }
    }
}

extension SMTPFault {
    private static let memberNames: Set<String> = [
        "stage", "probability", "recipient", "delay_ms", "refuse", "cut", "stall",
    ]

    fileprivate init(json: JSONValue) throws(SimulatorError) {
        guard let object = json.object else { throw SimulatorError("each fault must be an object") }
        if let stranger = object.members.first(where: { !Self.memberNames.contains($0.name) }) {
            throw SimulatorError(
                "a fault has no member \"\(stranger.name)\": \(Self.memberNames.sorted().joined(separator: ", "))")
        }
        guard let stage = object["stage"]?.string.flatMap(Stage.init(rawValue:)) else {
            let stages = Stage.allCases.map(\.rawValue).joined(separator: ", ")
            throw SimulatorError("a fault's stage must be one of \(stages)")
        }
        let probability = object["probability"].map { $0.double ?? -1 } ?? 1
        guard (0...1).contains(probability) else { throw SimulatorError("a fault's probability must be from 0 to 1") }
        self.init(
            try Self.effect(object), at: stage, probability: probability, recipient: object["recipient"]?.string)
    }

    private static func effect(_ object: JSONObject) throws(SimulatorError) -> Effect {
        if let delay = object["delay_ms"] {
            guard case .integer(let milliseconds) = delay, (0...600_000).contains(milliseconds) else {
                throw SimulatorError("delay_ms must be a whole number from 0 to 600000")
            }
            return .delay(milliseconds: milliseconds)
        }
        if let refusal = object["refuse"]?.object {
            guard case .integer(let code)? = refusal["code"], (400...599).contains(code) else {
                throw SimulatorError("refuse.code must be from 400 to 599")
            }
            let text = refusal["text"]?.string ?? "refused on purpose"
            let enhancedCode = refusal["enhanced_code"]?.string
            // A line break would begin a reply of its own.
            guard (text + (enhancedCode ?? "")).utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
                throw SimulatorError("refuse.text and refuse.enhanced_code must be printable ASCII")
            }
            return .refuse(code: Int(code), enhancedCode: enhancedCode, text: text)
        }
        if object["stall"] == .bool(true) { return .stall }
        switch object["cut"]?.string {
        case "before": return .cutBefore
        case "after": return .cutAfter
        default: throw SimulatorError("a fault needs delay_ms, refuse, stall: true, or cut: \"before\" or \"after\"")
        }
    }

    fileprivate var json: JSONValue {
        var object = JSONObject([
            .init(name: "stage", value: .string(self.stage.rawValue)),
            .init(name: "probability", value: .number(self.probability)),
        ])
        object["recipient"] = self.recipient.map { .string($0) }
        switch self.effect {
        case .delay(let milliseconds): object["delay_ms"] = .integer(milliseconds)
        case .refuse(let code, let enhancedCode, let text):
            var refusal = JSONObject([.init(name: "code", value: .integer(Int64(code)))])
            refusal["enhanced_code"] = enhancedCode.map { .string($0) }
            refusal["text"] = .string(text)
            object["refuse"] = .object(refusal)
        case .cutBefore: object["cut"] = "before"
        case .cutAfter: object["cut"] = "after"
        case .stall: object["stall"] = true
        }
        return .object(object)
    }
}
