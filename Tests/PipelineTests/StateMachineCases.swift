// What chance seldom brings about, or never: each case is one way of a delivery.
import DeliveryModel
import LocalTime
import Pipeline
import Testing

struct StateMachineCases {
    /// The second step, after the first was sent.
    private static let two = [
        Step(channel: .email, template: "a", until: .click, within: .seconds(60)), Step(channel: .email, template: "b"),
    ]

    func run(_ seen: inout [Transition: Int]) async throws {
        for first in [Outcome.accepted, .lost] { try await self.restOfDevicesIsSuppressed(first, &seen) }
        for hasSent in [false, true] {
            try await self.damaged(hasSent, &seen)
            try await self.deadly(hasSent, &seen)
            try await self.endedInHand(hasSent, &seen)
            try await self.expiredBeforeRetry(hasSent, &seen)
            for isQuiet in [false, true] { try await self.openedTooLate(hasSent, isQuiet, &seen) }
        }
        try await self.heldOut(&seen)
    }

    private func fleet(quiet: QuietHours? = nil, answers: [Outcome] = []) -> TestFleet {
        let clock = VirtualClock()
        var quietHours: [ChannelKind: QuietHours] = [:]
        if let quiet { quietHours[.email] = quiet }
        return TestFleet(
            [ScriptedProvider(.email, clock: clock, script: answers)], clock: clock,
            admission: AdmissionPolicy(quietHours: quietHours))
    }

    private func heldOut(_ seen: inout [Transition: Int]) async throws {
        let clock = VirtualClock()
        let fleet = TestFleet(
            [ScriptedProvider(.email, clock: clock)], clock: clock,
            admission: AdmissionPolicy(holdouts: [decision("d-1").campaign: 1]))
        fleet.append(decision("d-1"))
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "d-1") == "suppressed holdout")
        fleet.collect(&seen)
    }

    private func plan(_ hasSent: Bool) -> [Step] { hasSent ? Self.two : [Step(channel: .email, template: "a")] }

    /// A push step for all devices, of which only the first can be reached.
    private func restOfDevicesIsSuppressed(_ first: Outcome, _ seen: inout [Transition: Int]) async throws {
        let clock = VirtualClock()
        let provider = ScriptedProvider(.push, clock: clock, script: [first], policy: .all)
        let fleet = TestFleet([provider], clock: clock)
        fleet.ledger.suppress(Array("second-device".utf8), reason: "gone")
        let whole = decision(
            plan: first == .accepted
                ? [
                    Step(channel: .push, template: "a", until: .click, within: .seconds(60)),
                    Step(channel: .push, template: "b"),
                ] : [Step(channel: .push, template: "a")])
        var user = whole.user
        user.push = [.fcm(token: "first-device"), .fcm(token: "second-device")]
        fleet.append(whole.with(user: user))
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "d-1")?.hasPrefix(first == .accepted ? "sent " : "unknown suppressed.gone") == true)
        fleet.collect(&seen)
    }

    /// Its text, or its step, is not what it was.
    private func damaged(_ hasSent: Bool, _ seen: inout [Transition: Int]) async throws {
        for isUnreadable in [false, true] {
            let fleet = self.fleet()
            fleet.append(
                decision(plan: self.plan(hasSent), notBefore: hasSent ? nil : VirtualClock.start + .seconds(60)))
            try await fleet.runOne()
            fleet.ledger.damage("d-1") { record in
                if isUnreadable { record.body = [] } else { record.delivery.step = 9 }
            }
            try await fleet.runToTheEnd()
            #expect(
                fleet.end(of: "d-1")
                    == (isUnreadable ? "failed decision.unreadable" : "\(hasSent ? "sent" : "failed") plan.exhausted"))
            fleet.collect(&seen)
        }
    }

    /// Three workers in a row end while they hold it.
    private func deadly(_ hasSent: Bool, _ seen: inout [Transition: Int]) async throws {
        let fleet = self.fleet()
        fleet.append(decision(plan: self.plan(hasSent), notBefore: hasSent ? nil : VirtualClock.start + .seconds(60)))
        try await fleet.runOne()
        fleet.clock.advance(by: .seconds(61))
        for _ in 0..<3 {
            try await fleet.runOne(crash: Crash(at: 3))
            fleet.clock.advance(by: .seconds(31))
            _ = try await fleet.queue.reclaim(upTo: 10)
        }
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "d-1") == "\(hasSent ? "sent" : "failed") poison.leases")
        fleet.collect(&seen)
    }

    /// Somebody ends it while a worker holds it that has died, and has opened nothing.
    private func endedInHand(_ hasSent: Bool, _ seen: inout [Transition: Int]) async throws {
        for reason in ["cancelled.by_operator", "cancelled.by_request", "goal.reached"] {
            let fleet = self.fleet()
            fleet.append(decision(plan: Self.two, notBefore: hasSent ? nil : VirtualClock.start + .seconds(60)))
            try await fleet.runOne()
            fleet.clock.advance(by: .seconds(61))
            try await fleet.runOne(crash: Crash(at: 3))
            let isGoal = reason == "goal.reached"
            if isGoal { fleet.ledger.reach(.click, of: "d-1") } else { fleet.ledger.cancel("d-1", reason: reason) }
            try await fleet.runToTheEnd()
            // Where no step was sent nothing waits for the goal yet: the first step is sent, and the second is not.
            let end = "\(hasSent || isGoal ? "sent" : "cancelled") \(reason)"
            #expect(fleet.end(of: "d-1") == end)
            fleet.collect(&seen)
        }
    }

    /// The provider asks for more time than there is.
    private func expiredBeforeRetry(_ hasSent: Bool, _ seen: inout [Transition: Int]) async throws {
        let fleet = self.fleet(
            answers: (hasSent ? [.accepted] : []) + [Outcome(.deferred, reason: "x", retryAfter: .seconds(900))])
        fleet.append(decision(plan: self.plan(hasSent), expiresAt: VirtualClock.start + .seconds(600)))
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "d-1") == "\(hasSent ? "sent" : "expired") expired.before_retry")
        fleet.collect(&seen)
    }

    /// The ledger answers late that the attempt is open: meanwhile it has expired, or it has become quiet.
    private func openedTooLate(_ hasSent: Bool, _ isQuiet: Bool, _ seen: inout [Transition: Int]) async throws {
        // After one minute, or after the wait for the goal and one more.
        let start: Int64 = hasSent ? 120 : 60
        for expires in isQuiet ? [false, true] : [true] {
            let quiet = QuietHours(startMinute: Int(start / 60), endMinute: 40)
            let fleet = self.fleet(quiet: isQuiet ? quiet : nil)
            let expiry = isQuiet ? start + 600 : start
            fleet.append(
                decision(
                    plan: self.plan(hasSent),
                    expiresAt: expires ? VirtualClock.start + .seconds(expiry) : nil))
            if hasSent { try await fleet.runOne() }
            fleet.ledger.fail(hasSent ? .open : .accept, Array(repeating: .away, count: 40))
            try await fleet.runToTheEnd()
            let state = hasSent ? "sent" : "expired"
            let reason = !expires ? "accepted" : isQuiet ? "expired.in_quiet_hours" : "expired"
            #expect(fleet.end(of: "d-1") == "\(expires ? state : "sent") \(reason)")
            fleet.collect(&seen)
        }
    }
}
