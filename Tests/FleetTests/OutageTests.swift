// Redis and PostgreSQL go away and come back: everything settles, nothing is sent twice, and the log says so once.
import Foundation
import LocalServers
import Testing

extension FleetTests {
    @Suite(.serialized) struct Outages {}
}

/// How often `words` are in `text`.
private func occurrences(of words: String, in text: String) -> Int {
    text.components(separatedBy: words).count - 1
}

/// No person who reads the log finds a crash in it.
private func expectCalmLog(_ member: Member) {
    for words in ["Fatal error", "Stack dump", "Crash", "backtrace", "Thread 0", " error "] {
        #expect(!member.program.text.contains(words), "‘\(words)’ in \(member.program.text.suffix(2000))")
    }
}

extension FleetTests.Outages {
    @Test func redisIsKilledAndComesBackMidway() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let edge = try await world.start("edge")
        let file = world.folder + "/decisions.ndjson"
        let wishes = Wish.mails("r", 100) + Wish.texts("r-sms", 60)
        try wishes.map(\.json).joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        let enqueue = try Program(
            [try Place.martlet(), "enqueue", "--rate", "60", "--batch", "10", file], environment: world.environment,
            name: "enqueue", in: world.folder)
        try await eventually("some are sent") { try await world.count("SELECT count(*) FROM settlements") > 30 }

        try await Stage.shared.crashRedis(in: world) {
            try await worker.program.says("Redis is away")
            try await edge.program.says("Redis is away")
            let ready = try await Web.get(worker.ops + "/readyz")
            #expect(ready.status == 503 && ready.body.contains("waiting for Redis"))
            #expect(try await Web.get(worker.ops + "/healthz").status == 200)
        }

        #expect(try await enqueue.end(within: .seconds(60)) == 0, "\(enqueue.text)")
        try await world.settles(wishes.count)
        for name in ["smtp", "sms"] {
            #expect(
                try await world.simulators.receipts(name).values.allSatisfy { $0 == 1 }, "\(name) received one twice")
        }
        #expect(try await world.simulators.accepted("smtp") == 100)
        #expect(try await world.simulators.accepted("sms") == 60)
        for member in [worker, edge] {
            #expect(occurrences(of: "Redis is away", in: member.program.text) == 1)
            #expect(occurrences(of: "Redis is back", in: member.program.text) == 1)
            expectCalmLog(member)
            #expect(try await member.program.terminate() == 0)
        }
    }

    @Test func postgresStopsAndComesBackMidway() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let edge = try await world.start("edge")
        // Slow enough that messages are on the wire when the ledger goes.
        try await world.simulators.setFaults("smtp", #"{"faults":[{"stage":"dot","delay_ms":300}]}"#)
        let wishes = Wish.mails("p", 100) + Wish.texts("p-sms", 40)
        try await world.append(Array(wishes.prefix(70)))
        try await eventually("some are sent") { try await world.count("SELECT count(*) FROM settlements") > 5 }

        await Stage.shared.stopPostgres()
        try await world.append(Array(wishes.dropFirst(70)))
        try await worker.program.says("PostgreSQL is away")
        let answer = try await Web.send("POST", edge.edge, body: Wish("late", email: "late@example.com").json)
        #expect(answer.status == 503)
        #expect(answer.headers["retry-after"] != nil)
        #expect(answer.headers["content-type"]?.hasPrefix("application/problem+json") == true)
        #expect(try await Web.get(worker.ops + "/readyz").body.contains("waiting for PostgreSQL"))
        try await Stage.shared.startPostgres()

        try await world.settles(wishes.count, within: .seconds(90))
        for name in ["smtp", "sms"] {
            #expect(
                try await world.simulators.receipts(name).values.allSatisfy { $0 == 1 }, "\(name) received one twice")
        }
        #expect(try await world.query("SELECT DISTINCT state FROM settlements") == ["sent"])
        #expect(try await world.simulators.accepted("smtp") + world.simulators.accepted("sms") == wishes.count)
        for member in [worker, edge] {
            #expect(occurrences(of: "PostgreSQL is away", in: member.program.text) == 1, "\(member.program.text)")
            expectCalmLog(member)
            #expect(try await member.program.terminate() == 0)
        }
    }

    @Test func theFleetWaitsForServersThatAreNotThereYet() async throws {
        let world = try await Stage.shared.world()
        await Stage.shared.stopPostgres()
        await Stage.shared.stopRedis()

        let worker = try await world.start("worker", isReady: false)
        try await eventually("it says what it waits for") {
            let answer = try? await Web.get(worker.ops + "/readyz")
            return answer?.status == 503 && answer?.body.contains("waiting for PostgreSQL") == true
        }
        try await Stage.shared.startPostgres()
        try await eventually("it says what it waits for next") {
            try await Web.get(worker.ops + "/readyz").body.contains("waiting for Redis")
        }
        try await Stage.shared.startRedis()
        try await worker.program.says("ready")

        expectCalmLog(worker)
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aFleetThatIsStillStartingItsServersEndsWhenItIsTold() async throws {
        let world = try await Stage.shared.world()
        let up = try await world.start(
            "up",
            [
                "MARTLET_REDIS_URL": "", "MARTLET_DATABASE_URL": "", "MARTLET_DATA": "\(world.folder)/data",
                "MARTLET_LOG_LEVEL": "info",
            ], isReady: false)
        try await up.program.says("started a private redis-server")

        #expect(try await up.program.terminate(within: .seconds(20)) == 0)
        // Nothing is left behind. (The brackets keep the search from finding itself.)
        try await eventually("its servers have ended") {
            let output = try await Program.run(["pgrep", "-f", "\(world.folder)/[d]ata"])
            return output.out.isEmpty
        }
    }

    @Test func aFleetThatNeverFoundItsServersEndsWhenItIsTold() async throws {
        let world = try await Stage.shared.world()
        let nowhere = "postgresql:///martlet?host=\(world.folder)/nowhere&user=martlet"
        let worker = try await world.start("worker", ["MARTLET_DATABASE_URL": nowhere], isReady: false)
        try await worker.program.says("waiting for PostgreSQL")

        #expect(try await worker.program.terminate(within: .seconds(20)) == 0)
    }
}
