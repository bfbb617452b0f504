/// Providers are asked what became of messages: the shipped files, against the Twilio simulator over a real line and against
/// answers as each provider documents them.

import CurlTransport
import DeliveryModel
import Foundation
import Logging
import Simulators
import Testing

@testable import Channels

@Suite(.serialized, .timeLimit(.minutes(2))) struct LookupTests {
    private func withTwilio(
        _ body: (SimulatorFleet, any Provider, any ReceiptSource) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        var settings = SimulatorFleetSettings(folder: folder.path)
        settings.settlesAfterMilliseconds = 0
        let fleet = try await SimulatorFleet.start(settings)
        let http = CurlTransport(threads: 1, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        do {
            let environment = fleet.environment.merging(["MARTLET_SMTP_AUTHENTICATION": "none"]) { $1 }
            let catalog = try ChannelCatalog.load(
                providersFolder: Repository.providers, templatesFolder: Repository.templates, environment: environment,
                http: http, clock: ManualClock(), mail: { _ in FakeMail() })
            try await body(
                fleet, try #require(catalog.providers.first { $0.name == "twilio" }),
                try #require(catalog.receiptSources.first { $0.name == "twilio" }))
        } catch {
            await http.shutdown()
            await fleet.stop()
            throw error
        }
        await http.shutdown()
        await fleet.stop()
    }

    @Test func `a provider tells what became of a message, or that it knows none, or that it will not say`()
        async throws
    {
        try await self.withTwilio { fleet, provider, source in
            func sent(_ number: String) async throws -> String {
                // All have one idempotency key: to the simulator they would be one message.
                fleet.sms.forget()
                var user = User.ada
                user.phone = number
                let message = try provider.compose(
                    .example(channel: .sms, template: "welcome", user: user, data: ["first_name": .string("Ada")]))
                return try #require(await message.send().providerMessageID)
            }
            func asked(_ id: String) async -> LookupAnswer { await source.look(up: id, now: ManualClock().now()) }

            let id = try await sent("+48600100200")
            let delivered = Receipt(
                key: "receipt/twilio/\(id)/delivered/", subject: .message(provider: "twilio", id: id), kind: .delivered,
                reason: "sms.delivered", detail: "status delivered", isAsked: true)
            #expect(await asked(id) == .told([delivered]))
            let failed = await asked(try await sent("+48600100003")).receipts.first
            #expect(failed?.kind == .failed && failed?.detail == "status undelivered, error 30003")
            #expect(await asked(try await sent("+48600100004")).receipts.map(\.kind) == [.delayed])
            #expect(await asked("SM00000000000000000000000000000000") == .unknown)
            // What an id holds stays in its segment of the path.
            #expect(await asked("../../x?y") == .unknown)

            for (status, answer) in [
                (401, LookupAnswer.refused(reason: "http.401")), (503, .away(reason: "http.503")),
            ] {
                var faults = SimulatorFaults()
                (faults.refuseProbability, faults.refuseStatus) = (1, status)
                fleet.sms.setFaults(faults)
                #expect(await asked(id) == answer)
            }
            await fleet.sms.stop()
            let answer = await asked(id)
            #expect(["http.connect", "http.connection_lost"].map { .away(reason: $0) }.contains(answer), "\(answer)")
        }
    }

    /// The documented answers, each with one message that arrived, one that did not, and none.
    @Test func `each provider's answer is understood`() throws {
        var environment = ["TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"]
        for name in ["VONAGE", "MESSAGEBIRD", "SINCH", "INFOBIP"] { environment["MARTLET_\(name)_ENABLED"] = "true" }
        for name in [
            "VONAGE_API_KEY", "VONAGE_API_SECRET", "MESSAGEBIRD_ACCESS_KEY", "SINCH_SERVICE_PLAN_ID", "SINCH_API_TOKEN",
            "INFOBIP_API_KEY",
        ] { environment[name] = "key" }
        let folder = try TemporaryFolder()
        for name in ["vonage", "messagebird", "sinch", "infobip"] {
            let text = try String(contentsOfFile: "\(Repository.providers)/\(name).yaml", encoding: .utf8)
                .replacing("../keywords.yaml", with: "\(Repository.root)/channels/keywords.yaml")
            try text.write(toFile: "\(folder.path)/\(name).yaml", atomically: true, encoding: .utf8)
        }
        let configuration = try ChannelConfiguration.load(providersFolder: folder.path, environment: environment)
        let http = FakeHTTP { _ in .success(HTTPResponse(status: 500, headers: [], body: [])) }
        let catalog = ChannelCatalog(
            configuration, templates: TemplateLibrary(folder: Repository.templates), http: http, clock: ManualClock(),
            mail: { _ in FakeMail() })
        let sources = Dictionary(
            uniqueKeysWithValues: catalog.receiptSources.compactMap { $0 as? SMSLookup }.map { ($0.name, $0) })

        func request(_ name: String) throws -> HTTPRequest {
            try #require(sources[name]).format.request(RequestValues(messageID: "m 1"))
        }
        #expect(try request("sinch").url.hasSuffix("/xms/v1/key/batches/m%201/delivery_report?type=full"))
        let vonage = try request("vonage")
        #expect(
            vonage.url
                == "https://api.nexmo.com/v2/reports/records?account_id=key&product=SMS&direction=outbound&id=m%201")
        #expect(vonage.headers.contains(HTTPHeader("Authorization", "Basic a2V5OmtleQ==")))
        #expect(try request("messagebird").headers.contains(HTTPHeader("Authorization", "AccessKey key")))
        #expect(try request("infobip").method == "GET")

        let bodies: [(String, String, Receipt.Kind?)] = [
            ("vonage", #"{"records": [{"message_id": "m", "status": "delivered", "error_code": "0"}]}"#, .delivered),
            ("vonage", #"{"records": [{"message_id": "m", "status": "failed", "error_code": "6"}]}"#, .failed),
            ("vonage", #"{"records": [{"message_id": "other", "status": "delivered"}], "ids_not_found": "m"}"#, nil),
            ("messagebird", #"{"id": "m", "recipients": {"items": [{"status": "delivered"}]}}"#, .delivered),
            (
                "messagebird",
                #"{"recipients": {"items": [{"status": "delivery_failed", "statusErrorCode": 1}]}}"#, .failed
            ),
            ("sinch", #"{"batch_id": "m", "statuses": [{"code": 0, "status": "Delivered", "count": 1}]}"#, .delivered),
            ("sinch", #"{"batch_id": "m", "statuses": [{"code": 400, "status": "Queued", "count": 1}]}"#, .delayed),
            (
                "infobip",
                #"{"results": [{"messageId": "m", "status": {"groupName": "DELIVERED"}, "error": {"id": 0}}]}"#,
                .delivered
            ),
            ("infobip", #"{"results": []}"#, nil),
        ]
        for (name, body, kind) in bodies {
            let response = HTTPResponse(status: 200, headers: [], body: Array(body.utf8))
            let answer = try #require(sources[name]).answer(response, about: "m", now: ManualClock().now())
            #expect(answer.receipts.map(\.kind) == (kind.map { [$0] } ?? []), "\(name): \(body): \(answer)")
            let subject = Receipt.Subject.message(provider: name, id: "m")
            #expect(answer.receipts.allSatisfy { $0.isAsked && $0.subject == subject })
        }
        let busy = HTTPResponse(status: 429, headers: [HTTPHeader("retry-after", "9")], body: [])
        let answer = sources["sinch"]?.answer(busy, about: "m", now: ManualClock().now())
        #expect(answer == .busy(retryAfter: .seconds(9)))
    }

    @Test func `what is wrong with a lookup is named with its line`() throws {
        let folder = try TemporaryFolder()
        let text = try String(contentsOfFile: "\(Repository.providers)/twilio.yaml", encoding: .utf8)
            .replacing("/Messages/{{message_id}}.json", with: "/Messages/{{to}}.json")
            .replacing("  status: /status\n  error: /error_code\n", with: "  after: soon\n  tries: 11\n")
        try text.write(toFile: "\(folder.path)/twilio.yaml", atomically: true, encoding: .utf8)
        let error = #expect(throws: ChannelConfigurationError.self) {
            try ChannelConfiguration.load(
                providersFolder: folder.path,
                environment: [
                    "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "MARTLET_TWILIO_ENABLED": "true",
                ])
        }
        let problems = error.map { "\($0)" } ?? ""
        for key in ["lookup.after", "lookup.path", "lookup.status", "lookup.tries"] {
            #expect(problems.contains("`\(key)`") || problems.contains(key), "\(key): \(problems)")
        }
        #expect(problems.contains("message_id are known"), "\(problems)")
    }
}

extension LookupAnswer {
    fileprivate var receipts: [Receipt] {
        guard case .told(let receipts) = self else { return [] }
        return receipts
    }
}
