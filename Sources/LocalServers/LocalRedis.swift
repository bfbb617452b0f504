/// A private redis-server under a folder: loopback only, behind a password that lies in the folder,
/// append-only file on, nothing evicted.
import Foundation

package final class LocalRedis: Sendable {
    package let port: Int
    /// With the password in it: for clients, never for logs.
    package let url: String
    /// A file of mode 0600 that holds ``url``, so that a person can say `redis-cli -u "$(cat FILE)"`.
    package let urlFile: String
    private let child: ChildProcess

    /// Starts the server and returns once it answers.
    ///
    /// - Parameters:
    ///   - folder: Created if missing; holds the data between runs.
    ///   - port: Taken if it is free; otherwise, and when nil, any free port.
    ///   - isDurable: False turns the append-only file off, for tests that do not restart it.
    /// - Throws: ``LocalServerError`` when redis-server is missing or does not come up within 20 s.
    package static func start(in folder: String, port: Int? = nil, isDurable: Bool = true) async throws -> LocalRedis {
        guard let program = findProgram("redis-server") else {
            throw LocalServerError(
                "redis-server is not installed: apt-get install redis-server, or set MARTLET_REDIS_URL")
        }
        let files = FileManager.default
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try runToEnd(["chmod", "700", folder])
        let port = try port.flatMap { LoopbackPort.isFree($0) ? $0 : nil } ?? LoopbackPort.free()
        let password = try Self.password(in: folder)
        // The password goes into a file of mode 0600: command lines are public.
        let settings = """
            bind 127.0.0.1
            port \(port)
            dir \(folder)
            requirepass \(password)
            appendonly \(isDurable ? "yes" : "no")
            appendfsync everysec
            save ""
            maxmemory-policy noeviction
            databases 1
            daemonize no
            """
        let settingsFile = folder + "/redis.conf"
        try writePrivately(settings, to: settingsFile)
        let url = "redis://default:\(password)@127.0.0.1:\(port)"
        let urlFile = folder + "/redis.url"
        try writePrivately(url + "\n", to: urlFile)
        let child = try ChildProcess([program, settingsFile], stopSignal: "TERM", log: folder + "/redis.log")
        let server = LocalRedis(port: port, url: url, urlFile: urlFile, child: child)
        try await waitUntil(within: .seconds(20), "redis-server did not come up; see \(folder)/redis.log", while: child)
        {
            LoopbackPort.answers(port)
        }
        return server
    }

    private init(port: Int, url: String, urlFile: String, child: ChildProcess) {
        self.port = port
        self.url = url
        self.urlFile = urlFile
        self.child = child
    }

    /// Asks the server to write what it has and to end; returns when it has.
    package func stop() async {
        await self.child.stop()
    }

    private static func password(in folder: String) throws -> String {
        let file = folder + "/redis.password"
        if let known = try? String(contentsOfFile: file, encoding: .utf8), !known.isEmpty { return known }
        var generator = SystemRandomNumberGenerator()
        let password = (0..<4).map { _ in String(UInt64.random(in: .min ... .max, using: &generator), radix: 36) }
            .joined()
        try writePrivately(password, to: file)
        return password
    }
}

/// Writes `text` to a file that only its owner may read, whole or not at all.
package func writePrivately(_ text: String, to path: String) throws {
    let temporary = path + ".new"
    let files = FileManager.default
    guard files.createFile(atPath: temporary, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600]) else {
        throw LocalServerError("cannot write \(temporary)")
    }
    guard unsafe rename(temporary, path) == 0 else { throw LocalServerError("cannot write \(path)") }
}

/// Asks `isReady` every 20 ms until it says yes, time is up, or the server has ended.
func waitUntil(
    within limit: Duration, _ complaint: String, while child: ChildProcess?, isReady: () -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while !isReady() {
        guard ContinuousClock.now < deadline, child?.isRunning ?? true else { throw LocalServerError(complaint) }
        try await Task.sleep(for: .milliseconds(20))
    }
}
