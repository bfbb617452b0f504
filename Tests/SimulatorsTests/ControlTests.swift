import Foundation
import Simulators
import Testing

extension SimulatorsTests {
    @Suite(.timeLimit(.minutes(2)))
    struct ControlTests {
        private static let form = ["To": "+48600100200", "From": "+15005550006", "Body": "<script>alert(1)</script>"]

        private func control(_ fleet: SimulatorFleet, _ path: String, _ options: [String] = []) async throws
            -> CurlAnswer
        {
            try await curl(fleet.controlURL + path, options, version: "--http1.1")
        }

        @Test func theListShowsWhereSimulatorsAreAndWhatTheyCounted() async throws {
            try await withFleet { fleet in
                _ = try await fleet.postSMS(Self.form)
                let list = try await self.control(fleet, "/simulators")
                let one = try await self.control(fleet, "/simulators/sms")

                #expect((0..<4).map { list.json["simulators"][$0]["name"].text } == ["smtp", "smtps", "sms", "fcm"])
                #expect(list.json["simulators"][2]["url"].text == fleet.environment["MARTLET_TWILIO_URL"])
                #expect(list.json["simulators"][3]["url"].text == fleet.environment["MARTLET_FCM_URL"])
                #expect(one.json["counts"]["accepted"].number == 1)
                #expect(one.json["counts"]["requests"].number == 1)
                let secret = try #require(fleet.environment["TWILIO_AUTH_TOKEN"])
                #expect(!list.body.contains(secret))
            }
        }

        @Test func messagesAreListedNewestFirstAndForgotten() async throws {
            try await withFleet { fleet in
                for body in ["one", "two", "three"] {
                    _ = try await fleet.postSMS(Self.form.merging(["Body": body]) { $1 })
                }
                let newest = try await self.control(fleet, "/simulators/sms/messages?limit=2")
                let tooMany = try await self.control(fleet, "/simulators/sms/messages?limit=x")
                let forgotten = try await self.control(fleet, "/simulators/sms/messages", ["-X", "DELETE"])
                let empty = try await self.control(fleet, "/simulators/sms/messages")

                #expect(newest.json["messages"].count == 2)
                #expect(newest.json["messages"][0]["text"].text == "three")
                #expect(newest.json["messages"][1]["to"].text == "+48600100200")
                #expect(tooMany.status == 400)
                #expect(forgotten.json["counts"]["accepted"].number == 0)
                #expect(empty.json["messages"].count == 0)
            }
        }

        @Test(arguments: [("smtp", "starttls"), ("smtps", "tls")])
        func mailArrivesOverTLSAndIsShownDecoded(name: String, mode: String) async throws {
            try await withFleet { fleet in
                let port = name == "smtp" ? fleet.smtp.port : fleet.smtps.port
                let password = try #require(fleet.environment["MARTLET_SMTP_PASSWORD"])
                let sent = try await python(mailProgram, [mode, "\(port)", fleet.trust, password])
                let wrong = try await python(mailProgram, [mode, "\(port)", fleet.trust, "wrong"])
                let messages = try await self.control(fleet, "/simulators/\(name)/messages")
                let mail = messages.json["messages"][0]

                #expect(sent.status == 0, "\(sent.errors)")
                #expect(wrong.errors.contains("SMTPAuthenticationError"), "\(wrong.errors)")
                #expect(messages.json["messages"].count == 1)
                #expect(mail["subject"].text == "Zażółć gęślą jaźń")
                #expect(mail["to"].text == "ada@example.com")
                #expect(mail["text"].text?.contains("Cześć, Ado") == true)
                #expect(mail["html"].text?.contains("<b>Cześć</b>") == true)
                let page = try await self.control(fleet, "/")
                #expect(page.body.contains("<iframe sandbox"))
                #expect(page.body.contains("&lt;b&gt;Cześć&lt;/b&gt;"))
                #expect(!page.body.contains("<b>Cześć</b>"))
            }
        }

        @Test func mailTakesFaultsOfItsOwnKind() async throws {
            try await withFleet { fleet in
                let faults =
                    #"{"faults":[{"stage":"rcpt","refuse":{"code":550,"enhanced_code":"5.1.1","text":"gone"}}]}"#
                let set = try await curl(
                    fleet.controlURL + "/simulators/smtps/faults", ["-X", "PUT"], version: "--http1.1", body: faults)
                let sent = try await python(mailProgram, ["tls", "\(fleet.smtps.port)", fleet.trust, ""])
                let wrong = try await curl(
                    fleet.controlURL + "/simulators/smtps/faults", ["-X", "PUT"], version: "--http1.1",
                    body: #"{"faults":[{"stage":"lunch","stall":true}]}"#)

                #expect(set.status == 200, "\(set.body)")
                #expect(set.json["faults"][0]["refuse"]["code"].number == 550)
                #expect(sent.status != 0)
                #expect(sent.errors.contains("5.1.1 gone"), "\(sent.errors)")
                #expect(wrong.status == 400)
                #expect(wrong.json["detail"].text?.contains("stage") == true)
            }
        }

        @Test func thePageShowsMessagesHarmlessly() async throws {
            try await withFleet { fleet in
                _ = try await fleet.postSMS(Self.form)
                let page = try await self.control(fleet, "/")

                #expect(page.status == 200)
                #expect(page.headers["content-type"] == "text/html; charset=utf-8")
                #expect(page.headers["content-security-policy"]?.contains("default-src 'none'") == true)
                #expect(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
                #expect(!page.body.contains("<script"))
                #expect(page.body.contains("+48600100200"))
            }
        }

        @Test func foreignHostsPathsAndMethodsAreRefused() async throws {
            try await withFleet { fleet in
                let foreign = try await self.control(fleet, "/simulators", ["-H", "Host: evil.example"])
                let missing = try await self.control(fleet, "/simulators/pigeon")
                let method = try await self.control(fleet, "/simulators/sms", ["-X", "DELETE"])

                #expect(foreign.status == 421)
                #expect(missing.status == 404)
                #expect(method.status == 405)
                #expect(method.headers["allow"] == "GET")
            }
        }

        @Test func aTakenPortStopsTheWholeFleet() async throws {
            try await withFleet { fleet in
                let taken = fleet.push.port
                await #expect(throws: (any Error).self) {
                    try await withFleet({ $0.pushPort = taken }) { _ in }
                }
            }
        }
    }
}

private let mailProgram = """
    import smtplib, ssl, sys
    from email.message import EmailMessage
    mode, port, trust, password = sys.argv[1:]
    mail = EmailMessage()
    mail["Subject"] = "Zażółć gęślą jaźń"
    mail["From"] = "Martlet <martlet@example.com>"
    mail["To"] = "ada@example.com"
    mail.set_content("Cześć, Ado\\n")
    mail.add_alternative("<p><b>Cześć</b>, Ado</p>", subtype="html")
    context = ssl.create_default_context(cafile=trust)
    if mode == "tls": client = smtplib.SMTP_SSL("localhost", int(port), context=context, timeout=20)
    else:
        client = smtplib.SMTP("localhost", int(port), timeout=20)
        client.starttls(context=context)
    if password: client.login("martlet", password)
    client.send_message(mail)
    client.quit()
    """
