import NIOCore
import SMTPTransport
import Simulators
import Testing

/// The client against the simulator, one fault after another.
@Suite(.timeLimit(.minutes(2))) struct ClientFaultTests {
    @Test func aMessageArrivesAsItWasSent() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port) { client in
                let text = "Subject: zażółć\nX: 1\n\n.dot\n..two\nbare\rreturn\n.\nlast"
                let results = await client.send(to: "b@x.test", "c@y.test", text: text)

                #expect(results.map(\.isAccepted) == [true, true])
                let mail = try #require(simulator.received.first)
                #expect(mail.sender == "a@sender.test" && mail.recipients == ["b@x.test", "c@y.test"])
                #expect(mail.heloName == "client.test" && mail.user == nil && !mail.isEncrypted)
                #expect(mail.parameters.contains("BODY=8BITMIME"))
                #expect(mail.parameters.contains("SIZE=\(mail.content.count)"))
                #expect(
                    String(decoding: mail.content, as: UTF8.self)
                        == "Subject: zażółć\r\nX: 1\r\n\r\n.dot\r\n..two\r\nbare\r\nreturn\r\n.\r\nlast\r\n")
                #expect(mail.header("subject") == "zażółć")
            }
        }
    }

    @Test func anyMessageArrivesWholeWithAndWithoutPipelining() async throws {
        for seed in UInt64(1)...4 {
            var dice = SeededGenerator(state: seed)
            let features: Set<SMTPSimulatorSettings.Feature> = seed % 2 == 0 ? [] : [.pipelining, .size]
            let alphabet: [UInt8] = [46, 46, 97, 98, 13, 10]
            let lines = (0..<30).map { _ in
                (0..<Int.random(in: 0...6_000, using: &dice)).map { _ in alphabet.randomElement(using: &dice) ?? 0 }
            }
            try await withSimulator({ $0.features = features }) { simulator in
                try await withClient(port: simulator.port) { client in
                    let message = Array(lines.joined(separator: [13, 10]))
                    let results = await client.send(
                        SMTPEnvelope(sender: "a@x.test", recipients: ["b@x.test"]), message: ByteBuffer(bytes: message))

                    #expect(results.first?.isAccepted == true, "seed \(seed)")
                    #expect(simulator.received.first?.content == Self.normalised(message), "seed \(seed)")
                }
            }
        }
    }

    private static func normalised(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if byte == 10, index > 0, bytes[index - 1] == 13 { continue }
            out += byte == 10 || byte == 13 ? [13, 10] : [byte]
        }
        return out.suffix(2) == [13, 10] || out.isEmpty ? out : out + [13, 10]
    }

    @Test(arguments: [SMTPFault.Stage.mail, .rcpt, .data, .dot], [true, false])
    func aRefusalIsTheResultAndTheConnectionStays(_ stage: SMTPFault.Stage, _ isPipelined: Bool) async throws {
        try await withSimulator({
            $0.features = isPipelined ? Set(SMTPSimulatorSettings.Feature.allCases) : [.enhancedStatusCodes]
        }) {
            simulator in
            simulator.setFaults([.init(.refuse(code: 451, enhancedCode: "4.7.1", text: "not now"), at: stage)])
            try await withClient(port: simulator.port, { $0.connectionsMax = 1 }) { client in
                let refusal = await client.send(to: "b@x.test").first?.refusal
                #expect(refusal?.reply == SMTPReply(code: 451, enhancedCode: "4.7.1", text: "not now"))
                #expect(refusal?.stage.rawValue == stage.rawValue)

                simulator.setFaults([])
                #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
                #expect(simulator.counts.connections == 1)
            }
        }
    }

    @Test(arguments: [SMTPFault.Stage.mail, .rcpt, .data, .dot])
    func a421ClosesTheConnectionAndIsARefusal(_ stage: SMTPFault.Stage) async throws {
        try await withSimulator { simulator in
            simulator.setFaults([.init(.refuse(code: 421, enhancedCode: "4.3.2", text: "bye"), at: stage)])
            try await withClient(port: simulator.port, { $0.connectionsMax = 1 }) { client in
                #expect(await client.send(to: "b@x.test").first?.refusal?.reply.code == 421)
                simulator.setFaults([])
                #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
                #expect(simulator.counts.connections == 2)
            }
        }
    }

    @Test(arguments: [SMTPFault.Stage.greeting, .ehlo])
    func aRefusedSessionIsNotSent(_ stage: SMTPFault.Stage) async throws {
        try await withSimulator({
            $0.faults = [.init(.refuse(code: 554, enhancedCode: "5.7.1", text: "not you"), at: stage)]
        }) { simulator in
            try await withClient(port: simulator.port) { client in
                let failure = await client.send(to: "b@x.test").first?.notSent
                #expect(failure?.code == .sessionRefused)
                #expect(failure?.stage.rawValue == stage.rawValue)
                #expect(failure?.detail.contains("554 5.7.1 not you") == true)
            }
        }
    }

    @Test(arguments: [SMTPFault.Stage.greeting, .ehlo, .mail, .rcpt, .data])
    func aLineCutBeforeTheDotIsNotSent(_ stage: SMTPFault.Stage) async throws {
        try await withSimulator({ $0.faults = [.init(.cutBefore, at: stage)] }) { simulator in
            try await withClient(port: simulator.port) { client in
                let failure = await client.send(to: "b@x.test").first?.notSent
                #expect(failure?.code == .connectionLost)
                #expect(failure?.stage.rawValue == stage.rawValue)
                #expect(simulator.counts.mails == 0)
            }
        }
    }

    @Test func aLineCutInTheMiddleOfTheMessageIsNotSent() async throws {
        try await withSimulator({ $0.faults = [.init(.cutBefore, at: .message)] }) { simulator in
            try await withClient(port: simulator.port) { client in
                // More than the buffers of both ends hold: the dot cannot have been written.
                let text = String(repeating: String(repeating: "x", count: 70) + "\r\n", count: 300_000)
                let failure = await client.send(to: "b@x.test", text: text).first?.notSent
                #expect(failure?.code == .connectionLost && failure?.stage == .data)
                #expect(simulator.counts.mails == 0)
            }
        }
    }

    @Test func aLineCutAfterTheDotIsUnknownWhetherItWasTakenOrNot() async throws {
        for effect in [SMTPFault.Effect.cutAfter, .cutBefore] {
            try await withSimulator({ $0.faults = [.init(effect, at: .dot)] }) { simulator in
                try await withClient(port: simulator.port) { client in
                    let failure = await client.send(to: "b@x.test").first?.unknown
                    #expect(failure?.code == .connectionLost && failure?.stage == .finalDot)
                    #expect(simulator.counts.mails == (effect == .cutAfter ? 1 : 0))
                }
            }
        }
    }

    @Test(arguments: [SMTPFault.Stage.greeting, .ehlo, .mail, .rcpt, .data])
    func aStallBeforeTheDotIsATimeoutAndNotSent(_ stage: SMTPFault.Stage) async throws {
        try await withSimulator({ $0.faults = [.init(.stall, at: stage)] }) { simulator in
            try await withClient(port: simulator.port, { $0.commandTimeoutMilliseconds = 2_000 }) { client in
                let failure = await client.send(to: "b@x.test").first?.notSent
                #expect(failure?.code == .timeout)
                #expect(failure?.stage.rawValue == stage.rawValue)
            }
        }
    }

    @Test func aStallAfterTheDotIsUnknown() async throws {
        try await withSimulator({ $0.faults = [.init(.stall, at: .dot)] }) { simulator in
            try await withClient(port: simulator.port, { $0.finalDotTimeoutMilliseconds = 150 }) { client in
                let failure = await client.send(to: "b@x.test").first?.unknown
                #expect(failure?.code == .timeout && failure?.stage == .finalDot)
            }
        }
    }

    @Test func aStallInTheMiddleOfTheMessageIsNotSent() async throws {
        // Stops reading once DATA was answered: the buffers fill, and the dot never leaves this side.
        let server = try await ScriptedServer(
            ["220 x\r\n", ehloReply(["PIPELINING"]), "250 a\r\n250 b\r\n354 c\r\n"], stopsReading: true)
        try await withClient(port: server.port, { $0.commandTimeoutMilliseconds = 2_000 }) { client in
            let text = String(repeating: String(repeating: "x", count: 70) + "\r\n", count: 300_000)
            let failure = await client.send(to: "b@x.test", text: text).first?.notSent
            #expect(failure?.code == .timeout && failure?.stage == .data)
        }
        try await server.stop()
    }

    @Test func aSlowServerIsWaitedFor() async throws {
        let stages: [SMTPFault.Stage] = [.greeting, .ehlo, .mail, .rcpt, .data, .dot]
        let faults = stages.map { SMTPFault(.delay(milliseconds: 30), at: $0) }
        try await withSimulator({ $0.faults = faults }) { simulator in
            try await withClient(port: simulator.port) { client in
                #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
                #expect(simulator.counts.delays == 6)
            }
        }
    }

    @Test func recipientsWithAnEffectOfTheirOwn() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port) { client in
                let results = await client.send(
                    to: "bounce@x.test", "full@x.test", "b@x.test", "bounce-5.2.1@x.test", "ada@defer.example.test")
                #expect(results.map { $0.refusal?.reply.enhancedCode } == ["5.1.1", "4.2.2", nil, "5.2.1", "4.3.0"])
                #expect(simulator.received.map(\.recipients) == [["b@x.test"]])
                #expect(await client.send(to: "drop@x.test").first?.unknown != nil)
                #expect(await client.send(to: "reject@x.test").first?.refusal?.stage == .finalDot)
                #expect(await client.send(to: "greylist@x.test").first?.refusal?.reply.code == 451)
                #expect(await client.send(to: "greylist@x.test").first?.isAccepted == true)
            }
        }
    }

    @Test func aHundredRecipientsAreOneTransaction() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port) { client in
                let recipients = (0..<100).map { $0 % 10 == 3 ? "bounce+\($0)@x.test" : "r\($0)@x.test" }
                let results = await client.send(
                    SMTPEnvelope(sender: "a@x.test", recipients: recipients), message: ByteBuffer(string: "x"))
                #expect(results.map(\.isAccepted) == (0..<100).map { $0 % 10 != 3 })
                #expect(simulator.received.first?.recipients.count == 90)
            }
        }
    }

    @Test func aMessageLargerThanTheServersSIZEIsRefusedHere() async throws {
        try await withSimulator({ $0.sizeMax = 1_000 }) { simulator in
            try await withClient(port: simulator.port, { $0.connectionsMax = 1 }) { client in
                let text = String(repeating: "x", count: 2_000)
                #expect(await client.send(to: "b@x.test", text: text).first?.notSent?.code == .messageTooLarge)
                #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
                #expect(simulator.counts.connections == 1 && simulator.counts.refusals == 0)
            }
        }
    }
}
