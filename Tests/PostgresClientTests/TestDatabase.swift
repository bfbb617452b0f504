// One PostgreSQL for all tests of a run, and for each test a schema of its own in it.
import Foundation
import LocalServers
import PostgresClient
import Testing
import ThreadBridge

/// All suites lie in this one. They take turns: together their pools would ask for more than the server's 60
/// connections.
@Suite("PostgresClient", .serialized, .timeLimit(.minutes(2)))
enum PostgresTests {}

enum TestDatabase {
    private static let server = Task {
        Self.removeLeftovers()
        return try await Self.startServer(in: Self.folder("shared"))
    }

    /// Starts a server that forgets what it was told when the machine fails.
    static func startServer(in folder: String) async throws -> LocalPostgres {
        // A child process inherits the signal mask, and the threads that run tasks block nearly all signals: the shell
        // that watches over the server would never learn that it has ended.
        var none = sigset_t()
        unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
        return try await LocalPostgres.start(in: folder, isDurable: false)
    }

    /// The server's connection string; starts it for the first test that asks.
    static func url() async throws -> String { try await Self.server.value.url }

    /// The shared server's data folder.
    static var dataFolder: String { Self.folder("shared") + "/data" }

    /// A folder that the next run removes: the servers of this one end with its process, after any code of ours.
    static func folder(_ name: String) -> String {
        "\(Self.root)/martlet-pg-\(ProcessInfo.processInfo.processIdentifier)-\(name)"
    }

    private static let root = FileManager.default.temporaryDirectory.path(percentEncoded: false)
        .replacing(/\/+$/, with: "")

    private static func removeLeftovers() {
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: Self.root)) ?? [] where name.hasPrefix("martlet-pg-") {
            let process = name.dropFirst("martlet-pg-".count).prefix { $0.isNumber }
            if files.fileExists(atPath: "/proc/\(process)") { continue }
            try? files.removeItem(atPath: "\(Self.root)/\(name)")
        }
    }

    /// A schema that nobody else uses, and a connection string whose search path is that schema.
    static func schema() async throws -> String {
        let name = "test_" + UUID().uuidString.lowercased().filter { $0 != "-" }
        let url = try await Self.url()
        try await withPool(at: url) { pool in
            try await pool.execute("CREATE SCHEMA \(name)")
        }
        return url + "&options=-csearch_path%3D\(name)"
    }
}

/// Runs `body` on a pool and shuts it down whatever happens.
///
/// - Parameter url: Nil is a new schema of the shared server.
@discardableResult
func withPool<Result>(
    at url: String? = nil, connections: Int = 2, statementTimeout: Duration = .seconds(20), waitingLimit: Int = 1024,
    onStateChange: @escaping @Sendable (PostgresPoolState) -> Void = { _ in },
    _ body: (PostgresPool) async throws -> Result
) async throws -> Result {
    let place: String
    if let url { place = url } else { place = try await TestDatabase.schema() }
    let settings = try PostgresSettings(
        connectionString: place, connections: connections, statementTimeout: statementTimeout,
        waitingLimit: waitingLimit)
    let pool = PostgresPool(settings, onStateChange: onStateChange)
    do {
        let result = try await body(pool)
        await pool.shutDown()
        return result
    } catch {
        await pool.shutDown()
        throw error
    }
}

/// The error that `body` throws; a failed expectation when it throws none, another, or one with another code.
///
/// Not to be called inside of `#expect`: Swift 6.3 takes a closure there for another one of the same function.
@discardableResult
func postgresError(
    _ code: PostgresError.Code? = nil, _ sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async -> PostgresError? {
    do {
        try await body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
        return nil
    } catch let error as PostgresError {
        if let code { #expect(error.code == code, sourceLocation: sourceLocation) }
        return error
    } catch {
        Issue.record("\(error)", sourceLocation: sourceLocation)
        return nil
    }
}

extension Protected where Value: Sendable {
    /// A copy of the value as it is now.
    var current: Value { self.withLock { $0 } }
}

extension PostgresPool {
    /// One statement with its parameters.
    func rows(_ sql: String, _ parameters: PostgresParameter...) async throws(PostgresError) -> PostgresRows {
        try await self.query(PostgresStatement("test", sql), parameters)
    }
}
