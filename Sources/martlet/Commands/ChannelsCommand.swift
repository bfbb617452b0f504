import ArgumentParser
import Channels
import DeliveryModel
import Foundation
import Logging
import Telemetry

/// Shows the providers, looks whether they are there, and sends one message through one of them.
struct ChannelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "channels", abstract: "Lists providers, checks that they can be reached, or sends a test message.",
        subcommands: [List.self, Look.self, Test.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the providers that are enabled, in the order in which they are chosen.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await withProviders(self.common) { providers in
                if providers.isEmpty { print("no provider is enabled") }
                for channel in ChannelKind.allCases {
                    let own = providers.filter { $0.channel == channel }.sorted {
                        ($0.routing.priority, $0.routing.cost, $0.name) < (
                            $1.routing.priority, $1.routing.cost, $1.name
                        )
                    }
                    guard !own.isEmpty else { continue }
                    print(channel.rawValue)
                    for provider in own { print("  \(Self.line(provider))") }
                }
            }
        }

        private static func line(_ provider: any Provider) -> String {
            let routing = provider.routing
            var parts = [
                provider.name.padding(toLength: max(16, provider.name.count), withPad: " ", startingAt: 0),
                "priority \(routing.priority)", "weight \(number(routing.weight))",
                "at most \(provider.concurrency) at once",
            ]
            if routing.cost > 0 { parts.append("costs \(number(routing.cost))") }
            if !routing.classes.isEmpty {
                parts.append("only \(routing.classes.map(\.rawValue).sorted().joined(separator: " and "))")
            }
            if !routing.prefixes.isEmpty { parts.append("to \(routing.prefixes.joined(separator: " "))") }
            if !routing.domains.isEmpty { parts.append("to \(routing.domains.joined(separator: " "))") }
            if let rate = routing.rate { parts.append("\(number(rate.perSecond))/s, bursts of \(rate.burst)") }
            for domain in routing.domainRates {
                parts.append("\(domain.pattern): \(number(domain.rate.perSecond))/s")
            }
            if let warmUp = routing.warmUp {
                let today = warmUp.limit(at: SystemClock().now())
                parts.append(today.map { "warms up: day \($0.day + 1), at most \($0.messages)" } ?? "is warmed up")
            }
            return parts.joined(separator: "  ")
        }

        private static func number(_ value: Double) -> String {
            value == value.rounded() && value < 1e9 ? "\(Int(value))" : "\(value)"
        }
    }

    struct Look: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Looks whether providers are there and let us in; sends nothing.",
            discussion: "Without NAME all of them. Ends with 1 when one of them cannot be used.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "A provider's name.") var name: String?

        func run() async throws {
            try await withProviders(self.common) { providers in
                let chosen = try named(self.name, among: providers)
                if chosen.isEmpty { print("no provider is enabled") }
                var isWell = true
                for provider in chosen {
                    let answer: String
                    switch await provider.check() {
                    case .ready(let text): answer = "ready: \(text)"
                    case .reachable(let text): answer = "there: \(text)"
                    case .unchecked(let text): answer = "not checked: \(text)"
                    case .failed(let reason, let detail):
                        answer = "failed: \(reason)\(detail.map { ": \($0)" } ?? "")"
                        isWell = false
                    }
                    print("\(provider.name)  \(answer)")
                }
                guard isWell else { throw ExitCode(1) }
            }
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sends one message through a provider, and says what came of it.",
            discussion: """
                It is sent for real, past consent, caps and suppression, and is not in the ledger. TO is an e-mail address, a
                telephone number, or a device as fcm:TOKEN or apns:TOKEN@TOPIC; --user takes a file with the `user` of a
                decision instead, which a browser needs. Ends with 1 unless the provider accepts it.
                """)

        @OptionGroup var common: CommonOptions
        @Argument(help: "The provider's name.") var name: String
        @Option(help: "Whom to send it to.") var to: String?
        @Option(help: "A JSON file with the `user` of a decision.", completion: .file()) var user: String?
        @Option(help: "The template's name.") var template: String
        @Option(help: "The template's variables, as a JSON object.") var data = "{}"
        @Option(help: "The language to write in.") var locale: String?

        func validate() throws {
            guard (self.to == nil) != (self.user == nil) else { throw ValidationError("give either --to or --user") }
        }

        func run() async throws {
            try await withProviders(self.common) { providers in
                guard let provider = try named(self.name, among: providers).first else { return }
                let decision = try self.decision(on: provider.channel)
                guard case .plan(let steps) = decision.choice, let step = steps.first else { return }
                let target = decision.user.push.first { provider.takes($0) }
                let message: any PreparedMessage
                do throws(CompositionRefusal) {
                    message = try provider.compose(
                        CompositionRequest(
                            decision: decision, step: step, stepIndex: 0, now: SystemClock().now(), target: target,
                            attempt: 1))
                } catch {
                    throw CommandError("\(error.code.rawValue): \(error.detail)")
                }
                let start = ContinuousClock.now
                let outcome = await message.send()
                let took = (ContinuousClock.now - start) / .milliseconds(1)
                print("\(outcome.verdict.rawValue)  \(outcome.reason)  after \(Int(took)) ms, \(message.size) bytes")
                if let detail = outcome.detail { print("  \(detail)") }
                if let id = outcome.providerMessageID { print("  the provider's name for it: \(id)") }
                guard outcome.verdict == .accepted else { throw ExitCode(1) }
            }
        }

        /// Through the decoder, so that what is wrong is said as for any decision.
        private func decision(on channel: ChannelKind) throws -> Decision {
            var user = try self.givenUser(on: channel)
            if let locale = self.locale { user["locale"] = .string(locale) }
            if user["id"] == nil { user["id"] = "test" }
            let data: JSONValue
            do throws(JSONSyntaxError) {
                data = try JSONValue.parse(Array(self.data.utf8))
            } catch {
                throw CommandError("--data is not JSON: \(error.rejection.detail)")
            }
            let id = "test-\(String(UInt64.random(in: .min ... .max), radix: 36))"
            let value: JSONValue = [
                "schema": .string(Decision.schema), "id": .string(id), "user": .object(user), "campaign": "test",
                "class": "transactional", "data": data,
                "plan": [["channel": .string(channel.rawValue), "template": .string(self.template)]],
            ]
            do throws(DecisionRejections) {
                return try Decision.decode(value)
            } catch {
                throw CommandError(error.all.map { "\($0.pointer): \($0.detail)" }.joined(separator: "\n"))
            }
        }

        private func givenUser(on channel: ChannelKind) throws -> JSONObject {
            if let path = self.user {
                guard let contents = FileManager.default.contents(atPath: path) else {
                    throw CommandError("\(path) cannot be read")
                }
                guard case .object(let user)? = try? JSONValue.parse(Array(contents)) else {
                    throw CommandError("\(path) holds no JSON object")
                }
                return user
            }
            let to = self.to ?? ""
            switch channel {
            case .email: return Self.user("email", .string(to))
            case .sms: return Self.user("phone", .string(to))
            case .push: return Self.user("push", .array([try Self.device(to)]))
            }
        }

        private static func user(_ name: String, _ value: JSONValue) -> JSONObject {
            JSONObject([JSONObject.Member(name: name, value: value)])
        }

        private static func device(_ text: String) throws -> JSONValue {
            if text.hasPrefix("fcm:") { return ["platform": "fcm", "token": .string(String(text.dropFirst(4)))] }
            if text.hasPrefix("apns:"), let at = text.lastIndex(of: "@") {
                return [
                    "platform": "apns", "token": .string(String(text[..<at].dropFirst(5))),
                    "topic": .string(String(text[text.index(after: at)...])),
                ]
            }
            throw CommandError("a device is fcm:TOKEN or apns:TOKEN@TOPIC; for a browser give --user")
        }
    }
}

/// Runs a tool with the providers on their transports, and closes those.
private func withProviders(_ common: CommonOptions, _ body: ([any Provider]) async throws -> Void) async throws {
    var settings = try common.settings()
    settings.logLevel = max(settings.logLevel, .warning)
    settings.logFormat = .text
    let channels = try ChannelSet(settings, links: nil, registry: MetricsRegistry(), logger: common.logger(settings))
    for problem in channels.catalog.templates.problems { note("\(problem)") }
    channels.startSending()
    do {
        try await body(channels.catalog.providers)
    } catch {
        await channels.close()
        throw error
    }
    await channels.close()
}

private func named(_ name: String?, among providers: [any Provider]) throws -> [any Provider] {
    guard let name else { return providers }
    let found = providers.filter { $0.name == name }
    guard found.isEmpty else { return found }
    let known = providers.map(\.name).joined(separator: ", ")
    throw CommandError("no provider is called \(name); enabled are \(known.isEmpty ? "none" : known)")
}
