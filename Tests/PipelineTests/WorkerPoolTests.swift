// The worker's life as a service: leasing, draining, and the end of the grace period.
import DeliveryModel
import Logging
import Pipeline
import ServiceLifecycle
import Testing

@Suite("A worker that is told to end", .timeLimit(.minutes(2)))
struct WorkerPoolTests {
    private let clock = VirtualClock(isAutomatic: false)

    /// Runs a worker, lets `body` use it, and waits until it has drained.
    private func withWorker(
        _ fleet: TestFleet, concurrency: Int, grace: Milliseconds = .seconds(30),
        _ body: (ServiceGroup) async throws -> Void
    ) async throws {
        let worker = WorkerPool(
            queue: fleet.queue, pipeline: fleet.pipeline, clock: self.clock, concurrency: concurrency, grace: grace,
            logger: TestFleet.silent)
        let group = ServiceGroup(configuration: .init(services: [.init(service: worker)], logger: TestFleet.silent))
        async let run: Void = group.run()
        try await body(group)
        try await run
    }

    @Test func finishesWhatIsInFlight() async throws {
        let latch = Latch()
        let email = ScriptedProvider(.email, clock: self.clock, onSend: { _ in await latch.wait() })
        let fleet = TestFleet([email], clock: self.clock, waits: true)
        for number in 0..<3 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }

        try await self.withWorker(fleet, concurrency: 10) { group in
            try await eventually("all are on the wire") { email.inFlight == 3 }
            await group.triggerGracefulShutdown()
            try await eventually("the grace period runs") { !self.clock.deadlines.isEmpty }
            latch.open()
        }

        for number in 0..<3 { #expect(fleet.end(of: "d-\(number)") == "sent accepted") }
        #expect(fleet.holds.count == 0)
        #expect(email.sent.count == 3)
        #expect(fleet.queue.entries.isEmpty)
    }

    @Test func leasesNothingNewWhenAPlaceBecomesFree() async throws {
        let latch = Latch()
        let email = ScriptedProvider(.email, clock: self.clock, onSend: { _ in await latch.wait() })
        let fleet = TestFleet([email], clock: self.clock)
        for number in 0..<4 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }

        try await self.withWorker(fleet, concurrency: 2) { group in
            try await eventually("both places are taken") { email.inFlight == 2 }
            await group.triggerGracefulShutdown()
            try await eventually("the grace period runs") { !self.clock.deadlines.isEmpty }
            latch.open()
        }

        do {
            #expect(fleet.queue.leasedCount == 2)
            #expect(email.sent.count == 2)
        }
        for number in 0..<2 { #expect(fleet.end(of: "d-\(number)") == "sent accepted") }
    }

    @Test func handsBackWhatStillWaitsForAPlaceWhenTheGraceIsOver() async throws {
        let latch = Latch()
        let email = ScriptedProvider(.email, clock: self.clock, concurrency: 1, onSend: { _ in await latch.wait() })
        let fleet = TestFleet([email], clock: self.clock, waits: true)
        for number in 0..<2 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }

        try await self.withWorker(fleet, concurrency: 10) { group in
            try await eventually("one is on the wire, one waits") {
                email.inFlight == 1 && fleet.holds.count == 2
            }
            await group.triggerGracefulShutdown()
            try await eventually("the grace period runs") { !self.clock.deadlines.isEmpty }
            self.clock.advance(by: .seconds(31))
            try await eventually("the waiting one is handed back") { fleet.holds.count == 1 }
            latch.open()
        }
        try await eventually("the one on the wire is finished") { fleet.holds.count == 0 }

        #expect(email.sent.count == 1)
        let sent = try #require(email.keys.first?.split(separator: "/").first.map(String.init))
        let other = sent == "d-0" ? "d-1" : "d-0"
        #expect(fleet.end(of: sent) == "sent accepted")
        #expect(fleet.end(of: other) == nil)
        #expect(fleet.queue.entries.count == 1)
    }

    @Test func neverRunsMoreThanItsPlaces() async throws {
        let email = ScriptedProvider(.email, clock: self.clock, concurrency: 100, onSend: { _ in await Task.yield() })
        let fleet = TestFleet([email], clock: self.clock, waits: true)
        for number in 0..<60 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }

        try await self.withWorker(fleet, concurrency: 7) { group in
            try await eventually("all have ended") {
                fleet.ledger.records.values.count { $0.end != nil } == 60
            }
            await group.triggerGracefulShutdown()
        }

        #expect(email.mostInFlight <= 7)
        #expect(email.sent.count == 60)
        #expect(Set(email.keys).count == 60)
    }

    @Test func readsAheadOnlyWhileAllPlacesAreTaken() async throws {
        let latch = Latch()
        let email = ScriptedProvider(.email, clock: self.clock, onSend: { _ in await latch.wait() })
        let fleet = TestFleet([email], clock: self.clock, waits: true)
        let ahead = ReadAhead(
            queue: fleet.queue, holds: fleet.holds, concurrency: 3, clock: self.clock, logger: TestFleet.silent)
        let group = ServiceGroup(configuration: .init(services: [.init(service: ahead)], logger: TestFleet.silent))
        async let run: Void = group.run()

        for number in 0..<4 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }
        try await eventually("it has looked") { !self.clock.deadlines.isEmpty }
        #expect(fleet.queue.readyCount == 0)

        let leases = try await fleet.queue.lease(upTo: 3)
        async let deliveries: Void = withTaskGroup(of: Void.self) { group in
            for lease in leases { group.addTask { await fleet.pipeline.run(lease) } }
        }
        try await eventually("all places are taken") { email.inFlight == 3 }
        self.clock.advance(by: Milliseconds(20))
        try await eventually("the fourth waits for its turn") { fleet.queue.readyCount == 1 }
        latch.open()
        await deliveries
        #expect(try await fleet.runOne())
        #expect(fleet.end(of: "d-3") == "sent accepted")
        await group.triggerGracefulShutdown()
        try await run
    }

    @Test func sendsASmallCampaignAmongALargeOneThatWasThereBefore() async throws {
        let email = ScriptedProvider(.email, clock: self.clock, concurrency: 100)
        let fleet = TestFleet([email], clock: self.clock, waits: true)
        for number in 0..<40 { fleet.append(decision("l-\(number)", user: "u-\(number)")) }
        for number in 0..<5 {
            fleet.append(decision("s-\(number)", user: "v-\(number)").with(campaign: "small"))
        }
        #expect(try await fleet.queue.readAhead(isBusy: true) == 45)

        try await self.withWorker(fleet, concurrency: 1) { group in
            try await eventually("all have ended") { fleet.ledger.records.values.count { $0.end != nil } == 45 }
            await group.triggerGracefulShutdown()
        }
        #expect(email.keys.prefix(10).count { $0.hasPrefix("s-") } == 5)
    }
}
