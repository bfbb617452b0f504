import CurlTransport
import Testing

/// What becomes of requests when somebody wants to stop.
@Suite(.timeLimit(.minutes(2)))
struct LifetimeTests {
    @Test func cancellingReleasesTheTaskAndDropsTheTransfer() async throws {
        try await withServer { server, transport in
            let task = Task { await transport.failure(of: server.request("POST", "/stall", body: [1])) }
            try await server.wait(for: "/stall")

            task.cancel()
            let failure = await task.value

            #expect(failure?.code == .cancelled)
            #expect(failure?.mayHaveActed == true)
            try await server.wait(for: "gone:/stall")
            let answer = try await transport.perform(server.request("GET", "/bytes/1"))
            #expect(answer.status == 200)
            #expect(transport.counts.open == 0)
        }
    }

    @Test func cancellingBeforeAnythingWasSentSaysSo() async throws {
        try await withServer(transport: CurlTransport(maxHostConnections: 1)) { server, transport in
            let stalled = Task { await transport.failure(of: server.request("POST", "/stall")) }
            try await server.wait(for: "/stall")
            let waiting = Task { await transport.failure(of: server.request("POST", "/echo")) }
            waiting.cancel()
            let failure = await waiting.value
            #expect(failure?.code == .cancelled)
            #expect(failure?.mayHaveActed == false)

            stalled.cancel()
            #expect(await stalled.value?.mayHaveActed == true)
            let answer = try await transport.perform(server.request("GET", "/bytes/1"))
            #expect(answer.status == 200)
            let arrived = try await server.count(of: "/echo")
            #expect(arrived == 0)
        }
    }

    @Test func aCancelledTaskStartsNothing() async throws {
        try await withServer { server, transport in
            let task = Task {
                unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                return await transport.failure(of: server.request("POST", "/echo"))
            }
            let failure = await task.value
            #expect(failure?.code == .cancelled)
            #expect(failure?.mayHaveActed == false)
            #expect(transport.counts == TransportCounts())
        }
    }

    @Test func manyCancellationsLeaveTheOthersAlone() async throws {
        try await withServer(transport: CurlTransport(maxHostConnections: 200)) { server, transport in
            let tasks = (0..<200).map { number in
                Task { await transport.failure(of: server.request("POST", number % 2 == 0 ? "/stall" : "/echo")) }
            }
            try await server.wait(for: "/echo", count: 100)
            for number in stride(from: 0, to: 200, by: 2) { tasks[number].cancel() }
            for (number, task) in tasks.enumerated() {
                #expect(await task.value?.code == (number % 2 == 0 ? .cancelled : nil))
            }
        }
    }

    @Test func shutdownFailsWhatIsOpenAndRefusesWhatComes() async throws {
        try await withServer { server, transport in
            let open = (0..<20).map { _ in Task { await transport.failure(of: server.request("POST", "/stall")) } }
            try await server.wait(for: "/stall", count: 20)

            await transport.shutdown()

            for task in open {
                let failure = await task.value
                #expect(failure?.code == .unavailable)
                #expect(failure?.mayHaveActed == true)
            }
            #expect(transport.counts.open == 0)
            try await server.wait(for: "gone:/stall", count: 20)
            let late = await transport.failure(of: server.request("POST", "/echo"))
            #expect(late?.code == .unavailable)
            #expect(late?.mayHaveActed == false)
            await transport.shutdown()
        }
    }

    @Test func everyRequestIsAnsweredOnceWhenShutdownComesInBetween() async throws {
        try await withServer { server, transport in
            let tasks = (0..<300).map { _ in
                Task { await transport.failure(of: server.request("POST", "/echo", body: [1])) }
            }
            try await server.wait(for: "/echo", count: 10)
            async let first: Void = transport.shutdown()
            async let second: Void = transport.shutdown()
            _ = await (first, second)
            var answered = 0
            for task in tasks {
                let failure = await task.value
                #expect(failure == nil || failure?.code == .unavailable)
                if failure == nil || failure?.mayHaveActed == true { answered += 1 }
            }
            // Whoever was told that nothing was sent was told the truth.
            let arrived = try await server.count(of: "/echo")
            #expect(arrived <= answered)
        }
    }

    @Test func oneRequestTooManyIsRefusedAtOnce() async throws {
        try await withServer(transport: CurlTransport(openMax: 3)) { server, transport in
            let open = (0..<3).map { _ in Task { await transport.failure(of: server.request("POST", "/stall")) } }
            try await server.wait(for: "/stall", count: 3)
            let failure = await transport.failure(of: server.request("POST", "/echo"))
            #expect(failure?.code == .unavailable)
            #expect(failure?.mayHaveActed == false)

            for task in open { task.cancel() }
            try await server.wait(for: "gone:/stall", count: 3)
            let answer = try await transport.perform(server.request("POST", "/echo"))
            #expect(answer.status == 200)
            for task in open { #expect(await task.value?.code == .cancelled) }
        }
    }

    @Test func aTransportThatIsForgottenEndsItsThreads() async throws {
        try await withServer { server, _ in
            var transport: CurlTransport? = CurlTransport(threads: 2)
            weak let gone = transport
            _ = try await transport?.perform(server.request("GET", "/bytes/1"))
            transport = nil
            #expect(gone == nil)
        }
    }
}
