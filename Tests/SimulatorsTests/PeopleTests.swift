import DeliveryModel
import Foundation
import Testing

@testable import Simulators

extension SimulatorsTests {
    /// People at work: against an HTTP server in Python, and a mail server.
    @Suite(.timeLimit(.minutes(3)), .serialized)
    struct PeopleTests {
        /// All open, click and unsubscribe, within moments.
        private static var eager: PeopleDials {
            var dials = PeopleDials()
            dials.open = 1
            dials.click = 1
            dials.unsubscribe = 1
            dials.timeScale = 1_000_000
            return dials
        }

        private static func mail(_ number: Int, _ recorder: Recorder, oneClick: Bool = true) -> ReceivedMail {
            let html = """
                <p><a href="\(recorder.url)/c/tok-\(number)?u=https%3A%2F%2Fshop.example.com">Shop</a>
                <a href="\(recorder.url)/c/honey" style="display:none"></a>
                <a href="https://elsewhere.example.com/">elsewhere</a></p><img src="\(recorder.url)/o/tok-\(number)">
                """
            let post = oneClick ? "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" : ""
            let content = """
                From: Martlet <martlet@example.com>\r
                Message-ID: <\(number)@example.com>\r
                X-Martlet-Ref:\r
                 abc\(number)\r
                List-Unsubscribe: <\(recorder.url)/u/tok-\(number)>\r
                \(post)Content-Type: text/html; charset=utf-8\r
                \r
                \(html)
                """
            return ReceivedMail(
                number: 0, connection: 1, receivedAtMilliseconds: 0, heloName: "x", isEncrypted: false, user: nil,
                sender: "b\(number)@bounces.example.com", recipients: ["person-\(number)@example.com"],
                parameters: [], content: Array(content.utf8))
        }

        private func withPeople(
            _ settings: PeopleSettings, _ body: (People) async throws -> Void
        ) async throws {
            let people = try People.start(settings)
            do { try await body(people) } catch {
                await people.stop()
                throw error
            }
            await people.stop()
        }

        private func settings(_ dials: PeopleDials, _ recorder: Recorder) -> PeopleSettings {
            var settings = PeopleSettings(dials: dials)
            settings.trackingURL = recorder.url
            return settings
        }

        @Test func aPersonOpensClicksAndUnsubscribesOnThePage() async throws {
            try await withRecorder { recorder in
                try await self.withPeople(self.settings(Self.eager, recorder)) { people in
                    people.take(.mail(Self.mail(1, recorder, oneClick: false), provider: "smtp"))
                    try await eventually { people.totals.waiting == 0 }
                    let requests = try await recorder.requests(4)
                    let acts = people.acts(after: 0, limit: 100)

                    #expect(
                        requests.map { "\($0["method"].text ?? "") \($0["target"].text ?? "")" } == [
                            "GET /o/tok-1", "GET /c/tok-1?u=https%3A%2F%2Fshop.example.com", "GET /u/tok-1",
                            "POST /u/tok-1",
                        ])
                    #expect(requests.last?["body"].text == "reason=a+%26+b&go=1")
                    #expect(acts.map(\.kind) == [.open, .click, .unsubscribe, .unsubscribe])
                    #expect(acts.map(\.status) == [200, 302, 200, 200])
                    #expect(acts[1].location == "https://shop.example.com/")
                    #expect(acts.allSatisfy { $0.isHuman && $0.message == "<1@example.com>" })
                    for (request, act) in zip(requests, acts) {
                        #expect(request["headers"]["user-agent"].text == act.marks?.userAgent)
                        #expect(request["headers"]["x-forwarded-for"].text == act.marks?.address)
                    }
                }
            }
        }

        @Test func theButtonOfAMailboxIsOnePost() async throws {
            try await withRecorder { recorder in
                var dials = Self.eager
                dials.oneClick = 1
                dials.imageProxy = 1
                try await self.withPeople(self.settings(dials, recorder)) { people in
                    people.take(.mail(Self.mail(1, recorder), provider: "smtp"))
                    try await eventually { people.totals.waiting == 0 }
                    let requests = try await recorder.requests(3)
                    let post = try #require(requests.last)

                    #expect(post["method"].text == "POST" && post["target"].text == "/u/tok-1")
                    #expect(post["body"].text == "List-Unsubscribe=One-Click")
                    #expect(post["headers"]["content-type"].text == "application/x-www-form-urlencoded")
                    #expect(requests.first?["headers"]["user-agent"].text?.contains("Proxy") == true)
                    let expected: [PlannedAct.Actor] = [.imageProxy, .person, .mailboxProvider]
                    #expect(people.acts(after: 0, limit: 9).map(\.actor) == expected)
                }
            }
        }

        @Test func manyVisitsAreMadeOverFewConnections() async throws {
            try await withRecorder { recorder in
                var dials = PeopleDials()
                dials.gateway = 1
                dials.timeScale = 1_000_000
                try await self.withPeople(self.settings(dials, recorder)) { people in
                    for number in 0..<2_000 {
                        people.take(.mail(Self.mail(number, recorder), provider: "smtp"))
                    }
                    try await eventually { people.totals.messages == 2_000 && people.totals.waiting == 0 }
                    let requests = try await recorder.requests(10_000)

                    // HEAD and GET of the link and of the honeypot, GET of the pixel.
                    #expect(requests.count == 10_000)
                    #expect(requests.filter { $0["method"].text == "HEAD" }.count == 4_000)
                    #expect(requests.filter { $0["target"].text == "/c/honey" }.count == 4_000)
                    #expect(Set(requests.compactMap { $0["connection"].number }).count <= 128)
                    #expect(people.counts.failures == 0)
                    #expect(people.counts.acts == [.init(actor: .gateway, kind: .scan): 6_000])
                    #expect(people.acts(after: 9_990, limit: 100).map(\.number) == Array(9_991...10_000))
                }
            }
        }

        @Test func theOriginMayBeReachedElsewhere() async throws {
            try await withRecorder { recorder in
                var settings = self.settings(Self.eager, recorder)
                settings.trackingURL = "https://t.example.com"
                settings.trackingVia = recorder.url
                try await self.withPeople(settings) { people in
                    people.take(
                        .push(
                            ["data": ["link": "https://t.example.com/c/push?u=x"]], provider: "fcm", id: "1",
                            to: "token"))
                    let requests = try await recorder.requests(1)

                    #expect(requests.first?["target"].text == "/c/push?u=x")
                    #expect(requests.first?["headers"]["host"].text == "t.example.com")
                    #expect(requests.first?["headers"]["x-forwarded-proto"].text == "https")
                }
            }
        }

        @Test func mailsComeBackAndPythonUnderstandsThem() async throws {
            try await withRecorder { recorder in
                let door = SMTPSimulator()
                try await door.start()
                var bouncing = PeopleDials()
                bouncing.hardBounce = 1
                bouncing.timeScale = 1_000_000
                var settings = self.settings(bouncing, recorder)
                settings.mailDoor = ("127.0.0.1", door.port)
                try await self.withPeople(settings) { people in
                    people.take(.mail(Self.mail(1, recorder), provider: "smtp"))
                    try await eventually { people.totals.messages == 1 && people.totals.waiting == 0 }
                    var complaining = Self.eager
                    complaining.complaint = 1
                    people.setDials(complaining)
                    people.take(.mail(Self.mail(2, recorder), provider: "smtp"))
                    try await eventually { people.totals.messages == 2 && people.totals.waiting == 0 }

                    let mails = door.received
                    #expect(mails.map(\.sender) == ["", "feedback@mx.simulator.test"])
                    #expect(mails.map(\.recipients) == [["b1@bounces.example.com"], ["b2@bounces.example.com"]])
                    let acts = people.acts(after: 0, limit: 100).filter { $0.kind == .bounce || $0.kind == .complaint }
                    #expect(acts.map(\.status) == [250, 250])
                    #expect(acts.first?.fate == .unknown)
                    for (mail, expected) in zip(mails, ["5.1.1 failed abc1", "abuse <2@example.com> abc2"]) {
                        let file = recorder.file + ".eml"
                        try Data(mail.content).write(to: URL(fileURLWithPath: file))
                        let read = try await python(readProgram, [file])
                        #expect(read.output == expected + "\n", "\(read.errors)")
                    }
                }
                await door.stop()
            }
        }

        @Test func everyProviderCallsBackWithItsSignature() async throws {
            try await withRecorder { recorder in
                try await withFleet({ settings in
                    var dials = PeopleDials()
                    dials.stop = 1
                    dials.timeScale = 1_000_000
                    var people = self.settings(dials, recorder)
                    people.webhooksURL = recorder.url + "/"
                    settings.people = people
                }) { fleet in
                    let token = try #require(fleet.environment["TWILIO_AUTH_TOKEN"])
                    let sent = try await fleet.postSMS([
                        "To": "+48600100200", "From": "+15005550006", "Body": "Hi & bye",
                    ])
                    #expect(sent.status == 201)
                    try await self.postToDialects(fleet, token)
                    _ = try await recorder.requests(10)
                    let script =
                        URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Checks/signatures.py"
                    let program = try String(contentsOfFile: script, encoding: .utf8)
                    let checked = try await python(program, [recorder.file, recorder.url, token])

                    #expect(
                        checked.output.split(separator: "\n").sorted().map(String.init) == [
                            "infobip DELIVERED ok", "infobip STOP ok", "messagebird STOP ok",
                            "messagebird delivered ok",
                            "sinch Delivered ok", "sinch STOP ok", "twilio STOP ok", "twilio delivered ok",
                            "vonage STOP ok", "vonage delivered ok",
                        ], "\(checked.errors)")
                    let receipt = try #require(
                        await recorder.requests(10).first { $0["body"].text?.contains("MessageStatus") == true })
                    #expect(receipt["body"].text?.contains("MessageSid=\(sent.json["sid"].text ?? "")") == true)
                }
            }
        }

        private func postToDialects(_ fleet: SimulatorFleet, _ token: String) async throws {
            let account = fleet.environment["VONAGE_API_KEY"] ?? ""
            let requests: [String: (path: String, options: [String], body: String)] = [
                "vonage": (
                    "/sms/json", [], "api_key=\(account)&api_secret=\(token)&to=48600100200&from=Martlet&text=Hi"
                ),
                "messagebird": (
                    "/messages", ["-H", "Authorization: AccessKey \(token)"],
                    #"{"recipients":["48600100200"],"originator":"Martlet","body":"Hi"}"#
                ),
                "sinch": (
                    "/xms/v1/\(account)/batches", ["-H", "Authorization: Bearer \(token)"],
                    #"{"to":["48600100200"],"from":"Martlet","body":"Hi"}"#
                ),
                "infobip": (
                    "/sms/2/text/advanced", ["-H", "Authorization: App \(token)"],
                    #"{"messages":[{"from":"Martlet","destinations":[{"to":"48600100200"}],"text":"Hi"}]}"#
                ),
            ]
            for dialect in fleet.dialects {
                let request = try #require(requests[dialect.name])
                let answer = try await curl(
                    dialect.url + request.path, trust: fleet.trust, request.options, body: request.body)
                #expect(answer.status < 300, "\(dialect.name): \(answer.body)")
            }
        }

        @Test func whatWasDoneCanBeAskedForAndDialsTurned() async throws {
            try await withRecorder { recorder in
                try await withFleet({
                    $0.people = self.settings(PeopleDials(), recorder)
                    $0.keepsMessages = false
                }) { fleet in
                    let token = try await fleet.accessToken()
                    let push = #"{"message":{"token":"device","data":{"link":"\#(recorder.url)/c/push"}}}"#
                    _ = try await fleet.postPush(push, token: token)
                    let turned = try await curl(
                        fleet.controlURL + "/people", ["-X", "PUT"], version: "--http1.1",
                        body: #"{"open": 1, "click": 1, "time_scale": 1000000}"#)
                    let wrong = try await curl(
                        fleet.controlURL + "/people", ["-X", "PUT"], version: "--http1.1", body: #"{"open": 7}"#)
                    _ = try await fleet.postPush(push, token: token)
                    _ = try await recorder.requests(1)
                    let people = try #require(fleet.people)
                    try await eventually { people.totals.messages == 2 && people.totals.waiting == 0 }
                    let summary = try await curl(fleet.controlURL + "/people", version: "--http1.1")
                    let acts = try await curl(fleet.controlURL + "/people/acts?after=1", version: "--http1.1")
                    let page = try await curl(fleet.controlURL + "/", version: "--http1.1")

                    #expect(turned.status == 200 && wrong.status == 400)
                    #expect(wrong.json["detail"].text?.contains("open") == true)
                    #expect(summary.json["dials"]["click"].number == 1)
                    #expect(summary.json["counts"]["acts"]["person"]["open"].number == 1)
                    #expect(acts.body.split(separator: "\n").count == 1)
                    #expect(acts.json["act"].text == "click" && acts.json["channel"].text == "push")
                    #expect(acts.json["url"].text == recorder.url + "/c/push" && acts.json["status"].number == 302)
                    #expect(page.body.contains("<b>1</b> click"))
                }
            }
            try await withFleet { fleet in
                let nobody = try await curl(fleet.controlURL + "/people", version: "--http1.1")
                #expect(nobody.status == 404)
            }
        }
    }
}

/// Looks until it is so; half a minute at most.
private func eventually(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<3_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it did not come")
}

/// A server that writes down what it is asked for.
private struct Recorder {
    let url: String
    let file: String

    /// All requests so far, once there are `count`.
    func requests(_ count: Int) async throws -> [JSONTree] {
        var lines: [Substring] = []
        try await eventually {
            lines = try String(contentsOfFile: self.file, encoding: .utf8).split(separator: "\n")
            return lines.count >= count
        }
        return lines.map { JSONTree(text: String($0)) }
    }
}

private func withRecorder(_ body: (Recorder) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-recorder-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let environment =
        ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"]
        ?? tests.deletingLastPathComponent().deletingLastPathComponent().path + "/.deploy/venv"
    let file = folder.path + "/requests"
    let process = Process()
    process.executableURL = URL(fileURLWithPath: environment + "/bin/python")
    process.arguments = [tests.path + "/Checks/recorder.py", file]
    process.standardInput = FileHandle.nullDevice
    try process.run()
    defer { kill(process.processIdentifier, SIGKILL) }
    var port = ""
    try await eventually {
        port = (try? String(contentsOfFile: file + ".port", encoding: .utf8)) ?? ""
        return !port.isEmpty
    }
    try await body(Recorder(url: "http://127.0.0.1:\(port)", file: file))
}

/// Prints what Python's own mail package finds in a report.
private let readProgram = """
    import email, email.policy, sys
    mail = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
    assert mail.get_content_type() == "multipart/report" and not mail.defects
    human, machine, original = mail.get_payload()
    kind = mail.get_param("report-type")
    assert machine.get_content_type() == "message/" + kind and human.get_content()
    if kind == "delivery-status":
        about, recipient = machine.get_payload()
        headers = email.message_from_string(original.get_content())
        print(recipient["Status"], recipient["Action"], headers["X-Martlet-Ref"].strip())
    else:
        fields = machine.get_payload(0) if machine.is_multipart() else email.message_from_string(machine.get_content())
        mail = original.get_payload(0)
        print(fields["Feedback-Type"], mail["Message-ID"], mail["X-Martlet-Ref"].strip())
    """
