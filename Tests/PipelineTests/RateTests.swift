// Rates of providers and of recipients' domains, as the pipeline keeps them.
import DeliveryModel
import Pipeline
import Testing
import ThreadBridge

/// Tokens as Redis keeps them, by the virtual clock.
private final class MemoryTokens: SendTokens {
    private let clock: VirtualClock
    private let state = Protected((arrivals: [String: Int64](), quotas: [String: Int](), isAway: false, calls: 0))

    init(clock: VirtualClock) {
        self.clock = clock
    }

    var calls: Int { self.state.withLock { $0.calls } }

    func setAway(_ isAway: Bool) { self.state.withLock { $0.isAway = isAway } }

    func take(_ name: String, at rate: SendRate, upTo count: Int) async throws(QueueError) -> SendGrant {
        let now = self.clock.now().milliseconds * 1000
        let gap = Int64(1_000_000 / rate.perSecond)
        return try self.state.withLock { state throws(QueueError) in
            state.calls += 1
            guard !state.isAway else { throw QueueError(.unavailable, "away") }
            var arrival = max(now, state.arrivals[name] ?? 0)
            let given = max(0, min(count, Int((now + Int64(rate.burst) * gap - arrival) / gap)))
            arrival += Int64(given) * gap
            state.arrivals[name] = arrival
            return SendGrant(
                count: given, wait: Milliseconds(max(0, (arrival - now - Int64(rate.burst - 1) * gap + 999) / 1000)))
        }
    }

    func take(_ name: String, outOf most: Int, life: Milliseconds, upTo count: Int) async throws(QueueError) -> Int {
        self.state.withLock { state in
            let given = max(0, min(count, most - (state.quotas[name] ?? 0)))
            state.quotas[name, default: 0] += given
            return given
        }
    }
}

@Suite("Rates", .timeLimit(.minutes(2)))
struct RateTests {
    private let clock = VirtualClock()

    private func fleet(_ routing: ProviderRouting, _ tokens: MemoryTokens) -> (TestFleet, ScriptedProvider) {
        let email = ScriptedProvider(.email, clock: self.clock, concurrency: 100, routing: routing)
        return (TestFleet([email], clock: self.clock, tokens: tokens), email)
    }

    @Test func noMoreGoThanTheRateAllowsAndAllGoInTheEnd() async throws {
        let tokens = MemoryTokens(clock: self.clock)
        let (fleet, email) = self.fleet(ProviderRouting(rate: SendRate(perSecond: 0.2, burst: 3)), tokens)
        for number in 0..<12 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }
        try await fleet.runToTheEnd()
        let times = email.sent.map(\.at).sorted()
        #expect(times.count == 12)
        for (index, time) in times.enumerated() {
            // In any stretch of time: the burst, and one for each five seconds.
            let window = times[index...].prefix { $0 - time < .seconds(10) }
            #expect(window.count <= 3 + 2)
        }
        // And not much slower: nine after the burst, one each five seconds, and the schedule's beat.
        #expect(times[11] - times[0] <= .seconds(9 * 5 + 30))
        for number in 0..<12 { #expect(fleet.end(of: "d-\(number)") == "sent accepted") }
    }

    @Test func aCrowdThatIsTooMuchForARateComesBackInTurnNotAgainAndAgain() async throws {
        let tokens = MemoryTokens(clock: self.clock)
        let (fleet, email) = self.fleet(ProviderRouting(rate: SendRate(perSecond: 0.1, burst: 1)), tokens)
        for number in 0..<40 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }
        try await fleet.runToTheEnd()
        #expect(email.sent.count == 40)
        // Each was sent away about once.
        let rests = fleet.ledger.records.values.map(\.rests.count)
        #expect(rests.reduce(0, +) <= 60)
        #expect(rests.allSatisfy { $0 <= 3 })
    }

    @Test func aDomainsRateHoldsUpNobodyElse() async throws {
        let tokens = MemoryTokens(clock: self.clock)
        let slow = ProviderRouting.DomainRate(pattern: "slow.example", rate: SendRate(perSecond: 0.01, burst: 1))
        let (fleet, email) = self.fleet(ProviderRouting(domainRates: [slow]), tokens)
        for number in 0..<6 {
            let whole = decision("d-\(number)", user: "u-\(number)")
            var user = whole.user
            user.email = number % 2 == 0 ? "ada@SLOW.example" : "ada@other.example"
            fleet.append(whole.with(user: user))
        }
        try await fleet.runToTheEnd()
        let others = email.sent.filter { $0.email == "ada@other.example" }
        #expect(others.count == 3 && others.allSatisfy { $0.at - VirtualClock.start < .seconds(5) })
        let slowly = email.sent.filter { $0.email == "ada@SLOW.example" }.map(\.at).sorted()
        #expect(slowly.count == 3)
        #expect(zip(slowly.dropFirst(), slowly).allSatisfy { $0 - $1 >= .seconds(99) })
    }

    @Test func aNewSenderWarmsUpDayByDay() async throws {
        let day: Int64 = 86_400
        let tokens = MemoryTokens(clock: self.clock)
        let (fleet, email) = self.fleet(
            ProviderRouting(warmUp: WarmUp(start: VirtualClock.start, daily: [2, 4])), tokens)
        for number in 0..<10 { fleet.append(decision("d-\(number)", user: "u-\(number)")) }
        try await fleet.runToTheEnd()
        let days = Dictionary(grouping: email.sent) { ($0.at - VirtualClock.start).count / 1000 / day }
        #expect(days.mapValues(\.count) == [0: 2, 1: 4, 2: 4])
    }

    @Test func whileTokensCannotBeHadNothingIsSent() async throws {
        let tokens = MemoryTokens(clock: self.clock)
        let email = ScriptedProvider(
            .email, clock: self.clock, routing: ProviderRouting(rate: SendRate(perSecond: 100, burst: 100)))
        let pool = ProviderPool([email], tokens: tokens, clock: self.clock)
        tokens.setAway(true)
        let asking = Task.immediate { try await pool.place(on: .email) }
        try await eventually("it was asked several times") {
            self.clock.advance(by: .seconds(1))
            return tokens.calls > 3
        }
        #expect(pool.standings().first?.inFlight == 0)
        tokens.setAway(false)
        try await eventually("it goes on") {
            self.clock.advance(by: .seconds(1))
            return pool.standings().first?.inFlight == 1
        }
        let place = try #require(try await asking.value)
        place.leave()
    }

    @Test func tokensAreFetchedInLots() async throws {
        let tokens = MemoryTokens(clock: self.clock)
        let email = ScriptedProvider(
            .email, clock: self.clock, concurrency: 10_000,
            routing: ProviderRouting(rate: SendRate(perSecond: 10_000, burst: 10_000)))
        let pool = ProviderPool([email], tokens: tokens, clock: self.clock)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<2000 {
                group.addTask { (try? await pool.place(on: .email))?.leave() }
            }
            let clock = self.clock
            group.addTask { for _ in 0..<400 { await Task.yield(); clock.advance(by: Milliseconds(1)) } }
        }
        #expect(tokens.calls < 1000)
    }
}
