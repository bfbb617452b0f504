// Providers that refuse, stall and cut the line, and a mail server that is not ours.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Providers {}
}

extension FleetTests.Providers {
    @Test func aBadRecipientHurtsNobodyElse() async throws {
        let world = try await Stage.shared.world([
            "final_dot_seconds: 600": "final_dot_seconds: 3", "total_seconds: 30": "total_seconds: 3",
        ])
        let worker = try await world.start("worker")
        let peculiar: [(wish: Wish, state: String)] = [
            (Wish("bounce", email: "bounce@example.com"), "failed"),
            (Wish("reject", email: "reject@example.com"), "failed"),
            (Wish("full", email: "full@example.com"), "failed"), (Wish("drop", email: "drop@example.com"), "unknown"),
            (Wish("early", email: "drop-rcpt@example.com"), "failed"),
            (Wish("stall", email: "stall@example.com"), "unknown"),
            (Wish("invalid", phone: "+15550100000"), "failed"), (Wish("stopped", phone: "+15550110610"), "failed"),
            (Wish("busy", phone: "+15550120429"), "sent"), (Wish("cut", phone: "+15550130998"), "unknown"),
            (Wish("silent", phone: "+15550140999"), "unknown"),
        ]

        try await world.append(peculiar.map(\.wish) + Wish.mails("g", 40) + Wish.texts("g-sms", 40))
        try await world.settles(peculiar.count + 80)

        for (wish, state) in peculiar { #expect(try await world.state(of: wish.id) == state, "\(wish.id)") }
        let others = try await world.query(
            "SELECT id, state, reason FROM settlements WHERE id LIKE 'g-%' AND state <> 'sent'")
        #expect(others == [])
        #expect(try await world.count("SELECT count(*) FROM settlements WHERE id LIKE 'g-%' AND state = 'sent'") == 80)
        for name in ["smtp", "sms"] {
            #expect(try await world.simulators.receipts(name).values.allSatisfy { $0 == 1 }, "\(name)")
        }
        // Who is known to be gone is not written to again.
        try await world.append([Wish("again", email: "bounce@example.com")])
        try await world.settles(peculiar.count + 81)
        #expect(try await world.state(of: "again") == "suppressed")
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aProviderThatRecoversGetsWhatItRefused() async throws {
        let world = try await Stage.shared.world(["attempts: 3": "attempts: 30"])
        let worker = try await world.start("worker")
        try await world.simulators.setFaults(
            "smtp", #"{"faults":[{"stage":"mail","refuse":{"code":451,"enhanced_code":"4.3.2","text":"later"}}]}"#)
        try await world.simulators.setFaults("sms", #"{"refuse":{"probability":1,"status":429,"retry_after_s":1}}"#)
        try await world.simulators.setFaults("fcm", #"{"refuse":{"probability":1,"status":503}}"#)
        let token = #""push":[{"platform":"fcm","token":"fcm1:APA91bAAAAAAAAAAAAAAAAAAAAAA"}]"#
        var push = Wish("w-push", email: "push@example.com")
        push.channel = "push"
        let json = push.json.replacingOccurrences(of: #""email":"push@example.com""#, with: token)

        try await world.append(Wish.mails("w", 10) + Wish.texts("w-sms", 10))
        let pushed = try await world.martlet("enqueue", input: Array(json.utf8))
        #expect(pushed.code == 0)
        try await eventually("each has been refused") {
            try await world.count("SELECT count(DISTINCT decision) FROM attempts WHERE verdict = 'deferred'") == 21
        }
        for name in ["smtp", "sms", "fcm"] { try await world.simulators.setFaults(name, "{}") }

        try await world.settles(21)
        #expect(try await world.query("SELECT DISTINCT state FROM settlements") == ["sent"])
        #expect(try await world.simulators.accepted("smtp") == 10)
        #expect(try await world.simulators.accepted("sms") == 10)
        #expect(try await world.simulators.accepted("fcm") == 1)
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aServerThatIsNotOursReadsOurMail() async throws {
        let world = try await Stage.shared.world()
        let received = world.folder + "/received.ndjson"
        let server = try Program(
            [try Place.python(), "-u", Place.checks + "/mail_server.py", received], name: "aiosmtpd", in: world.folder)
        try await server.says("listening on ")
        let port =
            server.text.split(separator: " ").last.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) } ?? ""
        let worker = try await world.start(
            "worker",
            [
                "MARTLET_SMTP_URL": "smtp+plaintext://127.0.0.1:\(port)", "MARTLET_SMTP_HOST": "",
                "MARTLET_SMTP_PORT": "",
                "MARTLET_SMTP_TRUST_FILE": "",
            ])

        try await world.append([Wish("umlaut", email: "käthe@example.com".replacingOccurrences(of: "ä", with: "ae"))])
        try await world.settles(1)

        #expect(try await world.state(of: "umlaut") == "sent")
        let mail = JSON.parse(try String(contentsOfFile: received, encoding: .utf8))
        #expect(mail["subject"].text == "Welcome to Larch & Loom, Łucja")
        #expect(mail["defects"].list.isEmpty, "\(mail["defects"])")
        #expect(mail["to"].text == "kaethe@example.com" && mail["from"].text == "Larch & Loom <hello@example.com>")
        #expect(mail["envelope_from"].text == "bounces@example.com")
        #expect(mail["envelope_to"].list == [.string("kaethe@example.com")])
        let parts = mail["parts"].list
        #expect(parts.map { $0["type"].text } == ["text/plain", "text/html"])
        #expect(parts.allSatisfy { $0["text"].text?.contains("Hello Łucja,") == true })
        #expect(parts.allSatisfy { $0["charset"].text?.lowercased() == "utf-8" })
        let headers = Set(mail["headers"].list.compactMap { $0.text?.lowercased() })
        #expect(
            headers.isSuperset(of: ["date", "message-id", "mime-version", "reply-to", "x-mailer", "auto-submitted"]))
        #expect(mail["line_max"].int ?? 0 <= 998)
        #expect(try await worker.program.terminate() == 0)
    }
}
