import CurlTransport
import Testing

/// Each failure has its code, and says honestly whether the server may have acted.
@Suite(.timeLimit(.minutes(2)))
struct FailureTests {
    @Test func aRefusedConnectionSentNothing() async throws {
        try await withServer { server, transport in
            let failure = await transport.failure(
                of: HTTPRequest(method: "POST", url: "http://127.0.0.1:\(server.ports.refusing)/", body: [1]))
            #expect(failure?.code == .connect)
            #expect(failure?.mayHaveActed == false)
        }
    }

    @Test func anUnknownHostSentNothing() async {
        let transport = CurlTransport()
        // RFC 6761 section 6.4: this name never exists.
        let failure = await transport.failure(of: HTTPRequest(method: "POST", url: "https://no-such-host.invalid/"))
        #expect(failure?.code == .resolve)
        #expect(failure?.mayHaveActed == false)
        await transport.shutdown()
    }

    @Test func aCertificateOfAStrangerIsNotTrusted() async throws {
        try await withServer { server, transport in
            for file in [nil, certificates + "/stranger.pem", certificates + "/missing.pem"] {
                var request = server.request("POST", "/echo", body: [1])
                request.trustFile = file
                let failure = await transport.failure(of: request)
                #expect(failure?.code == .tls)
                #expect(failure?.mayHaveActed == false)
            }
            let arrived = try await server.count(of: "/echo")
            #expect(arrived == 0)
        }
    }

    @Test func aCertificateForAnotherNameIsNotTrusted() async throws {
        try await withServer { server, transport in
            for host in ["localhost", "127.0.0.1"] {
                var request = server.request("POST", "/echo", body: [1])
                request.url = "https://\(host):\(server.ports.elsewhere)/echo"
                let failure = await transport.failure(of: request)
                #expect(failure?.code == .tls)
                #expect(failure?.mayHaveActed == false)
            }
            let arrived = try await server.count(of: "/echo")
            #expect(arrived == 0)
        }
    }

    @Test func aServerThatDoesNotSpeakTLSIsATLSFailure() async throws {
        try await withServer { server, transport in
            var request = server.request("POST", "/echo", body: [1])
            request.url = "https://localhost:\(server.ports.plain)/echo"
            let failure = await transport.failure(of: request)
            #expect(failure?.code == .tls)
            #expect(failure?.mayHaveActed == false)
        }
    }

    @Test func aHandshakeThatNeverEndsTimesOutUnsent() async throws {
        try await withServer { server, transport in
            var request = server.request("POST", "/echo", body: [1])
            request.url = "https://localhost:\(server.ports.mute)/"
            request.connectTimeoutMilliseconds = 200
            let failure = await transport.failure(of: request)
            #expect(failure?.code == .timeout)
            #expect(failure?.mayHaveActed == false)
        }
    }

    @Test func aStalledAnswerTimesOutAndMayHaveBeenActedOn() async throws {
        try await withServer { server, transport in
            // With a connection at hand, the time is not used up by making one.
            _ = try await transport.perform(server.request("GET", "/bytes/1"))
            let failure = await transport.failure(
                of: server.request("POST", "/stall", body: [1], timeoutMilliseconds: 1000))
            #expect(failure?.code == .timeout)
            #expect(failure?.mayHaveActed == true)
        }
    }

    @Test func timeSpentWaitingForAConnectionCountsAndNothingIsSent() async throws {
        try await withServer(transport: CurlTransport(maxHostConnections: 1)) { server, transport in
            async let first = transport.failure(of: server.request("POST", "/stall"))
            try await server.wait(for: "/stall")

            let second = await transport.failure(of: server.request("POST", "/echo", timeoutMilliseconds: 300))
            #expect(second?.code == .timeout)
            #expect(second?.mayHaveActed == false)

            await transport.shutdown()
            #expect(await first?.code == .unavailable)
            let arrived = try await server.count(of: "/echo")
            #expect(arrived == 0)
        }
    }

    @Test func aConnectionClosedInsteadOfAnAnswerMayHaveBeenActedOn() async throws {
        try await withServer { server, transport in
            let failure = await transport.failure(of: server.request("POST", "/close", body: noise(5000, seed: 1)))
            #expect(failure?.code == .connectionLost)
            #expect(failure?.mayHaveActed == true)
            let arrived = try await server.count(of: "/close")
            #expect(arrived == 1)
        }
    }

    @Test func anAnswerThatBreaksOffIsAConnectionLost() async throws {
        try await withServer { server, transport in
            let failure = await transport.failure(of: server.request("POST", "/partial"))
            #expect(failure?.code == .connectionLost)
            #expect(failure?.mayHaveActed == true)
        }
    }

    @Test func aPostIsNotRepeatedWhenAKeptConnectionDies() async throws {
        try await withServer { server, transport in
            let first = try await transport.perform(server.request("POST", "/fragile", body: [1]))
            let second = await transport.failure(of: server.request("POST", "/fragile", body: [2]))

            #expect(first.status == 200)
            #expect(second?.code == .connectionLost)
            #expect(second?.mayHaveActed == true)
            let arrived = try await server.count(of: "/fragile")
            #expect(arrived == 2)
        }
    }

    @Test func aGetIsRepeatedWhenAKeptConnectionDies() async throws {
        try await withServer { server, transport in
            _ = try await transport.perform(server.request("GET", "/fragile"))
            let second = try await transport.perform(server.request("GET", "/fragile"))

            #expect(second.status == 200)
            let arrived = try await server.count(of: "/fragile")
            #expect(arrived == 3)
        }
    }

    @Test func anAnswerBeyondTheLimitFails() async throws {
        try await withServer { server, transport in
            for page in ["/bytes", "/chunked"] {
                var request = server.request("GET", page + "/5000")
                request.responseBytesMax = 5000
                let answer = try await transport.perform(request)
                #expect(answer.body.count == 5000)

                request.responseBytesMax = 4999
                let failure = await transport.failure(of: request)
                #expect(failure?.code == .responseTooLarge)
                #expect(failure?.mayHaveActed == true)
            }
        }
    }

    @Test func headersBeyondTheLimitFail() async throws {
        try await withServer { server, transport in
            let failure = await transport.failure(of: server.request("GET", "/many-headers"))
            #expect(failure?.code == .responseTooLarge)
            #expect(failure?.mayHaveActed == true)
        }
    }

    @Test func anAnswerThatIsNotHTTPIsAProtocolError() async throws {
        try await withServer { server, transport in
            let failure = await transport.failure(of: server.request("POST", "/garbage"))
            #expect(failure?.code == .protocolError)
            #expect(failure?.mayHaveActed == true)
        }
    }

    @Test func detailsDoNotRepeatTheQueryHeadersOrBody() async throws {
        try await withServer { server, transport in
            for path in ["/stall", "/close", "/partial", "/garbage", "/many-headers"] {
                let failure = await transport.failure(
                    of: server.request(
                        "POST", path + "?token=sesame", headers: [HTTPHeader("Authorization", "sesame")],
                        body: Array("sesame".utf8), timeoutMilliseconds: 500))
                let said = try #require(failure).detail
                #expect(!said.contains("sesame"))
                #expect(!said.isEmpty)
            }
        }
    }
}
