import Foundation
import LocalServers
import NIOCore
import NIOPosix
@testable import Simulators
import Testing

/// A client that says exactly what it is told to say.
enum RawClient {
    /// Connects, says each line when the one before was answered, and returns what came back for each, the
    /// greeting first; shorter when the line was cut.
    static func talk(_ port: Int, _ lines: [String]) async throws -> [String] {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var heard: [String] = []
            var rest = lines[...]
            var text = ""
            do {
                for try await bytes in inbound {
                    text += String(buffer: bytes)
                    guard Self.isWhole(text) else { continue }
                    heard.append(text)
                    text = ""
                    guard let line = rest.popFirst() else { break }
                    try await outbound.write(ByteBuffer(string: line))
                }
            } catch {
                // The line was cut: what was heard before it is the answer.
            }
            return heard
        }
    }

    /// Whether the last line of a reply has come.
    private static func isWhole(_ text: String) -> Bool {
        guard text.hasSuffix("\r\n"), let last = text.dropLast(1).split(separator: "\r\n").last else { return false }
        return last.dropFirst(3).first != "-"
    }
}

func withSimulator(
    _ change: (inout SMTPSimulatorSettings) -> Void = { _ in }, _ body: (SMTPSimulator) async throws -> Void
) async throws {
    var settings = SMTPSimulatorSettings()
    change(&settings)
    let simulator = SMTPSimulator(settings: settings)
    try await simulator.start()
    do {
        try await body(simulator)
    } catch {
        await simulator.stop()
        throw error
    }
    await simulator.stop()
}

@Suite(.timeLimit(.minutes(2))) struct SimulatorTests {
    private let begin = ["EHLO me\r\n", "MAIL FROM:<a@x.test>\r\n", "RCPT TO:<b@x.test>\r\n", "DATA\r\n"]

    private func codes(_ replies: [String]) -> [Int] { replies.map { Int($0.prefix(3)) ?? 0 } }

    @Test func aMailIsKeptWithItsEnvelope() async throws {
        try await withSimulator { simulator in
            let replies = try await RawClient.talk(
                simulator.port, self.begin + ["Subject: a\r\n b\r\nTo: x\r\n\r\n..dot\r\nend\r\n.\r\n", "QUIT\r\n"])
            #expect(self.codes(replies) == [220, 250, 250, 250, 354, 250, 221])
            let mail = try #require(simulator.snapshot(limit: 5).first)
            #expect(mail.sender == "a@x.test" && mail.recipients == ["b@x.test"] && mail.heloName == "me")
            #expect(mail.header("SUBJECT") == "a b" && mail.header("x") == nil)
            #expect(mail.headers == "Subject: a\r\n b\r\nTo: x\r\n")
            #expect(mail.body == Array(".dot\r\nend\r\n".utf8))
            #expect(mail.number == 1 && mail.connection == 1)
        }
    }

    @Test func whereTheContentIsCutMakesNoDifference() async throws {
        let content = "a\r\n..b\r\n\r\n.\n.\r\n...\r\nMAIL\r\n.\r\n"
        for cut in 1..<content.utf8.count {
            var input = ByteBuffer(bytes: content.utf8.prefix(cut))
            var reader = SMTPContentReader()
            let early = reader.read(&input, sizeMax: 10_000)
            var rest = ByteBuffer(bytes: content.utf8.dropFirst(cut))
            #expect(!early, "cut at \(cut)")
            #expect(reader.read(&rest, sizeMax: 10_000), "cut at \(cut)")
            #expect(rest.readableBytes == 0)
            #expect(
                String(decoding: reader.unstuffed(), as: UTF8.self) == "a\r\n.b\r\n\r\n\n.\r\n..\r\nMAIL\r\n",
                "cut at \(cut)")
        }
    }

    @Test func onlyTheRealEndEndsTheContent() async throws {
        try await withSimulator { simulator in
            let smuggled = "x\n.\nMAIL FROM:<e@x.test>\r\n\r.\rA\r\n.\nB\n.\r\nC\r\n.\r\n"
            let replies = try await RawClient.talk(simulator.port, self.begin + [smuggled, "NOOP\r\n"])
            #expect(self.codes(replies) == [220, 250, 250, 250, 354, 250, 250])
            #expect(simulator.counts.mails == 1 && simulator.counts.mistakes == 0)
        }
    }

    @Test func commandsOutOfOrderAreRefused() async throws {
        let cases: [([String], Int)] = [
            (["MAIL FROM:<a@x.test>\r\n"], 503), (["EHLO me\r\n", "RCPT TO:<b@x.test>\r\n"], 503),
            (["EHLO me\r\n", "DATA\r\n"], 503), (["EHLO me\r\n", "MAIL FROM:<a@x.test>\r\n", "DATA\r\n"], 554),
            (["EHLO me\r\n", "MAIL FROM:<a@x.test>\r\n", "MAIL FROM:<a@x.test>\r\n"], 503),
            (["EHLO me\r\n", "MAIL FROM:<a@x.test>\r\n", "RSET\r\n", "RCPT TO:<b@x.test>\r\n"], 503),
            (["EHLO\r\n"], 501), (["HELLO me\r\n"], 500), (["EHLO me\r\n", "STARTTLS\r\n"], 502),
            (["EHLO me\r\n", "MAIL FROM:a@x.test\r\n"], 501), (["EHLO me\r\n", "MAIL FROM:<a@x.test> SIZ=1\r\n"], 555),
            (["EHLO me\r\n", "MAIL FROM:<a@x.test> SIZE=99999999\r\n"], 552),
            (["EHLO me\r\n", "MAIL FROM:<ż@x.test>\r\n"], 553),
            (["HELO me\r\n", "MAIL FROM:<a@x.test> SIZE=1\r\n"], 555),
            (["EHLO me\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<>\r\n"], 501), (["EHLO me\r\n", "VRFY ada\r\n"], 252),
            (["NOOP\r\n"], 250), (["AUTH PLAIN\r\n"], 503), (["EHLO me\r\n", "AUTH NTLM\r\n"], 504),
            (["EHLO me\r\n", "AUTH PLAIN AGEAYg==\r\n", "AUTH PLAIN AGEAYg==\r\n"], 503),
            (["EHLO me\r\n", "AUTH PLAIN !\r\n"], 501), (["EHLO me\r\n", "AUTH LOGIN\r\n", "*\r\n"], 501),
        ]
        try await withSimulator { simulator in
            for (lines, code) in cases {
                let replies = try await RawClient.talk(simulator.port, lines)
                #expect(self.codes(replies).last == code, "\(lines)")
                #expect(replies.count == lines.count + 1)
            }
        }
    }

    @Test func pipelinedCommandsAreAnsweredTogether() async throws {
        try await withSimulator { simulator in
            let replies = try await RawClient.talk(
                simulator.port, ["EHLO me\r\n", self.begin.dropFirst().joined(), "x\r\n.\r\nQUIT\r\n"])
            #expect(replies.count == 4)
            #expect(replies[2] == "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 end with a dot on a line of its own\r\n")
        }
    }

    @Test func aServerThatWantsAuthenticationTakesOnlyTheRightOne() async throws {
        try await withSimulator({
            $0.requiresAuthentication = true
            $0.users = ["a": "b"]
        }) { simulator in
            let mail = "MAIL FROM:<a@x.test>\r\n"
            let without = try await RawClient.talk(simulator.port, ["EHLO me\r\n", mail])
            let wrong = try await RawClient.talk(simulator.port, ["EHLO me\r\n", "AUTH PLAIN AGEAYw==\r\n", mail])
            let right = try await RawClient.talk(
                simulator.port, ["EHLO me\r\n", "AUTH LOGIN\r\n", "YQ==\r\n", "Yg==\r\n", mail])
            #expect([without, wrong, right].map { self.codes($0).last } == [530, 530, 250])
            #expect(simulator.counts.authentications == 1 && simulator.counts.authenticationsRefused == 1)
        }
    }

    @Test func aMessageTooLargeIsRefusedAndTheDialogueGoesOn() async throws {
        try await withSimulator({ $0.sizeMax = 10_000 }) { simulator in
            for size in [11_000, 200_000] {
                let content = String(repeating: "x", count: size) + "\r\n.\r\n"
                let replies = try await RawClient.talk(simulator.port, self.begin + [content, "NOOP\r\n"])
                #expect(self.codes(replies).suffix(2) == [552, 250], "\(size)")
            }
            #expect(simulator.counts.mails == 0)
        }
    }

    @Test func theNewestMailsAreKeptAndAllAreCounted() async throws {
        try await withSimulator({ $0.keptMax = 3 }) { simulator in
            let one = self.begin.dropFirst() + ["x\r\n.\r\n"]
            _ = try await RawClient.talk(
                simulator.port, ["EHLO me\r\n"] + Array(repeating: one, count: 5).flatMap { $0 })
            #expect(simulator.received.map(\.number) == [3, 4, 5])
            #expect(simulator.snapshot(limit: 2).map(\.number) == [5, 4])
            #expect(simulator.counts.mails == 5 && simulator.counts.contentBytes == 15)
            simulator.forget()
            #expect(simulator.received.isEmpty && simulator.counts == SMTPSimulatorCounts())
        }
        try await withSimulator({ $0.keepsMail = false }) { simulator in
            _ = try await RawClient.talk(simulator.port, self.begin + ["x\r\n.\r\n"])
            #expect(simulator.received.isEmpty && simulator.counts.mails == 1)
        }
    }

    @Test func theSameSeedMeansTheSameFaults() async throws {
        var runs: [[Int]] = []
        for seed in [7, 7, 8] as [UInt64] {
            try await withSimulator({
                $0.seed = seed
                $0.faults = [
                    .init(.refuse(code: 450, enhancedCode: nil, text: "no"), at: .mail, probability: 0.5)
                ]
            }) { simulator in
                let lines = Array(repeating: ["MAIL FROM:<a@x.test>\r\n", "RSET\r\n"], count: 40).flatMap { $0 }
                runs.append(self.codes(try await RawClient.talk(simulator.port, ["EHLO me\r\n"] + lines)))
            }
        }
        #expect(runs[0] == runs[1] && runs[0] != runs[2])
        #expect((10...30).contains(runs[0].filter { $0 == 450 }.count))
    }

    @Test func aFaultCanConcernSomeRecipientsOnly() async throws {
        try await withSimulator { simulator in
            let no = SMTPFault.Effect.refuse(code: 550, enhancedCode: "5.1.1", text: "no")
            simulator.setFaults([
                .init(no, at: .rcpt, recipient: "ada@"), .init(no, at: .rcpt, recipient: "@b.test"),
                .init(no, at: .rcpt, recipient: "c@c.test"),
            ])
            let recipients = ["ADA@x.test", "x@B.test", "c@c.test", "d@c.test", "adam@x.test"]
            let replies = try await RawClient.talk(
                simulator.port, self.begin.prefix(2) + recipients.map { "RCPT TO:<\($0)>\r\n" })
            #expect(self.codes(replies).dropFirst(3) == [550, 550, 550, 250, 250])
        }
    }

    @Test func aTextWithLineBreaksStaysOneLine() async throws {
        try await withSimulator { simulator in
            simulator.setFaults([.init(.refuse(code: 450, enhancedCode: nil, text: "a\r\n250 b\nc"), at: .mail)])
            let replies = try await RawClient.talk(simulator.port, ["EHLO me\r\n", "MAIL FROM:<a@x.test>\r\n"])
            #expect(replies.last == "450 a250 bc\r\n")
        }
    }

    @Test func pythonsOwnClientIsContent() async throws {
        try await withSimulator { simulator in
            let script = """
                import smtplib, sys
                with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as s:
                    s.login("ada", "secret")
                    refused = s.sendmail("a@x.test", ["b@x.test", "bounce@x.test"], "Subject: hi\\r\\n\\r\\n.dot\\r\\n")
                    assert list(refused) == ["bounce@x.test"] and refused["bounce@x.test"][0] == 550, refused
                """
            try runToEnd(["python3", "-c", script, "\(simulator.port)"])
            let mail = try #require(simulator.received.first)
            #expect(mail.user == "ada" && mail.body == Array(".dot\r\n".utf8))
        }
    }

    @Test func stoppingTwiceAndTakenPortsAreNoTrouble() async throws {
        try await withSimulator { simulator in
            let other = SMTPSimulator(
                settings: {
                    var s = SMTPSimulatorSettings(); s.port = simulator.port; return s
                }())
            await #expect(throws: (any Error).self) { try await other.start() }
            await simulator.stop()
            #expect(simulator.port == 0)
        }
    }
}

@Suite struct RecipientPatternTests {
    @Test(arguments: [
        "ada@x.test", "bounced@x.test", "full-house@x.test", "drop-out@x.test", "slow-down@x.test",
        "bounce-9.1.1@x.test",
        "bounce-5.1@x.test", "slow-99999999@x.test", "", "@", "-@x",
    ])
    func anOrdinaryAddressHasNoEffect(_ address: String) {
        #expect(SMTPRecipientPattern.fault(for: address) == nil)
    }

    @Test func theWordsOfTheTable() {
        func effect(_ address: String) -> SMTPFault.Effect? { SMTPRecipientPattern.fault(for: address)?.effect }
        #expect(effect("BOUNCE+tag@x.test") == .refuse(code: 550, enhancedCode: "5.1.1", text: "no such user here"))
        #expect(effect("bounce-4.4.7@x.test") == .refuse(code: 451, enhancedCode: "4.4.7", text: "no such user here"))
        #expect(effect("x@full.example.test") == .refuse(code: 452, enhancedCode: "4.2.2", text: "the mailbox is full"))
        #expect(
            effect("reject-5.7.26@x.test")
                == .refuse(code: 554, enhancedCode: "5.7.26", text: "the content was refused"))
        #expect(
            effect("slow@x.test") == .delay(milliseconds: 2_000) && effect("slow-5@x.test") == .delay(milliseconds: 5))
        #expect(effect("drop@x.test") == .cutAfter && effect("drop-message@x.test") == .cutBefore)
        #expect(effect("stall@x.test") == .stall)
    }
}
