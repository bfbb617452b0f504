import CurlTransport
import Foundation
import Testing

/// Against nghttpd, which speaks nothing but HTTP/2.
@Suite(.timeLimit(.minutes(2)))
struct HTTP2Tests {
    /// How many connections nghttpd has told of in its log.
    private func connections(_ server: HTTPTestServer) throws -> Int {
        let log = try String(contentsOfFile: server.log, encoding: .utf8)
        let requests = log.split(separator: "\n").filter { $0.contains("recv HEADERS") }
        return Set(requests.map { $0.prefix { $0 != "]" } }).count
    }

    @Test func aPageIsFetched() async throws {
        try await withServer(http2: true) { server, transport in
            let answer = try await transport.perform(server.http2Request("GET", "/hello"))
            #expect(answer.status == 200)
            #expect(answer.header("server")?.hasPrefix("nghttpd") == true)
            #expect(answer.body == Array("hello over HTTP/2\n".utf8))

            let missing = try await transport.perform(server.http2Request("GET", "/missing"))
            #expect(missing.status == 404)
        }
    }

    @Test func threeHundredConcurrentRequestsShareOneConnection() async throws {
        try await withServer(http2: true, transport: CurlTransport(maxHTTP2Connections: 1)) { server, transport in
            let wrong = await withTaskGroup(of: Int.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        let body = noise(300 + number * 7, seed: UInt64(number))
                        let answer = try? await transport.perform(server.http2Request("POST", "/echo", body: body))
                        return answer?.body == body ? 0 : 1
                    }
                }
                return await group.reduce(0, +)
            }

            #expect(wrong == 0)
            #expect(transport.counts == TransportCounts(open: 0, finished: 300, connections: 1))
            let shown = try self.connections(server)
            #expect(shown == 1)
        }
    }

    @Test func aBurstOpensFewConnections() async throws {
        try await withServer(http2: true) { server, transport in
            await withTaskGroup(of: HTTPFailure?.self) { group in
                for _ in 0..<300 {
                    group.addTask { await transport.failure(of: server.http2Request("POST", "/echo", body: [1])) }
                }
                for await failure in group { #expect(failure == nil) }
            }
            #expect(transport.counts.connections <= 4)
        }
    }

    @Test func aMebibyteGoesThereAndBack() async throws {
        try await withServer(http2: true) { server, transport in
            let body = noise(1 << 20, seed: 11)
            let answer = try await transport.perform(server.http2Request("POST", "/echo", body: body))
            #expect(answer.body == body)
        }
    }

    @Test func aServerThatStopsIsATimeoutForAllThatWasSent() async throws {
        try await withServer(http2: true) { server, transport in
            _ = try await transport.perform(server.http2Request("POST", "/echo", body: [1]))
            _ = try await server.ask("/http2/pause")
            let failures = await withTaskGroup(of: HTTPFailure?.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        await transport.failure(
                            of: server.http2Request("POST", "/echo", body: [1], timeoutMilliseconds: 1000))
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            _ = try await server.ask("/http2/go-on")

            #expect(failures.allSatisfy { $0?.code == .timeout && $0?.mayHaveActed == true })
        }
    }

    @Test func aServerThatDiesLosesWhatWasSentAndRefusesTheRest() async throws {
        try await withServer(http2: true) { server, transport in
            _ = try await transport.perform(server.http2Request("POST", "/echo", body: [1]))
            _ = try await server.ask("/http2/pause")
            let waiting = Task {
                await transport.failure(of: server.http2Request("POST", "/echo", body: [1]))
            }
            while transport.counts.open == 0 { await Task.yield() }
            // When a later request has used up its time on the connection, the first one was written before it.
            let later = await transport.failure(
                of: server.http2Request("POST", "/echo", body: [1], timeoutMilliseconds: 1000))
            #expect(later?.mayHaveActed == true)
            _ = try await server.ask("/http2/kill")

            let lost = await waiting.value
            #expect(lost?.code == .connectionLost)
            #expect(lost?.mayHaveActed == true)
            let refused = await transport.failure(of: server.http2Request("POST", "/echo", body: [1]))
            #expect(refused?.code == .connect)
            #expect(refused?.mayHaveActed == false)
        }
    }

    @Test func aServerWithoutHTTP2IsSpokenToInHTTP1() async throws {
        try await withServer { server, transport in
            var request = server.request("POST", "/echo", body: [1, 2, 3])
            request.prefersHTTP2 = true
            let answer = try await transport.perform(request)
            #expect(answer.body == [1, 2, 3])
        }
    }
}
