import Foundation
import LocalServers
import NIOPosix
import Simulators
import Testing
import ThreadBridge

@testable import SMPPTransport

/// The client against a centre that goes wrong.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ClientTests {
    @Test func everyMessageIsTakenOnceAndItsReceiptComes() async throws {
        try await withCentre(change: { $0.window = 50 }) { centre, client, inbox in
            let results = await sendAll(client, (0..<1000).map { message(to: "4860010\($0 + 1000)") })
            #expect(results.allSatisfy { $0.isAccepted })
            #expect(centre.submitCounts.accepted == 1000)
            try await eventually { inbox.receipts.count == 1000 }
            let ids = results.compactMap { if case .accepted(let id) = $0 { id } else { nil } }
            #expect(Set(inbox.receipts.map(\.messageID)) == Set(ids) && Set(ids).count == 1000)
            #expect(client.counts.binds == 1)
        }
    }

    @Test func twoConnectionsAndASeparateReceiverWork() async throws {
        try await withCentre(change: {
            $0.bind = .separate
            $0.connections = 2
        }) { centre, client, inbox in
            client.start()
            try await eventually { client.boundCount == 3 }
            let results = await sendAll(client, (0..<200).map { _ in message() })
            #expect(results.allSatisfy { $0.isAccepted })
            try await eventually { inbox.receipts.count == 200 }
            #expect(Set(centre.messages(limit: 200).map(\.connection)).count == 2)
        }
    }

    @Test func whatTheCentreRefusesIsSaidAsItIs() async throws {
        try await withCentre { _, client, _ in
            #expect(await client.submit(message(to: "48600100000")) == .refused(.invalidDestination))
            #expect(await client.submit(message(to: "48600100008")) == .refused(.systemError))
            #expect(await client.submit(message(to: "48600100020")) == .refused(.queueFull))
            #expect(await client.submit(message(to: "48600100020")).isAccepted)
        }
    }

    @Test func aCentreThatSaysItIsTooMuchIsGivenTime() async throws {
        var settings = SMPPSimulatorSettings()
        settings.faults.perSecond = 100
        try await withCentre(settings, change: { $0.window = 10 }) { centre, client, _ in
            // Each sender goes on until its message is taken.
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<150 {
                    group.addTask { while await !client.submit(message()).isAccepted {} }
                }
            }
            let counts = centre.submitCounts
            #expect(counts.accepted == 150)
            // Without pauses it would be thousands.
            #expect(counts.throttled < 150, "\(counts.throttled) were throttled")
        }
    }

    @Test func aLineThatIsCutMakesUnknownAndNothingIsSentTwice() async throws {
        var settings = SMPPSimulatorSettings()
        settings.faults.cut = 0.01
        settings.faults.seed = 5
        try await withCentre(settings, change: { $0.window = 20 }) { centre, client, inbox in
            let all = (0..<600).map { message(to: "4860010\($0 + 1000)") }
            var results: [SMPPResult] = []
            for batch in stride(from: 0, to: 600, by: 30) {
                results += await sendAll(client, Array(all[batch..<batch + 30]))
            }
            let taken = Set(centre.messages(limit: 2000).map(\.message.destination.text))
            #expect(taken.count == centre.submitCounts.accepted, "one was sent twice")
            #expect(centre.submitCounts.cut > 0)
            for (message, result) in zip(all, results) {
                switch result {
                case .accepted: #expect(taken.contains(message.destination.text))
                case .notSent: #expect(!taken.contains(message.destination.text))
                case .unknown: break
                case .refused(let status): Issue.record("\(status)")
                }
            }
            #expect(results.contains { $0.isUnknown } && results.count { $0.isAccepted } > 200)
            centre.setFaults(SMPPSimulatorFaults())
            // Receipts of all that were taken come, over whatever line there is then.
            try await eventually { Set(inbox.receipts.map(\.messageID)).count == taken.count }
        }
    }

    @Test func aCentreThatComesBackIsBoundToAgain() async throws {
        try await withCentre { centre, client, inbox in
            #expect(await client.submit(message()).isAccepted)
            await centre.cutConnections()
            try await eventually { client.counts.binds == 2 && client.boundCount == 1 }
            #expect(await client.submit(message()).isAccepted)
            try await eventually { inbox.receipts.count >= 2 }
        }
    }

    @Test func aReceiptThatIsNotOnRecordIsBroughtAgain() async throws {
        let centre = SMPPSimulator()
        try await centre.start()
        let refusals = Protected(0)
        let client = SMPPClient(
            settings: SMPPSettings(
                host: "127.0.0.1", port: centre.port, usesTLS: false, systemID: "martlet", password: "secret"),
            group: MultiThreadedEventLoopGroup.singleton, logger: silent
        ) { _ in
            refusals.withLock { count in
                count += 1
                return count > 3
            }
        }
        #expect(await client.submit(message()).isAccepted)
        try await eventually { centre.submitCounts.receiptsTaken == 1 }
        #expect(refusals.withLock { $0 } == 4)
        await client.shutdown()
        await centre.stop()
    }

    @Test func theLastLookIsTakenWhenItsTurnComes() async throws {
        var settings = SMPPSimulatorSettings()
        settings.answerDelayMilliseconds = 200
        try await withCentre(settings, change: { $0.window = 1 }) { centre, client, _ in
            let isWanted = Protected(true)
            async let first = client.submit(message())
            try await eventually { centre.submitCounts.accepted == 1 }
            async let second = client.submit(message(), while: { isWanted.withLock { $0 } })
            isWanted.withLock { $0 = false }
            #expect(await first.isAccepted)
            guard case .notSent(let failure) = await second else { throw Surprise() }
            #expect(failure.code == .withdrawn)
            #expect(centre.submitCounts.accepted == 1)
        }
    }

    @Test func aCancelledTaskGivesBackWhatWaits() async throws {
        var settings = SMPPSimulatorSettings()
        settings.answerDelayMilliseconds = 300
        try await withCentre(settings, change: { $0.window = 1 }) { centre, client, _ in
            let first = Task { await client.submit(message()) }
            try await eventually { centre.submitCounts.accepted == 1 }
            let second = Task { await client.submit(message()) }
            second.cancel()
            first.cancel()
            guard case .notSent(let failure) = await second.value else { throw Surprise() }
            #expect(failure.code == .cancelled)
            // What is on the wire is waited for.
            #expect(await first.value.isAccepted)
        }
    }

    @Test func theEndWaitsForAnswersAndUnbinds() async throws {
        var settings = SMPPSimulatorSettings()
        settings.answerDelayMilliseconds = 200
        try await withCentre(settings, change: { $0.window = 5 }) { centre, client, _ in
            let sending = Task { await sendAll(client, (0..<5).map { _ in message() }) }
            try await eventually { centre.submitCounts.accepted == 5 }
            await client.shutdown()
            #expect(await sending.value.allSatisfy { $0.isAccepted })
            #expect(centre.submitCounts.unbinds == 1)
            guard case .notSent(let failure) = await client.submit(message()) else { throw Surprise() }
            #expect(failure.code == .shutDown)
        }
    }

    @Test func aWrongPasswordAndADeadPortAreSaidSo() async throws {
        try await withCentre(change: { $0.password = "wrong" }) { centre, client, _ in
            guard case .notSent(let failure) = await client.submit(message()) else { throw Surprise() }
            #expect(failure.code == .bind && failure.detail.contains("invpaswd"))
            #expect(centre.submitCounts.accepted == 0)
        }
        try await withCentre(change: { $0.port = 1 }) { _, client, _ in
            guard case .notSent(let failure) = await client.submit(message()) else { throw Surprise() }
            #expect(failure.code == .connect)
        }
    }

    @Test func tlsIsVerified() async throws {
        let folder = NSTemporaryDirectory() + "smpp-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let certificates = try SimulatedCertificates.prepare(in: folder)
        var settings = SMPPSimulatorSettings()
        settings.certificateFile = certificates.certificateFile
        settings.keyFile = certificates.keyFile
        try await withCentre(
            settings,
            change: {
                $0.usesTLS = true
                $0.trustFile = certificates.trustFile
            }
        ) { _, client, _ in #expect(await client.submit(message()).isAccepted) }
        try await withCentre(settings, change: { $0.usesTLS = true }) { centre, client, _ in
            guard case .notSent(let failure) = await client.submit(message()) else { throw Surprise() }
            #expect(failure.code == .tls)
            #expect(centre.submitCounts.binds == 0)
        }
    }
}

struct Surprise: Error {}
