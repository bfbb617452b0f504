// The commands beside the fleet, and a producer that is not written in Swift.
import Foundation
import LocalServers
import Testing

extension FleetTests {
    @Suite(.serialized) struct Tools {}
}

extension FleetTests.Tools {
    @Test func checkNamesFileLineAndKeyOfEachProblem() async throws {
        let world = try await Stage.shared.world()
        let fine = try await world.martlet("check")
        #expect(fine.code == 0 && fine.out.contains("smtp") && fine.out.contains("in order"), "\(fine.out)\(fine.err)")

        let settings = try String(contentsOfFile: world.settingsFile, encoding: .utf8)
        try settings.replacingOccurrences(of: "concurrency: 256", with: "concurrency: many")
            .replacingOccurrences(of: "  attempts: 3", with: "  atempts: 3")
            .write(toFile: world.settingsFile, atomically: true, encoding: .utf8)
        let wrong = try await world.martlet("check")
        #expect(wrong.code != 0)
        #expect(wrong.err.contains("martlet.yaml:2: worker.concurrency:"), "\(wrong.err)")
        #expect(wrong.err.contains("martlet.yaml:8: retry.atempts:"), "\(wrong.err)")
        let machines = "agents: []\nnetworks: [{name: x, kind: gateway, blocks: [192.0.2.1/32]}]\n"
        try machines.write(toFile: world.folder + "/machines.yaml", atomically: true, encoding: .utf8)
        try settings.replacingOccurrences(of: "\(Place.repository)/channels/machines.yaml", with: "machines.yaml")
            .write(toFile: world.settingsFile, atomically: true, encoding: .utf8)
        let tracked = try await world.martlet("check", with: ["MARTLET_TRACKING_URL": "https://t.example.com"])
        #expect(tracked.code != 0 && tracked.err.contains("machines.yaml:2: networks[0].blocks"), "\(tracked.err)")
        try settings.write(toFile: world.settingsFile, atomically: true, encoding: .utf8)

        let provider = world.folder + "/providers/smtp.yaml"
        let text = try String(contentsOfFile: provider, encoding: .utf8)
        try text.replacingOccurrences(of: "final_dot_seconds: 600", with: "final_dot_seconds: -1")
            .write(toFile: provider, atomically: true, encoding: .utf8)
        let line =
            text.split(separator: "\n", omittingEmptySubsequences: false).firstIndex { $0.contains("final_dot") } ?? 0
        let judged = try await world.martlet("check")
        #expect(
            judged.code != 0 && judged.err.contains("smtp.yaml:\(line + 1): timeouts.final_dot_seconds"),
            "\(judged.err)")
        let secret = try await world.martlet("check", with: ["TWILIO_AUTH_TOKEN": ""])
        #expect(secret.code != 0 && secret.err.contains("TWILIO_AUTH_TOKEN"), "\(secret.err)")
        let missing = try await world.martlet("check", "--config", "nowhere.yaml")
        #expect(missing.code != 0 && missing.err.contains("nowhere.yaml"), "\(missing.err)")
    }

    @Test func migratingTwiceAtOnceIsSafe() async throws {
        let world = try await Stage.shared.world()
        async let one = world.martlet("migrate")
        async let other = world.martlet("migrate")
        for output in try await [one, other] {
            #expect(output.code == 0 && output.out.contains("up to date"), "\(output.err)")
        }
        #expect(try await world.count("SELECT count(*) FROM decisions") == 0)
        #expect(try await world.martlet("status").code == 0)
    }

    @Test func anInterruptedEnqueueGoesOnWhereItStopped() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let file = world.folder + "/decisions.ndjson"
        try (Wish.mails("e", 60).map(\.json).joined(separator: "\n") + "\n").write(
            toFile: file, atomically: true, encoding: .utf8)
        let slow = try Program(
            [try Place.martlet(), "enqueue", "--rate", "20", "--batch", "5", file], environment: world.environment,
            name: "enqueue", in: world.folder)
        try await eventually("some are sent") {
            FileManager.default.fileExists(atPath: file + ".progress")
        }

        try await slow.killHard()
        let again = try await world.martlet("enqueue", "--batch", "5", file)

        #expect(again.code == 0 && again.err.contains("going on at byte"), "\(again.err)")
        #expect(!FileManager.default.fileExists(atPath: file + ".progress"))
        try await world.settles(60)
        #expect(try await world.rejects().count <= 5, "at most the batch that was on its way came twice")
        let receipts = try await world.simulators.receipts("smtp")
        #expect(receipts.count == 60 && receipts.values.allSatisfy { $0 == 1 })
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aToolThatFindsNoServersSaysSoInASentence() async throws {
        let world = try await Stage.shared.world()
        let none = ["MARTLET_REDIS_URL": "", "MARTLET_DATABASE_URL": "", "MARTLET_DATA": world.folder + "/nothing"]
        for command in ["status", "enqueue", "worker"] {
            let output = try await world.martlet(command, with: none)
            #expect(output.code != 0 && output.err.contains("set MARTLET_REDIS_URL"), "\(command): \(output.err)")
        }
        let away = [
            ("PostgreSQL", ["MARTLET_DATABASE_URL": "postgresql:///martlet?host=\(world.folder)&user=martlet"]),
            ("Redis", ["MARTLET_REDIS_URL": "redis://127.0.0.1:\(try LoopbackPort.free())"]),
        ]
        #expect(try await world.martlet("migrate").code == 0)
        for (name, settings) in away {
            let output = try await world.martlet("status", with: settings)
            #expect(output.code != 0 && output.err.contains(name))
            #expect(!output.err.contains("Error("), "Swift instead of words: \(output.err)")
        }
    }

    @Test func theProducerInPythonNeedsOnlyARedisClient() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let file = world.folder + "/decisions.ndjson"
        let wrong = Wish("py-wrong", phone: "555-0100").json
        try ([Wish("py", email: "py@example.com").json, wrong].joined(separator: "\n") + "\n")
            .write(toFile: file, atomically: true, encoding: .utf8)
        func producer(_ arguments: String...) async throws -> Output {
            try await Program.run(
                [try Place.python(), Place.repository + "/docs/examples/producer.py"] + arguments,
                environment: ["MARTLET_REDIS_URL": world.redisURL])
        }

        let sent = try await producer("send", file)
        #expect(sent.code == 0 && sent.out.contains("sent 2 decisions"), "\(sent.err)")
        try await world.settles(1)
        #expect(try await world.simulators.receipts("smtp") == ["py@example.com": 1])
        try await eventually("the wrong one is set aside") { try await !world.rejects().isEmpty }
        let rejects = try await producer("rejects")
        #expect(
            rejects.out.contains("user.phone") && rejects.out.contains("/user/phone"), "\(rejects.out)\(rejects.err)")
        #expect(rejects.out.contains("1 rejected"))
        #expect(try await producer("shard", "u-py").out.contains("of 16"))
        #expect(try await worker.program.terminate() == 0)
    }
}
