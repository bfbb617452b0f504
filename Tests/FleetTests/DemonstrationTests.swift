// The demonstration of deploy/run, smaller: `martlet up` with servers of its own, real decisions and wrong ones.
import DeliveryModel
import Foundation
import LocalServers
import Testing

extension FleetTests {
    @Suite(.serialized) struct Demonstration {}
}

/// One run that the tests of this file look at from different sides.
private struct Run: Sendable {
    static let task = Task { try await Run.carryOut() }
    static var finished: Run { get async throws { try await Self.task.value } }

    let world: World
    let up: Member
    let expected: JSON
    let lines: [String]
    let wrong: [(code: String, text: Data)]
    let status: Output

    /// The environment of `martlet up`: no URLs, a data folder instead.
    static func environment(_ world: World) -> [String: String] {
        [
            "MARTLET_REDIS_URL": "", "MARTLET_DATABASE_URL": "", "MARTLET_DATA": world.folder + "/data",
            "MARTLET_CONFIG": Place.repository + "/deploy/demo.yaml",
        ]
    }

    private static func carryOut() async throws -> Run {
        let stage = try await Stage.shared.world()
        let simulators = try await Simulators.start(in: stage.folder + "/simulators")
        let world = World(folder: stage.folder, redisURL: "", databaseURL: "", simulators: simulators)
        let folder = Place.repository + "/loadtests/decisions"
        let expected = JSON.parse(try String(contentsOfFile: folder + "/demo.expected.json", encoding: .utf8))
        let all = try Data(contentsOf: URL(fileURLWithPath: folder + "/demo.ndjson")).split(
            separator: UInt8(ascii: "\n"))
        let wrongLines = expected["wrong"].list.map { (line: $0["line"].int ?? 0, code: $0["code"].text ?? "") }
        let wrongNumbers = Set(wrongLines.map(\.line))
        var special: Set<String> = []
        for kind in [
            "bounce", "bounce-then", "phone-0000", "phone-0000-then", "phone-0429", "dead", "slow", "expired",
            "incomplete",
        ] {
            special.formUnion(expected["ends"][kind]["ids"].list.compactMap(\.text))
        }
        // The first hundred, and everybody who is treated in a way of his own.
        let good = all.enumerated().filter { number, line in
            guard !wrongNumbers.contains(number + 1) else { return false }
            return number < 100 || special.contains(JSON.parse(String(decoding: line, as: UTF8.self))["id"].text ?? "")
        }.map { String(decoding: $0.element, as: UTF8.self) }
        let file = world.folder + "/demo.ndjson"
        try good.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)

        // At trace level: nobody's address may be in the log even then.
        let environment = Self.environment(world)
        let up = try await world.start("up", environment.merging(["MARTLET_LOG_LEVEL": "trace"]) { $1 })
        let enqueued = try await world.martlet("enqueue", file, with: environment)
        try #require(enqueued.code == 0, "\(enqueued.err)")
        let first = try await world.martlet("status", "--settle-within", "90", with: environment)
        try #require(first.code == 0, "\(first.out)\(first.err)")
        // The wrong ones come by standard input; what they repeat has been accepted by now.
        let wrong = wrongLines.map { (code: $0.code, text: Data(all[$0.line - 1])) }
        let input = wrong.flatMap { Array($0.text) + [UInt8(ascii: "\n")] }
        let second = try await world.martlet("enqueue", input: input, with: environment)
        try #require(second.code == 0, "\(second.err)")
        let status = try await world.martlet("status", "--settle-within", "60", with: environment)
        return Run(world: world, up: up, expected: expected, lines: good, wrong: wrong, status: status)
    }

    /// The same world, with the URLs of the servers that `martlet up` has started.
    var inside: World {
        get throws {
            func url(_ file: String) throws -> String {
                try String(contentsOfFile: "\(self.world.folder)/data/\(file)", encoding: .utf8)
                    .trimmingCharacters(in: .whitespacesAndNewlines)
            }
            return World(
                folder: self.world.folder, redisURL: try url("redis/redis.url"), databaseURL: try url("postgres.url"),
                simulators: self.world.simulators)
        }
    }

    func explain(_ arguments: String...) async throws -> Output {
        try await Program.run(
            [try Place.martlet(), "explain"] + arguments, environment: Self.environment(self.world))
    }
}

extension FleetTests.Demonstration {
    @Test func everythingIsSettledAndTheBooksBalance() async throws {
        let run = try await Run.finished
        #expect(run.status.code == 0, "\(run.status.out)")
        #expect(run.status.out.contains("the books balance"))
        let inside = try run.inside
        #expect(try await inside.count("SELECT count(*) FROM settlements") == run.lines.count)
        #expect(try await inside.count("SELECT count(*) FROM unsettled") == 0)
        let metrics = try await Web.get(run.up.ops + "/metrics").body
        #expect(metrics.contains("martlet_ledger_imbalance 0"))
    }

    @Test func everyWrongLineIsAmongTheRejectsWithItsCode() async throws {
        let run = try await Run.finished
        let rejects = try await run.inside.rejects()
        #expect(rejects.map(\.code).sorted() == run.wrong.map(\.code).sorted())
        for (code, text) in run.wrong where text.count < 65_536 {
            let found = rejects.filter { $0.original == Array(text) }
            #expect(found.contains { $0.code == code }, "\(code): \(String(decoding: text.prefix(200), as: UTF8.self))")
        }
        for reject in rejects { #expect((reject.fields["detail"] ?? "").count > 20, "\(reject.fields)") }
    }

    @Test func peopleWithAPeculiarityEndAsExpected() async throws {
        let run = try await Run.finished
        let inside = try run.inside
        let states = try await inside.query("SELECT id || ' ' || state FROM settlements")
        let known = Set(run.lines.compactMap { JSON.parse($0)["id"].text })
        guard case .object(let ends) = run.expected["ends"] else { throw Overdue("no ends") }
        var seen = 0
        for (kind, end) in ends {
            guard let state = end["state"].text else { continue }
            for id in end["ids"].list.compactMap(\.text) where known.contains(id) {
                seen += 1
                #expect(states.contains("\(id) \(state)"), "\(kind): \(states.first { $0.hasPrefix(id) } ?? id)")
            }
        }
        #expect(seen > 50)
    }

    @Test func theProvidersReceivedExactlyWhatTheLedgerSaysTheyTook() async throws {
        let run = try await Run.finished
        for (channel, name) in [("email", "smtp"), ("sms", "sms"), ("push", "fcm")] {
            let taken = try await run.inside.count(
                "SELECT count(*) FROM attempts WHERE channel = '\(channel)' AND verdict = 'accepted'")
            #expect(taken > 0)
            #expect(try await run.world.simulators.accepted(name) == taken, "\(channel)")
        }
        let receipts = try await run.world.simulators.messages("smtp").compactMap { $0["headers"].text }
        let identifiers = receipts.compactMap { headers in
            headers.split(whereSeparator: \.isNewline).first { $0.lowercased().hasPrefix("message-id:") }
        }
        #expect(identifiers.count == receipts.count)
        #expect(Set(identifiers).count == identifiers.count, "a mail came twice")
    }

    @Test func explainTellsWhatBecameOfADecisionAndWhy() async throws {
        let run = try await Run.finished
        let sent = try await run.inside.query(
            "SELECT decision FROM attempts a JOIN settlements s ON s.id = a.decision WHERE state = 'sent' AND channel = 'email' LIMIT 1"
        )[0]
        let story = try await run.explain(sent)
        #expect(story.code == 0)
        for words in [
            "Decision \(sent): sent.", "accepted", "campaign", "came from", "email through smtp", "settled: sent",
        ] {
            #expect(story.out.contains(words), "‘\(words)’ is missing in \(story.out)")
        }
        let json = JSON.parse(try await run.explain(sent, "--json").out)
        #expect(json["state"].text == "sent")
        #expect(json["attempts"].list.last?["verdict"].text == "accepted")
        #expect(json["accepted_at"].text != nil && json["settled_at"].text != nil)

        let bounced = run.expected["ends"]["bounce"]["ids"].list.first?.text ?? ""
        let failure = try await run.explain(bounced)
        #expect(failure.out.contains("failed"))
        #expect(
            failure.out.contains("550") || failure.out.contains("no such user"), "the provider's words: \(failure.out)")
        #expect(JSON.parse(try await run.explain(bounced, "--json").out)["state"].text == "failed")

        let wrong = try #require(run.wrong.first { $0.code == "user.phone" })
        let id = try #require(JSON.parse(String(decoding: wrong.text, as: UTF8.self))["id"].text)
        let rejection = try await run.explain(id)
        #expect(rejection.code == 0)
        #expect(rejection.out.contains("user.phone at /user/phone") && rejection.out.contains("Nothing was sent"))
        let problems = JSON.parse(try await run.explain(id, "--json").out)["rejections"].list.first?["problems"].list
        #expect(problems?.first?["code"].text == "user.phone")

        let missing = try await run.explain("never-seen")
        #expect(missing.code != 0 && missing.err.contains("never-seen"))
    }

    @Test func theLogNamesNobody() async throws {
        let run = try await Run.finished
        let log = run.up.program.text
        #expect(log.count > 1000)
        for line in run.lines {
            let user = JSON.parse(line)["user"]
            for address in [user["email"].text, user["phone"].text, user["push"].list.first?["token"].text].compactMap({
                $0
            }) {
                #expect(!log.contains(address), "\(address) is in the log")
            }
        }
    }

    /// As deploy/run shows it to people.
    @Test func theURLOfThePrivateRedisIsOneForRedisCLI() async throws {
        let answer = try await Program.run(["redis-cli", "-u", try await Run.finished.inside.redisURL, "PING"])
        #expect(answer.out == "PONG\n", "\(answer.out)\(answer.err)")
    }

    @Test func prometheusFindsNothingToSayAboutTheMetrics() async throws {
        let run = try await Run.finished
        let plain = try await Web.get(run.up.ops + "/metrics")
        let verdict = try await Program.run(["promtool", "check", "metrics"], input: Array(plain.body.utf8))
        #expect(verdict.code == 0 && verdict.out.isEmpty && verdict.err.isEmpty, "\(verdict.out)\(verdict.err)")
        let open = try await Web.get(
            run.up.ops + "/metrics",
            headers: ["Accept": "application/openmetrics-text;version=1.0.0;q=1,text/plain;q=0.5"])
        #expect(open.headers["content-type"]?.hasPrefix("application/openmetrics-text") == true)
        let read = "import sys;from prometheus_client.openmetrics.parser import text_string_to_metric_families as p;"
        let families = try await Program.run(
            [try Place.python(), "-c", read + "print(len(list(p(sys.stdin.read()))))"], input: Array(open.body.utf8))
        #expect((Int(families.out.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0) > 10, "\(families.err)")
        #expect(try await Web.get(run.up.ops + "/healthz").status == 200)
        #expect(try await Web.get(run.up.ops + "/readyz").body == "ready\n")
    }
}
