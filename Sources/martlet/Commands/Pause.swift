import ArgumentParser
import DeliveryModel
import Foundation
import Ledger

/// Holds deliveries back.
struct PauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Holds deliveries back until they are resumed.",
        discussion: """
            SCOPE is all, channel:sms, provider:twilio, campaign:welcome or class:marketing. No attempt in it begins from
            then on; what was being opened in that moment, or is on the wire, is finished. Deliveries rest meanwhile, and end as expired
            at their time. Without SCOPE the pauses that stand are listed.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "What to hold back.") var scope: String?
    @Option(name: .long, help: "Why, for those who come after you.") var reason = "by an operator"

    func run() async throws {
        let scope = try self.scope.map(PauseScope.named)
        try await withConnections(self.common) { connections, _, _ in
            guard let scope else {
                let pauses = try await connections.ledger.pauses()
                for pause in pauses {
                    print(
                        "\(pause.scope)  since \(pause.at.rfc3339)  \(pause.deliveries) deliveries rest  (\(pause.reason))"
                    )
                }
                if pauses.isEmpty { print("nothing is paused") }
                return
            }
            try await connections.ledger.pause(scope, reason: self.reason)
            print("\(scope) is paused")
        }
    }
}

/// Lets them go on.
struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Lets paused deliveries go on.",
        discussion: "What rested is due at once; workers get it within seconds.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The scope that was paused.") var scope: String

    func run() async throws {
        let scope = try PauseScope.named(self.scope)
        try await withConnections(self.common) { connections, _, _ in
            guard let count = try await connections.ledger.resume(scope) else {
                throw CommandError("\(scope) was not paused: `martlet pause` lists what is")
            }
            print("\(scope) goes on, \(count) deliveries with it")
        }
    }
}

extension PauseScope {
    fileprivate static func named(_ text: String) throws -> PauseScope {
        guard let scope = PauseScope(text) else {
            throw ValidationError(
                "`\(text)` is no scope: use all, channel:email|sms|push, provider:NAME, campaign:NAME or "
                    + "class:marketing|transactional")
        }
        return scope
    }
}

/// Records what a person said yes or no to.
struct ConsentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consent", abstract: "Records what a person agreed or objected to.",
        discussion: """
            Holds for marketing, for every attempt that is opened from then on. Without --channel or --topic it holds for all of them, and
            what was said about narrower things before no longer counts.
            """)

    enum Answer: String, ExpressibleByArgument, CaseIterable { case grant, withdraw }

    @OptionGroup var common: CommonOptions
    @Argument(help: "grant or withdraw.") var answer: Answer
    @Argument(help: "The user's id.") var user: String
    @Option(name: .long, help: "email, sms or push.") var channel: String?
    @Option(name: .long, help: "What the messages are about, as `campaigns` in the settings say.") var topic: String?

    func run() async throws {
        let kind = try self.channel.map { name in
            guard let kind = ChannelKind(rawValue: name) else {
                throw ValidationError("`\(name)` is no channel: use email, sms or push")
            }
            return kind
        }
        try await withConnections(self.common) { connections, _, _ in
            try await connections.ledger.record(
                Consent(
                    person: self.user, channel: kind, topic: self.topic, isGranted: self.answer == .grant,
                    source: "operator"))
            print("recorded: \(self.user) \(self.answer == .grant ? "agreed" : "objected")")
        }
    }
}
