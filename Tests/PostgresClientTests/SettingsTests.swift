import Foundation
import LocalServers
import PostgresClient
import Testing

private let secret = "s3cr3t"

extension PostgresTests {
    @Suite("Settings")
    struct SettingsTests {
        @Test(
            "that cannot be right are refused with a sentence that does not quote them",
            arguments: [
                "", "   ", "postgresql://u:\(secret)@[::1/db", "postgresql://u:\(secret)", "postgresql://u:12/\(secret)@host/db",
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
            #expect(error.map { "\($0) \(String(reflecting: $0))" }?.contains(secret) == false)
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
            let settings = try PostgresSettings(connectionString: "postgresql://ada:\(secret)@db.example.com:6432/fleet")
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
                #expect(error.map { "\($0)" }?.contains(secret) == false)
            }
            let right = base.replacing("user=martlet", with: "user=guarded&password=right")
            try await withPool(at: right, connections: 1) { pool in
                let user = try await pool.rows("SELECT current_user::text")[0, 0].text
                #expect(user == "guarded")
            }
        }

        @Test("for a server across the network ask for TLS and say how to do without")
        func transportSecurity() async throws {
            // Nothing listens there; what matters is that nobody is sent a password in the clear by default.
            let port = try LoopbackPort.free()
            try await withPool(at: "postgresql://u:\(secret)@martlet.invalid,127.0.0.1:\(port)/db", connections: 1) { pool in
                let error = await postgresError { _ = try await pool.rows("SELECT 1") }
                #expect(error?.code == .notConnected)
                #expect(error?.detail.contains(secret) == false)
            }
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
