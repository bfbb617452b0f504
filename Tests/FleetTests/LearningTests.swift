// From a choice to what it teaches: slots and arms, their record, their rewards, counts and snapshots.
import Foundation
import LocalServers
import RedisClient
import Testing

extension FleetTests {
    @Suite(.serialized) struct Learning {}
}

extension FleetTests.Learning {
    private static let settings = [
        "channels:\n": "learning: {refit_every: PT10S}\ncampaigns:\n  choosy: {arms: {policy: softmax}}\nchannels:\n"
    ]
    private static let ids = (0..<10).map { "c-\($0)" }

    private func decide(_ id: String, _ world: World) async throws {
        let expiry = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: 30 * 3600))
        let arms = ["a", "b", "c"].map {
            #"{"id":"arm-\#($0)","cost":0.01,"plan":[{"channel":"email","template":"welcome"}]}"#
        }
        try await world.redis(
            RedisCommand(
                "XADD", "martlet:{0}:decisions", "*", "decision",
                #"{"schema":"martlet.decision/1","id":"\#(id)","campaign":"choosy","class":"transactional","#
                    + #""user":{"id":"u-\#(id)","email":"\#(id)@example.com","timezone":"Asia/Kathmandu"},"#
                    + #""timing":{"mode":"optimize"},"expires_at":"\#(expiry)","arms":[\#(arms.joined(separator: ","))],"#
                    + #""context":{"segment":"evening","visits":3},"data":{"first_name":"Ada"},"#
                    + #""reward":{"open":0.05,"click":0.3,"window":"PT1H"}}"#))
    }

    private func counts(_ world: World) async throws -> [String: [String]] {
        var all: [String: [String]] = [:]
        for key in try await world.redis(RedisCommand("KEYS", "martlet:*rhythm:*"))[0].array ?? [] {
            guard let name = key.text else { continue }
            let fields = try await world.redis(RedisCommand("HGETALL", name))[0].array ?? []
            all[name] = stride(from: 0, to: fields.count - 1, by: 2).map {
                "\(fields[$0].bytes ?? [])=\(fields[$0 + 1].bytes ?? [])"
            }.sorted()
        }
        return all
    }

    @Test func choicesAreOnRecordCanBeMadeAgainAndTeach() async throws {
        let world = try await Stage.shared.world(Self.settings)
        let worker = try await world.start("worker")
        for id in Self.ids { try await self.decide(id, world) }
        try await eventually("they rest for their slots") {
            try await world.count("SELECT count(*) FROM choices JOIN unsettled ON id = decision") == 10
        }
        #expect(try await world.count("SELECT count(*) FROM unsettled WHERE due_at > now() + interval '31 hours'") == 0)
        for id in Self.ids {
            let again = try await world.martlet("explain", id, "--replay")
            #expect(
                again.code == 0 && again.out.components(separatedBy: "the same, bit for bit").count == 3, "\(again.out)"
            )
            #expect(again.out.contains("rhythm@v0") && again.out.contains("◀ drawn"))
        }
        #expect(try await world.martlet("explain", "c-0").out.contains("Asia/Kathmandu"))

        // As if their slots had come, and an hour and more had passed since.
        _ = try await world.query("UPDATE unsettled SET due_at = now(), look_at = now()")
        try await world.settles(10)
        _ = try await world.query(
            "UPDATE settlements SET settled_at = settled_at - interval '2 hours', closes_at = closes_at - interval '2 hours';"
                + "UPDATE attempts SET opened_at = opened_at - interval '2 hours', closed_at = closed_at - interval '2 hours'"
        )
        try await eventually("each has its final reward") {
            try await world.count("SELECT count(*) FROM rewards WHERE state = 'final'") == 10
        }
        let rewards = try await world.martlet("rewards", "export", "--format", "ndjson").out
        for line in rewards.split(separator: "\n") {
            let reward = try JSONDecoder().decode(JSON.self, from: Data(line.utf8))
            let slot = try #require(reward["propensity"]["slot"].number)
            let arm = try #require(reward["propensity"]["arm"].number)
            #expect(slot > 0 && slot <= 1 && arm > 0 && arm < 1)
            #expect(abs((reward["propensity"]["joint"].number ?? 0) - slot * arm) < 1e-12)
            #expect((reward["candidates"]["slots"].number ?? 0) > 20)
            #expect(reward["policy"]["slot"].text == "rhythm@v0")
        }
        #expect(rewards.split(separator: "\n").count == 10)

        try await eventually("what they teach is counted") { try await self.counts(world).count == 10 }
        try await eventually("pending ones are settled") {
            try await self.counts(world).values.allSatisfy { !$0.contains { $0.hasPrefix("[119") } }
        }
        let counted = try await self.counts(world)
        try await world.redis(
            RedisCommand("XADD", "martlet:{0}:activity", "*", "user", "u-new", "timezone", "Europe/Warsaw"))
        try await eventually("activity is counted") { try await self.counts(world).count == 11 }
        try await eventually("a snapshot is in use") {
            try await world.martlet("model", "list", "rhythm", "--json").out.contains(#""number":1"#)
        }
        try await eventually("what comes is chosen by it") {
            let id = "late-\(try await world.count("SELECT count(*) FROM choices"))"
            try await self.decide(id, world)
            try await eventually("it is accepted") {
                try await world.count("SELECT count(*) FROM choices WHERE decision = '\(id)'") == 1
            }
            let again = try await world.martlet("explain", id, "--replay")
            #expect(again.code == 0)
            return !again.out.contains("rhythm@v0")
        }

        // All that was counted is lost: it is counted again from the ledger, to the same.
        let keys = try await world.redis(RedisCommand("KEYS", "martlet:*"))[0].array ?? []
        // At once, or what is counted again meanwhile would be deleted.
        var deletion = RedisCommand("DEL")
        for name in keys.compactMap(\.text)
        where name.contains(":rhythm:") || name.contains(":learned:") || name.hasSuffix(":counted") {
            deletion.append(name)
        }
        try await world.redis(deletion)
        try await eventually("it is counted again") {
            let again = try await self.counts(world)
            return counted.allSatisfy { again[$0.key] == $0.value }
        }
        // Counts without a place are none: what stands in Redis without one is forgotten, whatever it is.
        let (person, _) = try #require(counted.first)
        let shard = try #require(person.split(separator: ":rhythm:").first)
        try await world.redis(
            RedisCommand("HINCRBY", person, "7", 6400), RedisCommand("SET", "\(shard):counted", "nowhere"))
        try await eventually("it is forgotten and counted anew") {
            let again = try await self.counts(world)
            return counted.allSatisfy { again[$0.key] == $0.value }
        }
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func settingsThatCannotBeAreToldWithTheirLine() async throws {
        let world = try await Stage.shared.world([
            "channels:\n":
                "learning:\n  slots: {window: PT1S, floor: 2, capacity: [{channel: pigeon}]}\n  arms: {policy: magic}\n"
                + "campaigns:\n  a: {arms: {budget: {amount: -1}}}\nchannels:\n"
        ])
        let answer = try await world.martlet("check")
        let said = answer.out + answer.err
        for place in [
            "learning.slots.window", "learning.slots.floor", "learning.slots.capacity", "learning.arms.policy",
            "campaigns.a.arms.budget.amount", "campaigns.a.arms.budget.per",
        ] {
            #expect(said.contains(place), "\(place): \(said)")
        }
        #expect(answer.code != 0)
    }
}
