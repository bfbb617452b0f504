// Places at providers, and group commit.
import DeliveryModel
import Pipeline
import Testing
import ThreadBridge

@Suite("Places at a provider", .timeLimit(.minutes(2)))
struct GateTests {
    private let clock = VirtualClock()

    private func pool(places: Int) -> ProviderPool {
        ProviderPool([ScriptedProvider(.email, clock: self.clock, concurrency: places)], clock: self.clock)
    }

    @Test func areNeverTakenByMoreThanThereAre() async {
        let pool = self.pool(places: 5)
        let inside = Protected((now: 0, most: 0, total: 0))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    guard let place = try? await pool.place(on: .email) else { return }
                    inside.withLock { inside in
                        inside.now += 1
                        inside.most = max(inside.most, inside.now)
                        inside.total += 1
                    }
                    await Task.yield()
                    inside.withLock { $0.now -= 1 }
                    place.leave()
                }
            }
        }
        let seen = inside.withLock { ($0.now, $0.most, $0.total) }
        #expect(seen == (0, seen.1, 200))
        #expect((1...5).contains(seen.1))
    }

    @Test func areGivenInTheOrderOfAsking() async throws {
        let pool = self.pool(places: 1)
        let first = try #require(try await pool.place(on: .email))
        let order = Protected<[Int]>([])
        var tasks: [Task<Void, any Error>] = []
        for number in 0..<10 {
            // Runs until it waits before the next one begins.
            tasks.append(
                Task.immediate {
                    let place = try await pool.place(on: .email)
                    order.withLock { $0.append(number) }
                    place?.leave()
                })
        }
        #expect(order.current.isEmpty)
        first.leave()
        for task in tasks { try await task.value }
        #expect(order.current == Array(0..<10))
    }

    @Test func areGivenToCampaignsInTurns() async throws {
        let pool = self.pool(places: 1)
        let first = try #require(try await pool.place(on: .email))
        let order = Protected<[String]>([])
        let large = Array(repeating: Flow(campaign: "large"), count: 20)
        let small = Array(repeating: Flow(campaign: "small"), count: 3)
        let tasks = (large + small + [Flow(lane: 0, campaign: "urgent")]).map { flow in
            Task.immediate {
                let place = try await pool.place(on: .email, for: flow)
                order.withLock { $0.append(flow.campaign) }
                place?.leave()
            }
        }
        first.leave()
        for task in tasks { try await task.value }
        #expect(order.current.prefix(7) == ["urgent", "large", "small", "large", "small", "large", "small"])
        #expect(order.current.count == 24)
    }

    @Test func areNotLostToThoseWhoGiveUpWaiting() async throws {
        let pool = self.pool(places: 1)
        let first = try #require(try await pool.place(on: .email))
        let waiting = (0..<20).map { _ in
            Task {
                let place = try await pool.place(on: .email)
                place?.leave()
            }
        }
        for task in waiting.prefix(10) { task.cancel() }
        first.leave()
        for task in waiting.dropFirst(10) { try await task.value }
        for task in waiting.prefix(10) { _ = await task.result }

        // The place is there again.
        let last = try #require(try await pool.place(on: .email))
        last.leave()
    }

    @Test func endTheWaitOfACancelledTask() async throws {
        let pool = self.pool(places: 1)
        let first = try #require(try await pool.place(on: .email))
        let task = Task { try await pool.place(on: .email) != nil }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        first.leave()
    }

    @Test func areNoneOnAChannelWithoutProvider() async throws {
        #expect(try await self.pool(places: 1).place(on: .sms) == nil)
    }
}

private struct CommitFailure: Error, Equatable {
    let text: String
}

@Suite("A group commit", .timeLimit(.minutes(2)))
struct GroupCommitTests {
    @Test func takesWhatComesMeanwhileAsOneGroupAndAnswersEachItsOwn() async throws {
        let latch = Latch()
        let groups = Protected<[[Int]]>([])
        let commit = GroupCommit<Int, Int, CommitFailure>(groupMax: 8, shortAnswer: CommitFailure(text: "short")) {
            (group: [Int]) throws(CommitFailure) in
            let isFirst = groups.withLock { groups in
                groups.append(group)
                return groups.count == 1
            }
            if isFirst { await latch.wait() }
            return group.map { $0 * 10 }
        }
        let first = Task { try await commit.submit(0) }
        try await eventually("the first group is under way") { groups.current.count == 1 }
        let others = (1...20).map { number in Task.immediate { try await commit.submit(number) } }
        latch.open()

        #expect(try await first.value == 0)
        for (index, task) in others.enumerated() { #expect(try await task.value == (index + 1) * 10) }
        #expect(groups.current.map(\.count) == [1, 8, 8, 4])
    }

    @Test func tellsItsFailureToAllOfTheGroupAndGoesOn() async throws {
        let commit = GroupCommit<Int, Int, CommitFailure>(shortAnswer: CommitFailure(text: "short")) {
            (group: [Int]) throws(CommitFailure) in
            if group.contains(where: { $0 < 0 }) { throw CommitFailure(text: "negative") }
            return group
        }
        await #expect(throws: CommitFailure(text: "negative")) { try await commit.submit(-1) }
        #expect(try await commit.submit(7) == 7)
    }

    @Test func failsThoseWhoWereLeftWithoutAnAnswer() async throws {
        let commit = GroupCommit<Int, Int, CommitFailure>(shortAnswer: CommitFailure(text: "short")) { _ in [] }
        await #expect(throws: CommitFailure(text: "short")) { try await commit.submit(1) }
    }

    @Test func commitsWhatWasSubmittedByATaskThatWasCancelled() async throws {
        let committed = Protected<[Int]>([])
        let commit = GroupCommit<Int, Int, CommitFailure>(shortAnswer: CommitFailure(text: "short")) { group in
            committed.withLock { $0 += group }
            return group
        }
        let task = Task { try await commit.submit(3) }
        task.cancel()
        #expect(try await task.value == 3)
        #expect(committed.current == [3])
    }
}

extension ProviderPool {
    /// A place for anybody's message; nil when there is none.
    func place(on channel: ChannelKind, for flow: Flow = Flow(campaign: "welcome")) async throws -> Place? {
        let asking = Decision(
            id: "d", user: User(id: "u", email: "ada@example.com", phone: "+48600100200"), campaign: flow.campaign,
            messageClass: .marketing, priority: flow.lane,
            choice: .plan([Step(channel: channel, template: "welcome")]))
        guard case .place(let place) = try await self.place(for: Request(decision: asking, channel: channel, seed: 1))
        else { return nil }
        return place
    }
}
