import LocalServers
import NIOCore
import SMTPTransport
import Simulators
import Testing
import ThreadBridge

@Suite(.timeLimit(.minutes(2))) struct ClientTLSTests {
    enum Way: CaseIterable {
        case startTLS, implicitTLS
        var client: SMTPSettings.Security { self == .startTLS ? .startTLS : .implicitTLS }
        var server: SMTPSimulatorSettings.Security { self == .startTLS ? .startTLS : .implicitTLS }
    }

    private let certificates: Certificates

    init() throws {
        self.certificates = try Certificates.shared.get()
    }

    private func server(_ way: Way, _ settings: inout SMTPSimulatorSettings, otherHost: Bool = false) {
        settings.security = way.server
        settings.requiresTLS = true
        let pair = otherHost ? self.certificates.otherHost : self.certificates.good
        settings.certificateFile = pair.certificate
        settings.keyFile = pair.key
    }

    @Test(arguments: Way.allCases, ["localhost", "127.0.0.1"])
    func aCertificateThatIsTrustedAndForThisHostIsTaken(_ way: Way, _ host: String) async throws {
        try await withSimulator({ self.server(way, &$0) }) { simulator in
            try await withClient(
                port: simulator.port,
                {
                    $0.host = host
                    $0.security = way.client
                    $0.trustFile = self.certificates.trust
                }
            ) { client in
                for _ in 0..<3 { #expect(await client.send(to: "b@x.test").first?.isAccepted == true) }
                #expect(simulator.received.allSatisfy { $0.isEncrypted })
                #expect(simulator.counts.connections == 1)
            }
        }
    }

    @Test(arguments: Way.allCases)
    func aLargeMessageGoesThroughTLS(_ way: Way) async throws {
        try await withSimulator({ self.server(way, &$0) }) { simulator in
            try await withClient(
                port: simulator.port,
                {
                    $0.host = "localhost"
                    $0.security = way.client
                    $0.trustFile = self.certificates.trust
                }
            ) { client in
                let text = String(repeating: ".a line that needs a dot\r\n", count: 20_000)
                #expect(await client.send(to: "b@x.test", text: text).first?.isAccepted == true)
                #expect(simulator.received.first.map { String(decoding: $0.content, as: UTF8.self) } == text)
            }
        }
    }

    @Test(arguments: Way.allCases)
    func aCertificateThatIsNotTrustedIsRefused(_ way: Way) async throws {
        try await withSimulator({ self.server(way, &$0) }) { simulator in
            try await withClient(
                port: simulator.port,
                {
                    $0.host = "localhost"
                    $0.security = way.client
                }
            ) { client in
                #expect(await client.send(to: "b@x.test").first?.notSent?.code == .tls)
                #expect(simulator.counts.mails == 0)
            }
        }
    }

    @Test(arguments: Way.allCases, ["localhost", "127.0.0.1"])
    func aCertificateForAnotherHostIsRefused(_ way: Way, _ host: String) async throws {
        try await withSimulator({ self.server(way, &$0, otherHost: true) }) { simulator in
            try await withClient(
                port: simulator.port,
                {
                    $0.host = host
                    $0.security = way.client
                    $0.trustFile = self.certificates.trust
                }
            ) { client in
                #expect(await client.send(to: "b@x.test").first?.notSent?.code == .tls)
                #expect(simulator.counts.mails == 0)
            }
        }
    }

    @Test func aTrustFileThatIsMissingIsSaidWithEachMessage() async throws {
        try await withSimulator({ self.server(.startTLS, &$0) }) { simulator in
            try await withClient(
                port: simulator.port,
                {
                    $0.security = .startTLS
                    $0.trustFile = "/nonexistent/ca.pem"
                }
            ) { client in
                #expect(await client.send(to: "b@x.test").first?.notSent?.code == .tls)
                #expect(simulator.counts.connections == 0)
            }
        }
    }

    @Test func aServerWithoutSTARTTLSGetsNothing() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port, { $0.security = .startTLS }) { client in
                #expect(await client.send(to: "b@x.test").first?.notSent?.code == .tlsMissing)
                #expect(simulator.counts.mails == 0)
            }
        }
    }

    @Test func aPlaintextServerBehindImplicitTLSIsATLSFailure() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port, { $0.security = .implicitTLS }) { client in
                #expect(await client.send(to: "b@x.test").first?.notSent?.code == .tls)
            }
        }
    }

    @Test func whatIsSlippedInBehindTheReplyToSTARTTLSEndsTheSession() async throws {
        let server = try await ScriptedServer(
            ["220 x\r\n", ehloReply(["STARTTLS", "AUTH PLAIN"]), "220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"])
        try await withClient(
            port: server.port,
            {
                $0.security = .startTLS
                $0.authentication = .plain(user: "ada", password: "secret")
            }
        ) { client in
            let failure = await client.send(to: "b@x.test").first?.notSent
            #expect(failure?.code == .tls && failure?.stage == .starttls)
        }
        #expect(server.heard.withLock { $0 } == "EHLO client.test\r\nSTARTTLS\r\n")
        try await server.stop()
    }

    @Test(arguments: Way.allCases)
    func credentialsOfEachKindGoThroughTLS(_ way: Way) async throws {
        let kinds: [SMTPSettings.Authentication] = [
            .plain(user: "ada", password: "päss word"), .login(user: "ada", password: "päss word"),
            .xoauth2(user: "ada", token: { "ya29.token" }),
        ]
        for kind in kinds {
            try await withSimulator({
                self.server(way, &$0)
                $0.requiresAuthentication = true
                $0.users = ["ada": "päss word"]
                $0.tokens = ["ya29.token"]
            }) { simulator in
                try await withClient(
                    port: simulator.port,
                    {
                        $0.host = "localhost"
                        $0.security = way.client
                        $0.trustFile = self.certificates.trust
                        $0.authentication = kind
                    }
                ) { client in
                    #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
                    #expect(simulator.received.first?.user == "ada")
                }
            }
        }
    }

    @Test func wrongCredentialsOfEachKindAreAnAuthenticationFailureWithoutThem() async throws {
        struct NoToken: Error { let secret = "sesame" }
        let kinds: [SMTPSettings.Authentication] = [
            .plain(user: "ada", password: "sesame"), .login(user: "ada", password: "sesame"),
            .xoauth2(user: "ada", token: { "sesame" }), .xoauth2(user: "ada", token: { throw NoToken() }),
        ]
        for kind in kinds {
            try await withSimulator({
                $0.users = ["ada": "right"]
                $0.tokens = ["right"]
            }) { simulator in
                try await withClient(port: simulator.port, { $0.authentication = kind }) { client in
                    let failure = await client.send(to: "b@x.test").first?.notSent
                    #expect(failure?.code == .authentication && failure?.stage == .auth)
                    #expect(failure.map { "\($0)" }?.contains("sesame") == false)
                    #expect(simulator.counts.mails == 0)
                }
            }
        }
    }
}
