// `rediss://` against a real redis-server with certificates made by the openssl program.
import LocalServers
import RedisClient
import Testing

@Suite(.timeLimit(.minutes(2)))
struct TLSTests {
    @Test func `a certificate from the trust file is accepted by address and by name`() async throws {
        try await Self.withTLSServer(names: "IP:127.0.0.1,DNS:localhost") { port, folder in
            for host in ["127.0.0.1", "localhost"] {
                let url = "rediss://:secret@\(host):\(port)?trust=\(folder)/ca.pem"
                try await withConnection(to: url, settings: patient) { redis in
                    let value = [UInt8](repeating: 0x5a, count: 300_000)
                    try await redis.send(RedisCommand("SET", "k", value)).expectOK()
                    #expect(try await redis.send(RedisCommand("GET", "k")).bytes == value)
                }
            }
        }
    }

    @Test func `everything else about a certificate is refused`() async throws {
        try await Self.withTLSServer(names: "DNS:redis.example") { port, folder in
            try await Self.waitForServer(port)
            try writePrivately("no certificate", to: folder + "/rubbish.pem")
            let cases = [
                ("rediss://:secret@127.0.0.1:\(port)", "not trusted"),
                ("rediss://:secret@127.0.0.1:\(port)?trust=\(folder)/ca.pem", "another name"),
                ("rediss://:secret@localhost:\(port)?trust=\(folder)/ca.pem", "another name"),
                ("rediss://:secret@127.0.0.1:\(port)?trust=\(folder)/missing.pem", "trust file"),
                ("rediss://:secret@127.0.0.1:\(port)?trust=\(folder)/rubbish.pem", "trust file"),
                ("redis://:secret@127.0.0.1:\(port)", "the connection"),
            ]
            for (url, reason) in cases {
                try await withConnection(to: url) { redis in
                    let error = try await redisError { () async throws(RedisError) in
                        _ = try await redis.send(RedisCommand("PING"))
                    }
                    #expect(error.code == .notConnected)
                    #expect(!error.mayHaveRun)
                    #expect(error.detail.contains(reason), "\(reason): \(error.detail)")
                    #expect(!error.detail.contains("secret"))
                }
            }
        }
    }

    @Test func `a server without TLS is refused`() async throws {
        var settings = RedisSettings()
        settings.connectTimeout = .milliseconds(200)
        try await withRedis { server, _ in
            try await withConnection(to: "rediss://:secret@127.0.0.1:\(server.port)", settings: settings) { redis in
                let error = try await redisError { () async throws(RedisError) in
                    _ = try await redis.send(RedisCommand("PING"))
                }
                #expect(error.code == .notConnected)
                #expect(error.detail.contains("in time"))
            }
        }
    }

    private static func waitForServer(_ port: Int) async throws {
        try await eventually("redis-server listens") { LoopbackPort.answers(port) }
    }

    private static func withTLSServer(names: String, _ body: (Int, String) async throws -> Void) async throws {
        try await withFolder { folder in
            let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            try runToEnd(
                ["openssl", "req", "-x509", "-days", "2", "-subj", "/CN=test authority"] + key
                    + ["-keyout", folder + "/ca.key", "-out", folder + "/ca.pem"])
            try runToEnd(
                ["openssl", "req", "-subj", "/CN=redis"] + key
                    + ["-keyout", folder + "/server.key", "-out", folder + "/server.csr"])
            try writePrivately("subjectAltName=\(names)\n", to: folder + "/names")
            try runToEnd([
                "openssl", "x509", "-req", "-days", "2", "-in", folder + "/server.csr", "-CA", folder + "/ca.pem",
                "-CAkey", folder + "/ca.key", "-CAcreateserial", "-extfile", folder + "/names",
                "-out", folder + "/server.pem",
            ])
            let port = try LoopbackPort.free()
            let configuration = """
                bind 127.0.0.1
                port 0
                tls-port \(port)
                tls-cert-file \(folder)/server.pem
                tls-key-file \(folder)/server.key
                tls-auth-clients no
                requirepass secret
                """
            try await withServer(configuration, in: folder) { try await body(port, folder) }
        }
    }
}
