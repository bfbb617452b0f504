// Which provider a message goes to, and what becomes of one that does badly.
import DeliveryModel
import Pipeline
import Testing
import ThreadBridge

@Suite("The choice of a provider", .timeLimit(.minutes(2)))
struct ProviderPoolTests {
    private let clock = VirtualClock()

    private func provider(_ name: String, _ routing: ProviderRouting = ProviderRouting(), concurrency: Int = 1000)
        -> ScriptedProvider
    {
        ScriptedProvider(.email, clock: self.clock, name: name, concurrency: concurrency, routing: routing)
    }

    private func ask(
        _ pool: ProviderPool, _ number: Int = 0, email: String = "ada@example.com", phone: String = "+48600100200",
        class messageClass: MessageClass = .marketing, channel: ChannelKind = .email, avoids: String? = nil
    ) async throws -> ProviderPool.Answer {
        let asking = Decision(
            id: "d-\(number)", user: User(id: "u", email: email, phone: phone), campaign: "c",
            messageClass: messageClass, choice: .plan([Step(channel: channel, template: "t")]))
        return try await pool.place(
            for: ProviderPool.Request(decision: asking, channel: channel, avoids: avoids, seed: UInt64(number)))
    }

    /// The provider's name; nil when there was no place. The place is given back at once.
    private func name(_ answer: ProviderPool.Answer) -> String? {
        guard case .place(let place) = answer else { return nil }
        place.leave()
        return place.provider.name
    }

    /// Sends one message that fares like `outcome`; the provider's name.
    @discardableResult
    private func send(_ pool: ProviderPool, _ number: Int, _ outcome: Outcome) async throws -> String? {
        guard case .place(let place) = try await self.ask(pool, number) else { return nil }
        place.report(outcome, since: self.clock.now())
        place.leave()
        return place.provider.name
    }

    private static let down = Outcome(.deferred, reason: "http.503", fault: .provider)
    private static let slowDown = Outcome(.deferred, reason: "http.429", retryAfter: .seconds(20), fault: .pace)

    @Test func sharesByWeightAndSaysWithWhatProbability() async throws {
        let pool = ProviderPool(
            [self.provider("a", ProviderRouting(weight: 3)), self.provider("b", ProviderRouting(weight: 1))],
            clock: self.clock)
        var counts: [String: Int] = [:]
        for number in 0..<4000 {
            guard case .place(let place) = try await self.ask(pool, number) else { continue }
            #expect(place.propensity == (place.provider.name == "a" ? 0.75 : 0.25))
            counts[place.provider.name, default: 0] += 1
            place.leave()
        }
        // Five standard deviations of 4,000 draws.
        #expect((2863...3137).contains(counts["a"] ?? 0))
        #expect(counts.values.reduce(0, +) == 4000)
    }

    @Test func theSameAttemptDrawsTheSame() async throws {
        let pool = ProviderPool([self.provider("a"), self.provider("b"), self.provider("c")], clock: self.clock)
        for number in 0..<50 {
            let first = self.name(try await self.ask(pool, number))
            #expect(self.name(try await self.ask(pool, number)) == first)
        }
    }

    @Test func goesByPriorityThenFitThenCost() async throws {
        let all = [
            self.provider("cheap", ProviderRouting(priority: 1, cost: 0.01)),
            self.provider("dear", ProviderRouting(priority: 1, cost: 0.02)),
            self.provider("exact", ProviderRouting(priority: 1, cost: 0.09, domains: ["example.com"])),
            self.provider("last", ProviderRouting(priority: 2)),
            self.provider("none", ProviderRouting(priority: 0, weight: 0)),
        ]
        let pool = ProviderPool(all, clock: self.clock)
        #expect(self.name(try await self.ask(pool)) == "exact")
        #expect(self.name(try await self.ask(pool, email: "ada@other.example")) == "cheap")
        #expect(self.name(try await self.ask(pool, email: "ada@other.example", avoids: "cheap")) == "dear")
    }

    @Test func carriesOnlyWhatItsRoutesSay() async throws {
        let pool = ProviderPool(
            [
                ScriptedProvider(
                    .sms, clock: self.clock, name: "pl",
                    routing: ProviderRouting(classes: [.transactional], prefixes: ["+48"]))
            ], clock: self.clock)
        let transactional = try await self.ask(pool, class: .transactional, channel: .sms)
        #expect(self.name(transactional) == "pl")
        for answer in [
            try await self.ask(pool, class: .marketing, channel: .sms),
            try await self.ask(pool, phone: "+49170000000", class: .transactional, channel: .sms),
            try await self.ask(pool, class: .transactional, channel: .push),
        ] {
            guard case .none = answer else {
                Issue.record("a provider carries what its routes leave out")
                continue
            }
        }
    }

    @Test func oneThatFailsIsLeftAloneAndProbedAndComesBackSlowly() async throws {
        let pool = ProviderPool([self.provider("a"), self.provider("b")], clock: self.clock)
        var number = 0
        // "a" fails, "b" does well.
        while pool.standings().first(where: { $0.provider == "a" })?.circuit != 2, number < 200 {
            number += 1
            guard case .place(let place) = try await self.ask(pool, number) else { continue }
            place.report(place.provider.name == "a" ? Self.down : .accepted, since: self.clock.now())
            place.leave()
        }
        #expect(number < 40)
        for _ in 0..<100 {
            number += 1
            #expect(self.name(try await self.ask(pool, number)) == "b")
        }

        // After a few seconds probes show that it is back.
        self.clock.advance(by: .seconds(7))
        var probes = 0
        for _ in 0..<2000 where pool.standings().first(where: { $0.provider == "a" })?.circuit != 0 {
            number += 1
            if try await self.send(pool, number, .accepted) == "a" { probes += 1 }
        }
        #expect(probes == 3)

        // It begins with a small share, which grows to the half that it had.
        func share() async throws -> Double {
            var count = 0
            for _ in 0..<1000 {
                number += 1
                if self.name(try await self.ask(pool, number)) == "a" { count += 1 }
            }
            return Double(count) / 1000
        }
        #expect(try await share() < 0.15)
        for _ in 0..<600 {
            self.clock.advance(by: .seconds(1))
            try await self.send(pool, number, .accepted)
            number += 1
        }
        #expect(try await share() > 0.4)
    }

    @Test func whereAllAreOutItSaysWhenToComeBackAndWaitsLongerEachTime() async throws {
        let pool = ProviderPool([self.provider("a")], clock: self.clock)
        for number in 0..<8 { try await self.send(pool, number, Self.down) }
        var waits: [Int64] = []
        for number in 8..<14 {
            guard case .later(let until, let reason) = try await self.ask(pool, number) else {
                Issue.record("an open circuit lets a message through")
                return
            }
            #expect(reason == "busy.circuit_open")
            waits.append((until - self.clock.now()).count)
            self.clock.advance(to: until)
            #expect(try await self.send(pool, number, Self.down) == "a")
        }
        // Doubling, with up to a fifth of jitter.
        for (index, wait) in waits.enumerated() {
            let expected = Int64(5000 << index)
            #expect((expected...expected * 6 / 5).contains(wait))
        }
    }

    @Test func oneThatDidWellForLongAndIsGoneIsNotAskedForLong() async throws {
        let pool = ProviderPool([self.provider("a")], clock: self.clock)
        for number in 0..<10_000 { try await self.send(pool, number, .accepted) }
        var faults = 0
        while try await self.send(pool, faults, Self.down) != nil, faults < 1000 { faults += 1 }
        #expect(faults == 20)
    }

    @Test func aClockThatIsSetBackKeepsNobodyAwayForLong() async throws {
        let clock = SteppedClock(Timestamp(milliseconds: 1_800_000_000_000))
        let pool = ProviderPool([self.provider("a")], clock: clock)
        for number in 0..<8 {
            guard case .place(let place) = try await self.ask(pool, number) else { continue }
            place.report(Self.down, since: clock.now())
            place.leave()
        }
        guard case .later = try await self.ask(pool, 8) else {
            Issue.record("an open circuit lets a message through")
            return
        }
        clock.step(by: .seconds(-7200))
        #expect(self.name(try await self.ask(pool, 9)) == "a")
    }

    @Test func thoseWhoAreTurnedAwayComeBackOneAfterTheOther() async throws {
        let pool = ProviderPool([self.provider("a")], clock: self.clock)
        for number in 0..<8 { try await self.send(pool, number, Self.down) }
        var times: [Timestamp] = []
        for number in 0..<8000 {
            guard case .later(let until, _) = try await self.ask(pool, number) else { continue }
            times.append(until)
        }
        #expect(times.count == 8000)
        #expect(Dictionary(grouping: times) { $0 }.values.allSatisfy { $0.count <= 4 })
        let first = try #require(times.min())
        #expect((times.max() ?? first) - first == Milliseconds(1999))
    }

    @Test func whileOneProbeIsOnTheWireNobodyElseGoes() async throws {
        let pool = ProviderPool([self.provider("a")], clock: self.clock)
        for number in 0..<8 { try await self.send(pool, number, Self.down) }
        self.clock.advance(by: .seconds(60))
        guard case .place(let probe) = try await self.ask(pool, 9) else {
            Issue.record("no probe goes")
            return
        }
        guard case .later = try await self.ask(pool, 10) else {
            Issue.record("two probes go at once")
            return
        }
        // It was not sent after all: another one may.
        probe.leave()
        #expect(self.name(try await self.ask(pool, 11)) == "a")
    }

    @Test func slowDownIsHeededAndCostsNoHealth() async throws {
        let pool = ProviderPool([self.provider("a", concurrency: 100), self.provider("b")], clock: self.clock)
        var number = 0
        while try await self.send(pool, number, Self.slowDown) != "a" { number += 1 }
        // Both were told off by now, or only "a".
        let until = self.clock.now() + .seconds(20)
        for _ in 0..<50 {
            number += 1
            if case .place(let place) = try await self.ask(pool, number) {
                #expect(place.provider.name == "b")
                place.leave()
            }
        }
        let standing = try #require(pool.standings().first { $0.provider == "a" })
        #expect(standing.isPaused && standing.circuit == 0)
        #expect(standing.limit == 70)
        self.clock.advance(to: until)
        #expect(pool.standings().first { $0.provider == "a" }?.isPaused == false)
    }

    @Test func aLimitThatShrankGrowsAgainWhileItIsUsed() async throws {
        let pool = ProviderPool([self.provider("a", concurrency: 10)], clock: self.clock)
        for _ in 0..<20 {
            try await self.send(pool, 0, Self.slowDown)
            self.clock.advance(by: .seconds(30))
        }
        #expect(pool.standings().first?.limit == 1)
        for _ in 0..<200 { try await self.send(pool, 0, .accepted) }
        // One at a time needs no more than that.
        let limit = try #require(pool.standings().first?.limit)
        #expect((2...3).contains(limit))
    }

    @Test func aDeliveryGoesOverAtOnceToTheOtherProvider() async throws {
        let a = ScriptedProvider(.email, clock: self.clock, name: "a", script: [Self.down])
        let b = ScriptedProvider(.email, clock: self.clock, name: "b", routing: ProviderRouting(priority: 1))
        let fleet = TestFleet([a, b], clock: self.clock)
        fleet.append(decision())
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(fleet.attempts("d-1").map(\.provider) == ["a", "b"])
        #expect(fleet.attempts("d-1").map(\.propensity) == [1, 1])
        // No backoff lies between the two.
        let times = fleet.attempts("d-1").map(\.openedAt)
        #expect(times[1] - times[0] < .seconds(2))
    }

    @Test func slowDownIsNoAttempt() async throws {
        let email = ScriptedProvider(
            .email, clock: self.clock, script: Array(repeating: Self.slowDown, count: 12))
        let fleet = TestFleet([email], clock: self.clock, retry: RetryPolicy(attemptsMax: 2))
        fleet.append(decision())
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(fleet.attempts("d-1").count == 13)
        // As slow as it asked for.
        #expect(email.sent.indices.dropFirst().allSatisfy { email.sent[$0].at - email.sent[$0 - 1].at >= .seconds(20) })
    }

    @Test func withAllProvidersOutDeliveriesRestAndLoseNoAttempt() async throws {
        let email = ScriptedProvider(
            .email, clock: self.clock, script: Array(repeating: Self.down, count: 8))
        let fleet = TestFleet([email], clock: self.clock, retry: RetryPolicy(attemptsMax: 2))
        for number in 0..<20 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }
        try await fleet.runToTheEnd()
        for number in 0..<20 { #expect(fleet.end(of: "d-\(number)") == "sent accepted") }
        #expect(email.sent.count == 28)
    }
}

/// A clock that somebody sets.
private final class SteppedClock: WallClock {
    private let time: Protected<Timestamp>

    init(_ time: Timestamp) { self.time = Protected(time) }

    func now() -> Timestamp { self.time.withLock { $0 } }
    func step(by length: Milliseconds) { self.time.withLock { $0 = $0 + length } }
    func sleep(until deadline: Timestamp) async throws {}
}
