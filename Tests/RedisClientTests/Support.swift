// What the tests of this target share: private servers and connections to them, and waiting for a condition.
import Foundation
import LocalServers
import Logging
import NIOCore
import NIOPosix
import RedisClient
import ThreadBridge

/// A folder of its own for one test, gone afterwards.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("redis-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}

/// A private server, as `LocalRedis` makes it.
func startRedis(in folder: String, port: Int? = nil, isDurable: Bool = true) async throws -> LocalRedis {
    unblockSignals()
    return try await LocalRedis.start(in: folder, port: port, isDurable: isDurable)
}

/// Lets this thread, and the programs that it starts, get signals again.
///
/// The threads that run tasks block them, programs inherit that, and a redis-server that never sees SIGTERM does
/// not end.
private func unblockSignals() {
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
}

/// A private server and a connection to it.
func withRedis(
    settings: RedisSettings = RedisSettings(), _ body: (LocalRedis, RedisConnection) async throws -> Void
) async throws {
    try await withFolder { folder in
        let server = try await startRedis(in: folder, isDurable: false)
        try await withConnection(to: server.url, settings: settings) { connection in
            try await body(server, connection)
        }
        await server.stop()
    }
}

/// A connection that is shut down at the end, whatever happens.
func withConnection(
    to url: String, name: String = "test", settings: RedisSettings = RedisSettings(),
    onStateChange: (@Sendable (RedisConnectionState) -> Void)? = nil, _ body: (RedisConnection) async throws -> Void
) async throws {
    let connection = RedisConnection(
        try RedisEndpoint(url: url), group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test"),
        name: name, settings: settings, onStateChange: onStateChange)
    do {
        try await body(connection)
    } catch {
        await connection.shutdown()
        throw error
    }
    await connection.shutdown()
}

/// A redis-server with a configuration of the test's own, in `folder`. It is there when a connection to it is.
func withServer(_ configuration: String, in folder: String, _ body: () async throws -> Void) async throws {
    guard let program = findProgram("redis-server") else {
        throw TestFailure("redis-server is not installed: apt-get install redis-server")
    }
    try writePrivately(configuration + "\ndir \(folder)\nsave \"\"\ndaemonize no\n", to: folder + "/own.conf")
    unblockSignals()
    let child = try ChildProcess([program, folder + "/own.conf"], stopSignal: "TERM", log: folder + "/own.log")
    do {
        try await body()
    } catch {
        await child.stop()
        throw error
    }
    await child.stop()
}

/// Settings of a patient user, for servers that are just coming up.
var patient: RedisSettings {
    var settings = RedisSettings()
    settings.connectWait = .seconds(30)
    return settings
}

/// Asks again until the answer is yes. Fails after 30 s, which is far more than anything here takes.
func eventually(_ what: String, _ isSo: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await !isSo() {
        guard ContinuousClock.now < deadline else { throw TestFailure("never came true: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Waits until `count` clients are blocked in a blocking command.
func waitUntilBlocked(_ count: Int, at observer: RedisConnection) async throws {
    try await eventually("\(count) blocked clients") {
        let text = try await observer.send(RedisCommand("INFO", "clients")).text ?? ""
        return text.contains("blocked_clients:\(count)\r\n")
    }
}

/// The error that `body` throws.
func redisError(_ body: () async throws(RedisError) -> Void) async throws -> RedisError {
    do throws(RedisError) {
        try await body()
    } catch {
        return error
    }
    throw TestFailure("no error was thrown")
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// SplitMix64: the same numbers from the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
