// What providers post of their own accord, through the whole program: ends are refined, addresses suppressed, and nobody
// gets in who did not sign.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Webhooks {}
}

extension FleetTests.Webhooks {
    private static let url = "https://martlet.example.com"
    private static let script = Place.repository + "/Tests/ChannelsTests/Checks/sign_webhooks.py"

    private func sign(_ arguments: String..., input: String = "") async throws -> [String] {
        let output = try await Program.run([try Place.python(), Self.script] + arguments, input: Array(input.utf8))
        guard output.code == 0 else { throw Overdue(output.err) }
        return output.out.split(whereSeparator: \.isWhitespace).map(String.init)
    }

    private func door(_ edge: Member, _ provider: String) -> String {
        edge.edge.replacingOccurrences(of: "/decisions", with: "/webhooks/\(provider)")
    }

    @Test func aTextsReceiptMakesItDeliveredAndStopIsHeard() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let edge = try await world.start("edge", ["MARTLET_PUBLIC_URL": Self.url + "/", "MARTLET_API_TOKEN": "t"])
        let secret = try #require(world.environment["TWILIO_AUTH_TOKEN"])
        func post(_ form: String, signature: String? = nil) async throws -> Answer {
            let own = try await self.sign("twilio", secret, Self.url + "/v1/webhooks/twilio", input: form).first ?? ""
            return try await Web.send(
                "POST", self.door(edge, "twilio"), body: form,
                headers: [
                    "X-Twilio-Signature": signature ?? own, "Content-Type": "application/x-www-form-urlencoded",
                ])
        }

        try await world.append([Wish("text", phone: "+15550102001"), Wish("lost", phone: "+15550102011")])
        try await world.settles(2)
        #expect(try await world.state(of: "text") == "sent")
        let ids = try await world.query("SELECT provider_message_id FROM attempts ORDER BY decision DESC")
        let status = "MessageSid=\(ids[0])&MessageStatus="
        #expect(try await post(status + "delivered", signature: "AAAAAAAAAAAAAAAAAAAAAAAAAAA=").status == 401)
        #expect(try await world.state(of: "text") == "sent")
        // Out of order, and again: what was delivered stays so.
        for word in ["delivered", "sent", "delivered", "failed"] {
            #expect(try await post(status + word).status == 200)
        }
        #expect(try await world.state(of: "text") == "delivered")
        #expect(try await post("MessageSid=\(ids[1])&MessageStatus=undelivered&ErrorCode=30005").status == 200)
        #expect(try await world.state(of: "lost") == "failed")
        #expect(try await post("From=%2B15550102001&Body=STOP&MessageSid=SM9").status == 200)

        try await world.append([Wish("again", phone: "+15550102011"), Wish("stopped", phone: "+15550102001")])
        try await world.settles(4)
        #expect(try await world.state(of: "again") == "suppressed")
        #expect(try await world.state(of: "stopped") == "suppressed")
        #expect(try await Web.send("POST", self.door(edge, "nobody"), body: "x=y").status == 404)
        let large = world.folder + "/large"
        try Data(count: 1024 * 1024 + 1).write(to: URL(fileURLWithPath: large))
        let tooLarge = try await Web.send("POST", self.door(edge, "twilio"), options: ["--data-binary", "@\(large)"])
        #expect(tooLarge.status == 413)
        let metrics = try await Web.get(edge.ops + "/metrics").body
        #expect(metrics.contains(#"martlet_webhook_items_total{provider="twilio",kind="receipt"} 5"#), "\(metrics)")
        #expect(metrics.contains(#"martlet_webhook_items_total{provider="twilio",kind="forged"} 1"#))
        #expect(metrics.contains(#"martlet_webhook_items_total{provider="twilio",kind="stop"} 1"#))
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }

    @Test func aMailsBounceSuppressesItsAddressBeforeTheNextSend() async throws {
        let world = try await Stage.shared.world()
        try String(contentsOfFile: "\(Place.repository)/channels/providers/sendgrid.yaml", encoding: .utf8)
            .write(toFile: "\(world.folder)/providers/sendgrid.yaml", atomically: true, encoding: .utf8)
        let key = try await self.sign("sendgrid-key")
        let variables = [
            "MARTLET_SMTP_ENABLED": "false", "MARTLET_SENDGRID_ENABLED": "true", "MARTLET_SENDGRID_WEBHOOK": "true",
            "MARTLET_SENDGRID_URL": "smtp://127.0.0.1:\(world.environment["MARTLET_SMTP_PORT"] ?? "")",
            "MARTLET_SENDGRID_TRUST_FILE": world.environment["MARTLET_SMTP_TRUST_FILE"] ?? "",
            "MARTLET_SENDGRID_AUTHENTICATION": "none", "SENDGRID_API_KEY": "k", "SENDGRID_WEBHOOK_KEY": key[1],
        ]
        let worker = try await world.start("worker", variables)
        let edge = try await world.start("edge", variables)
        try await world.append([Wish("bad", email: "bad@example.com"), Wish("leaves", email: "leaves@example.com")])
        try await world.settles(2)
        let id = try await world.query("SELECT provider_message_id FROM attempts WHERE decision = 'bad'").first ?? ""
        let body = """
            [{"event":"bounce","type":"bounce","email":"bad@example.com","smtp-id":"<\(id)>","sg_event_id":"e1"},
            {"event":"unsubscribe","email":"Leaves@example.com","sg_event_id":"e2"},{"event":"open","sg_event_id":"e3"}]
            """
        let time = "\(Int(Date().timeIntervalSince1970))"
        let signature = try await self.sign("sendgrid", key[0], time, input: body).first ?? ""
        func post(_ body: String) async throws -> Int {
            try await Web.send(
                "POST", self.door(edge, "sendgrid"), body: body,
                headers: [
                    "X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": time,
                ]
            ).status
        }
        #expect(try await post(body + " ") == 401)
        #expect(try await post(body) == 200)
        #expect(try await post(body) == 200)

        let end = try await world.query("SELECT state, reason FROM settlements WHERE id = 'bad'")
        #expect(end == ["failed|bounce.hard"])
        try await world.append([
            Wish("bad-2", email: "bad@example.com"), Wish("leaves-2", email: "leaves@example.com"),
            Wish("receipt", email: "leaves@example.com", isMarketing: false),
        ])
        try await world.settles(5)
        #expect(try await world.state(of: "bad-2") == "suppressed")
        #expect(try await world.state(of: "leaves-2") == "suppressed")
        // Whoever wants no marketing still gets what he ordered.
        #expect(try await world.state(of: "receipt") == "sent")
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }
}
