import NIOCore
import Simulators
import Testing

@testable import SMTPTransport

/// The envelope of the next message behind the final dot of the current one (RFC 2920 §3.1).
@Suite(.timeLimit(.minutes(2))) struct FollowingMessageTests {
    private let envelope = "MAIL FROM:<a@sender.test> SIZE=21\r\nRCPT TO:<next@example.test>\r\nDATA\r\n"

    private func following(_ message: String = "Subject: x\r\n\r\nhello\r\n") -> SMTPTransaction {
        makeTransaction(from: "a@sender.test", to: ["next@example.test"], message)
    }

    /// A session that has written the content of a message and the envelope of the next.
    private func session() -> SMTPSession {
        var session = SMTPSession.ready(pipelining: .full)
        _ = session.begin()
        _ = session.server("250 ok\r\n250 ok\r\n354 go\r\n")
        #expect(session.follow(self.following()).map { String(buffer: $0) } == self.envelope)
        session.contentFlushed()
        return session
    }

    @Test func theAnswerToTheDotEndsOneMessageAndBeginsTheNext() {
        var session = self.session()
        let first = session.server("250 2.0.0 queued\r\n")
        #expect(first.results?.first?.isAccepted == true)
        #expect(first.last == .followed)
        #expect(first.written == "" && !session.isReady)

        #expect(session.server("250 ok\r\n250 ok\r\n354 go\r\n").written.hasSuffix("hello\r\n.\r\n"))
        session.contentFlushed()
        #expect(session.server("250 ok\r\n").results?.first?.isAccepted == true)
        #expect(session.isReady)
    }

    @Test func aRefusedDotDoesNotHurtTheNextMessage() {
        var session = self.session()
        let actions = session.server("552 5.2.2 full\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        #expect(actions.results?.first?.refusal?.stage == .finalDot)
        #expect(actions.contains(.followed))
        #expect(actions.written.hasSuffix("hello\r\n.\r\n"))
    }

    @Test func aRefusedEnvelopeBehindTheDotIsTheNextMessagesResult() {
        var session = self.session()
        let actions = session.server("250 ok\r\n250 ok\r\n550 5.1.1 who?\r\n503 5.5.1 no recipients\r\n")
        let results = actions.compactMap { action in
            if case .finish(let results) = action { results.first } else { nil }
        }
        #expect(results.first?.isAccepted == true)
        #expect(results.last?.refusal?.reply.enhancedCode == "5.1.1")
        #expect(actions.written == "RSET\r\n")
    }

    @Test func aLineLostBeforeTheDotIsAnsweredLeavesOnlyOneInDoubt() {
        var session = self.session()
        let actions = session.lost(.connectionLost, detail: "gone")
        #expect(actions.results?.first?.unknown != nil)
        #expect(actions.contains(.followed) == false && actions.closes)
    }

    @Test func aLineLostBehindTheDotsAnswerGivesTheNextOneBack() {
        var session = self.session()
        _ = session.server("250 ok\r\n")
        #expect(session.lost(.connectionLost, detail: "gone") == [.retry, .close])
    }

    @Test func nothingFollowsUnlessItIsAskedFor() {
        var session = SMTPSession.ready()
        _ = session.begin()
        _ = session.server("250 ok\r\n250 ok\r\n354 go\r\n")
        #expect(session.follow(self.following()) == nil)
    }

    @Test func nothingFollowsALongMessageOrAServerThatDoesNotPipeline() {
        var long = SMTPSession.ready(pipelining: .full)
        _ = long.begin(to: ["b@x.test"], String(repeating: "x\r\n", count: 30_000))
        _ = long.server("250 ok\r\n250 ok\r\n354 go\r\n")
        #expect(long.follow(self.following()) == nil)

        var sequential = SMTPSession.ready(features: ["SIZE 100000"], pipelining: .full)
        _ = sequential.begin()
        for reply in ["250 ok\r\n", "250 ok\r\n", "354 go\r\n"] { _ = sequential.server(reply) }
        #expect(sequential.follow(self.following()) == nil)
    }

    @Test func whatThisServerWouldRefuseAtOnceDoesNotFollow() {
        var session = SMTPSession.ready(pipelining: .full)
        _ = session.begin()
        _ = session.server("250 ok\r\n250 ok\r\n354 go\r\n")
        #expect(session.follow(self.following(String(repeating: "x\r\n", count: 40_000))) == nil)
        #expect(session.follow(self.following()) != nil)
        #expect(session.follow(self.following()) == nil, "one is enough")
    }

    @Test func aCrowdOverOneConnectionArrivesOnceEach() async throws {
        try await withSimulator { simulator in
            try await withClient(
                port: simulator.port,
                {
                    $0.connectionsMax = 1
                    $0.pipelining = .full
                }
            ) { client in
                let results = await withTaskGroup(of: Bool.self) { group in
                    for number in 0..<200 {
                        group.addTask {
                            await client.send(to: "r\(number)@x.test", text: "Subject: \(number)\n\nhello").first?
                                .isAccepted == true
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(results.count == 200 && results.allSatisfy { $0 })
                let recipients = simulator.received.flatMap(\.recipients)
                #expect(Set(recipients).count == 200 && recipients.count == 200)
                #expect(simulator.counts.connections == 1)
            }
        }
    }

    @Test(arguments: [SMTPFault.Effect.cutBefore, .cutAfter])
    func whenTheLineIsCutAtTheDotNoOtherMessageIsLostOrSentTwice(_ effect: SMTPFault.Effect) async throws {
        try await withSimulator { simulator in
            simulator.setFaults([.init(effect, at: .dot, recipient: "@cut.test")])
            try await withClient(
                port: simulator.port,
                {
                    $0.connectionsMax = 1
                    $0.pipelining = .full
                }
            ) { client in
                let results = await withTaskGroup(of: (Int, SMTPResult?).self) { group in
                    for number in 0..<40 {
                        let domain = number % 10 == 3 ? "cut.test" : "x.test"
                        group.addTask {
                            (number, await client.send(to: "r\(number)@\(domain)", text: "Subject: x\n\nhello").first)
                        }
                    }
                    return await group.reduce(into: [Int: SMTPResult?]()) { $0[$1.0] = $1.1 }
                }
                for (number, result) in results {
                    #expect((result?.unknown != nil) == (number % 10 == 3), "\(number): \(String(describing: result))")
                }
                let recipients = simulator.received.flatMap(\.recipients).filter { $0.hasSuffix("@x.test") }
                #expect(Set(recipients).count == 36 && recipients.count == 36)
            }
        }
    }
}
