// Decisions in over HTTP and over the streams: what is taken, what is refused and with which words.
import DeliveryModel
import Foundation
import LocalServers
import RedisClient
import Testing

extension FleetTests {
    @Suite(.serialized) struct Intake {}
}

extension FleetTests.Intake {
    @Test func httpTakesObjectsArraysAndLines() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let edge = try await world.start("edge")

        let one = try await Web.send("POST", edge.edge, body: Wish("one", email: "one@example.com").json)
        #expect(one.status == 202)
        #expect(one.json["results"].list.map { $0["result"].text } == ["accepted"])
        let wrong = Wish("wrong", phone: "555-0100").json
        let array = try await Web.send(
            "POST", edge.edge,
            body:
                "[\(Wish("two", email: "two@example.com").json),\(wrong),\(Wish("one", email: "one@example.com").json)]"
        )
        #expect(array.json["results"].list.map { $0["result"].text } == ["accepted", "rejected", "duplicate"])
        #expect(array.json["results"].list[1]["code"].text == "user.phone")
        #expect(array.json["results"].list[1]["pointer"].text == "/user/phone")
        #expect((array.json["results"].list[1]["detail"].text ?? "").count > 20)
        #expect(array.json["results"].list[2]["same_text"] == .bool(true))
        let lines = try await Web.send(
            "POST", edge.edge, body: Wish.mails("line", 3).map(\.json).joined(separator: "\n") + "\nrubbish\n",
            headers: ["Content-Type": "application/x-ndjson"])
        #expect(
            lines.json["results"].list.map { $0["result"].text } == ["accepted", "accepted", "accepted", "rejected"])

        try await world.settles(5)
        let receipts = try await world.simulators.receipts("smtp")
        #expect(receipts.count == 5 && receipts.values.allSatisfy { $0 == 1 })
        let story = try await Web.get(edge.edge + "/one")
        #expect(story.status == 200 && story.json["state"].text == "sent")
        #expect(!story.body.contains("one@example.com"))
        let missing = try await Web.get(edge.edge + "/nobody")
        #expect(missing.status == 404)
        #expect(missing.headers["content-type"]?.hasPrefix("application/problem+json") == true)
        #expect(missing.json["status"].int == 404 && missing.json["title"].text != nil)

        let broken = try await Web.send("POST", edge.edge, body: #"[{"schema": "#)
        #expect(broken.status == 400 && broken.json["problems"].list.first?["code"].text == "json.truncated")
        let large = world.folder + "/large"
        try Data(count: 17 * 1024 * 1024).write(to: URL(fileURLWithPath: large))
        let tooLarge = try await Web.send("POST", edge.edge, options: ["--data-binary", "@\(large)"])
        #expect(tooLarge.status == 413)
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }

    @Test func whatIsCancelledInTimeIsNeverSent() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let edge = try await world.start("edge")
        let soon = Date().addingTimeInterval(4).formatted(.iso8601)
        let later = #","not_before":"\#(soon)""#

        let wishes = [
            Wish("kept", email: "kept@example.com", more: later), Wish("gone", email: "gone@example.com", more: later),
            Wish("gone-by-tool", email: "tool@example.com", more: later),
        ]
        _ = try await Web.send("POST", edge.edge, body: "[" + wishes.map(\.json).joined(separator: ",") + "]")
        let answer = try await Web.send("DELETE", edge.edge + "/gone")
        #expect(answer.status == 200 && answer.json["result"].text == "cancelled")
        let tool = try await world.martlet("cancel", "gone-by-tool")
        #expect(tool.code == 0 && tool.out.contains("nothing more will be sent"), "\(tool.err)")

        try await world.settles(3)
        #expect(try await world.simulators.receipts("smtp") == ["kept@example.com": 1])
        #expect(try await world.state(of: "gone") == "cancelled")
        #expect(try await world.state(of: "gone-by-tool") == "cancelled")
        #expect(try await Web.send("DELETE", edge.edge + "/kept").status == 409)
        #expect(try await Web.send("DELETE", edge.edge + "/nobody").status == 404)
        #expect(try await world.martlet("cancel", "kept").code != 0)
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aTokenAndTLSKeepStrangersOut() async throws {
        let world = try await Stage.shared.world()
        let certificate = world.folder + "/certificate.pem"
        let key = world.folder + "/key.pem"
        try runToEnd([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ])
        let settings = try String(contentsOfFile: world.settingsFile, encoding: .utf8)
        try (settings + "edge:\n  tls:\n    certificate_file: \(certificate)\n    key_file: \(key)\n")
            .write(toFile: world.settingsFile, atomically: true, encoding: .utf8)
        let edge = try await world.start("edge", ["MARTLET_API_TOKEN": "the-right-token"], scheme: "https")
        let trust = ["--cacert", certificate]
        let wish = Wish("safe", email: "safe@example.com").json
        func post(_ token: String?) async throws -> Answer {
            try await Web.send(
                "POST", edge.edge, body: wish, headers: token.map { ["Authorization": "Bearer \($0)"] } ?? [:],
                options: trust)
        }

        let without = try await post(nil)
        let wrong = try await post("the-wrong-token")
        #expect(without.status == 401 && wrong.status == 401)
        #expect(without.body == wrong.body, "the answer tells nothing of the token")
        #expect(!wrong.body.contains("right") && without.headers["www-authenticate"] == "Bearer")
        #expect(try await post("the-right-token").status == 202)
        #expect(try await Web.send("GET", edge.edge + "/safe", options: trust).status == 401)
        await #expect(throws: Overdue.self, "no plain HTTP on this port") {
            try await Web.get(edge.edge.replacingOccurrences(of: "https:", with: "http:"))
        }
        #expect(!edge.program.text.contains("the-right-token"))
        #expect(try await edge.program.terminate() == 0)

        let open = try await world.martlet("edge", with: ["MARTLET_EDGE_ADDRESS": "0.0.0.0"])
        #expect(open.code != 0)
        #expect(open.err.contains("MARTLET_API_TOKEN") && open.err.contains("0.0.0.0"), "\(open.err)")
    }

    @Test func rubbishOnTheStreamIsSetAsideWithItsReason() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let good = Wish("good", email: "good@example.com").json
        let mailField = #""email":"good@example.com""#
        let rubbish: [(code: String, field: String, bytes: [UInt8])] = [
            ("json.syntax", "decision", [0x01, 0x02, 0xfe, 0x00, 0x7f]),
            ("json.truncated", "decision", Array(good.utf8.dropLast(40))),
            ("decision.too_large", "decision", Array(good.utf8) + Array(repeating: 0x20, count: 70 * 1024)),
            ("json.depth", "decision", Array(String(repeating: "[", count: 5000).utf8)),
            ("field.type", "decision", Array("[1,2,3]".utf8)),
            ("field.type", "decision", Array(good.replacingOccurrences(of: mailField, with: #""email":7"#).utf8)),
            ("field.unknown", "decision", Array(good.replacingOccurrences(of: "campaign", with: "campaing").utf8)),
            ("json.utf8", "decision", Array(good.utf8.prefix(60)) + [0xff, 0xc0] + Array(good.utf8.dropFirst(60))),
            ("entry.field", "decisions", Array(good.utf8)),
            (
                "json.duplicate_member", "decision",
                Array(good.replacingOccurrences(of: mailField, with: "\(mailField),\(mailField)").utf8)
            ),
            ("json.truncated", "decision", []),
        ]

        let shard = Shard.of(userID: "u-good", count: 16)
        for (_, field, bytes) in rubbish {
            try await world.redis(RedisCommand("XADD", "martlet:{\(shard)}:decisions", "*", field, bytes))
        }
        try await world.append([Wish("good", email: "good@example.com")])
        try await world.settles(1)
        try await world.append([Wish("good", email: "good@example.com")])

        let expected = (rubbish.map(\.code) + ["decision.duplicate"]).sorted()
        try await eventually("all are set aside") { try await world.rejects().count >= expected.count }
        let rejects = try await world.rejects()
        #expect(rejects.map(\.code).sorted() == expected)
        for (code, field, bytes) in rubbish where bytes.count < 65_536 && field == "decision" {
            #expect(rejects.contains { $0.code == code && $0.original == bytes }, "\(code) with its text")
        }
        #expect(rejects.allSatisfy { !($0.fields["detail"] ?? "").isEmpty && $0.fields["entry"] != nil })
        #expect(try await world.simulators.receipts("smtp") == ["good@example.com": 1])
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aDecisionOnTheWrongShardIsForwardedAndSentOnce() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let lost = Wish("lost", email: "lost@example.com")
        let shard = Shard.of(userID: lost.user, count: 16)

        try await world.redis(
            RedisCommand("XADD", "martlet:{\((shard + 5) % 16)}:decisions", "*", "decision", lost.json))
        try await world.settles(1)

        #expect(try await world.simulators.receipts("smtp") == ["lost@example.com": 1])
        #expect(try await world.count("SELECT shard FROM decisions") == shard)
        #expect(try await world.rejects().isEmpty)
        let metrics = try await Web.get(worker.ops + "/metrics").body
        #expect(metrics.split(separator: "\n").contains { $0.contains("forwarded") && $0.hasSuffix(" 1") })
    }
}
