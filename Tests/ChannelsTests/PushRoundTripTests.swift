/// The push providers through libcurl against simulators that check what Apple and push services check.

import CurlTransport
import DeliveryModel
import Foundation
import Simulators
import Testing

@testable import Channels

@Suite(.timeLimit(.minutes(3)), .serialized) struct PushRoundTripTests {
    private static let device = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"

    private struct Stage {
        let fleet: SimulatorFleet
        let catalog: ChannelCatalog
        let transport: CurlTransport

        func provider(_ name: String) throws -> any Provider {
            try #require(catalog.providers.first { $0.name == name })
        }

        func send(_ name: String, to target: PushTarget, step: Int = 0) async throws -> Outcome {
            var user = User.ada
            user.push = [target]
            var request = CompositionRequest.example(channel: .push, template: "welcome", user: user)
            request.stepIndex = step
            request.now = SystemTime().now()
            return await (try self.provider(name).compose(request)).send()
        }

        func browser(_ name: String) throws -> PushTarget {
            let subscription = try #require(self.fleet.webPush.subscription(name))
            return .webpush(
                endpoint: subscription.endpoint, p256dh: subscription.p256dh, auth: subscription.auth)
        }
    }

    private struct SystemTime: WallClock {
        func now() -> Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }
        func sleep(until deadline: Timestamp) async throws {}
    }

    private func withStage(
        _ change: (inout [String: String]) -> Void = { _ in }, _ body: (Stage) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        var settings = SimulatorFleetSettings(folder: folder.path + "/simulators")
        settings.stallMilliseconds = 200
        let fleet = try await SimulatorFleet.start(settings)
        let transport = CurlTransport()
        do {
            var environment = fleet.environment
            change(&environment)
            let catalog = try ChannelCatalog.load(
                providersFolder: Repository.providers, templatesFolder: Repository.templates,
                environment: environment, http: transport, clock: SystemTime(), mail: { _ in FakeMail() })
            try await body(Stage(fleet: fleet, catalog: catalog, transport: transport))
        } catch {
            await transport.shutdown()
            await fleet.stop()
            throw error
        }
        await transport.shutdown()
        await fleet.stop()
    }

    @Test func `a notification reaches APNs with a token that it takes`() async throws {
        try await self.withStage { stage in
            let target = PushTarget.apns(token: Self.device, topic: "com.example.app")
            let outcome = try await stage.send("apns", to: target)
            let again = try await stage.send("apns", to: target)
            #expect(outcome.verdict == .accepted, "\(outcome)")
            #expect(again.providerMessageID == outcome.providerMessageID)
            let received = try #require(stage.fleet.apns.messages(limit: 1).first)
            #expect(received.id == outcome.providerMessageID)
            #expect(received.token == Self.device)
            #expect(received.headers["apns-topic"] == "com.example.app")
            #expect(received.payload["aps"]?.object?["alert"]?.object?["title"] == "Welcome, Ada")
        }
    }

    @Test func `Apple's refusals come through as what they mean`() async throws {
        try await self.withStage { stage in
            for (token, verdict, reason, isDead) in [
                ("dead-1", Outcome.Verdict.rejected, "apns.unregistered", true),
                ("bad-1", .rejected, "apns.bad_device_token", true),
                ("topic-1", .rejected, "apns.device_token_not_for_topic", false),
                ("disallowed-1", .rejected, "apns.topic_disallowed", false),
                ("busy-1", .deferred, "apns.too_many_requests", false),
                ("unavailable-1", .deferred, "apns.service_unavailable", false),
                ("internal-1", .deferred, "apns.internal_server_error", false),
                ("cut-1", .unknown, "http.connection_lost", false), ("stall-1", .unknown, "", false),
            ] {
                let outcome = try await stage.send("apns", to: .apns(token: token, topic: "com.example.app"))
                #expect(outcome.verdict == verdict, "\(token): \(outcome)")
                #expect(reason.isEmpty || outcome.reason == reason)
                #expect(outcome.isAddressDead == isDead)
            }
            let busy = try await stage.send("apns", to: .apns(token: "busy-2", topic: "com.example.app"))
            #expect(busy.retryAfter == .seconds(1))
        }
    }

    @Test func `a browser reads what was sent, and a repeat takes the place of the first`() async throws {
        try await self.withStage { stage in
            let target = try stage.browser("ada")
            let first = try await stage.send("webpush", to: target)
            _ = try await stage.send("webpush", to: target)
            _ = try await stage.send("webpush", to: target, step: 1)
            #expect(first.verdict == .accepted, "\(first)")
            let messages = stage.fleet.webPush.messages(limit: 10)
            #expect(messages.count == 2)
            #expect(stage.fleet.webPush.counts.accepted == 3)
            #expect(stage.fleet.webPush.counts.repeats == 1)
            let text = try #require(messages.first).text
            let payload = try #require(try JSONValue.parse(text).object)
            #expect(payload["notification"]?.object?["title"] == "Welcome, Ada")
        }
    }

    @Test func `a push service's refusals come through as what they mean`() async throws {
        try await self.withStage { stage in
            for (name, verdict, reason, isDead) in [
                ("dead-1", Outcome.Verdict.rejected, "webpush.gone", true),
                ("unknown-1", .rejected, "webpush.gone", true),
                ("busy-1", .deferred, "webpush.too_many_requests", false),
                ("unavailable-1", .deferred, "http.503", false),
                ("large-1", .rejected, "webpush.payload_too_large", false),
                ("cut-1", .unknown, "http.connection_lost", false),
            ] {
                let outcome = try await stage.send("webpush", to: try stage.browser(name))
                #expect(outcome.verdict == verdict, "\(name): \(outcome)")
                #expect(outcome.reason == reason)
                #expect(outcome.isAddressDead == isDead)
            }
        }
    }

    @Test func `an endpoint may not lead into a private network, not even over a line that is open`() async throws {
        try await self.withStage({ $0["MARTLET_WEBPUSH_ALLOW_PRIVATE"] = "false" }) { stage in
            let target = try stage.browser("ada")
            let closed = try await stage.send("webpush", to: target)
            #expect(closed.verdict == .rejected)
            #expect(closed.reason == "webpush.endpoint_forbidden")
            #expect(!closed.isAddressDead)
            #expect(stage.transport.counts.connections == 0)
            // Another request opens a line to the same host, under the same trust.
            let open = HTTPRequest(
                method: "GET", url: stage.fleet.webPush.url + "/subscriptions/ada", prefersHTTP2: true,
                trustFile: stage.fleet.certificates.trustFile)
            #expect(try await stage.transport.perform(open).status == 200)
            #expect(stage.transport.counts.connections == 1)
            let reused = try await stage.send("webpush", to: target)
            #expect(reused.reason == "webpush.endpoint_forbidden")
            #expect(stage.fleet.webPush.counts.requests == 0)
        }
    }
}
