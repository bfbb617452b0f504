// The servers of http_server.py as a test sees them: started for one test, stopped after it.
import CurlTransport
import Foundation
import ThreadBridge

/// Where all servers of this process have their certificates; removed when it ends.
let certificates: String = {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-curl-\(UUID())").path
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(atPath: certificates) }
    return folder
}()

/// A running http_server.py.
final class HTTPTestServer: Sendable {
    struct Ports: Decodable, Sendable {
        let plain: Int
        let tls: Int
        /// Has a certificate for another name.
        let elsewhere: Int
        /// Nobody listens here.
        let refusing: Int
        /// Takes connections and never says a word.
        let mute: Int
        let http2: Int
    }

    struct StartFailure: Error, CustomStringConvertible {
        let description: String
    }

    let ports: Ports
    /// nghttpd's.
    let log: String
    private let lifeline: FileHandle
    private let ended: Reply<Void, Never>
    private let keeper: IOThread

    init(withHTTP2: Bool) async throws {
        let log = certificates + "/nghttpd-\(UUID()).log"
        let input = Pipe()
        let ready = Reply<Data, Never>()
        let ended = Reply<Void, Never>()
        self.log = log
        self.lifeline = input.fileHandleForWriting
        self.ended = ended
        self.keeper = IOThread(name: "server-keeper") {
            runServer(withHTTP2: withHTTP2, log: log, input: input) { ready.settle(.success($0)) }
            ready.settle(.success(Data()))
            ended.settle(.success(()))
        }
        let line = await ready.value()
        do {
            self.ports = try JSONDecoder().decode(Ports.self, from: line)
        } catch {
            self.keeper.join()
            throw StartFailure(description: "http_server.py did not start; are openssl and nghttpd installed?")
        }
    }

    func stop() async throws {
        try self.lifeline.close()
        await self.ended.value()
        self.keeper.join()
    }

    /// The certificate authority that signed the servers' certificates.
    var trustFile: String { certificates + "/authority.pem" }

    func request(
        _ method: String = "GET", _ path: String, headers: [HTTPHeader] = [], body: [UInt8] = [],
        timeoutMilliseconds: Int = 60_000
    ) -> HTTPRequest {
        HTTPRequest(
            method: method, url: "https://localhost:\(self.ports.tls)\(path)", headers: headers, body: body,
            timeoutMilliseconds: timeoutMilliseconds, trustFile: self.trustFile)
    }

    func http2Request(
        _ method: String = "GET", _ path: String, body: [UInt8] = [], timeoutMilliseconds: Int = 60_000
    ) -> HTTPRequest {
        HTTPRequest(
            method: method, url: "https://localhost:\(self.ports.http2)\(path)", body: body,
            timeoutMilliseconds: timeoutMilliseconds, prefersHTTP2: true, trustFile: self.trustFile,
            responseBytesMax: 4 << 20)
    }

    /// Waits until the server has seen `key` as often as `count` says.
    func wait(for key: String, count: Int = 1) async throws {
        let answer = try await self.ask("/await?key=\(key)&count=\(count)")
        guard answer.status == 200 else { throw StartFailure(description: "\(key) did not come \(count) times") }
    }

    /// How often the server has seen `key`: a path, or `connection`.
    func count(of key: String) async throws -> Int {
        try JSONDecoder().decode([String: Int].self, from: Data(try await self.ask("/counts").body))[key] ?? 0
    }

    /// Asks the server about itself, by connections of its own.
    func ask(_ path: String) async throws -> HTTPResponse {
        let transport = CurlTransport()
        do {
            let url = "http://127.0.0.1:\(self.ports.plain)\(path)"
            let answer = try await transport.perform(
                HTTPRequest(method: "GET", url: url, timeoutMilliseconds: 100_000))
            await transport.shutdown()
            return answer
        } catch {
            await transport.shutdown()
            throw error
        }
    }
}

/// Runs http_server.py from its start to its end, on a thread that may be blocked; hands over its first line.
private func runServer(withHTTP2: Bool, log: String, input: Pipe, onReady: (Data) -> Void) {
    let output = Pipe()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("http_server.py")
    process.arguments = ["python3", script.path, certificates, log] + (withHTTP2 ? ["--http2"] : [])
    process.standardInput = input
    process.standardOutput = output
    do {
        try process.run()
        try input.fileHandleForReading.close()
        try output.fileHandleForWriting.close()
    } catch {
        return
    }
    var line = Data()
    while case let part = output.fileHandleForReading.availableData, !part.isEmpty {
        line.append(part)
        if line.last == 0x0A { onReady(line) }
    }
    process.waitUntilExit()
}

/// Runs `body` with a server of its own and stops it afterwards.
func withServer(
    http2: Bool = false, transport: CurlTransport = CurlTransport(),
    _ body: (HTTPTestServer, CurlTransport) async throws -> Void
) async throws {
    let server = try await HTTPTestServer(withHTTP2: http2)
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(server, transport))
    } catch {
        result = .failure(error)
    }
    await transport.shutdown()
    try await server.stop()
    try result.get()
}

extension CurlTransport {
    /// The failure of a request, or nil when it was answered.
    func failure(of request: HTTPRequest) async -> HTTPFailure? {
        do throws(HTTPFailure) {
            _ = try await self.perform(request)
            return nil
        } catch {
            return error
        }
    }
}

/// Bytes that differ by seed (xorshift).
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed | 1
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state >> 24)
    }
}
