// What the queue does when it is told what became of an entry, and the schedule.
import DeliveryModel
import Queue
import RedisClient
import Testing

extension QueueTests {
    @Suite("Settling")
    struct SettlementTests {
        @Test func acknowledgingEmptiesTheStream() async throws {
            try await withBench { bench in
                for number in 0..<300 { _ = try await bench.append("{\(number)}") }
                let worker = try bench.worker()
                let leases = try await worker.leaseAll()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lease in leases { group.addTask { try await worker.settle(lease, .acknowledge) } }
                    try await group.waitForAll()
                }
                #expect(leases.count == 300)
                #expect(try await bench.length(Keys.decisions(0)) == 0)
                #expect(try await bench.pending(Keys.decisions(0)) == 0)
                for lease in leases.prefix(3) { try await worker.settle(lease, .acknowledge) }
                #expect(try await worker.depth().unsettled == 0)
            }
        }

        @Test func snoozingMovesTheIdIntoTheScheduleAndBackWhenItIsDue() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                let now = try await bench.now()
                for id in ["past", "future"] { try await bench.run("XADD", Keys.work(1), "*", "id", id) }
                for lease in try await worker.leaseAll() {
                    guard case .delivery(let id) = lease.content else { continue }
                    let wait: Milliseconds = id == "past" ? .seconds(-5) : .seconds(300)
                    let flow = Flow(lane: 2, campaign: "spring sale")
                    try await worker.settle(lease, .snooze(id: id, shard: 1, until: now.advanced(by: wait), flow: flow))
                }
                #expect(try await bench.length(Keys.work(1)) == 0)
                #expect(try await bench.pending(Keys.work(1)) == 0)
                #expect(
                    try await bench.schedule(1) == [
                        "past 2 spring sale", "\(now.milliseconds - 5000)",
                        "future 2 spring sale", "\(now.milliseconds + 300_000)",
                    ])
                #expect(try await worker.depth().scheduleOverdue >= .seconds(4))

                let late = try await worker.moveDue(limit: 10)
                #expect(late.count == 1)
                #expect(try #require(late.first) >= .seconds(5))
                let due = try await worker.leaseAll()
                #expect(due.map(\.content) == [.delivery(id: "past")])
                #expect(due.first?.flow == Flow(lane: 2, campaign: "spring sale"))
                #expect(try await bench.schedule(1).first == "future 2 spring sale")
                #expect(try await worker.depth().scheduleOverdue == Milliseconds(0))
                #expect(try await worker.moveDue(limit: 10).isEmpty)
            }
        }

        @Test func aSnoozeBeyondTheHorizonIsLeftToTheLedger() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                try await bench.run("XADD", Keys.work(0), "*", "id", "far")
                let lease = try #require(try await worker.leaseAll().first)
                let until = try await bench.now().advanced(by: .seconds(3600))
                try await worker.settle(lease, .snooze(id: "far", shard: 0, until: until, flow: Flow()))
                #expect(try await bench.schedule().isEmpty)
                #expect(try await bench.length(Keys.work(0)) == 0)
            }
        }

        @Test func schedulingPutsWhatIsDueToWorkAndWhatComesSoonIntoTheSchedule() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                let now = try await bench.now()
                try await worker.schedule([
                    ScheduledWork(
                        id: "due", shard: 0, dueAt: now.advanced(by: .seconds(-1)),
                        flow: Flow(lane: 0, campaign: "alerts")),
                    ScheduledWork(id: "soon", shard: 1, dueAt: now.advanced(by: .seconds(60))),
                    ScheduledWork(id: "far", shard: 0, dueAt: now.advanced(by: .seconds(86_400))),
                ])
                try await worker.schedule([])
                let due = try await worker.leaseAll()
                #expect(due.map(\.content) == [.delivery(id: "due")])
                #expect(due.map(\.flow) == [Flow(lane: 0, campaign: "alerts")])
                #expect(try await bench.schedule(0).isEmpty)
                #expect(try await bench.schedule(1).first == "soon 5 ")
            }
        }

        @Test func schedulesACrowdTogetherAndMovesEachOfItAsItself() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                let start = Timestamp(milliseconds: try await bench.now().milliseconds / 100 * 100 + 100)
                let flow = Flow(lane: 3, campaign: "spring sale")
                // 250 within 100 ms, of another campaign too few for a crowd, and one that is due later.
                let crowd = (0..<250).map { number in
                    ScheduledWork(
                        id: "c-\(number)", shard: 1, dueAt: start.advanced(by: Milliseconds(Int64(number % 100))),
                        flow: flow)
                }
                let few = (0..<3).map { ScheduledWork(id: "f-\($0)", shard: 1, dueAt: start) }
                let later = ScheduledWork(id: "later", shard: 1, dueAt: start.advanced(by: .seconds(60)), flow: flow)
                for _ in 0..<2 { try await worker.schedule(crowd + few + [later]) }
                #expect(try await bench.run("ZCARD", Keys.bundles(1)).integer == 3)
                #expect(try await bench.run("ZCARD", Keys.schedule(1)).integer == 4)
                #expect(try await worker.depth().scheduled == 254)

                while try await bench.now() < start.advanced(by: Milliseconds(120)) {
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(try await worker.depth().scheduleOverdue < .seconds(2))
                // The few go first, then the bundle whose last is due first; a bundle goes as a whole.
                #expect(try await worker.moveDue(limit: 10).count == 53)
                #expect(try await worker.moveDue(limit: 1000).count == 200)
                let due = try await worker.leaseAll()
                let ids = due.compactMap { lease in
                    if case .delivery(let id) = lease.content { id } else { nil }
                }
                #expect(ids.sorted() == (crowd + few).map(\.id).sorted())
                #expect(due.filter { $0.flow == flow }.count == 250)
                #expect(try await worker.depth().scheduled == 1)
                #expect(try await bench.run("EXISTS", Keys.bundles(1)).integer == 0)
            }
        }

        @Test func movesNothingOfACrowdBeforeTheLastOfItIsDue() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                let start = Timestamp(milliseconds: try await bench.now().milliseconds / 100 * 100 + 5000)
                try await worker.schedule(
                    (0..<100).map { number in
                        ScheduledWork(
                            id: "c-\(number)", shard: 0, dueAt: start.advanced(by: Milliseconds(Int64(number))))
                    })
                let scores = try await bench.run("ZRANGE", Keys.bundles(0), "0", "-1", "WITHSCORES").array ?? []
                #expect(scores.last?.text == "\(start.milliseconds + 99)")
                #expect(try await worker.moveDue(limit: 1000).isEmpty)
            }
        }

        @Test func movesNoMoreThanAskedForAndTheOldestFirst() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                for number in 0..<5 { try await bench.run("ZADD", Keys.schedule(0), "\(1000 + number)", "d-\(number)") }
                #expect(try await worker.moveDue(limit: 2).count == 2)
                #expect(try await bench.fields(Keys.work(0)) == [["id": "d-0"], ["id": "d-1"]])
                #expect(try await worker.moveDue(limit: 1000).count == 3)
            }
        }

        @Test func rejectingKeepsTheTextWithTheReasonsOnce() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                let entry = try await bench.append("{bad", shard: 1)
                let lease = try #require(try await worker.leaseAll().first)
                let reasons = [
                    Rejection(code: "field.unknown", pointer: "/planet", detail: "Take it out."),
                    Rejection(code: "field.missing", pointer: "/plan", detail: "Say \"what\" is to be done."),
                ]
                for _ in 0..<3 {
                    try await worker.settle(lease, .reject(reasons, original: Array("{bad".utf8), id: "d-1"))
                }

                let rejects = try await bench.fields(Keys.rejects(1))
                try #require(rejects.count == 1)
                #expect(rejects[0]["code"] == "field.unknown")
                #expect(rejects[0]["pointer"] == "/planet")
                #expect(rejects[0]["detail"] == "Take it out.")
                #expect(rejects[0]["decision"] == "{bad")
                #expect(rejects[0]["id"] == "d-1")
                #expect(rejects[0]["entry"] == "martlet:{1}:decisions/\(entry)")
                #expect(rejects[0]["at"]?.hasSuffix("Z") == true)
                #expect(rejects[0]["more"]?.contains("field.missing") == true)
                #expect(try await bench.length(Keys.decisions(1)) == 0)

                for id in ["d-1", entry] {
                    let found = try await worker.rejected(id: id)
                    try #require(found.count == 1)
                    #expect(found[0].rejections == reasons)
                    #expect(found[0].original == Array("{bad".utf8))
                }
                #expect(try await worker.rejected(id: "d-2").isEmpty)
                #expect(try await worker.rejectionCounts() == ["field.unknown": 1])
            }
        }

        @Test func looksThroughMoreRejectsThanOneRoundTripBrings() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                for number in 0..<1001 {
                    try await bench.run(
                        "XADD", Keys.rejects(0), "*", "code", "json.syntax", "id", "d-\(number)", "entry",
                        "s/\(number)-0",
                        "decision", "x")
                }
                #expect(try await worker.rejectionCounts() == ["json.syntax": 1001])
                #expect(try await worker.rejected(id: "d-0").count == 1)
                #expect(try await worker.rejected(id: "d-1000").count == 1)
            }
        }

        @Test func forwardingKeepsTheFirstOrigin() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                let entry = try await bench.append("{}", shard: 0)
                let first = try #require(try await worker.leaseAll().first)
                try await worker.settle(first, .forward(shard: 1, body: Array("{}".utf8)))
                let second = try #require(try await worker.leaseAll().first)
                try await worker.settle(second, .forward(shard: 0, body: Array("{}".utf8)))
                let third = try #require(try await worker.leaseAll().first)

                #expect(second.shard == 1)
                #expect(third.shard == 0)
                #expect(third.content == .decision(Array("{}".utf8)))
                #expect([second.source, third.source] == [first.source, first.source])
                #expect(first.source == "martlet:{0}:decisions/\(entry)")
                #expect(try await bench.length(Keys.decisions(1)) == 0)
            }
        }

        @Test func abandoningLeavesTheEntryPending() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await bench.append("{}")
                let lease = try #require(try await worker.leaseAll().first)
                try await worker.settle(lease, .abandon)
                #expect(try await bench.pending(Keys.decisions(0)) == 1)
            }
        }

        @Test func countsWhatIsUnreadPendingAndScheduled() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                for _ in 0..<3 { _ = try await bench.append("{}", shard: 0) }
                let leases = try await worker.leaseAll()
                try await worker.settle(try #require(leases.first), .acknowledge)
                for _ in 0..<4 { _ = try await bench.append("{}", shard: 0) }
                try await bench.run("ZADD", Keys.schedule(0), "1", "a", "2", "b")
                try await bench.run("ZADD", Keys.schedule(1), "1", "c")

                let depth = try await worker.depth()
                let decisions = depth.streams.first { $0.name == Keys.decisions(0) }
                #expect(decisions == .init(name: Keys.decisions(0), unread: 4, pending: 2))
                #expect(depth.streams.count == 4)
                #expect(depth.scheduled == 3)
                #expect(depth.unsettled == 6)
            }
        }
    }

    @Suite("The layout")
    struct LayoutTests {
        @Test func isWrittenByTheFirstAndAgreedToByTheNext() async throws {
            try await withBench { bench in
                try await bench.worker("w1", shards: 4).agreeOnLayout()
                try await bench.worker("w2", shards: 4).agreeOnLayout()
                #expect(try await bench.run("HGET", Keys.layout, "shards").text == "4")
            }
        }

        @Test func isRefusedWithBothNumbersWhenItDiffers() async throws {
            try await withBench { bench in
                try await bench.worker("w1", shards: 4).agreeOnLayout()
                let error = await #expect(throws: QueueError.self) {
                    try await bench.worker("w2", shards: 8).agreeOnLayout()
                }
                #expect(error?.code == .broken)
                #expect(error?.detail.contains("4") == true)
                #expect(error?.detail.contains("8") == true)
                #expect(try await bench.run("HGET", Keys.layout, "shards").text == "4")
            }
        }

        @Test func isRefusedOnARedisThatForgetsUnlessThatIsAllowed() async throws {
            try await withBench { bench in
                // The server of these tests keeps no append-only file.
                let careful = try bench.worker("careful", allowsUnsafePersistence: false)
                let error = await #expect(throws: QueueError.self) { try await careful.agreeOnLayout() }
                #expect(error?.code == .broken)
                #expect(error?.detail.contains("redis.allow_unsafe_persistence") == true)
                try await bench.worker("told", allowsUnsafePersistence: true).agreeOnLayout()

                try await bench.run("CONFIG", "SET", "appendonly", "yes")
                try await careful.agreeOnLayout()
                try await bench.run("CONFIG", "SET", "appendonly", "no")
            }
        }

        @Test func isRefusedOnARedisThatEvicts() async throws {
            try await withBench { bench in
                try await bench.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
                let error = await #expect(throws: QueueError.self) { try await bench.worker().agreeOnLayout() }
                try await bench.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
                #expect(error?.code == .broken)
                #expect(error?.detail.contains("allkeys-lru") == true)
                try await bench.worker().agreeOnLayout()
            }
        }
    }
}
