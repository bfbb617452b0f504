import NIOCore
import Testing

@testable import SMTPTransport

@Suite struct SessionMessageTests {
    private let sequential = ["SIZE 100000", "8BITMIME", "SMTPUTF8"]

    @Test func aMessageIsTwoWritesWithPipelining() {
        var session = SMTPSession.ready()

        #expect(
            session.begin(to: ["b@example.test", "c@example.test"]).written == """
                MAIL FROM:<a@sender.test> SIZE=21\r\nRCPT TO:<b@example.test>\r\nRCPT TO:<c@example.test>\r\nDATA\r\n
                """)
        let content = session.server("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        #expect(content.written == "Subject: x\r\n\r\nhello\r\n.\r\n")
        session.contentFlushed()
        let end = session.server("250 2.0.0 queued as 7\r\n")
        #expect(
            end == [
                .finish(
                    Array(
                        repeating: .accepted(SMTPReply(code: 250, enhancedCode: "2.0.0", text: "queued as 7")), count: 2
                    ))
            ])
        #expect(session.isReady)
    }

    @Test func withoutPipeliningEachCommandWaits() {
        var session = SMTPSession.ready(features: [])

        #expect(session.begin(to: ["b@x.test", "c@x.test"]).written == "MAIL FROM:<a@sender.test>\r\n")
        #expect(session.server("250 ok\r\n").written == "RCPT TO:<b@x.test>\r\n")
        #expect(session.server("250 ok\r\n").written == "RCPT TO:<c@x.test>\r\n")
        #expect(session.server("251 will forward\r\n").written == "DATA\r\n")
        #expect(session.server("354 go\r\n").written.hasSuffix("hello\r\n.\r\n"))
        session.contentFlushed()
        #expect(session.server("250 ok\r\n").results?.map(\.isAccepted) == [true, true])
    }

    @Test func eachRecipientGetsItsOwnAnswer() {
        for features in [allFeatures, self.sequential] {
            var session = SMTPSession.ready(features: features)
            var actions = session.begin(to: ["b@x.test", "c@x.test", "d@x.test"])
            for reply in ["250 ok\r\n", "550 5.1.1 who?\r\n", "250 ok\r\n", "452 4.2.2 full\r\n", "354 go\r\n"] {
                actions += session.server(reply)
            }
            session.contentFlushed()
            let results = session.server("250 ok\r\n").results

            #expect(results?.first?.refusal?.reply.enhancedCode == "5.1.1")
            #expect(results?.first?.refusal?.stage == .rcpt)
            #expect(results?.dropFirst().first?.isAccepted == true)
            #expect(results?.last?.refusal?.reply.code == 452)
            #expect(session.isReady)
        }
    }

    @Test func aRefusedSenderKeepsTheConnection() {
        var sequential = SMTPSession.ready(features: self.sequential)
        _ = sequential.begin()
        let actions = sequential.server("451 4.7.1 slow down\r\n")
        #expect(actions.results?.first?.refusal?.stage == .mail)
        #expect(sequential.isReady && !actions.closes)

        var pipelined = SMTPSession.ready()
        _ = pipelined.begin()
        let all = pipelined.server("550 5.7.1 no\r\n503 5.5.1 MAIL first\r\n503 5.5.1 MAIL first\r\n")
        #expect(all.results?.first?.refusal?.reply.code == 550)
        #expect(all.results?.first?.refusal?.stage == .mail)
        #expect(pipelined.isReady && all.written == "")
    }

    @Test func whenNobodyIsAcceptedTheEnvelopeIsTakenBack() {
        var sequential = SMTPSession.ready(features: self.sequential)
        _ = sequential.begin()
        _ = sequential.server("250 ok\r\n")
        let actions = sequential.server("550 5.1.1 who?\r\n")
        #expect(actions.written == "RSET\r\n")
        #expect(actions.results?.first?.refusal?.stage == .rcpt)
        #expect(!sequential.isReady)
        _ = sequential.server("250 ok\r\n")
        #expect(sequential.isReady)

        var pipelined = SMTPSession.ready()
        _ = pipelined.begin()
        let all = pipelined.server("250 ok\r\n550 5.1.1 who?\r\n554 5.5.1 no valid recipients\r\n")
        #expect(all.results?.first?.refusal?.stage == .rcpt)
        #expect(all.written == "RSET\r\n")
    }

    @Test func aServerThatWantsTheMessageForNobodyGetsADot() {
        for refusal in ["250 ok\r\n550 5.1.1 who?\r\n", "550 5.7.1 no\r\n503 MAIL first\r\n"] {
            var session = SMTPSession.ready()
            _ = session.begin()
            let actions = session.server(refusal + "354 go\r\n")
            #expect(actions.written == ".\r\n")
            #expect(actions.results?.first?.refusal?.reply.code == 550)
            #expect(!session.isReady)

            _ = session.server("554 5.5.1 no valid recipients\r\n")
            #expect(session.isReady)
        }
    }

    @Test func aRefusedDATAIsTheAnswerForThoseWhoWereAccepted() {
        var session = SMTPSession.ready()
        _ = session.begin(to: ["b@x.test", "c@x.test"])
        let actions = session.server("250 ok\r\n550 5.1.1 who?\r\n250 ok\r\n451 4.3.0 not now\r\n")

        #expect(actions.results?.first?.refusal?.stage == .rcpt)
        #expect(actions.results?.last?.refusal?.stage == .data)
        #expect(actions.written == "RSET\r\n")
    }

    @Test func aRefusedMessageKeepsTheConnection() {
        var session = SMTPSession.ready()
        _ = session.begin()
        _ = session.server("250 ok\r\n250 ok\r\n354 go\r\n")
        session.contentFlushed()
        let actions = session.server("554 5.7.1 spam\r\n")

        #expect(actions.results?.first?.refusal?.stage == .finalDot)
        #expect(session.isReady && !actions.closes)
    }

    @Test(arguments: [
        ("", SMTPStage.mail), ("250 ok\r\n", .rcpt), ("250 ok\r\n250 ok\r\n", .data),
        ("250 ok\r\n250 ok\r\n354 go\r\n", .finalDot),
    ])
    func afterA421TheConnectionIsClosedAndTheMessageRefused(_ before: String, _ stage: SMTPStage) {
        for features in [allFeatures, self.sequential] {
            var session = SMTPSession.ready(features: features)
            _ = session.begin()
            for line in before.split(separator: "\r\n") { _ = session.server(line + "\r\n") }
            let actions = session.server("421 4.3.2 shutting down\r\n")

            #expect(actions.results?.first?.refusal?.reply.code == 421)
            #expect(actions.results?.first?.refusal?.stage == stage)
            #expect(actions.closes && session.state == .closed)
        }
    }

    @Test func aMessageLargerThanSIZEIsNotBegun() {
        var session = SMTPSession.ready(features: ["SIZE 30"])
        let refused = session.begin("01234567890123456789012345678")
        #expect(refused.results?.first?.notSent?.code == .messageTooLarge)
        #expect(refused.written == "" && session.isReady)

        // With the line end that is added, this one is 30 bytes.
        #expect(session.begin("0123456789012345678901234567").written == "MAIL FROM:<a@sender.test> SIZE=30\r\n")
    }

    @Test func extensionsAreUsedOnlyWhereOfferedAndNeeded() {
        var full = SMTPSession.ready()
        #expect(full.begin("zażółć\r\n").written.hasPrefix("MAIL FROM:<a@sender.test> SIZE=12 BODY=8BITMIME\r\n"))
        var utf8 = SMTPSession.ready()
        #expect(utf8.begin(to: ["ż@x.test"], "a").written.hasPrefix("MAIL FROM:<a@sender.test> SIZE=3 SMTPUTF8\r\n"))
        var bare = SMTPSession.ready(features: ["PIPELINING"])
        #expect(bare.begin("zażółć\r\n").written.hasPrefix("MAIL FROM:<a@sender.test>\r\n"))
    }

    @Test func aNonASCIIAddressNeedsSMTPUTF8() {
        var session = SMTPSession.ready(features: ["PIPELINING"])
        let actions = session.begin(to: ["ż@x.test", "b@x.test"])
        #expect(actions.written == "MAIL FROM:<a@sender.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n")
        _ = session.server("250 ok\r\n250 ok\r\n354 go\r\n")
        session.contentFlushed()
        let results = session.server("250 ok\r\n").results
        #expect(results?.first?.notSent?.code == .invalidAddress)
        #expect(results?.last?.isAccepted == true)

        var other = SMTPSession.ready(features: ["PIPELINING"])
        let refused = other.begin(from: "ż@x.test", to: ["b@x.test"])
        #expect(refused.written == "" && other.isReady)
        #expect(refused.results?.first?.notSent?.stage == .mail)
    }

    @Test func anAddressWithALineBreakHoldsUpOnlyItself() {
        var session = SMTPSession.ready()
        let actions = session.begin(to: ["x@x.test>\r\nRSET\r\nMAIL FROM:<evil@x.test", "b@x.test"])

        #expect(actions.written == "MAIL FROM:<a@sender.test> SIZE=21\r\nRCPT TO:<b@x.test>\r\nDATA\r\n")
        #expect(makeTransaction(from: "a\r\n@x", to: ["b@x.test", "c@x.test"], "").isDecided)
    }

    @Test func theEmptySenderIsTheNullReturnPath() {
        var session = SMTPSession.ready()
        #expect(session.begin(from: "").written.hasPrefix("MAIL FROM:<> SIZE="))
    }
}
