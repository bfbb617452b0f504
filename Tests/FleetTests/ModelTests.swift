// `martlet model`: an operator looks at snapshots, goes back, freezes, tries one, and takes it all back.
import Foundation
import LocalServers
import Testing

extension FleetTests {
    @Suite(.serialized) struct Models {}
}

extension World {
    /// A snapshot as a leader would have published it.
    fileprivate func publish(_ number: Int, drift: Double, isCandidate: Bool = false) async throws {
        _ = try await self.query(
            """
            WITH made AS (
                INSERT INTO snapshots (kind, number, made_at, made_by, trained_from, trained_to, is_candidate, metrics,
                                       digest, size, body)
                SELECT 'rhythm', \(number), now() + interval '\(number) s', 'worker-1', now() - interval '1 day', now(),
                       \(isCandidate), '{"drift": \(drift), "reward_rate": 0.1}', sha256(body), length(body), body
                FROM (SELECT convert_to(repeat('x', \(number) * 10), 'UTF8') AS body) AS b RETURNING number
            )
            UPDATE model_state SET last = number, active = CASE WHEN \(isCandidate) THEN active ELSE number END
            FROM made WHERE kind = 'rhythm'
            """)
    }
}

extension FleetTests.Models {
    @Test func anOperatorGoesBackAndTakesItBack() async throws {
        let world = try await Stage.shared.world()
        #expect(try await world.martlet("migrate").code == 0)
        let none = try await world.martlet("model", "rollback", "rhythm")
        #expect(none.code != 0 && none.err.contains("there is no rhythm snapshot yet"), "\(none.err)")
        for number in 1...3 { try await world.publish(number, drift: 0.1) }
        try await world.publish(4, drift: 2, isCandidate: true)

        let list = try await world.martlet("model", "list", "rhythm")
        #expect(list.code == 0 && list.out.contains("rhythm: snapshot 3 is in use."), "\(list.out)\(list.err)")
        #expect(list.out.contains("candidate"))
        let missing = try await world.martlet("model", "rollback", "rhythm", "12")
        #expect(
            missing.code != 0 && missing.err.contains("there is no rhythm snapshot 12; the newest is 4"),
            "\(missing.err)")

        let back = try await world.martlet("model", "rollback", "rhythm", "--reason", "wrong hours")
        #expect(
            back.code == 0 && back.out.contains("went back from snapshot 3 to snapshot 2"), "\(back.out)\(back.err)")
        #expect(back.out.contains("`martlet model promote rhythm 3`, then `martlet model unfreeze rhythm`"))
        // It says what to do, and that does it.
        #expect(try await world.martlet("model", "promote", "rhythm", "3").code == 0)
        #expect(try await world.martlet("model", "unfreeze", "rhythm").code == 0)
        let listed = try await world.martlet("model", "list", "rhythm", "--json")
        let kind = JSON.parse(listed.out)["kinds"].list.first
        #expect(kind?["active"].int == 3 && kind?["frozen"] == .bool(false), "\(listed.out)")
        let changes = kind?["changes"].list ?? []
        #expect(changes.compactMap { $0["what"].text } == ["unfreeze", "promote", "rollback"])
        #expect(changes.last?["reason"].text == "wrong hours" && changes.last?["by"].text?.contains("@") == true)
    }

    @Test func aCandidateIsLookedAtTriedAndPromoted() async throws {
        let world = try await Stage.shared.world()
        #expect(try await world.martlet("migrate").code == 0)
        for number in 1...2 { try await world.publish(number, drift: 0.1) }
        try await world.publish(3, drift: 2.5, isCandidate: true)

        let shown = try await world.martlet("model", "show", "rhythm", "3")
        #expect(shown.code == 0 && shown.out.contains("rhythm snapshot 3: candidate"), "\(shown.out)\(shown.err)")
        #expect(shown.out.contains("+2.4") && shown.out.contains("30 bytes") && shown.out.contains("+10 bytes"))
        let digest = try await world.query("SELECT encode(digest, 'hex') FROM snapshots WHERE number = 3")
        let json = JSON.parse(try await world.martlet("model", "show", "rhythm", "3", "--json").out)
        #expect(json["sha256"].text == digest.first && json["before"]["number"].int == 2)

        let refused = try await world.martlet("model", "promote", "rhythm")
        #expect(refused.code != 0 && refused.err.contains("rhythm has no shadow"), "\(refused.err)")
        let shadow = try await world.martlet("model", "shadow", "rhythm", "3")
        #expect(shadow.code == 0 && shadow.out.contains("asks snapshot 3 beside snapshot 2"), "\(shadow.out)")
        let promoted = try await world.martlet("model", "promote", "rhythm")
        #expect(promoted.code == 0 && promoted.out.contains("uses snapshot 3 instead of snapshot 2"), "\(promoted.out)")
        #expect(try await world.martlet("model", "freeze", "rhythm").out.contains("stays at snapshot 3"))
        #expect(try await world.martlet("model", "freeze", "rhythm").out.contains("was frozen already"))

        _ = try await world.query("UPDATE snapshots SET body = 'rubbish' WHERE number = 1")
        let damaged = try await world.martlet("model", "rollback", "rhythm", "1")
        #expect(damaged.code != 0 && damaged.err.contains("is not what was written"), "\(damaged.err)")
        #expect(try await world.martlet("model", "show", "rhythm", "1").out.contains("what is kept is not what"))
        let nonsense = try await world.martlet("model", "show", "rhythms")
        #expect(nonsense.code != 0 && nonsense.err.contains("rhythm"), "\(nonsense.err)")
    }

    @Test func checkNamesWhatIsWrongAboutLearning() async throws {
        let world = try await Stage.shared.world()
        let settings = try String(contentsOfFile: world.settingsFile, encoding: .utf8)
        try (settings + "learning:\n  refit_every: PT1S\n  drift_max: -1\n  keep_snapshots: 0\n  refit: PT5M\n")
            .write(toFile: world.settingsFile, atomically: true, encoding: .utf8)
        let output = try await world.martlet("check")
        #expect(output.code != 0)
        for key in ["refit_every: a duration", "drift_max: a number above 0", "keep_snapshots: a whole", "refit:"] {
            #expect(output.err.contains("learning.\(key)"), "\(output.err)")
        }
    }
}
