import Foundation
import PostgresClient
import Testing
import ThreadBridge

private let secret = "s3cr3t"

extension PostgresTests {
    @Suite("Settings")
    struct SettingsTests {
        @Test(
            "that cannot be right are refused with a sentence that does not quote them",
            arguments: [
                "", "   ", "postgresql://u:\(secret)@[::1/db", "postgresql://u:\(secret)",
                "postgresql://u:12/\(secret)@host/db",
                "postgresql://u:p@\(secret)@host/db", "postgresql://u:p\(secret)/x@host:5432/db",
                "postgresql://u:%zz\(secret)@host/db", "host=h password=\(secret) \(secret)", "\(secret)",
                "host=h password=a \(secret)=b", "host=h password='\(secret)", "postgresql://u:\(secret)@host:port/db",
                "postgresql://u:\(secret)@host:99999/db", "postgresql://u:\(secret)@host/db?\(secret)=1",
                "host=h\0 password=\(secret)",
            ])
        func malformed(text: String) async {
            let error = await postgresError { _ = try PostgresSettings(connectionString: text) }
            #expect(error?.code == .settings)
            #expect(error?.detail.isEmpty == false)
            let shown = String(reflecting: error) + (error?.description ?? "")
            #expect(!shown.contains(secret))
        }

        @Test("out of range are refused by name")
        func ranges() async throws {
            let url = "postgresql://h/db"
            let errors = [
                await postgresError { _ = try PostgresSettings(connectionString: url, connections: 0) },
                await postgresError { _ = try PostgresSettings(connectionString: url, connectTimeout: .zero) },
                await postgresError { _ = try PostgresSettings(connectionString: url, statementTimeout: .zero) },
                await postgresError { _ = try PostgresSettings(connectionString: url, waitingLimit: 0) },
            ]
            let names = ["connections", "connectTimeout", "statementTimeout", "waitingLimit"]
            for (error, name) in zip(errors, names) {
                #expect(error?.code == .settings)
                #expect(error?.detail.hasPrefix(name) == true)
            }
        }

        @Test("show the place and never the password, however they are printed")
        func printing() throws {
            let settings = try PostgresSettings(
                connectionString: "postgresql://ada:\(secret)@db.example.com:6432/fleet")
            var dumped = ""
            dump(settings, to: &dumped)
            let shown = "\(settings)" + String(reflecting: settings) + String(describing: [settings]) + dumped
            #expect(settings.description == "host=db.example.com port=6432 dbname=fleet user=ada")
            #expect(!shown.contains(secret))
        }

        @Test("with a wrong password fail with the server's reason and without the password")
        func wrongPassword() async throws {
            try await Self.demandPassword(of: "guarded")
            let base = try await TestDatabase.url()
            let wrong = base.replacing("user=martlet", with: "user=guarded&password=\(secret)")
            try await withPool(at: wrong, connections: 1) { pool in
                let error = await postgresError { _ = try await pool.rows("SELECT 1") }
                #expect(error?.code == .notConnected)
                #expect(error?.detail.contains("password authentication failed") == true)
                #expect(error?.description.contains(secret) == false)
            }
            let right = base.replacing("user=martlet", with: "user=guarded&password=right")
            try await withPool(at: right, connections: 1) { pool in
                let user = try await pool.rows("SELECT current_user::text")[0, 0].text
                #expect(user == "guarded")
            }
        }

        @Test("for a server across the network ask for TLS, and tell a server without it nothing")
        func transportSecurity() async throws {
            let server = try PlaintextServer()
            // 0.0.0.0 is no loopback address by its name, and leads to this machine all the same.
            let url = "postgresql://u:\(secret)@0.0.0.0:\(server.port)/db"
            let error = try await withPool(at: url, connections: 1) { pool in
                await postgresError(.notConnected) { _ = try await pool.rows("SELECT 1") }
            }
            #expect(error?.detail.contains("sslmode=disable") == true)
            #expect(error?.detail.contains(secret) == false)
            // The request for TLS of the protocol (PostgreSQL manual, 55.7): length 8, code 80877103. And nothing more.
            #expect(await server.received() == [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
        }

        /// The server trusts its own machine; one user more has to show a password.
        private static func demandPassword(of user: String) async throws {
            try await withPool(at: try await TestDatabase.url(), connections: 1) { pool in
                try await pool.execute("CREATE ROLE \(user) LOGIN PASSWORD 'right'")
                let file = TestDatabase.dataFolder + "/pg_hba.conf"
                let rules = try String(contentsOfFile: file, encoding: .utf8)
                let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
                try handle.write(contentsOf: Data(("local all \(user) scram-sha-256\n" + rules).utf8))
                try handle.close()
                try await pool.execute("SELECT pg_reload_conf()")
                // The server reads the file when it gets to it; this view reads it now and says if it is right.
                let faults = try await pool.rows("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL")
                #expect(try faults[0, 0].int == 0)
            }
        }
    }
}

/// Takes one connection, says that it has no TLS, and keeps everything that it is sent.
private final class PlaintextServer: Sendable {
    let port: Int
    private let thread: IOThread
    private let heard: Reply<[UInt8], Never>

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe bind(listener, address, size) + listen(listener, 1) + getsockname(listener, address, &size)
            }
        }
        try #require(code == 0)
        let heard = Reply<[UInt8], Never>()
        self.heard = heard
        self.port = Int(UInt16(bigEndian: address.sin_port))
        self.thread = IOThread(name: "plaintext") { heard.settle(.success(Self.read(from: listener))) }
    }

    /// What the client sent until it hung up.
    func received() async -> [UInt8] {
        let bytes = await self.heard.value()
        self.thread.join()
        return bytes
    }

    private static func read(from listener: Int32) -> [UInt8] {
        let connection = accept(listener, nil, nil)
        defer {
            close(connection)
            close(listener)
        }
        var heard: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while true {
            let count = unsafe recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return heard }
            heard += buffer.prefix(count)
            unsafe send(connection, "N", 1, Int32(MSG_NOSIGNAL))
        }
    }
}
