// Counts that the fleet learns from.
import DeliveryModel
import Queue
import RedisClient
import Testing

private let user = "u-7"
private let userShard = Shard.of(userID: user, count: 2)

private func field(_ name: String) -> [UInt8] { Array(name.utf8) }

private func add(_ owner: CountOwner, _ name: String, _ amount: Int64) -> CountUpdate {
    CountUpdate(owner: owner, changes: [.add(field: field(name), amount)])
}

extension [CountField] {
    fileprivate var texts: [String: String] {
        Dictionary(
            self.map { (String(decoding: $0.name, as: UTF8.self), String(decoding: $0.value, as: UTF8.self)) }
        ) { $1 }
    }
}

extension QueueTests {
    @Suite("Counts")
    struct CountTests {
        @Test func eachStretchOfRewardsCountsOnceWhoeverComes() async throws {
            try await withBench { bench in
                let (first, second) = (try bench.worker("w1"), try bench.worker("w2"))
                let updates = [
                    add(.user(user), "12", 64), add(.user(user), "12", 1 << 43), add(.levels, "e:welcome", 5),
                    add(.arms(campaign: "welcome"), "n:1:a", 2),
                ]
                #expect(try await first.counted() == [nil, nil])
                #expect(try await first.count(updates, shard: userShard, from: nil, to: "5-1") == "5-1")
                // Somebody else read from the same place.
                #expect(try await second.count(updates, shard: userShard, from: nil, to: "5-1") == "5-1")
                #expect(try await second.count(updates, shard: userShard, from: nil, to: "6-1") == "5-1")
                #expect(try await second.count(updates, shard: userShard, from: "4-9", to: "6-1") == "5-1")
                #expect(try await second.counts(ofUser: user).texts == ["12": "\(64 + (1 << 43))"])
                #expect(try await second.counts(of: .levels).map(\.texts).contains(["e:welcome": "5"]))
                #expect(
                    try await second.counts(of: .arms(campaign: "welcome")).map(\.texts).contains(["n:1:a": "2"]))
                #expect(try await second.count([], shard: userShard, from: "5-1", to: "7-1") == "7-1")
                #expect(try await first.counted()[userShard] == "7-1")
            }
        }

        @Test func settingsAndRemovalsAreInTheSameStep() async throws {
            try await withBench { bench in
                let queue = try bench.worker("w1")
                let changes: [CountChange] = [
                    .set(field: [0x77, 0, 255], [1, 0, 2]), .set(field: field("g"), field("a b")),
                    .remove(field: field("g")),
                ]
                _ = try await queue.count(
                    [CountUpdate(owner: .user(user), changes: changes)], shard: userShard, from: nil, to: "1-1")
                #expect(
                    try await queue.counts(ofUser: user) == [CountField(name: [0x77, 0, 255], value: [1, 0, 2])])
                let seconds = try await bench.run("TTL", Keys.rhythm(userShard, user)).integer ?? 0
                #expect(seconds > 390 * 86_400)
            }
        }

        @Test func aSumThatNoLongerFitsStopsNothing() async throws {
            try await withBench { bench in
                let queue = try bench.worker("w1")
                let updates = [
                    add(.user(user), "1", .max), add(.user(user), "1", 1), add(.user(user), "2", 7),
                ]
                #expect(try await queue.count(updates, shard: userShard, from: nil, to: "1-1") == "1-1")
                #expect(try await queue.counts(ofUser: user).texts == ["1": "\(Int64.max)", "2": "7"])
            }
        }

        @Test func whatIsForgottenIsCountedFromTheBeginning() async throws {
            try await withBench { bench in
                let queue = try bench.worker("w1")
                for number in 0..<50 {
                    let name = "u-\(number)"
                    let shard = Shard.of(userID: name, count: 2)
                    try await queue.note([(shard, add(.user(name), "3", 64))])
                }
                _ = try await queue.count(
                    [add(.user(user), "1", 1), add(.levels, "s:a", 1)], shard: userShard, from: nil, to: "9-9")
                var seen: [String: [CountField]] = [:]
                var cursor = "0"
                repeat {
                    let (users, next) = try await queue.users(after: cursor, limit: 10)
                    for (user, counts) in users { seen[user] = counts }
                    cursor = next
                } while cursor != "0"
                #expect(seen.count == 50 && seen["u-3"]?.texts == ["3": "64"])
                try await queue.forgetCounts(shard: userShard)
                #expect(try await queue.counts(ofUser: user).isEmpty)
                #expect(try await queue.counted() == [nil, nil])
                #expect(try await queue.counts(of: .levels).joined().isEmpty)
            }
        }

        @Test func plansAddUpByHourAndChannel() async throws {
            try await withBench { bench in
                let queue = try bench.worker("w1")
                let hours = (0..<3).map { Timestamp(milliseconds: 1_800_000_000_000 + Int64($0) * 3_600_000) }
                for _ in 0..<3 { try await queue.plan(.email, hour: hours[1]) }
                try await queue.plan(.sms, hour: hours[1])
                #expect(try await queue.planned(.email, hours: hours) == [0, 3, 0])
            }
        }

        @Test func anActivityCountsOnceAndLeavesItsStream() async throws {
            try await withBench { bench in
                let (queue, other) = (try bench.worker("w1"), try bench.worker("w2"))
                _ = try await queue.activities(limit: 10, forgotten: false)
                let elsewhere = 1 - userShard
                try await bench.run("XADD", Keys.activity(userShard), "*", "user", user, "time", "2026-11-21T19:00:00Z")
                try await bench.run("XADD", Keys.activity(elsewhere), "*", "user", user, "timezone", "Europe/Warsaw")
                try await bench.run("XADD", Keys.activity(userShard), "*", "user", user, "time", "yesterday")
                let entries = try await queue.activities(limit: 100, forgotten: false)
                #expect(entries.count == 3 && entries.count { $0.activity == nil } == 1)
                #expect(entries.contains { $0.activity?.at == Timestamp(rfc3339: "2026-11-21T19:00:00Z") })
                #expect(entries.contains { $0.activity?.timezone == "Europe/Warsaw" })
                let update = add(.user(user), "200", 64)
                for entry in entries {
                    for worker in [queue, other] {
                        let counting =
                            entry.activity == nil || entry.shard == elsewhere && worker === other ? nil : update
                        try await worker.settle((entry.shard, entry.entry), counting: counting)
                    }
                }
                #expect(try await queue.counts(ofUser: user).texts == ["200": "128"])
                for shard in 0..<2 { #expect(try await bench.length(Keys.activity(shard)) == 0) }
            }
        }
    }
}
