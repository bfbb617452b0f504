import Foundation
import LocalServers
import NIOCore
import SMTPTransport
import Testing

/// The client against servers that others wrote: aiosmtpd and Postfix' smtp-sink.
@Suite(.serialized, .timeLimit(.minutes(2))) struct IndependentServerTests {
    /// Writes one line of JSON for each mail.
    private static let aiosmtpd = #"""
        import asyncio, base64, json, ssl, sys
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
        port, out, certificate, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                if address.startswith("no"): return "550 5.1.1 no such user"
                envelope.rcpt_tos.append(address)
                return "250 2.1.5 ok"
            async def handle_DATA(self, server, session, envelope):
                user = session.auth_data.login.decode() if session.auth_data else None
                with open(out, "a") as f:
                    f.write(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "user": user,
                        "options": envelope.mail_options, "tls": session.ssl is not None,
                        "content": base64.b64encode(envelope.original_content).decode()}) + "\n")
                return "250 2.0.0 queued"
        def check(server, session, envelope, mechanism, data):
            ok = isinstance(data, LoginPassword) and data.login == b"ada" and data.password == b"secret"
            return AuthResult(success=ok, handled=False, auth_data=data)
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
        async def main():
            make = lambda: SMTP(Handler(), tls_context=context, require_starttls=context is not None, enable_SMTPUTF8=True,
                authenticator=check, auth_required=context is not None, hostname="aiosmtpd.test")
            server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port)
            await server.serve_forever()
        asyncio.run(main())
        """#

    private struct Mail: Decodable {
        var from: String
        var to: [String]
        var user: String?
        var options: [String]
        var tls: Bool
        var content: Data
    }

    private func withAiosmtpd(
        certificate: (String, String) = ("", ""), _ body: (Int, () throws -> [Mail]) async throws -> Void
    ) async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let venv = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"] ?? root + "/.deploy/venv"
        try #require(
            FileManager.default.isExecutableFile(atPath: venv + "/bin/aiosmtpd"),
            "aiosmtpd is missing in \(venv): deploy/test installs it, or set MARTLET_TEST_VENV")
        let folder = NSTemporaryDirectory() + "aiosmtpd-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Self.aiosmtpd.write(toFile: folder + "/server.py", atomically: true, encoding: .utf8)
        let port = try quietPort()
        let out = folder + "/mails"
        let server = try ChildProcess(
            [venv + "/bin/python3", folder + "/server.py", "\(port)", out, certificate.0, certificate.1],
            stopSignal: "TERM", log: folder + "/log")
        try await eventually { LoopbackPort.answers(port) }
        do {
            try await body(port) {
                try String(contentsOfFile: out, encoding: .utf8).split(separator: "\n").map {
                    try JSONDecoder().decode(Mail.self, from: Data($0.utf8))
                }
            }
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    @Test func aiosmtpdReceivesWhatWasSent() async throws {
        try await self.withAiosmtpd { port, mails in
            try await withClient(port: port) { client in
                let text = "Subject: zażółć\n\n.dot\n..\n.\nbare\rreturn"
                let results = await client.send(to: "b@x.test", "no@x.test", "ż@x.test", text: text)
                #expect(results.map(\.isAccepted) == [true, false, true])
                #expect(results[1].refusal?.reply == SMTPReply(code: 550, enhancedCode: "5.1.1", text: "no such user"))
                #expect(await client.send(to: "no@x.test").first?.refusal?.stage == .rcpt)
                #expect(await client.send(to: "c@x.test").first?.isAccepted == true)

                let all = try mails()
                #expect(all.map(\.to) == [["b@x.test", "ż@x.test"], ["c@x.test"]])
                #expect(all.first?.from == "a@sender.test")
                #expect(all.first?.options.contains("SMTPUTF8") == true)
                #expect(
                    all.first.map { String(decoding: $0.content, as: UTF8.self) }
                        == "Subject: zażółć\r\n\r\n.dot\r\n..\r\n.\r\nbare\r\nreturn\r\n")
            }
        }
    }

    @Test func aiosmtpdTakesSTARTTLSAndCredentials() async throws {
        let certificates = try Certificates.shared.get()
        try await self.withAiosmtpd(certificate: certificates.good) { port, mails in
            for kind in [
                SMTPSettings.Authentication.plain(user: "ada", password: "secret"),
                .login(user: "ada", password: "secret"),
            ] {
                try await withClient(
                    port: port,
                    {
                        $0.host = "localhost"
                        $0.security = .startTLS
                        $0.trustFile = certificates.trust
                        $0.authentication = kind
                    }
                ) { client in
                    #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
                }
            }
            #expect(try mails().map(\.user) == ["ada", "ada"])
            #expect(try mails().allSatisfy { $0.tls })
            try await withClient(
                port: port,
                {
                    $0.host = "localhost"
                    $0.security = .startTLS
                    $0.trustFile = certificates.trust
                    $0.authentication = .plain(user: "ada", password: "wrong")
                }
            ) { client in
                #expect(await client.send(to: "b@x.test").first?.notSent?.code == .authentication)
            }
        }
    }

    /// Without PIPELINING as well: smtp-sink's -p.
    @Test(arguments: [[], ["-p"], ["-e"], ["-h", "sink.test", "-8"]])
    func postfixsSinkTakesAThousandMessages(_ options: [String]) async throws {
        let program = try #require(
            findProgram("smtp-sink", in: ["/usr/sbin"]), "smtp-sink is missing: deploy/test installs postfix")
        let port = try quietPort()
        let log = NSTemporaryDirectory() + "smtp-sink-\(UUID().uuidString).log"
        defer { try? FileManager.default.removeItem(atPath: log) }
        // As root it wants to become somebody else.
        let user = geteuid() == 0 ? ["-u", "postfix"] : []
        let sink = try ChildProcess(
            [program] + user + options + ["127.0.0.1:\(port)", "100"], stopSignal: "TERM", log: log)
        try await eventually { LoopbackPort.answers(port) }
        try await withClient(port: port, { $0.connectionsMax = 8 }) { client in
            let accepted = await withTaskGroup(of: Int.self) { group in
                for index in 0..<1_000 {
                    let text = "Subject: \(index)\r\n\r\n" + String(repeating: ".line\n", count: index % 50)
                    group.addTask {
                        await client.send(to: "b@x.test", "c@x.test", text: text).filter(\.isAccepted).count
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(accepted == 2_000)
        }
        await sink.stop()
    }

    @Test func postfixsSinkRefusesAtEachStage() async throws {
        let program = try #require(
            findProgram("smtp-sink", in: ["/usr/sbin"]), "smtp-sink is missing: deploy/test installs postfix")
        let user = geteuid() == 0 ? ["-u", "postfix"] : []
        for (command, stage) in [("mail", SMTPStage.mail), ("rcpt", .rcpt), ("data", .data), (".", .finalDot)] {
            let port = try quietPort()
            let log = NSTemporaryDirectory() + "smtp-sink-\(UUID().uuidString).log"
            defer { try? FileManager.default.removeItem(atPath: log) }
            let sink = try ChildProcess(
                [program] + user + ["-f", command, "127.0.0.1:\(port)", "100"], stopSignal: "TERM", log: log)
            try await eventually { LoopbackPort.answers(port) }
            try await withClient(port: port, { $0.connectionsMax = 1 }) { client in
                for _ in 0..<3 {
                    let refusal = await client.send(to: "b@x.test").first?.refusal
                    #expect(refusal?.stage == stage && refusal?.reply.isPermanent == true, "at \(command)")
                }
            }
            await sink.stop()
        }
    }
}
