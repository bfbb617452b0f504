import Foundation
import LocalServers
import Logging
import NIOCore
import NIOPosix
import SMTPTransport
import Simulators
import Testing
import ThreadBridge

/// How connections come, are shared, and go.
@Suite(.timeLimit(.minutes(2))) struct ClientConnectionTests {
    @Test func manyMessagesShareFewConnections() async throws {
        try await withSimulator({ $0.keepsMail = false }) { simulator in
            try await withClient(port: simulator.port) { client in
                let accepted = await withTaskGroup(of: Bool.self) { group in
                    for index in 0..<400 {
                        group.addTask { await client.send(to: "r\(index)@x.test").first?.isAccepted == true }
                    }
                    return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(accepted == 400)
                #expect(simulator.counts.mails == 400)
                #expect((1...4).contains(simulator.counts.connections))
                #expect(simulator.counts.mistakes == 0)
            }
        }
    }

    @Test func aConnectionIsReplacedAfterItsMessages() async throws {
        try await withSimulator { simulator in
            try await withClient(
                port: simulator.port,
                {
                    $0.connectionsMax = 1
                    $0.messagesPerConnectionMax = 2
                }
            ) { client in
                for _ in 0..<5 { #expect(await client.send(to: "b@x.test").first?.isAccepted == true) }
                #expect(simulator.received.map(\.connection) == [1, 1, 2, 2, 3])
            }
        }
    }

    @Test func anIdleConnectionSaysQUIT() async throws {
        let server = try await ScriptedServer(
            ["220 x\r\n", ehloReply(["PIPELINING"]), "250 a\r\n250 b\r\n354 c\r\n", "250 ok\r\n", "221 bye\r\n", nil])
        try await withClient(port: server.port, { $0.idleTimeoutMilliseconds = 50 }) { client in
            #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
            try await eventually { server.heard.withLock { $0.hasSuffix("\r\n.\r\nQUIT\r\n") } }
        }
        try await server.stop()
    }

    @Test func aDeadIdleConnectionIsReplacedUnseen() async throws {
        // Each connection carries one message and is cut at the next MAIL: the client cannot have noticed before.
        let server = try await ScriptedServer(
            ["220 x\r\n", ehloReply(["PIPELINING"]), "250 a\r\n250 b\r\n354 c\r\n", "250 ok\r\n", nil])
        try await withClient(port: server.port, { $0.connectionsMax = 1 }) { client in
            for _ in 0..<4 { #expect(await client.send(to: "b@x.test").first?.isAccepted == true) }
        }
        #expect(server.heard.withLock { $0.components(separatedBy: "EHLO").count } == 5)
        try await server.stop()
    }

    @Test func linesThatAreCutWhileIdleAreReplacedUnseen() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port, { $0.connectionsMax = 1 }) { client in
                for _ in 0..<5 {
                    #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
                    await simulator.cutConnections()
                }
                #expect(simulator.counts.mails == 5)
            }
        }
    }

    @Test func aConnectionCutAtTheNextMAILIsReplacedUnseenOnce() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port, { $0.connectionsMax = 1 }) { client in
                #expect(await client.send(to: "b@x.test").first?.isAccepted == true)
                simulator.setFaults([.init(.cutBefore, at: .mail)])
                // On the kept connection it is dead, on the fresh one as well: one retry, no more.
                #expect(await client.send(to: "b@x.test").first?.notSent?.code == .connectionLost)
                #expect(simulator.counts.connections == 2)
            }
        }
    }

    private static func simulator(_ port: Int) -> SMTPSimulatorSettings {
        var settings = SMTPSimulatorSettings()
        settings.port = port
        return settings
    }

    @Test func whenNobodyListensAllAreToldAndTheNextFailFast() async throws {
        let port = try quietPort()
        try await withClient(
            port: port,
            {
                $0.backoffMilliseconds = 600_000
                $0.backoffMillisecondsMax = 600_000
            }
        ) { client in
            let failures = await withTaskGroup(of: SMTPFailure.Code?.self) { group in
                for _ in 0..<50 { group.addTask { await client.send(to: "b@x.test").first?.notSent?.code } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(failures == Array(repeating: .connect, count: 50))

            let server = SMTPSimulator(settings: Self.simulator(port))
            try await server.start()
            #expect(await client.send(to: "b@x.test").first?.notSent?.code == .connect)
            #expect(server.counts.connections == 0)
            await server.stop()
        }
    }

    @Test func afterThePauseTheServerIsTriedAgain() async throws {
        let port = try quietPort()
        try await withClient(port: port, { $0.backoffMilliseconds = 20 }) { client in
            #expect(await client.send(to: "b@x.test").first?.notSent?.code == .connect)
            let server = SMTPSimulator(settings: Self.simulator(port))
            try await server.start()
            var isAccepted = false
            let end = ContinuousClock.now + .seconds(20)
            while !isAccepted, ContinuousClock.now < end {
                isAccepted = await client.send(to: "b@x.test").first?.isAccepted == true
            }
            #expect(isAccepted)
            await server.stop()
        }
    }

    @Test func aHostThatDoesNotExistIsNotResolved() async throws {
        try await withClient(port: 25, { $0.host = "no-such-host.invalid" }) { client in
            #expect(await client.send(to: "b@x.test").first?.notSent?.code == .resolve)
        }
    }

    @Test func moreThanMayWaitAreToldSo() async throws {
        try await withSimulator({ $0.faults = [.init(.stall, at: .greeting)] }) { simulator in
            try await withClient(
                port: simulator.port,
                {
                    $0.waitingMax = 3
                    $0.commandTimeoutMilliseconds = 1_000
                }
            ) { client in
                let codes = await withTaskGroup(of: SMTPFailure.Code?.self) { group in
                    for _ in 0..<8 { group.addTask { await client.send(to: "b@x.test").first?.notSent?.code } }
                    return await group.reduce(into: [SMTPFailure.Code?]()) { $0.append($1) }
                }
                #expect(codes.filter { $0 == .busy }.count == 5)
                #expect(codes.filter { $0 == .timeout }.count == 3)
            }
        }
    }

    @Test func aMessageThatWaitsCanBeCancelledAndOneUnderWayIsFinished() async throws {
        try await withSimulator({ $0.faults = [.init(.delay(milliseconds: 300), at: .dot)] }) { simulator in
            try await withClient(port: simulator.port, { $0.connectionsMax = 1 }) { client in
                let sending = Task { await client.send(to: "b@x.test") }
                try await eventually { simulator.counts.delays == 1 }
                let waiting = Task { await client.send(to: "c@x.test") }
                waiting.cancel()
                #expect(await waiting.value.first?.notSent?.code == .cancelled)
                sending.cancel()
                #expect(await sending.value.first?.isAccepted == true)
                #expect(simulator.received.map(\.recipients) == [["b@x.test"]])
            }
        }
    }

    @Test func whatIsNotWantedAnyMoreWhenAConnectionIsReadyIsNotSent() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port, { $0.connectionsMax = 1 }) { client in
                let isWanted = Protected(true)
                func send(_ number: Int) async -> SMTPResult? {
                    await client.send(
                        SMTPEnvelope(sender: "a@x.test", recipients: ["r\(number)@x.test"]),
                        message: ByteBuffer(string: "Subject: x\r\n\r\nx\r\n")
                    ) { number == 0 || isWanted.withLock { $0 } }.first
                }
                func isWithdrawn(_ result: SMTPResult?) -> Bool {
                    if case .notSent(let failure)? = result { return failure.code == .withdrawn }
                    return false
                }
                // All of them wait until the first connection is up; only one is wanted by then.
                isWanted.withLock { $0 = false }
                let withdrawn = await withTaskGroup(of: Bool.self) { group in
                    for number in 0..<20 { group.addTask { isWithdrawn(await send(number)) } }
                    return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(withdrawn == 19)
                // One that finds an idle connection is asked, too; and the connection is as good as before.
                #expect(isWithdrawn(await send(20)))
                isWanted.withLock { $0 = true }
                #expect(await send(21)?.isAccepted == true)
                #expect(simulator.received.count == 2)
                #expect(simulator.received.map(\.connection) == [1, 1])
            }
        }
    }

    @Test func shutDownFinishesWhatIsUnderWay() async throws {
        try await withSimulator({ $0.faults = [.init(.delay(milliseconds: 200), at: .dot)] }) { simulator in
            try await withClient(port: simulator.port, { $0.connectionsMax = 1 }) { client in
                let sending = Task { await client.send(to: "b@x.test") }
                try await eventually { simulator.counts.delays == 1 }
                let waiting = Task { await client.send(to: "c@x.test") }
                await client.shutdown()
                #expect(await sending.value.first?.isAccepted == true)
                #expect(await waiting.value.first?.notSent?.code == .shutDown)
                #expect(await client.send(to: "d@x.test").first?.notSent?.code == .shutDown)
            }
        }
    }

    @Test func aCancelledShutDownLeavesWhatIsUnderWayUnknown() async throws {
        try await withSimulator({ $0.faults = [.init(.stall, at: .dot)] }) { simulator in
            try await withClient(port: simulator.port) { client in
                let sending = Task { await client.send(to: "b@x.test") }
                try await eventually { simulator.counts.stalls == 1 }
                let stopping = Task { await client.shutdown() }
                stopping.cancel()
                await stopping.value
                #expect(await sending.value.first?.unknown?.code == .shutDown)
            }
        }
    }

    @Test func addressesThatCarryCommandsNeverReachTheServer() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port) { client in
                let evil = "x@x.test>\r\nRCPT TO:<victim@x.test"
                #expect(await client.send(to: evil).first?.notSent?.code == .invalidAddress)
                #expect(await client.send(from: "a@x.test>\nDATA", to: "b@x.test").first?.notSent?.stage == .mail)
                #expect(simulator.counts.connections == 0)

                let results = await client.send(to: evil, "b@x.test")
                #expect(results.map(\.isAccepted) == [false, true])
                #expect(simulator.received.map(\.recipients) == [["b@x.test"]])
            }
        }
    }

    @Test func aMessageCannotEndItselfAndBeginAnother() async throws {
        let ends = ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r\n.\r\n", "\n\r.\n", "\r\r\n.\r\r\n"]
        try await withSimulator { simulator in
            try await withClient(port: simulator.port) { client in
                for end in ends {
                    let text = "Subject: x\r\n\r\nfirst\(end)MAIL FROM:<evil@x.test>\r\nRCPT TO:<v@x.test>\r\nDATA\r\n"
                    #expect(await client.send(to: "b@x.test", text: text).first?.isAccepted == true)
                }
                #expect(simulator.counts.mails == ends.count && simulator.counts.mistakes == 0)
                #expect(simulator.received.allSatisfy { $0.sender == "a@sender.test" })
            }
        }
    }

    @Test func nonASCIIAddressesNeedAServerThatKnowsThem() async throws {
        try await withSimulator { simulator in
            try await withClient(port: simulator.port) { client in
                #expect(await client.send(to: "żółw@x.test").first?.isAccepted == true)
                #expect(simulator.received.first?.parameters.contains("SMTPUTF8") == true)
            }
        }
        try await withSimulator({ $0.features = [.pipelining] }) { simulator in
            try await withClient(port: simulator.port) { client in
                let results = await client.send(to: "żółw@x.test", "b@x.test")
                #expect(results.first?.notSent?.code == .invalidAddress)
                #expect(results.last?.isAccepted == true)
            }
        }
    }

    @Test func aServerThatSpeaksSomethingElseIsAProtocolError() async throws {
        for script in [["HTTP/1.1 400 Bad Request\r\n"], [String(repeating: "2", count: 100_000)]] {
            let server = try await ScriptedServer(script)
            try await withClient(port: server.port) { client in
                let failure = await client.send(to: "b@x.test").first?.notSent
                #expect(failure?.code == .protocolError && failure?.stage == .greeting)
            }
            try await server.stop()
        }
    }

    @Test func garbageAfterTheDotIsUnknown() async throws {
        let server = try await ScriptedServer(
            ["220 x\r\n", ehloReply(["PIPELINING"]), "250 a\r\n250 b\r\n354 c\r\n", "queued, thanks\r\n"])
        try await withClient(port: server.port) { client in
            #expect(await client.send(to: "b@x.test").first?.unknown?.code == .protocolError)
        }
        try await server.stop()
    }
}
