// A push step and the devices of its person.
import DeliveryModel
import Pipeline
import Testing

@Suite struct DeviceTests {
    private static let phone = PushTarget.apns(token: "apple-phone-1", topic: "com.example.app")
    private static let tablet = PushTarget.fcm(token: "android-tablet-1")
    private static let browser = PushTarget.webpush(
        endpoint: "https://push.example/1", p256dh: "B" + String(repeating: "A", count: 86),
        auth: String(repeating: "A", count: 22))
    private static let dead = Outcome(.rejected, reason: "apns.unregistered", isAddressDead: true)

    private func push(
        _ devices: [PushTarget], id: String = "d", class messageClass: MessageClass = .marketing,
        plan: [Step] = [Step(channel: .push, template: "welcome")]
    ) -> Decision {
        let whole = decision(id, class: messageClass, plan: plan)
        var user = whole.user
        user.push = devices
        return whole.with(user: user)
    }

    private func stage(
        _ policy: DevicePolicy, _ script: [Outcome] = [], platforms: Set<String>? = nil,
        rules: AdmissionRules = AdmissionRules(), others: [ScriptedProvider] = [], clock: VirtualClock = VirtualClock()
    ) -> (fleet: TestFleet, provider: ScriptedProvider) {
        let provider = ScriptedProvider(.push, clock: clock, script: script, platforms: platforms, policy: policy)
        return (TestFleet([provider] + others, clock: clock, rules: rules), provider)
    }

    @Test func allReachesEachDeviceOnce() async throws {
        let (fleet, provider) = self.stage(.all)
        fleet.append(self.push([Self.phone, Self.tablet, Self.browser]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.map(\.device) == ["apple-phone-1", "android-tablet-1", "https://push.example/1"])
        #expect(Set(provider.keys) == ["d/0"])
        #expect(fleet.attempts("d").map(\.number) == [1, 2, 3])
        #expect(fleet.end(of: "d") == "sent accepted")
    }

    @Test func allGoesOnBehindADeviceThatRefusesAndOneThatIsLost() async throws {
        let (fleet, provider) = self.stage(.all, [Self.dead, .accepted, .lost])
        fleet.append(self.push([Self.phone, Self.tablet, Self.browser]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.count == 3)
        #expect(fleet.end(of: "d") == "sent accepted")
    }

    @Test func allThatNobodyTookFailsUnlessOneMayHaveIt() async throws {
        for (script, end) in [
            ([Self.dead, .rejected], "failed smtp.5.1.1"), ([Outcome.lost, .rejected], "unknown smtp.5.1.1"),
            ([Outcome.rejected, .lost], "unknown line.lost"),
        ] {
            let (fleet, _) = self.stage(.all, script)
            fleet.append(self.push([Self.phone, Self.tablet]))
            try await fleet.runToTheEnd()
            #expect(fleet.end(of: "d") == end)
        }
    }

    @Test func aDeviceThatIsDeferredHasItsOwnAttemptsAndTheOthersWait() async throws {
        let (fleet, provider) = self.stage(.all, [.accepted, .deferred, .deferred, .accepted])
        fleet.append(self.push([Self.phone, Self.tablet]))
        try await fleet.runToTheEnd()
        #expect(
            provider.sent.map(\.device) == [
                "apple-phone-1", "android-tablet-1", "android-tablet-1", "android-tablet-1",
            ])
        #expect(fleet.end(of: "d") == "sent accepted")
    }

    @Test func eachDeviceHasAllTheAttemptsOfAStep() async throws {
        let four = [Outcome](repeating: .deferred, count: 4)
        let (fleet, provider) = self.stage(.all, four + [.accepted] + four + [.accepted])
        fleet.append(self.push([Self.phone, Self.tablet]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.count == 10)
        #expect(fleet.end(of: "d") == "sent accepted")
    }

    @Test func whatIsRememberedOfDevicesIsExact() {
        var progress = DeviceProgress()
        for number in 0..<64 {
            let key = Array("\(100 + number)-device".utf8)
            #expect(!progress.contains(key))
            let isNoted = progress.add(
                key, number == 63 ? .unknown : .rejected, attempts: number == 0 ? 1000 : 1)
            #expect(isNoted)
            #expect(progress.contains(key))
        }
        #expect(progress.count == 64)
        #expect(progress.attempts == 63 + 63)
        #expect(progress.mayHaveSent && !progress.hasAccepted)
        let isOneTooMany = !progress.add(Array("one-too-many".utf8), .accepted, attempts: 1)
        #expect(isOneTooMany)
        #expect(!DeviceProgress().hasAccepted)
        #expect(DeviceProgress(bytes: progress.bytes) == progress)
        #expect(DeviceProgress(bytes: [1, 2, 3]) == DeviceProgress())
    }

    @Test func untilAcceptedStopsAtTheFirstThatTakesIt() async throws {
        let (fleet, provider) = self.stage(.untilAccepted, [Self.dead, .accepted])
        fleet.append(self.push([Self.phone, Self.tablet, Self.browser]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.map(\.device) == ["apple-phone-1", "android-tablet-1"])
        #expect(fleet.end(of: "d") == "sent accepted")
        guard case .rest(_, 0, "device.next")? = fleet.ledger.record("d")?.rests.first else {
            Issue.record("\(String(describing: fleet.ledger.record("d")?.rests))")
            return
        }
    }

    @Test func untilAcceptedDoesNotGoOnBehindAMessageThatMayHaveArrived() async throws {
        let (fleet, provider) = self.stage(.untilAccepted, [.lost])
        fleet.append(self.push([Self.phone, Self.tablet]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.count == 1)
        #expect(fleet.end(of: "d") == "unknown line.lost")
    }

    @Test func latestGoesToTheFirstDeviceOnly() async throws {
        let (fleet, provider) = self.stage(.latest, [.rejected])
        fleet.append(self.push([Self.phone, Self.tablet]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.map(\.device) == ["apple-phone-1"])
        #expect(fleet.end(of: "d") == "failed smtp.5.1.1")
    }

    @Test(arguments: DevicePolicy.allCases)
    func aDeviceThatIsSuppressedIsPassedOverWithoutAnAttempt(policy: DevicePolicy) async throws {
        let (fleet, provider) = self.stage(policy)
        fleet.ledger.suppress(Array(Self.phone.address.utf8), reason: "apns.unregistered")
        fleet.append(self.push([Self.phone, Self.tablet]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.map(\.device) == ["android-tablet-1"])
        #expect(fleet.attempts("d").count == 1)
        #expect(fleet.end(of: "d") == "sent accepted")
    }

    @Test func whoseDevicesAreAllSuppressedIsSuppressed() async throws {
        let (fleet, provider) = self.stage(.all)
        for device in [Self.phone, Self.tablet] {
            fleet.ledger.suppress(Array(device.address.utf8), reason: "gone")
        }
        fleet.append(self.push([Self.phone, Self.tablet]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.isEmpty)
        #expect(fleet.end(of: "d") == "suppressed suppressed.gone")
    }

    @Test func eachPlatformHasItsProvider() async throws {
        let clock = VirtualClock()
        let fcm = ScriptedProvider(.push, clock: clock, name: "fcm", platforms: ["fcm"])
        let (fleet, apns) = self.stage(.all, platforms: ["apns"], others: [fcm], clock: clock)
        fleet.append(self.push([Self.tablet, Self.browser, Self.phone]))
        try await fleet.runToTheEnd()
        #expect(apns.sent.map(\.device) == ["apple-phone-1"])
        #expect(fcm.sent.map(\.device) == ["android-tablet-1"])
        #expect(fleet.attempts("d").map(\.provider) == ["fcm", "push-1"])
    }

    @Test func devicesThatNoProviderReachesAreAnAddressThatIsMissing() async throws {
        let (fleet, provider) = self.stage(.all, platforms: ["fcm"])
        fleet.append(self.push([Self.phone]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.isEmpty)
        #expect(fleet.end(of: "d") == "failed address.missing")
        #expect(fleet.ledger.record("d")?.details.first?.contains("apns only") == true)
    }

    @Test func aCapCountsTheStepOnceAndKeepsItThoughALaterDeviceRefuses() async throws {
        let rules = AdmissionRules(caps: [Cap(messages: 1, period: .rolling(.seconds(3600)))])
        let (fleet, provider) = self.stage(.all, [.accepted, Self.dead], rules: rules)
        fleet.append(self.push([Self.phone, Self.tablet]))
        try await fleet.runToTheEnd()
        #expect(provider.sent.count == 2)
        fleet.append(self.push([Self.browser], id: "e"))
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "e") == "capped cap.1_per_PT1H")
    }

    @Test func theNextStepWaitsForTheGoalThoughTheLastDeviceRefused() async throws {
        let plan = [
            Step(channel: .push, template: "welcome", until: .click, within: .seconds(3600)),
            Step(channel: .push, template: "reminder"),
        ]
        let (fleet, provider) = self.stage(.all, [.accepted, Self.dead])
        fleet.append(self.push([Self.phone, Self.tablet], plan: plan))
        try await fleet.runToTheEnd()
        let times = provider.sent.map { $0.at - VirtualClock.start }
        #expect(provider.keys == ["d/0", "d/0", "d/1", "d/1"])
        #expect(times[1] < .seconds(60))
        #expect(times[2] >= .seconds(3600))
    }

    @Test(arguments: 0..<200)
    func whereverAWorkerDiesNoDeviceGetsAMarketingMessageTwice(seed: Int) async throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let policy = DevicePolicy.allCases.randomElement(using: &random) ?? .all
        let outcomes: [Outcome] = [.accepted, .rejected, Self.dead, .deferred, .lost]
        let script = (0..<8).map { _ in outcomes.randomElement(using: &random) ?? .accepted }
        let (fleet, provider) = self.stage(policy, script)
        fleet.append(self.push([Self.phone, Self.tablet, Self.browser]))
        var crashes = 3
        try await fleet.runToTheEnd {
            guard crashes > 0, Bool.random(using: &random) else { return nil }
            crashes -= 1
            return Crash(at: Int.random(in: 1...8, using: &random))
        }
        let mayHave = provider.sent.filter { !$0.outcome.leftNothing }
        #expect(Set(mayHave.map(\.device)).count == mayHave.count, "seed \(seed)")
        if policy != .all { #expect(mayHave.count <= 1, "seed \(seed)") }
        #expect(fleet.end(of: "d") != nil)
        #expect(fleet.ledger.record("d")?.settlements.count == 1)
    }
}
