// What becomes of decisions that meet answers of every kind, over a virtual clock.
import DeliveryModel
import Pipeline
import Testing
import ThreadBridge

@Suite("One delivery", .timeLimit(.minutes(2)))
struct DeliveryTests {
    let clock = VirtualClock()

    @Test func isSentAtTheFirstAttemptAndLeavesTheStream() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        fleet.append(decision())

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(email.keys == ["d-1/0"])
        #expect(fleet.attempts("d-1").map(\.number) == [1])
        #expect(fleet.queue.entries.isEmpty)
        #expect(fleet.holds.count == 0)
        let plan = fleet.ledger.record("d-1")?.settlements.first?.plan
        #expect(plan?.propensity == 1)
        #expect(plan?.arm == nil)
    }

    @Test func endsWhenANewerOneTookItsPlaceBeforeItWasSent() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        let old = decision("old", notBefore: VirtualClock.start + .seconds(600)).with(supersedes: "cart:u-1")
        let new = decision("new").with(supersedes: "cart:u-1")
        fleet.append(old)
        self.clock.advance(by: .seconds(1))
        fleet.append(new)

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "old") == "superseded superseded")
        #expect(fleet.end(of: "new") == "sent accepted")
        #expect(email.keys == ["new/0"])
    }

    @Test func isSupersededEvenWhenItIsReadAfterTheNewerOne() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        let old = decision("old", user: "u-1").with(supersedes: "cart:u-1")
        let new = decision("new", user: "u-2").with(supersedes: "cart:u-1")
        fleet.append(old)
        let lease = try #require(try await fleet.queue.lease(upTo: 1).first)
        self.clock.advance(by: .seconds(1))
        fleet.append(new)
        try await fleet.runOne()
        await fleet.pipeline.run(lease)

        #expect(fleet.end(of: "new") == "sent accepted")
        #expect(fleet.end(of: "old") == "superseded superseded")
        #expect(email.keys == ["new/0"])
    }

    @Test func waitsBetweenDeferredAttemptsNoLongerThanTheDoublingCeiling() async throws {
        let email = ScriptedProvider(.email, clock: self.clock, script: [.deferred, .deferred, .deferred])
        let retry = RetryPolicy(base: .seconds(30), longest: .seconds(3600), attemptsMax: 5)
        let fleet = TestFleet([email], clock: self.clock, retry: retry)
        fleet.append(decision())

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        let times = email.sent.map(\.at)
        try #require(times.count == 4)
        for (index, ceiling) in [30, 60, 120].enumerated() {
            let wait = times[index + 1] - times[index]
            #expect(wait >= Milliseconds(0) && wait <= .seconds(Int64(ceiling)), "wait \(index) was \(wait.count) ms")
        }
        #expect(fleet.attempts("d-1").map(\.number) == [1, 2, 3, 4])
        #expect(Set(email.keys) == ["d-1/0"])
    }

    @Test func waitsAtLeastAsLongAsTheProviderAsks() async throws {
        let asks = Outcome(.deferred, reason: "http.429", retryAfter: .seconds(900))
        let email = ScriptedProvider(.email, clock: self.clock, script: [asks])
        let fleet = TestFleet([email], clock: self.clock)
        fleet.append(decision())

        try await fleet.runToTheEnd()

        let times = email.sent.map(\.at)
        try #require(times.count == 2)
        let wait = times[1] - times[0]
        #expect(wait >= .seconds(900) && wait <= .seconds(930))
    }

    @Test func failsWhenTheAttemptsAreExhausted() async throws {
        let email = ScriptedProvider(.email, clock: self.clock, script: Array(repeating: .deferred, count: 9))
        let fleet = TestFleet([email], clock: self.clock, retry: RetryPolicy(base: .seconds(1), attemptsMax: 3))
        fleet.append(decision())

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "failed http.503")
        #expect(email.sent.count == 3)
    }

    @Test func failsAtOnceWhenItIsRejected() async throws {
        let email = ScriptedProvider(.email, clock: self.clock, script: [.rejected])
        let fleet = TestFleet([email], clock: self.clock)
        fleet.append(decision())

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "failed smtp.5.1.1")
        #expect(email.sent.count == 1)
    }

    @Test func expiresInsteadOfRetryingTooLate() async throws {
        let asks = Outcome(.deferred, reason: "http.429", retryAfter: .seconds(900))
        let email = ScriptedProvider(.email, clock: self.clock, script: [asks])
        let fleet = TestFleet([email], clock: self.clock)
        fleet.append(decision(expiresAt: VirtualClock.start + .seconds(600)))

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "expired expired.before_retry")
        #expect(email.sent.count == 1)
    }

    @Test func isNotSentWhenItHasExpiredBeforeItsTurn() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        fleet.append(decision(expiresAt: VirtualClock.start + .seconds(60)))
        self.clock.advance(by: .seconds(60))

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "expired expired")
        #expect(email.sent.isEmpty)
    }

    @Test func isNotSentWhenItExpiresWhileWaitingForAPlace() async throws {
        let gate = Latch()
        let email = ScriptedProvider(
            .email, clock: self.clock, concurrency: 1,
            onSend: { request in
                if request.decision.id == "first" { await gate.wait() }
            })
        let fleet = TestFleet([email], clock: self.clock)
        fleet.append(decision("first", user: "u-1"))
        fleet.append(decision("second", user: "u-2", expiresAt: VirtualClock.start + .seconds(60)))

        async let first = fleet.runOne()
        try await eventually("the first is on the wire") { email.inFlight == 1 }
        async let second = fleet.runOne()
        try await eventually("the second is held") { fleet.holds.ids().contains("second") }
        self.clock.advance(by: .seconds(61))
        gate.open()
        _ = try await (first, second)

        #expect(fleet.end(of: "first") == "sent accepted")
        #expect(fleet.end(of: "second") == "expired expired")
        #expect(email.keys == ["first/0"])
    }

    @Test(arguments: [
        (CompositionRefusal.Code.addressMissing, "failed address.missing"),
        (.addressInvalid, "failed address.invalid"),
        (.templateUnknown, "refused template.unknown"),
        (.variableMissing, "refused template.variable_missing"),
        (.messageTooLarge, "refused message.too_large"),
    ])
    func endsWithAReasonWhenItCannotBeComposed(_ code: CompositionRefusal.Code, _ end: String) async throws {
        let email = ScriptedProvider(.email, clock: self.clock, refuse: { _ in CompositionRefusal(code, "mend this") })
        let fleet = TestFleet([email], clock: self.clock)
        fleet.append(decision())

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == end)
        #expect(fleet.ledger.record("d-1")?.details == ["mend this"])
        #expect(email.sent.isEmpty)
        #expect(fleet.attempts("d-1").isEmpty)
    }

    @Test func failsOnAChannelWithoutProvider() async throws {
        let fleet = TestFleet([], clock: self.clock)
        fleet.append(decision())

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "failed provider.none")
    }

    @Test func isSuppressedWhenTheLedgerKnowsTheAddress() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        fleet.ledger.suppress(Array("ada@example.com".utf8), reason: "smtp.5.1.1")
        fleet.append(decision())

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "suppressed suppressed.smtp.5.1.1")
        #expect(email.sent.isEmpty)
    }

    @Test func restsUntilItsTime() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        let time = VirtualClock.start + .seconds(7200)
        fleet.append(decision(notBefore: time))

        try await fleet.runOne()
        #expect(fleet.queue.schedule["d-1"]?.dueAt == time)
        #expect(fleet.queue.entries.isEmpty)
        try await fleet.runToTheEnd()

        #expect(email.sent.map(\.at) == [time])
    }
}

@Suite("What is set aside for a person", .timeLimit(.minutes(2)))
struct DeadLetterTests {
    let clock = VirtualClock()
    private let policy = RetryPolicy(base: .seconds(1), attemptsMax: 2)

    /// Runs one decision to its end.
    private func fleet(_ outcomes: [Outcome], _ subject: Decision = decision()) async throws -> TestFleet {
        let fleet = TestFleet(
            [ScriptedProvider(.email, clock: self.clock, script: outcomes)], clock: self.clock, retry: self.policy)
        fleet.append(subject)
        try await fleet.runToTheEnd()
        return fleet
    }

    @Test func isWhatNoAttemptIsLeftFor() async throws {
        let fleet = try await self.fleet([.deferred, .deferred])
        #expect(fleet.end(of: "d-1") == "failed http.503")
        #expect(fleet.ledger.deadLetters == ["d-1"])
    }

    @Test func isWhatNoProviderCarries() async throws {
        let fleet = try await self.fleet([], decision(plan: [Step(channel: .push, template: "a")]))
        #expect(fleet.end(of: "d-1") == "failed provider.none")
        #expect(fleet.ledger.deadLetters == ["d-1"])
        #expect(fleet.ledger.record("d-1")?.settlements.first?.channel == .push)
    }

    @Test(
        arguments: [
            ([.rejected], "failed smtp.5.1.1"), ([.deferred, .rejected], "failed smtp.5.1.1"),
            ([.lost], "unknown line.lost"),
            ([.accepted], "sent accepted"),
        ] as [([Outcome], String)])
    func isNothingThatEndedOtherwise(_ outcomes: [Outcome], _ end: String) async throws {
        let fleet = try await self.fleet(outcomes)
        #expect(fleet.end(of: "d-1") == end)
        #expect(fleet.ledger.deadLetters.isEmpty)
    }

    @Test func isNothingOfWhichAStepWasSent() async throws {
        let plan = [
            Step(channel: .email, template: "a", until: .click, within: .seconds(60)),
            Step(channel: .email, template: "b"),
        ]
        let fleet = try await self.fleet([.accepted, .deferred, .deferred], decision(plan: plan))
        #expect(fleet.end(of: "d-1") == "sent http.503")
        #expect(fleet.ledger.deadLetters.isEmpty)
    }

    @Test func isNotAStepBehindWhichAnotherOneRuns() async throws {
        let plan = [
            Step(channel: .push, template: "a", until: .click, within: .seconds(60)),
            Step(channel: .email, template: "b"),
        ]
        let fleet = try await self.fleet([.accepted], decision(plan: plan))
        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(fleet.ledger.deadLetters.isEmpty)
    }
}

@Suite("A plan of several steps", .timeLimit(.minutes(2)))
struct PlanTests {
    let clock = VirtualClock()
    let waiting = [
        Step(channel: .email, template: "a", until: .click, within: .seconds(3600)), Step(channel: .sms, template: "b"),
    ]

    @Test func goesToTheNextStepAtOnceWhenOneIsRejected() async throws {
        let email = ScriptedProvider(.email, clock: self.clock, script: [.rejected])
        let sms = ScriptedProvider(.sms, clock: self.clock)
        let fleet = TestFleet([email, sms], clock: self.clock)
        fleet.append(decision(plan: self.waiting))

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(sms.keys == ["d-1/1"])
        #expect(sms.sent.map(\.at) == email.sent.map(\.at))
        #expect(fleet.attempts("d-1").map(\.number) == [1, 2])
    }

    @Test func sendsTheSecondStepOnceTheGoalWasNotReachedInTime() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let sms = ScriptedProvider(.sms, clock: self.clock)
        let fleet = TestFleet([email, sms], clock: self.clock)
        fleet.append(decision(plan: self.waiting))

        try await fleet.runToTheEnd()

        #expect(email.sent.map(\.at) == [VirtualClock.start])
        #expect(sms.sent.map(\.at) == [VirtualClock.start + .seconds(3600)])
        #expect(fleet.end(of: "d-1") == "sent accepted")
    }

    @Test func endsWithoutTheSecondStepWhenTheGoalWasReached() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let sms = ScriptedProvider(.sms, clock: self.clock)
        let fleet = TestFleet([email, sms], clock: self.clock)
        fleet.append(decision(plan: self.waiting))

        try await fleet.runOne()
        fleet.ledger.reach(.click, of: "d-1")
        try await fleet.runToTheEnd()

        #expect(sms.sent.isEmpty)
        #expect(fleet.end(of: "d-1") == "sent goal.reached")
    }

    @Test func endsAtOnceWhenItsGoalIsReachedWhileItRests() async throws {
        let sms = ScriptedProvider(.sms, clock: self.clock)
        let fleet = TestFleet([ScriptedProvider(.email, clock: self.clock), sms], clock: self.clock)
        fleet.append(decision(plan: self.waiting))

        try await fleet.runOne()
        #expect(fleet.ledger.reach(.open, of: "d-1", key: "1") == .noted(decision: "d-1", ends: false))
        #expect(fleet.ledger.reach(.click, of: "d-1", key: "2") == .noted(decision: "d-1", ends: true))
        #expect(fleet.end(of: "d-1") == "sent goal.reached")
        #expect(fleet.ledger.reach(.click, of: "d-1", key: "2") == .known(decision: "d-1"))
        try await fleet.runToTheEnd()

        #expect(sms.sent.isEmpty && fleet.queue.schedule.isEmpty && fleet.queue.entries.isEmpty)
        #expect(fleet.ledger.record("d-1")?.settlements.count == 1)
    }

    @Test func sendsNothingWhenItsGoalIsReachedJustBeforeTheNextAttemptIsOpened() async throws {
        let sms = ScriptedProvider(.sms, clock: self.clock)
        let fleet = TestFleet([ScriptedProvider(.email, clock: self.clock), sms], clock: self.clock)
        fleet.append(decision(plan: self.waiting))
        fleet.ledger.onOpen { ledger, opening in
            if opening.number == 2 { ledger.reach(.click, of: "d-1") }
        }

        try await fleet.runToTheEnd()

        #expect(sms.sent.isEmpty)
        #expect(fleet.end(of: "d-1") == "sent goal.reached")
        #expect(fleet.ledger.record("d-1")?.settlements.count == 1)
    }

    @Test func letsTheMessageOnTheWireGoAndSendsNoOtherAfterIt() async throws {
        let latch = Protected<TestFleet?>(nil)
        let sms = ScriptedProvider(.sms, clock: self.clock, script: [.deferred]) { _ in
            nil
        } onSend: { _ in
            latch.withLock { _ = $0?.ledger.reach(.click, of: "d-1") }
        }
        let fleet = TestFleet([ScriptedProvider(.email, clock: self.clock), sms], clock: self.clock)
        latch.withLock { $0 = fleet }
        fleet.append(decision(plan: self.waiting))

        try await fleet.runToTheEnd()

        #expect(sms.sent.count == 1)
        #expect(fleet.end(of: "d-1") == "sent goal.reached")
    }

    @Test func doesNotWaitForAGoalThatWasReachedWhileItsMessageWasOnTheWire() async throws {
        let latch = Protected<TestFleet?>(nil)
        let email = ScriptedProvider(.email, clock: self.clock) { _ in
            nil
        } onSend: { _ in
            latch.withLock { _ = $0?.ledger.reach(.click, of: "d-1") }
        }
        let sms = ScriptedProvider(.sms, clock: self.clock)
        let fleet = TestFleet([email, sms], clock: self.clock)
        latch.withLock { $0 = fleet }
        fleet.append(decision(plan: self.waiting))

        try await fleet.runOne()
        #expect(fleet.ledger.record("d-1")?.delivery.dueAt == self.clock.now())
        try await fleet.runToTheEnd()

        #expect(sms.sent.isEmpty)
        #expect(fleet.end(of: "d-1") == "sent goal.reached")
    }

    @Test func goesOnWhenAnotherGoalWasReached() async throws {
        let sms = ScriptedProvider(.sms, clock: self.clock)
        let fleet = TestFleet([ScriptedProvider(.email, clock: self.clock), sms], clock: self.clock)
        fleet.append(decision(plan: self.waiting))

        try await fleet.runOne()
        fleet.ledger.reach(.open, of: "d-1")
        try await fleet.runToTheEnd()

        #expect(sms.keys == ["d-1/1"])
    }

    @Test func endsAsSentWhenOnlyTheSecondStepFails() async throws {
        let sms = ScriptedProvider(.sms, clock: self.clock, script: [.rejected])
        let fleet = TestFleet([ScriptedProvider(.email, clock: self.clock), sms], clock: self.clock)
        fleet.append(decision(plan: self.waiting))

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent smtp.5.1.1")
    }

    @Test func countsAttemptsForEachStepAnew() async throws {
        let email = ScriptedProvider(.email, clock: self.clock, script: Array(repeating: .deferred, count: 9))
        let sms = ScriptedProvider(.sms, clock: self.clock, script: [.deferred])
        let fleet = TestFleet([email, sms], clock: self.clock, retry: RetryPolicy(base: .seconds(1), attemptsMax: 2))
        fleet.append(decision(plan: self.waiting))

        try await fleet.runToTheEnd()

        #expect(email.sent.count == 2)
        #expect(sms.sent.count == 2)
        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(fleet.attempts("d-1").map(\.number) == [1, 2, 3, 4])
    }

    @Test func carriesOutOneArmAndRecordsItsPropensity() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let sms = ScriptedProvider(.sms, clock: self.clock)
        let fleet = TestFleet([email, sms], clock: self.clock)
        let arms = [
            Arm(id: "email", plan: [Step(channel: .email, template: "a")]),
            Arm(id: "sms", plan: [Step(channel: .sms, template: "b")]),
        ]
        fleet.append(decision(choice: .arms(arms)))

        try await fleet.runToTheEnd()

        let plan = try #require(fleet.ledger.record("d-1")?.settlements.first?.plan)
        #expect(plan.propensity == 0.5)
        #expect(email.sent.count == (plan.arm == "email" ? 1 : 0))
        #expect(sms.sent.count == (plan.arm == "sms" ? 1 : 0))
    }
}

@Suite("A lost answer", .timeLimit(.minutes(2)))
struct LostAnswerTests {
    let clock = VirtualClock()

    @Test(arguments: [
        (MessageClass.marketing, ChannelKind.email), (.marketing, .sms), (.marketing, .push), (.transactional, .sms),
    ])
    func endsAsUnknownWhereRepeatingCouldSendTwice(_ messageClass: MessageClass, _ channel: ChannelKind) async throws {
        let provider = ScriptedProvider(channel, clock: self.clock, script: [.lost])
        let fleet = TestFleet([provider], clock: self.clock)
        fleet.append(decision(class: messageClass, plan: [Step(channel: channel, template: "a")]))

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "unknown line.lost")
        #expect(provider.sent.count == 1)
    }

    @Test(arguments: [ChannelKind.email, .push])
    func isRepeatedUnderTheSameKeyWhereTheReceiverCanTell(_ channel: ChannelKind) async throws {
        let provider = ScriptedProvider(channel, clock: self.clock, script: [.lost])
        let fleet = TestFleet([provider], clock: self.clock)
        fleet.append(decision(class: .transactional, plan: [Step(channel: channel, template: "a")]))

        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(provider.keys == ["d-1/0", "d-1/0"])
    }
}
