// A mail goes out, comes back as a bounce, and its decision ends otherwise than it had.
import Foundation
import LocalServers
import Testing

extension FleetTests {
    @Suite(.serialized) struct Mails {}
}

extension FleetTests.Mails {
    @Test func aBounceEndsTheDecisionThatItIsAbout() async throws {
        let port = try LoopbackPort.free()
        let world = try await Stage.shared.world([
            "message_id_domain: mail.example.com":
                "message_id_domain: mail.example.com\nreturn_path: {domain: bounces.example.com, key_env: RETURN_KEY}",
            "channels:\n": "mail: {port: \(port)}\nchannels:\n  bounces: \(Place.repository)/channels/bounces.yaml\n",
        ])
        let secret = ["RETURN_KEY": "0123456789abcdef"]
        let worker = try await world.start("worker", secret)
        let edge = try await world.start("edge", secret)
        let long = "long-" + String(repeating: "x", count: 90)
        try await world.append([Wish("gone", email: "gone@example.com"), Wish(long, email: "gone-too@example.com")])
        try await world.settles(2)
        #expect(try await world.query("SELECT DISTINCT state FROM settlements") == ["sent"])

        for mail in try await world.simulators.messages("smtp") {
            let path = mail["envelope_from"].text ?? ""
            #expect(path.hasSuffix("@bounces.example.com"))
            let head = mail["headers"].text ?? ""
            let field = try #require(head.range(of: "X-Martlet-Ref:"))
            let reference = head[field.upperBound...].split(whereSeparator: \.isWhitespace).first ?? ""
            let report = """
                From: MAILER-DAEMON@mx.example.com
                To: \(path)
                Subject: Undelivered Mail Returned to Sender
                Content-Type: multipart/report; report-type=delivery-status; boundary=b

                --b
                Content-Type: message/delivery-status

                Reporting-MTA: dns; mx.example.com

                Final-Recipient: rfc822; gone@example.com
                Action: failed
                Status: 5.1.1
                Diagnostic-Code: smtp; 550 5.1.1 no such user

                --b
                Content-Type: text/rfc822-headers

                X-Martlet-Ref: \(reference)

                --b--

                """
            let file = world.folder + "/report"
            try report.write(toFile: file, atomically: true, encoding: .utf8)
            let script = Place.repository + "/Tests/MailIntakeTests/Checks/send_mail.py"
            let sent = try await Program.run([try Place.python(), script, "LMTP", "\(port)", path, file])
            #expect(sent.out == "taken\n", "\(sent)")
        }

        // The commit came before the answer.
        let ends = try await world.query("SELECT DISTINCT state, reason FROM settlements")
        #expect(ends == ["failed|bounce.hard"])
        try await world.append([Wish("again", email: "gone@example.com")])
        try await world.settles(3)
        #expect(try await world.state(of: "again") == "suppressed")
        let metrics = try await Web.get("\(edge.ops)/metrics").body
        #expect(metrics.contains("martlet_mail_results_total{result=\"recorded\"} 2"))
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }
}
