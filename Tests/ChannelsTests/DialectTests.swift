/// The shipped files of HTTP providers against simulators that answer in each provider's own words, over a real line.

import CurlTransport
import DeliveryModel
import Foundation
import Logging
import Simulators
import Testing

@testable import Channels

@Suite(.serialized, .timeLimit(.minutes(2))) struct DialectTests {
    private func withProviders(
        _ body: (SimulatorFleet, [String: any Provider]) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        var settings = SimulatorFleetSettings(folder: folder.path)
        settings.stallMilliseconds = 200
        let fleet = try await SimulatorFleet.start(settings)
        let http = CurlTransport(threads: 1, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        do {
            var environment = fleet.environment
            for name in fleet.dialects.map(\.name) { environment["MARTLET_\(name.uppercased())_ENABLED"] = "true" }
            environment["MARTLET_SMTP_AUTHENTICATION"] = "none"
            let catalog = try ChannelCatalog.load(
                providersFolder: Repository.providers, templatesFolder: Repository.templates, environment: environment,
                http: http, clock: ManualClock(), mail: { _ in FakeMail() })
            try await body(fleet, Dictionary(uniqueKeysWithValues: catalog.providers.map { ($0.name, $0) }))
        } catch {
            await http.shutdown()
            await fleet.stop()
            throw error
        }
        await http.shutdown()
        await fleet.stop()
    }

    private func send(_ provider: any Provider, to number: String, name: String = "Ada") async throws -> Outcome {
        var user = User.ada
        user.phone = number
        return await
            (try provider.compose(
                .example(channel: .sms, template: "welcome", user: user, data: ["first_name": .string(name)]))).send()
    }

    @Test func `each provider's file understands what its provider says`() async throws {
        try await self.withProviders { fleet, providers in
            #expect(fleet.dialects.map(\.name) == ["vonage", "messagebird", "sinch", "infobip"])
            for simulator in fleet.dialects {
                let provider = try #require(providers[simulator.name])
                let taken = try await self.send(provider, to: "+48600100200", name: "Łucja")
                #expect(taken.verdict == .accepted && taken.providerMessageID != nil, "\(simulator.name): \(taken)")
                let entry = try #require(simulator.inbox(limit: 1).first)
                #expect(entry.to == "48600100200" && entry.text.contains("Łucja"), "\(simulator.name): \(entry)")
                #expect(entry.fields["reference"]?.string == "01JD3V6W2Q9X/0")

                let invalid = try await self.send(provider, to: "+48600100000")
                #expect(
                    invalid.verdict == .rejected && invalid.reason == "sms.invalid_number",
                    "\(simulator.name): \(invalid)")
                let blocked = try await self.send(provider, to: "+48600100610")
                #expect(blocked.verdict == .rejected, "\(simulator.name): \(blocked)")
                let busy = try await self.send(provider, to: "+48600100429")
                #expect(
                    busy.verdict == .deferred && busy.reason == "sms.too_many_requests", "\(simulator.name): \(busy)")
                #expect(try await self.send(provider, to: "+48600100429").verdict == .accepted)
                let broken = try await self.send(provider, to: "+48600100500")
                #expect(
                    broken.verdict == .deferred && broken.reason == "sms.unavailable", "\(simulator.name): \(broken)")
                for number in ["+48600100998", "+48600100999"] {
                    let lost = try await self.send(provider, to: number)
                    #expect(lost.verdict == .unknown, "\(simulator.name): \(lost)")
                }
                #expect(simulator.counts.accepted == 3)
            }
        }
    }

    @Test func `a wrong key puts messages off, in each provider's words`() async throws {
        try await self.withProviders { fleet, _ in
            var environment = fleet.environment
            for name in ["VONAGE_API_SECRET", "MESSAGEBIRD_ACCESS_KEY", "SINCH_API_TOKEN", "INFOBIP_API_KEY"] {
                environment[name] = "wrong"
            }
            for name in fleet.dialects.map(\.name) { environment["MARTLET_\(name.uppercased())_ENABLED"] = "true" }
            environment["MARTLET_SMTP_AUTHENTICATION"] = "none"
            let http = CurlTransport(threads: 1, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let catalog = try ChannelCatalog.load(
                providersFolder: Repository.providers, templatesFolder: Repository.templates, environment: environment,
                http: http, clock: ManualClock(), mail: { _ in FakeMail() })
            let names = Set(fleet.dialects.map(\.name))
            for provider in catalog.providers where names.contains(provider.name) {
                let outcome = try await self.send(provider, to: "+48600100200")
                #expect(outcome.verdict == .deferred && outcome.reason == "sms.account", "\(provider.name): \(outcome)")
            }
            await http.shutdown()
        }
    }
}
