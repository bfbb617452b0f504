import NIOCore
import Testing

@testable import SMTPTransport

@Suite struct SessionSetupTests {
    private func session(
        _ security: SMTPSettings.Security = .plaintext, _ authentication: SMTPSettings.Authentication = .none,
        isLoopback: Bool = true
    ) -> SMTPSession {
        var session = SMTPSession(
            settings: plainSettings(security: security, authentication: authentication), isLoopback: isLoopback)
        _ = session.connected()
        return session
    }

    @Test func theServerSpeaksFirst() {
        var session = self.session()
        #expect(session.server("220-welcome\r\n220 mx\r\n").written == "EHLO client.test\r\n")
        #expect(session.server(ehloReply(allFeatures)) == [])
        #expect(session.isReady)
    }

    @Test func anOldServerIsGreetedWithHELO() {
        var session = self.session()
        _ = session.server("220 mx\r\n")
        #expect(session.server("500 what?\r\n").written == "HELO client.test\r\n")
        _ = session.server("250 mx\r\n")
        #expect(session.begin().written == "MAIL FROM:<a@sender.test>\r\n")
    }

    @Test(arguments: [("554 5.7.1 go away\r\n", SMTPStage.greeting), ("421 busy\r\n", .greeting)])
    func aRefusedSessionSaysWhy(_ reply: String, _ stage: SMTPStage) {
        var session = self.session()
        let failure = session.server(reply).failure
        #expect(failure?.code == .sessionRefused && failure?.stage == stage)

        var later = self.session()
        _ = later.server("220 mx\r\n")
        #expect(later.server("550 not you\r\n").failure?.stage == .ehlo)
    }

    @Test func aNameThatIsNoNameIsNeverSaid() {
        var settings = plainSettings()
        settings.heloName = "x\r\nMAIL FROM:<a@b>"
        var session = SMTPSession(settings: settings, isLoopback: true)
        _ = session.connected()
        let actions = session.server("220 mx\r\n")
        #expect(actions.written == "" && actions.failure != nil)
    }

    @Test func afterSTARTTLSAllThatWasSaidIsForgotten() {
        var session = self.session(.startTLS)
        _ = session.server("220 mx\r\n")
        #expect(session.server(ehloReply(["STARTTLS", "PIPELINING", "AUTH PLAIN"])).written == "STARTTLS\r\n")
        #expect(session.server("220 go\r\n") == [.startTLS])
        #expect(session.tlsStarted().written == "EHLO client.test\r\n")
        _ = session.server(ehloReply(["SIZE 5"]))
        #expect(session.isReady)
        #expect(!session.capabilities.hasPipelining && session.capabilities.sizeMax == 5)
    }

    @Test func aServerWithoutSTARTTLSIsNotUsed() {
        var session = self.session(.startTLS)
        _ = session.server("220 mx\r\n")
        #expect(session.server(ehloReply(["PIPELINING"])).failure?.code == .tlsMissing)

        var refusing = self.session(.startTLS)
        _ = refusing.server("220 mx\r\n")
        _ = refusing.server(ehloReply(["STARTTLS"]))
        let failure = refusing.server("454 4.7.0 not now\r\n").failure
        #expect(failure?.code == .sessionRefused && failure?.stage == .starttls)
    }

    @Test func bytesBehindTheReplyToSTARTTLSEndTheSession() {
        for injected in ["250-AUTH PLAIN\r\n250 ok\r\n", "2", "\u{16}\u{3}\u{1}"] {
            var session = self.session(.startTLS)
            _ = session.server("220 mx\r\n")
            _ = session.server(ehloReply(["STARTTLS"]))
            let actions = session.server("220 go\r\n" + injected)
            #expect(actions.failure?.code == .tls)
            #expect(actions.closes && !actions.contains(.startTLS))
        }
    }

    @Test func credentialsNeedTLSUnlessTheServerIsHere() {
        let all: [SMTPSettings.Authentication] = [
            .plain(user: "u", password: "secret"), .login(user: "u", password: "secret"),
            .xoauth2(user: "u", token: { "secret" }),
        ]
        for authentication in all {
            var session = self.session(.plaintext, authentication, isLoopback: false)
            _ = session.server("220 mx\r\n")
            let actions = session.server(ehloReply(allFeatures))
            #expect(actions.failure?.code == .authentication)
            #expect(actions.written == "" && !actions.contains(.askToken))

            var encrypted = self.session(.implicitTLS, authentication, isLoopback: false)
            _ = encrypted.server("220 mx\r\n")
            #expect(encrypted.server(ehloReply(allFeatures)).failure == nil)
        }
    }

    @Test func authPLAIN() {
        var session = self.session(.plaintext, .plain(user: "ada", password: "pass"))
        _ = session.server("220 mx\r\n")
        #expect(session.server(ehloReply(allFeatures)).written == "AUTH PLAIN AGFkYQBwYXNz\r\n")
        _ = session.server("235 2.7.0 ok\r\n")
        #expect(session.isReady)

        var asked = self.session(.plaintext, .plain(user: "ada", password: "pass"))
        _ = asked.server("220 mx\r\n")
        _ = asked.server(ehloReply(allFeatures))
        #expect(asked.server("334 \r\n").written == "AGFkYQBwYXNz\r\n")
        #expect(asked.server("334 \r\n").failure?.code == .protocolError)
    }

    @Test func authLOGIN() {
        var session = self.session(.plaintext, .login(user: "ada", password: "pass"))
        _ = session.server("220 mx\r\n")
        #expect(session.server(ehloReply(allFeatures)).written == "AUTH LOGIN\r\n")
        #expect(session.server("334 VXNlcm5hbWU6\r\n").written == "YWRh\r\n")
        #expect(session.server("334 UGFzc3dvcmQ6\r\n").written == "cGFzcw==\r\n")
        _ = session.server("235 ok\r\n")
        #expect(session.isReady)
    }

    @Test func authXOAUTH2() {
        let authentication = SMTPSettings.Authentication.xoauth2(user: "ada", token: { "tok" })
        var session = self.session(.plaintext, authentication)
        _ = session.server("220 mx\r\n")
        #expect(session.server(ehloReply(allFeatures)) == [.askToken])
        #expect(session.tokenArrived("tok").written == "AUTH XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgdG9rAQE=\r\n")
        // The reason comes as a challenge; the refusal follows the empty answer.
        #expect(session.server("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n").written == "\r\n")
        #expect(session.server("535 5.7.8 no\r\n").failure?.code == .authentication)

        var without = self.session(.plaintext, authentication)
        _ = without.server("220 mx\r\n")
        _ = without.server(ehloReply(allFeatures))
        #expect(without.tokenArrived(nil).failure?.code == .authentication)

        var injecting = self.session(.plaintext, authentication)
        _ = injecting.server("220 mx\r\n")
        _ = injecting.server(ehloReply(allFeatures))
        #expect(injecting.tokenArrived("a\u{1}b").failure?.code == .authentication)
    }

    @Test func aMechanismThatIsNotOfferedIsNotTried() {
        var session = self.session(.plaintext, .plain(user: "u", password: "p"))
        _ = session.server("220 mx\r\n")
        let actions = session.server(ehloReply(["AUTH LOGIN"]))
        #expect(actions.failure?.code == .authentication && actions.written == "")
    }

    @Test func aServerThatRepeatsThePasswordDoesNotGetItIntoTheError() {
        var session = self.session(.plaintext, .plain(user: "ada", password: "hunter2"))
        _ = session.server("220 mx\r\n")
        _ = session.server(ehloReply(allFeatures))
        let failure = session.server("535 5.7.8 no: ada hunter2 AGFkYQBodW50ZXIy\r\n").failure
        #expect(failure?.code == .authentication)
        #expect(failure?.detail.contains("535 5.7.8") == true)
        #expect(failure.map { "\($0)" }?.contains("hunter2") == false)
    }
}
