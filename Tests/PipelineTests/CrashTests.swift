// Workers that die at every point of the line, ledgers that are away, and holders who have lost their lease.
import DeliveryModel
import Pipeline
import Testing

@Suite("A worker that dies", .timeLimit(.minutes(2)))
struct CrashTests {
    /// More points than any delivery passes.
    private static let points = 1...12

    @Test(arguments: points)
    func neverMakesAMarketingMessageGoOutTwice(_ point: Int) async throws {
        let clock = VirtualClock()
        let sms = ScriptedProvider(.sms, clock: clock)
        let fleet = TestFleet([sms], clock: clock)
        fleet.append(decision(plan: [Step(channel: .sms, template: "a")]))

        try await fleet.runOne(crash: Crash(at: point))
        try await fleet.runToTheEnd()

        let end = try #require(fleet.ledger.record("d-1")?.end)
        #expect(sms.sent.count <= 1)
        #expect(end.state == .sent || end.state == .unknown)
        if end.state == .sent { #expect(sms.sent.count == 1) }
        #expect(fleet.ledger.record("d-1")?.settlements.count == 1)
        #expect(fleet.queue.entries.isEmpty)
    }

    @Test(arguments: points)
    func neverLosesATransactionalEmail(_ point: Int) async throws {
        let clock = VirtualClock()
        let email = ScriptedProvider(.email, clock: clock)
        let fleet = TestFleet([email], clock: clock)
        fleet.append(decision(class: .transactional))

        try await fleet.runOne(crash: Crash(at: point))
        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect((1...2).contains(email.sent.count))
        #expect(Set(email.keys) == ["d-1/0"])
        #expect(fleet.attempts("d-1").map(\.number) == Array(1...fleet.attempts("d-1").count))
    }

    @Test func betweenOpeningAndClosingLeavesAnAttemptThatIsClosedAsUnknown() async throws {
        let clock = VirtualClock()
        let sms = ScriptedProvider(.sms, clock: clock)
        let fleet = TestFleet([sms], clock: clock)
        fleet.append(decision(plan: [Step(channel: .sms, template: "a")]))

        // Points: accept and open in one, 1 and 2, send 3 and 4; the closing never arrives.
        try await fleet.runOne(crash: Crash(at: 5))
        #expect(fleet.ledger.record("d-1")?.delivery.openAttempt?.number == 1)
        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "unknown crash.attempt_open")
        #expect(fleet.attempts("d-1").map(\.outcome.verdict) == [.unknown])
        #expect(sms.sent.count == 1)
    }

    @Test func afterItsLeaseWasTakenOverSendsNothing() async throws {
        let clock = VirtualClock()
        let sms = ScriptedProvider(.sms, clock: clock)
        let fleet = TestFleet([sms], clock: clock)
        fleet.ledger.onOpen { ledger, opening in
            if opening.epoch == 1 { ledger.takeAway(opening.id) }
        }
        fleet.append(
            decision(plan: [Step(channel: .sms, template: "a")], notBefore: VirtualClock.start + .seconds(60)))

        try await fleet.runOne()
        clock.advance(by: .seconds(60))
        try await fleet.runOne()

        #expect(sms.sent.isEmpty)
        #expect(fleet.ledger.record("d-1")?.settlements.isEmpty == true)
        #expect(fleet.queue.entries.isEmpty)
    }

    @Test func whoseAnswerComesAfterTheTakeOverChangesNothingButIsNoted() async throws {
        let clock = VirtualClock()
        let latch = Latch()
        let sms = ScriptedProvider(.sms, clock: clock, onSend: { _ in await latch.wait() })
        let fleet = TestFleet([sms], clock: clock)
        fleet.append(decision(plan: [Step(channel: .sms, template: "a")]))

        async let slow = fleet.runOne()
        try await eventually("the message is on the wire") { sms.inFlight == 1 }
        fleet.ledger.takeAway("d-1")
        latch.open()
        _ = try await slow

        let record = try #require(fleet.ledger.record("d-1"))
        #expect(record.settlements.isEmpty)
        #expect(record.lateOutcomes.map(\.verdict) == [.accepted])
    }
}

@Suite("A decision that kills its workers", .timeLimit(.minutes(2)))
struct PoisonTests {
    private func fleet(_ email: ScriptedProvider, _ clock: VirtualClock, dyingAt points: [Int]) async throws
        -> TestFleet
    {
        let fleet = TestFleet([email], clock: clock)
        fleet.append(decision())
        for point in points {
            try await fleet.runOne(crash: Crash(at: point))
            clock.advance(by: .seconds(31))
            _ = try await fleet.queue.reclaim(upTo: 10)
        }
        return fleet
    }

    /// Points: the first time nothing is recorded before composing; then accepting is 1 and 2, claiming 3 and 4.
    @Test func whileItIsComposedIsSetAsideAfterThreeOfThem() async throws {
        let clock = VirtualClock()
        let email = ScriptedProvider(.email, clock: clock)
        let fleet = try await self.fleet(email, clock, dyingAt: [1, 3, 5])
        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "failed poison.leases")
        #expect(fleet.ledger.deadLetters == ["d-1"])
        #expect(email.sent.isEmpty)
        #expect(fleet.queue.entries.isEmpty && fleet.queue.rejects.isEmpty)
    }

    @Test func isCarriedOutWhenTheThirdSurvives() async throws {
        let clock = VirtualClock()
        let email = ScriptedProvider(.email, clock: clock)
        let fleet = try await self.fleet(email, clock, dyingAt: [1, 3])
        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(email.sent.count == 1)
    }

    /// Two that came back from a dead worker, waiting at their provider: how many are there at once?
    @Test(arguments: [(1, 2), (2, 1)])
    func goesBesideOthersButForItsLastChance(_ lapses: Int, _ together: Int) async throws {
        let clock = VirtualClock()
        let latch = Latch()
        let email = ScriptedProvider(.email, clock: clock, onSend: { _ in await latch.wait() })
        let fleet = TestFleet([email], clock: clock)
        for number in 0..<2 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }
        for _ in 0..<lapses {
            for _ in 0..<2 { try await fleet.runOne(crash: Crash(at: 1)) }
            clock.advance(by: .seconds(31))
            _ = try await fleet.queue.reclaim(upTo: 10)
        }
        let leases = try await fleet.queue.lease(upTo: 2)
        #expect(leases.count == 2)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lease in leases { group.addTask { await fleet.pipeline.run(lease) } }
            try await eventually("they are as far as they get") { email.inFlight == together }
            latch.open()
            try await group.waitForAll()
        }
        #expect(email.mostInFlight == together)
        #expect(email.sent.count == 2)
    }

    @Test func beforeItIsAcceptedIsRejected() async throws {
        let clock = VirtualClock()
        let email = ScriptedProvider(.email, clock: clock)
        let fleet = try await self.fleet(email, clock, dyingAt: [1, 1, 1, 1, 1])
        try await fleet.runToTheEnd()

        #expect(fleet.ledger.record("d-1") == nil)
        #expect(fleet.queue.rejects.map { $0.rejections.first?.code } == ["entry.poison"])
        #expect(fleet.queue.rejects.first?.original == decision().encoded())
    }

    @Test func isForgivenOnceItWasSurvived() async throws {
        let clock = VirtualClock()
        let email = ScriptedProvider(.email, clock: clock)
        email.script([.deferred, .deferred, .accepted])
        let fleet = try await self.fleet(email, clock, dyingAt: [1, 3])
        // Each retry loses another worker before it opens an attempt; between them one survived.
        for _ in 0..<2 {
            try await fleet.runOne()
            clock.advance(by: .seconds(3600))
            try await fleet.runOne(crash: Crash(at: 3))
            clock.advance(by: .seconds(31))
            _ = try await fleet.queue.reclaim(upTo: 10)
        }
        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
    }
}

@Suite("A ledger that is away", .timeLimit(.minutes(2)))
struct LedgerOutageTests {
    /// Due at once it is accepted and opened in one call; due later in two.
    @Test(arguments: [MemoryLedger.Operation.accept, .open, .close], [0, 60])
    func costsNoAttemptAndDoublesNone(_ operation: MemoryLedger.Operation, _ wait: Int64) async throws {
        let clock = VirtualClock()
        let sms = ScriptedProvider(.sms, clock: clock)
        let fleet = TestFleet([sms], clock: clock)
        fleet.ledger.fail(operation, [.away, .away, .answerLost, .away])
        fleet.append(
            decision(
                plan: [Step(channel: .sms, template: "a")],
                notBefore: wait > 0 ? VirtualClock.start + .seconds(wait) : nil))

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(sms.sent.count == 1)
        #expect(fleet.attempts("d-1").map(\.number) == [1])
        #expect(fleet.queue.rejects.isEmpty)
    }

    @Test func duringAClaimIsWaitedFor() async throws {
        let clock = VirtualClock()
        let sms = ScriptedProvider(.sms, clock: clock)
        let fleet = TestFleet([sms], clock: clock)
        fleet.ledger.fail(.claim, [.away, .answerLost])
        fleet.append(
            decision(plan: [Step(channel: .sms, template: "a")], notBefore: VirtualClock.start + .seconds(60)))

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(sms.sent.count == 1)
    }

    @Test(arguments: [MemoryLedger.Operation.accept, .open])
    func pastTheExpiryMakesNothingGoOut(_ operation: MemoryLedger.Operation) async throws {
        let clock = VirtualClock()
        let sms = ScriptedProvider(.sms, clock: clock)
        let fleet = TestFleet([sms], clock: clock)
        fleet.ledger.fail(operation, Array(repeating: .away, count: 50))
        fleet.append(
            decision(
                plan: [Step(channel: .sms, template: "a")],
                notBefore: operation == .open ? VirtualClock.start + .seconds(5) : nil,
                expiresAt: VirtualClock.start + .seconds(10)))

        try await fleet.runToTheEnd()

        #expect(sms.sent.isEmpty)
        #expect(fleet.end(of: "d-1") == "expired expired")
    }

    @Test func aQueueThatIsAwayIsToldLater() async throws {
        let clock = VirtualClock()
        let sms = ScriptedProvider(.sms, clock: clock)
        let fleet = TestFleet([sms], clock: clock)
        fleet.queue.fail(Array(repeating: .away, count: 5))
        fleet.append(decision(plan: [Step(channel: .sms, template: "a")]))

        try await fleet.runToTheEnd()

        #expect(sms.sent.count == 1)
        #expect(fleet.queue.settled == [.acknowledge])
        #expect(fleet.queue.entries.isEmpty)
    }
}

@Suite("An entry that one worker is given twice", .timeLimit(.minutes(2)))
struct DoubleLeaseTests {
    @Test func isCarriedOutOnceAndKeepsItsOutcome() async throws {
        let clock = VirtualClock()
        let latch = Latch()
        let sms = ScriptedProvider(.sms, clock: clock, onSend: { _ in await latch.wait() })
        let fleet = TestFleet([sms], clock: clock)
        fleet.append(decision(plan: [Step(channel: .sms, template: "a")]))
        let lease = try #require(try await fleet.queue.lease(upTo: 1).first)

        async let first: Void = fleet.pipeline.run(lease)
        try await eventually("the message is on the wire") { sms.inFlight == 1 }
        // What a worker takes over from itself: its own entry, silent for longer than a lease.
        await fleet.pipeline.run(lease)
        latch.open()
        await first

        do {
            #expect(fleet.end(of: "d-1") == "sent accepted")
        }
        #expect(sms.sent.count == 1)
    }
}

@Suite("A worker that is stopped for longer than its lease")
struct StoppedWorkerTests {
    @Test func isNotHeldForItAnyMore() async throws {
        let holds = HoldRegister(lease: Milliseconds(50))
        let lease = Lease(
            shard: 0, stream: "s", entry: "1-0", content: .delivery(id: "d"), origin: nil,
            appendedAt: VirtualClock.start)
        #expect(holds.add(lease))
        #expect(!holds.isHeld(lease), "the ledger has not given it yet")
        let hold = Hold(id: "d", epoch: 1)
        holds.hold(hold, of: lease, since: .now)
        #expect(holds.isHeld(lease))
        holds.hold(hold, of: lease, since: .now - .seconds(1))
        #expect(!holds.isHeld(lease))
        holds.prolonged([Hold(id: "d", epoch: 2)], since: .now)
        #expect(!holds.isHeld(lease), "another one's")
        holds.prolonged([hold], since: .now + .seconds(60))
        #expect(holds.isHeld(lease))
        holds.remove(lease)
        #expect(!holds.isHeld(lease))
    }

    /// Its lease is over before anything else happens.
    @Test func sendsNothing() async throws {
        let clock = VirtualClock()
        let provider = ScriptedProvider(.email, clock: clock)
        provider.script([.accepted])
        let fleet = TestFleet([provider], clock: clock, lease: Milliseconds(0))
        fleet.append(decision("d"))
        try await fleet.runOne()
        #expect(provider.sent.isEmpty)
        #expect(fleet.attempts("d").map(\.outcome) == [.withdrawn])
    }
}
