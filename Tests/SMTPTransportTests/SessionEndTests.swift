import NIOCore
import Testing

@testable import SMTPTransport

/// A state of the session and how it is reached.
struct Place: Sendable, CustomTestStringConvertible {
    enum Standing { case setUp, idle, beforeDot, afterDot, nothingOpen }
    let testDescription: String
    let stage: SMTPStage
    let standing: Standing
    let make: @Sendable () -> SMTPSession

    static let all: [Place] = [
        Place("connecting", .connect, .setUp) { SMTPSession(settings: plainSettings(), isLoopback: true) },
        Place("greeting", .greeting, .setUp) { Self.saying([], plainSettings()) },
        Place("ehlo", .ehlo, .setUp) { Self.saying(["220 x\r\n"], plainSettings()) },
        Place("helo", .ehlo, .setUp) { Self.saying(["220 x\r\n", "502 x\r\n"], plainSettings()) },
        Place("startTLS", .starttls, .setUp) {
            Self.saying(["220 x\r\n", ehloReply(["STARTTLS"])], plainSettings(security: .startTLS))
        },
        Place("tlsStarting", .starttls, .setUp) {
            Self.saying(["220 x\r\n", ehloReply(["STARTTLS"]), "220 go\r\n"], plainSettings(security: .startTLS))
        },
        Place("token", .auth, .setUp) {
            let xoauth2 = SMTPSettings.Authentication.xoauth2(user: "u", token: { "t" })
            return Self.saying(["220 x\r\n", ehloReply(allFeatures)], plainSettings(authentication: xoauth2))
        },
        Place("auth", .auth, .setUp) {
            let plain = SMTPSettings.Authentication.plain(user: "u", password: "p")
            return Self.saying(["220 x\r\n", ehloReply(allFeatures)], plainSettings(authentication: plain))
        },
        Place("ready", .mail, .idle) { .ready() },
        Place("mail", .mail, .beforeDot) { Self.sending("") },
        Place("rcpt", .rcpt, .beforeDot) { Self.sending("250 ok\r\n") },
        Place("data", .data, .beforeDot) { Self.sending("250 ok\r\n250 ok\r\n") },
        Place("content", .data, .beforeDot) { Self.sending("250 ok\r\n250 ok\r\n354 go\r\n") },
        Place("dot", .finalDot, .afterDot) {
            var session = Self.sending("250 ok\r\n250 ok\r\n354 go\r\n")
            session.contentFlushed()
            return session
        },
        Place("loneDot", .finalDot, .nothingOpen) { Self.sending("250 ok\r\n550 no\r\n354 go\r\n") },
        Place("resetting", .mail, .nothingOpen) { Self.sending("250 ok\r\n550 no\r\n554 no\r\n") },
        Place("quitting", .mail, .nothingOpen) {
            var session = SMTPSession.ready()
            _ = session.quit()
            return session
        },
        Place("closed", .mail, .nothingOpen) {
            var session = SMTPSession.ready()
            _ = session.lost(.connectionLost, detail: "")
            return session
        },
    ]

    init(
        _ name: String, _ stage: SMTPStage, _ standing: Standing, _ make: @escaping @Sendable () -> SMTPSession
    ) {
        self.testDescription = name
        self.stage = stage
        self.standing = standing
        self.make = make
    }

    private static func saying(_ replies: [String], _ settings: SMTPSettings) -> SMTPSession {
        var session = SMTPSession(settings: settings, isLoopback: true)
        _ = session.connected()
        for reply in replies { _ = session.server(reply) }
        return session
    }

    private static func sending(_ replies: String) -> SMTPSession {
        var session = SMTPSession.ready()
        _ = session.begin()
        _ = session.server(replies)
        return session
    }

    /// What must be reported when the dialogue breaks off here.
    func check(_ actions: [SMTPSession.Action], code: SMTPFailure.Code) {
        switch self.standing {
        case .setUp:
            #expect(actions.failure?.code == code && actions.failure?.stage == self.stage)
            #expect(actions.results == nil)
        case .idle, .nothingOpen:
            #expect(actions.failure == nil && actions.results == nil && !actions.contains(.retry))
        case .beforeDot:
            #expect(actions.results?.first?.notSent?.code == code)
            #expect(actions.results?.first?.notSent?.stage == self.stage)
        case .afterDot:
            #expect(actions.results?.first?.unknown?.code == code)
        }
    }
}

/// Every event in every state: no event is a trap, and what becomes of the message is what the dot says.
@Suite struct SessionEndTests {
    @Test func allStatesAreHere() {
        let states = Place.all.map { $0.make().state }
        #expect(Set(states.map { "\($0)" }).count == 18)
    }

    @Test(arguments: Place.all)
    func aLostLine(_ place: Place) {
        var session = place.make()
        place.check(session.lost(.connectionLost, detail: "gone"), code: .connectionLost)
        #expect(session.state == .closed)
        #expect(session.lost(.connectionLost, detail: "again") == [])
    }

    @Test(arguments: Place.all)
    func aTimeout(_ place: Place) {
        var session = place.make()
        let awaits = session.awaiting != .nothing
        let actions = session.timedOut()
        if awaits {
            place.check(actions, code: .timeout)
            #expect(actions.closes)
        } else {
            #expect(actions == [])
        }
    }

    @Test(arguments: Place.all)
    func garbage(_ place: Place) {
        var session = place.make()
        let before = session.state
        let actions = session.server("<html>\r\n")
        if before == .content(flushed: false) {
            // The server has stopped listening to SMTP: whether it saw the end nobody can say.
            #expect(actions.results?.first?.unknown?.code == .protocolError)
        } else if before != .closed, before != .tlsStarting {
            place.check(actions, code: .protocolError)
            #expect(actions.closes)
        } else {
            #expect(actions == [])
        }
    }

    @Test(arguments: Place.all, ["250 ok\r\n", "354 go\r\n", "334 \r\n", "450 no\r\n", "550 no\r\n", "421 bye\r\n"])
    func anyReply(_ place: Place, _ reply: String) {
        var session = place.make()
        let actions = session.server(reply)

        // A message that is open is answered once, or still open; never both.
        let isOpen = session.transaction != nil
        switch place.standing {
        case .beforeDot, .afterDot: #expect(isOpen == (actions.results == nil))
        default: #expect(!isOpen)
        }
        if place.standing == .setUp, !actions.isEmpty, session.state == .closed {
            #expect(actions.failure != nil)
        }
    }

    @Test(arguments: Place.all)
    func eventsThatDoNotFit(_ place: Place) {
        var session = place.make()
        let before = session.state
        if before != .connecting { #expect(session.connected() == []) }
        if before != .tlsStarting { #expect(session.tlsStarted() == []) }
        if before != .token { #expect(session.tokenArrived("t") == []) }
        if before != .content(flushed: false) { session.contentFlushed() }
        if before != .ready { #expect(session.begin() == [.retry]) }
        if before != .connecting { #expect(session.state == before) }
    }

    @Test(arguments: Place.all)
    func quitting(_ place: Place) {
        var session = place.make()
        let actions = session.quit()
        if place.standing == .idle {
            #expect(actions.written == "QUIT\r\n")
            #expect(session.server("221 bye\r\n") == [.close])
        } else {
            place.check(actions, code: .shutDown)
        }
    }

    @Test func aReusedConnectionThatIsDeadGivesTheMessageBack() {
        for (features, wasIdle) in [(allFeatures, true), (["SIZE"], true), (allFeatures, false)] {
            var session = SMTPSession.ready(features: features)
            if !wasIdle {
                _ = session.begin()
                _ = session.server("250 ok\r\n250 ok\r\n354 go\r\n")
                session.contentFlushed()
                _ = session.server("250 ok\r\n")
            }
            _ = session.begin(wasIdle: wasIdle)
            #expect(session.lost(.connectionLost, detail: "gone") == [.retry, .close])
        }
    }

    @Test func onceMAILWasAnsweredTheMessageIsNotTriedElsewhere() {
        var session = SMTPSession.ready()
        _ = session.begin(wasIdle: true)
        _ = session.server("250 ok\r\n")

        #expect(session.lost(.connectionLost, detail: "gone").results?.first?.notSent?.code == .connectionLost)
    }

    @Test func whoWasRefusedStaysRefusedWhenTheLineIsLost() {
        var session = SMTPSession.ready()
        _ = session.begin(to: ["b@x.test", "c@x.test"])
        _ = session.server("250 ok\r\n550 5.1.1 who?\r\n250 ok\r\n354 go\r\n")
        session.contentFlushed()
        let results = session.lost(.connectionLost, detail: "gone").results

        #expect(results?.first?.refusal?.reply.code == 550)
        #expect(results?.last?.unknown?.stage == .finalDot)
    }

    @Test func aReplyTooManyEndsTheSessionBeforeTheNextMessage() {
        var session = SMTPSession.ready()
        _ = session.begin()
        _ = session.server("250 ok\r\n250 ok\r\n354 go\r\n")
        session.contentFlushed()
        let actions = session.server("250 ok\r\n250 and this is for the next one\r\n")

        #expect(actions.results?.first?.isAccepted == true)
        #expect(actions.closes && !session.isReady)
    }

    @Test func aReplyBeforeTheEndOfTheContentIsNotBelieved() {
        var session = SMTPSession.ready()
        _ = session.begin()
        let early = session.server("250 ok\r\n250 ok\r\n354 go\r\n250 got it already\r\n")
        #expect(early.results?.first?.unknown?.code == .protocolError)

        var refusing = SMTPSession.ready()
        _ = refusing.begin()
        _ = refusing.server("250 ok\r\n250 ok\r\n354 go\r\n")
        let actions = refusing.server("552 5.3.4 too much\r\n")
        #expect(actions.results?.first?.refusal?.stage == .finalDot)
        #expect(actions.closes)
    }
}
