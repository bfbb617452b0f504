import CurlTransport
import Foundation
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RoundTripTests {
    /// What /inspect says it was asked.
    private struct Seen: Decodable {
        let method: String
        let path: String
        let headers: [[String]]
        let length: Int

        func values(_ name: String) -> [String] {
            self.headers.filter { $0.first?.lowercased() == name }.map { $0.last ?? "" }
        }
    }

    private func inspect(_ transport: CurlTransport, _ request: HTTPRequest) async throws -> Seen {
        try JSONDecoder().decode(Seen.self, from: Data(try await transport.perform(request).body))
    }

    @Test func methodPathAndHeadersArriveAsGiven() async throws {
        try await withServer { server, transport in
            let headers = [
                HTTPHeader("X-First", "1"), HTTPHeader("X-Twice", "a"), HTTPHeader("X-Twice", "b; c=\"d\""),
                HTTPHeader("X-Empty", ""), HTTPHeader("X-Blank", " \t "), HTTPHeader("X-Accents", "żółw"),
                HTTPHeader("Content-Type", "application/json"), HTTPHeader("Authorization", "Bearer abc"),
            ]
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let seen = try await self.inspect(
                    transport, server.request(method, "/inspect/a%20b?q=1&r=%26", headers: headers))

                #expect(seen.method == method)
                #expect(seen.path == "/inspect/a%20b?q=1&r=%26")
                #expect(seen.values("x-first") == ["1"])
                #expect(seen.values("x-twice") == ["a", "b; c=\"d\""])
                #expect(seen.values("x-empty") == [""])
                #expect(seen.values("x-blank") == [""])
                #expect(seen.values("x-accents") == ["żółw"])
                #expect(seen.values("content-type") == ["application/json"])
                #expect(seen.values("authorization") == ["Bearer abc"])
            }
        }
    }

    @Test func nothingIsSentThatNobodyAskedFor() async throws {
        try await withServer { server, transport in
            let large = noise(2 << 20, seed: 1)
            let seen = try await self.inspect(transport, server.request("POST", "/inspect", body: large))

            #expect(seen.length == large.count)
            #expect(seen.values("user-agent") == ["martlet"])
            for name in ["expect", "content-type", "cookie", "accept-encoding", "transfer-encoding", "authorization"] {
                #expect(seen.values(name).isEmpty, "\(name)")
            }
        }
    }

    @Test func theUserAgentCanBeReplaced() async throws {
        try await withServer { server, transport in
            let seen = try await self.inspect(
                transport, server.request("GET", "/inspect", headers: [HTTPHeader("user-agent", "other/1")]))
            #expect(seen.values("user-agent") == ["other/1"])
        }
    }

    @Test func bodiesOfAllSizesComeBackUnchanged() async throws {
        try await withServer { server, transport in
            for size in [0, 1, 1000, 16_384, 65_537, 1 << 20] {
                let body = noise(size, seed: UInt64(size) + 7)
                for method in ["POST", "PUT", "DELETE"] {
                    var request = server.request(method, "/echo", body: body)
                    request.responseBytesMax = size
                    let answer = try await transport.perform(request)

                    #expect(answer.status == 200)
                    #expect(answer.header("x-method") == method)
                    #expect(answer.body == body, "\(size) bytes by \(method)")
                }
            }
        }
    }

    @Test func aPutWithoutABodySaysThatItsLengthIsZero() async throws {
        try await withServer { server, transport in
            for method in ["POST", "PUT", "PATCH"] {
                let seen = try await self.inspect(transport, server.request(method, "/inspect"))
                #expect(seen.values("content-length") == ["0"])
            }
        }
    }

    @Test func aHeadRequestHasHeadersAndNoBody() async throws {
        try await withServer { server, transport in
            let answer = try await transport.perform(server.request("HEAD", "/bytes/5000"))
            #expect(answer.status == 200)
            #expect(answer.header("content-length") == "5000")
            #expect(answer.body.isEmpty)
        }
    }

    @Test func everyStatusIsAValue() async throws {
        try await withServer { server, transport in
            for status in [200, 201, 204, 302, 304, 400, 401, 404, 410, 418, 429, 500, 503, 599] {
                let answer = try await transport.perform(server.request("GET", "/status/\(status)"))
                #expect(answer.status == status)
                #expect(answer.body == (status == 204 || status == 304 ? [] : Array("as asked".utf8)))
            }
        }
    }

    @Test func redirectsAreNotFollowed() async throws {
        try await withServer { server, transport in
            let answer = try await transport.perform(server.request("POST", "/redirect", body: [1]))

            #expect(answer.status == 302)
            #expect(answer.header("location") == "/target")
            let arrived = try await server.count(of: "/target")
            #expect(arrived == 0)
        }
    }

    @Test func cookiesAreNotKept() async throws {
        try await withServer { server, transport in
            let first = try await transport.perform(server.request("GET", "/cookie"))
            let seen = try await self.inspect(transport, server.request("GET", "/inspect"))

            #expect(first.header("set-cookie") == "id=1; Path=/")
            #expect(seen.values("cookie").isEmpty)
        }
    }

    @Test func oneConnectionServesRequestAfterRequest() async throws {
        try await withServer { server, transport in
            for _ in 0..<50 { _ = try await transport.perform(server.request("POST", "/echo", body: [1, 2, 3])) }

            #expect(transport.counts == TransportCounts(open: 0, finished: 50, connections: 1))
        }
    }

    @Test func hundredsOfRequestsShareTheConnectionsThatAreAllowed() async throws {
        try await withServer(transport: CurlTransport(threads: 2, maxHostConnections: 8)) { server, transport in
            let wrong = await withTaskGroup(of: Int.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        let body = noise(500, seed: UInt64(number))
                        let answer = try? await transport.perform(server.request("POST", "/echo", body: body))
                        return answer?.body == body ? 0 : 1
                    }
                }
                return await group.reduce(0, +)
            }

            #expect(wrong == 0)
            #expect(transport.counts.finished == 300)
            #expect(transport.counts.connections <= 16)
        }
    }

    @Test func interimAnswersFoldedLinesAndTrailersDoNotPassForHeaders() async throws {
        try await withServer { server, transport in
            let odd = try await transport.perform(server.request("GET", "/interim"))
            #expect(odd.status == 200)
            #expect(odd.header("x-hint") == nil)
            #expect(odd.header("x-folded") == "one two")
            #expect(odd.header("x-empty") == "")
            #expect(odd.body == Array("ok".utf8))

            let chunked = try await transport.perform(server.request("GET", "/chunked/2500"))
            #expect(chunked.body == Array(repeating: UInt8(ascii: "c"), count: 2500))
            #expect(chunked.header("x-late") == nil)
        }
    }

    @Test func theEnvironmentsProxyIsIgnoredUnlessAskedFor() async {
        // A process of its own: the environment belongs to all tests.
        await #expect(processExitsWith: .success) { await checkProxies() }
    }
}

private func checkProxies() async {
    for name in ["http_proxy", "https_proxy"] { unsafe setenv(name, "http://127.0.0.1:1", 1) }
    unsafe setenv("no_proxy", "", 1)
    do {
        try await withServer { server, transport in
            let request = server.request("GET", "/bytes/1")
            let proxied = CurlTransport(usesEnvironmentProxy: true)
            let viaProxy = await proxied.failure(of: request)
            await proxied.shutdown()
            let direct = await transport.failure(of: request)
            guard direct == nil, viaProxy?.code == .connect else { exit(1) }
        }
    } catch {
        exit(1)
    }
}
