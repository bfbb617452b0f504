// Fair turns: reading ahead, offering and taking, and what a crash between them leaves.
import DeliveryModel
import Queue
import RedisClient
import Testing

extension QueueTests {
    @Suite("Turns")
    struct TurnTests {
        private static func text(_ campaign: String, lane: Int = 5, number: Int = 0) -> String {
            #"{"data":{"campaign":"other","priority":0},"n":\#(number),"campaign":"\#(campaign)","priority":\#(lane)}"#
        }

        /// The campaigns of leases, in order.
        private static func campaigns(_ leases: [Lease]) -> [String] { leases.map(\.flow.campaign) }

        /// Reads ahead until nothing is unread.
        private static func readAll(_ worker: StreamQueue) async throws {
            while try await worker.readAhead(isBusy: true) > 0 {}
        }

        @Test func aSmallCampaignIsTakenInTurnsWithALargeOneBeforeIt() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                for number in 0..<500 { _ = try await bench.append(Self.text("large", number: number)) }
                for number in 0..<10 { _ = try await bench.append(Self.text("small", number: number)) }
                try await Self.readAll(worker)

                let first = try await worker.lease(upTo: 21)
                #expect(Self.campaigns(first).count { $0 == "small" } == 10)
                #expect(try await worker.leaseAll().count == 489)
            }
        }

        @Test func aSmallCampaignThatComesLaterDoesNotWaitForTheLargeOne() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                for number in 0..<500 { _ = try await bench.append(Self.text("large", number: number)) }
                try await Self.readAll(worker)
                #expect(try await worker.lease(upTo: 100).count == 100)

                for number in 0..<10 { _ = try await bench.append(Self.text("small", number: number)) }
                #expect(try await worker.readAhead(isBusy: false) == 10)
                let next = try await worker.lease(upTo: 21)
                #expect(Self.campaigns(next).count { $0 == "small" } == 10)
            }
        }

        @Test func eachLaneGetsTwiceTheTurnsOfTheNextAndTheLastIsNotStarved() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                for lane in [9, 8, 0] {
                    for number in 0..<1600 { _ = try await bench.append(Self.text("c", lane: lane, number: number)) }
                }
                try await Self.readAll(worker)

                let first = try await worker.lease(upTo: 515)
                let counts = Dictionary(grouping: first, by: \.flow.lane).mapValues(\.count)
                // Of 515 turns 512 are the first lane's, two those of the ninth, one the last one's.
                #expect(counts == [0: 512, 8: 2, 9: 1])
            }
        }

        @Test func dueWorkAndNewDecisionsOfACampaignShareItsTurns() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                let flow = Flow(campaign: "large")
                let due = try await bench.now()
                try await worker.schedule(
                    (0..<50).map { ScheduledWork(id: "d-\($0)", shard: 0, dueAt: due, flow: flow) })
                for number in 0..<50 { _ = try await bench.append(Self.text("large", number: number)) }
                for number in 0..<10 { _ = try await bench.append(Self.text("small", number: number)) }
                try await Self.readAll(worker)
                #expect(try await bench.length(Keys.work(0)) == 50)

                let first = try await worker.lease(upTo: 21)
                #expect(Self.campaigns(first).count { $0 == "small" } == 10)
                let ids = Set(try await worker.leaseAll().map(\.place) + first.map(\.place))
                #expect(ids.count == 110)
            }
        }

        @Test func whatIsReadAheadTakesTheTurnsThatItsTextSays() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                let texts = [
                    Self.text("plain", lane: 3), #"{"campaign":"caf\u00e9","priority":7}"#, #"{"campaign":"a\"b"}"#,
                    #"{"campaign":["a"],"priority":"3"}"#, #"{"priority":2.5}"#, #"{"priority":10}"#,
                    #"{"priority":-1}"#,
                    "[1,2]", "no JSON", "", #"{"campaign":"\#(String(repeating: "x", count: 300))"}"#,
                ]
                for text in texts { _ = try await bench.append(text) }
                #expect(try await worker.readAhead(isBusy: true) == texts.count)

                let turns = try await bench.run("HGETALL", Keys.turns(0)).array?.compactMap(\.text) ?? []
                let flows = Set(stride(from: 0, to: turns.count, by: 2).map { turns[$0] }.filter { $0.contains(":") })
                let expected = Set(texts.map { Flow(ofDecision: Array($0.utf8)) }.map { "\($0.lane):\($0.campaign)" })
                #expect(flows == expected)
            }
        }

        @Test func aRedisThatIsFullIsNotReadAhead() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                for number in 0..<5 { _ = try await bench.append(Self.text("c", number: number)) }
                try await bench.run("CONFIG", "SET", "maxmemory", "1")
                await #expect(throws: QueueError.self) { _ = try await worker.readAhead(isBusy: true) }
                try await bench.run("CONFIG", "SET", "maxmemory", "0")
                #expect(try await bench.pending(Keys.decisions(0)) == 0)
                #expect(try await worker.readAhead(isBusy: true) == 5)
            }
        }

        @Test func nothingWaitsForTurnsWhileWorkersKeepUp() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                for number in 0..<40 { _ = try await bench.append(Self.text("c", number: number)) }
                #expect(try await worker.readAhead(isBusy: false) == 0)
                #expect(try await worker.leaseAll(upTo: 40).count == 40)
                #expect(try await bench.run("EXISTS", Keys.ready(0), Keys.turns(0)).integer == 0)
            }
        }

        @Test func whatIsReadBeyondThePlacesWaitsForItsTurn() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                for number in 0..<8 { _ = try await bench.append(Self.text("c", number: number)) }
                #expect(try await worker.lease(upTo: 1).count == 1)
                let stream = try await worker.depth().streams.first
                #expect(stream == .init(name: Keys.decisions(0), unread: 0, pending: 2, ready: 6))
                #expect(try await worker.depth().unsettled == 8)
            }
        }

        @Test func everyEntryIsUnreadOrPendingOrReadyAtEachStep() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                for number in 0..<90 { _ = try await bench.append(Self.text("c-\(number % 7)", number: number)) }
                var settled = 0
                var leases: [Lease] = []
                for step in 0..<60 {
                    switch step % 3 {
                    case 0: _ = try await worker.readAhead(isBusy: true)
                    case 1: leases += try await worker.lease(upTo: 3)
                    default:
                        if let lease = leases.popLast() {
                            try await worker.settle(lease, .acknowledge)
                            settled += 1
                        }
                    }
                    let all = try await bench.length(Keys.decisions(0)) ?? -1
                    let group = try await bench.run("XINFO", "GROUPS", Keys.decisions(0)).array?.first?.array ?? []
                    let last = group.indices.first { group[$0].text == "last-delivered-id" }.map {
                        group[$0 + 1].text ?? ""
                    }
                    let unread = try await bench.run("XRANGE", Keys.decisions(0), "(" + (last ?? ""), "+").array?.count
                    let pending = try await bench.pending(Keys.decisions(0)) ?? -1
                    let ready = try await bench.run("ZCARD", Keys.ready(0)).integer ?? -1
                    #expect(Int(all) == 90 - settled)
                    #expect(Int(all) == (unread ?? -1) + Int(pending) + Int(ready))
                }
                #expect(settled == 20)
            }
        }

        @Test func twoWorkersNeverTakeTheSameEntry() async throws {
            try await withBench { bench in
                let workers = [try bench.worker("w1"), try bench.worker("w2")]
                _ = try await workers[0].lease(upTo: 1)
                for number in 0..<600 {
                    _ = try await bench.append(Self.text("c-\(number % 5)", number: number), shard: number % 2)
                }
                async let ahead: Void = Self.readAll(workers[0])
                async let alsoAhead: Void = Self.readAll(workers[1])
                _ = try await (ahead, alsoAhead)
                async let first = workers[0].leaseAll(upTo: 7)
                async let second = workers[1].leaseAll(upTo: 5)
                let leases = try await first + second
                #expect(leases.count == 600)
                #expect(Set(leases.map(\.place)).count == 600)
            }
        }

        @Test func aWorkerThatDiesBetweenReadingAndOfferingLosesNothing() async throws {
            try await withBench { bench in
                let other = try bench.worker("other", lease: Milliseconds(1))
                _ = try await other.lease(upTo: 1)
                _ = try await bench.append(Self.text("c"))
                // What leasing more than there are places for does first.
                try await bench.run(
                    "XREADGROUP", "GROUP", Keys.group, "dead", "COUNT", "9", "STREAMS", Keys.decisions(0), ">")
                try await bench.waitUntilIdle(Keys.decisions(0), for: 2)
                #expect(try await other.reclaim(upTo: 8) == 1)
                #expect(try await other.lease(upTo: 1).map(\.deliveries) == [2])
            }
        }

        @Test func countsItsWorkersFromTheFirstThatTookIt() async throws {
            try await withBench { bench in
                let first = try bench.worker("first", lease: Milliseconds(1))
                _ = try await first.lease(upTo: 1)
                _ = try await bench.append(Self.text("c"))
                try await Self.readAll(first)
                let taken = try await first.lease(upTo: 1)
                #expect(taken.map(\.deliveries) == [1])
                let counts = try await bench.run("XPENDING", Keys.decisions(0), Keys.group, "-", "+", "9")
                #expect(counts.array?.first?.array?.last?.integer == 1)

                let other = try bench.worker("other", lease: Milliseconds(1))
                try await bench.waitUntilIdle(Keys.decisions(0), for: 2)
                #expect(try await other.reclaim(upTo: 8) == 1)
                #expect(try await other.lease(upTo: 1).map(\.deliveries) == [2])
                // Who settles late what another one holds settles it: the ledger knows what became of it.
                try await first.settle(try #require(taken.first), .acknowledge)
                #expect(try await other.depth().unsettled == 0)
            }
        }

        @Test func passesOverEntriesThatWereDeleted() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                var entries: [String] = []
                for number in 0..<10 { entries.append(try await bench.append(Self.text("c", number: number))) }
                try await Self.readAll(worker)
                for entry in entries.prefix(4) { try await bench.run("XDEL", Keys.decisions(0), entry) }
                #expect(try await worker.leaseAll(upTo: 2).map(\.entry) == Array(entries.dropFirst(4)))
                #expect(try await bench.pending(Keys.decisions(0)) == 6)
                #expect(try await bench.run("EXISTS", Keys.ready(0), Keys.turns(0)).integer == 0)
            }
        }

        @Test func aStreamThatIsGoneTakesNothingOfTheOtherWithIt() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                _ = try await bench.append(Self.text("c"))
                try await bench.run("XADD", Keys.work(0), "*", "id", "d-1")
                try await Self.readAll(worker)
                try await bench.run("DEL", Keys.work(0))
                #expect(try await worker.lease(upTo: 10).map(\.flow.campaign) == ["c"])
                #expect(try await bench.pending(Keys.decisions(0)) == 1)
            }
        }

        @Test func goesOnAfterRedisWasEmptied() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                for number in 0..<50 { _ = try await bench.append(Self.text("c", number: number)) }
                try await Self.readAll(worker)
                try await bench.run("FLUSHALL")
                #expect(try await worker.readAhead(isBusy: true) == 0)
                #expect(try await worker.leaseAll().isEmpty)
                _ = try await bench.append(Self.text("c"))
                #expect(try await worker.leaseAll().count == 1)
            }
        }

        @Test func forgetsCampaignsWhoseTurnsHavePassed() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                _ = try await worker.lease(upTo: 1)
                // One campaign keeps the turns from beginning anew; the others come and go.
                for number in 0..<3000 { _ = try await bench.append(Self.text("large", lane: 9, number: number)) }
                try await Self.readAll(worker)
                for round in 0..<30 {
                    for number in 0..<40 { _ = try await bench.append(Self.text("c-\(round)-\(number)", lane: 0)) }
                    try await Self.readAll(worker)
                    _ = try await worker.lease(upTo: 60)
                }
                #expect(try #require(try await bench.run("HLEN", Keys.turns(0)).integer) < 400)
            }
        }
    }
}
