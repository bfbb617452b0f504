/// A provider of kind `smpp`, from its file to the simulated centre and back.

import CurlTransport
import DeliveryModel
import Foundation
import Logging
import NIOPosix
import SMPPTransport
import SettingsFile
import Simulators
import Testing
import ThreadBridge

@testable import Channels

enum YAMLFileForTests {
    static func keywords() -> (keywords: Keywords, problems: [ConfigurationProblem]) {
        let file = YAMLFile(path: "\(Repository.root)/channels/keywords.yaml", environment: [:])
        let keywords = Keywords(reading: file)
        return (keywords, file.problems)
    }
}

/// A ledger that remembers what it is told.
private final class TellTale: ReceiptLedger, AddressLedger {
    private let state = Protected<(receipts: [Receipt], words: [AddressWord], isAway: Bool)>(([], [], false))

    var receipts: [Receipt] { self.state.withLock { $0.receipts } }
    var words: [AddressWord] { self.state.withLock { $0.words } }
    func setAway(_ isAway: Bool) { self.state.withLock { $0.isAway = isAway } }

    func record(_ receipt: Receipt) async throws(LedgerError) -> ReceiptAnswer {
        if self.state.withLock({ $0.isAway }) { throw LedgerError(.unavailable, "away") }
        self.state.withLock { $0.receipts.append(receipt) }
        return .recorded(decision: "d")
    }

    func record(_ word: AddressWord) async throws(LedgerError) {
        self.state.withLock { $0.words.append(word) }
    }
}

@Suite(.serialized, .timeLimit(.minutes(2))) struct SMPPProviderTests {
    private static let yaml = """
        kind: smpp
        endpoint_env: CENTRE
        system_id: martlet
        password_env: PASSWORD
        from: Larch Loom
        keywords_file: \(Repository.root)/channels/keywords.yaml
        text: {transliterate: punctuation, languages: [tr]}
        price: {per_segment: "0.01", currency: EUR}
        receipts: {message_ids: hex_then_decimal, dead_errors: ["001"]}
        answers:
          - {status: 0x08, verdict: rejected, reason: smpp.mine}
        limits: {window: 20, segments: 10}

        """

    private struct Stage {
        let centre: SMPPSimulator
        let client: SMPPClient
        let desk: SMSDesk
        let ledger: TellTale
        let provider: any Provider

        func send(_ text: String = "hello", to number: String = "+48600100200") async throws -> Outcome {
            try await self.prepare(text, to: number).send()
        }

        func prepare(_ text: String, to number: String = "+48600100200") throws -> any PreparedMessage {
            var user = User.ada
            user.phone = number
            return try self.provider.compose(
                .example(channel: .sms, template: "t", user: user, data: ["text": .string(text)]))
        }
    }

    private func withProvider(
        yaml: String = Self.yaml, _ change: (inout SMPPSimulatorSettings) -> Void = { _ in },
        opensDesk: Bool = true, _ body: (Stage) async throws -> Void
    ) async throws {
        var settings = SMPPSimulatorSettings()
        settings.mixesNumberForms = true
        settings.receiptForm = .text
        change(&settings)
        let centre = SMPPSimulator(settings: settings)
        try await centre.start()
        let folder = try TemporaryFolder()
        try folder.write("providers/centre.yaml", yaml).write("templates/t/sms.txt", "{{{text}}}")
        let desk = SMSDesk()
        let ledger = TellTale()
        let made = Protected<[SMPPClient]>([])
        let catalog = try ChannelCatalog.load(
            providersFolder: "\(folder.path)/providers", templatesFolder: "\(folder.path)/templates",
            environment: ["CENTRE": centre.url, "PASSWORD": "secret"],
            http: FakeHTTP { _ in .success(HTTPResponse(500)) },
            clock: ManualClock(), mail: { _ in FakeMail() },
            texts: { smpp in
                let client = SMPPClient(
                    settings: smpp.settings, group: MultiThreadedEventLoopGroup.singleton,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                ) { await desk.take($0, from: smpp.name, smpp.rules) }
                made.withLock { $0.append(client) }
                return client
            })
        if opensDesk { desk.open(receipts: ledger, addresses: ledger, addressKey: { Array($0.utf8) }) }
        let client = try #require(made.withLock { $0.first })
        let stage = Stage(
            centre: centre, client: client, desk: desk, ledger: ledger,
            provider: try #require(catalog.providers.first))
        do {
            try await body(stage)
        } catch {
            await client.shutdown()
            await centre.stop()
            throw error
        }
        await client.shutdown()
        await centre.stop()
    }

    @Test func `a message is taken, priced, and its receipt matched although its id changes its form`() async throws {
        try await self.withProvider { stage async throws in
            let outcome = try await stage.send("“hello”")
            #expect(outcome.verdict == .accepted && outcome.reason == "smpp.ok")
            #expect(outcome.detail == "1 message in GSM-7, 0.01 EUR")
            let taken = try #require(stage.centre.messages(limit: 1).first)
            #expect(taken.text == "\"hello\"" && taken.message.dataCoding == 0)
            #expect(taken.message.destination == SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: "48600100200"))
            #expect(taken.message.source.text == "Larch Loom")
            try await eventually { !stage.ledger.receipts.isEmpty }
            let receipt = try #require(stage.ledger.receipts.first)
            #expect(receipt.subject == .message(provider: "centre", id: outcome.providerMessageID ?? ""))
            #expect(receipt.kind == .delivered && receipt.reason == "smpp.delivrd")
        }
    }

    @Test func `a long text goes out in parts, and asks for one receipt`() async throws {
        try await self.withProvider { stage async throws in
            let text = String(repeating: "0123456789", count: 40)
            let outcome = try await stage.send(text)
            #expect(outcome.verdict == .accepted && outcome.detail == "3 messages in GSM-7, 0.03 EUR")
            let parts = Array(stage.centre.messages(limit: 9).reversed())
            #expect(parts.map(\.text).joined() == text && parts.count == 3)
            #expect(parts.allSatisfy { $0.message.esmClass == 0x40 })
            #expect(parts.map(\.message.registeredDelivery) == [0, 0, 1])
            #expect(Set(parts.map { $0.message.text[3] }).count == 1, "one reference for all parts")
            #expect(outcome.providerMessageID == parts.last?.id)
            // The same at the next attempt.
            _ = try await stage.send(text)
            #expect(Set(stage.centre.messages(limit: 9).map { $0.message.text[3] }).count == 1)
        }
    }

    @Test func `a long text goes out as one payload where the file says so`() async throws {
        try await self.withProvider(yaml: Self.yaml + "long: payload\n") { stage async throws in
            let text = String(repeating: "ż", count: 200)
            #expect(try await stage.send(text).detail == "3 messages in UCS-2, 0.03 EUR")
            let taken = stage.centre.messages(limit: 9)
            #expect(taken.count == 1 && taken.first?.text == text && taken.first?.message.isPayload == true)
        }
    }

    @Test func `a national table is named in the header`() async throws {
        try await self.withProvider { stage async throws in
            #expect(try await stage.send("şeker").detail == "1 message in GSM-7 (tr), 0.01 EUR")
            let taken = try #require(stage.centre.messages(limit: 1).first?.message)
            #expect(taken.esmClass == 0x40 && taken.text.prefix(4) == [3, 0x24, 1, 1])
        }
    }

    @Test(
        arguments: [
            ("+48600100000", Outcome.Verdict.rejected, "smpp.invdstadr"), ("+48600100008", .rejected, "smpp.mine"),
            ("+48600100020", .deferred, "smpp.msgqful"), ("+48600100088", .deferred, "smpp.throttled"),
            ("+48600100998", .unknown, "smpp.connection_lost"),
        ] as [(String, Outcome.Verdict, String)])
    func `the centre's statuses are understood`(number: String, verdict: Outcome.Verdict, reason: String) async throws {
        try await self.withProvider { stage async throws in
            let outcome = try await stage.send(to: number)
            #expect(outcome.verdict == verdict && outcome.reason == reason)
            if verdict == .deferred { #expect((outcome.retryAfter?.count ?? 0) >= 1000) }
        }
    }

    @Test func `a later part that is put off is sent again, and the first ones are not`() async throws {
        try await self.withProvider({ $0.faults.throttle = 0.3 }) { stage async throws in
            var accepted = 0
            for _ in 0..<10 {
                let outcome = try await stage.send(String(repeating: "x", count: 400))
                if outcome.verdict == .accepted { accepted += 1 }
                #expect(outcome.verdict != .unknown, "\(outcome)")
            }
            #expect(stage.centre.submitCounts.accepted == 3 * accepted)
            #expect(stage.centre.submitCounts.throttled > 0)
        }
    }

    @Test func `a receipt that says the number is no more suppresses it`() async throws {
        try await self.withProvider { stage async throws in
            _ = try await stage.send(to: "+48600100500")
            _ = try await stage.send(to: "+48600100501")
            try await eventually { stage.ledger.receipts.count == 2 }
            let byReason = Dictionary(uniqueKeysWithValues: stage.ledger.receipts.map { ($0.reason, $0) })
            #expect(byReason["smpp.undeliv"]?.isAddressDead == true && byReason["smpp.undeliv"]?.kind == .failed)
            #expect(byReason["smpp.expired"]?.isAddressDead == false && byReason["smpp.expired"]?.kind == .failed)
        }
    }

    @Test func `whoever answers STOP or START is heard`() async throws {
        try await self.withProvider { stage async throws in
            _ = try await stage.send(to: "+48600100610")
            try await eventually { stage.ledger.words.count == 1 }
            let word = try #require(stage.ledger.words.first)
            #expect(
                word
                    == AddressWord(
                        channel: .sms, addressKey: Array("+48600100610".utf8), isGranted: false, source: "sms.reply"))
            stage.centre.say("Start", from: "48600100610", to: "70200")
            stage.centre.say("who is this?", from: "48600100610", to: "70200")
            try await eventually { stage.ledger.words.count == 2 && stage.desk.counts.others == 1 }
            #expect(stage.ledger.words.last?.isGranted == true)
        }
    }

    @Test func `what the ledger does not take is brought again`() async throws {
        try await self.withProvider(opensDesk: false) { stage async throws in
            #expect(try await stage.send().verdict == .accepted)
            try await eventually { stage.desk.counts.deferred > 2 }
            stage.ledger.setAway(true)
            stage.desk.open(receipts: stage.ledger, addresses: stage.ledger, addressKey: { Array($0.utf8) })
            let before = stage.desk.counts.deferred
            try await eventually { stage.desk.counts.deferred > before + 2 }
            stage.ledger.setAway(false)
            try await eventually { stage.ledger.receipts.count == 1 && stage.centre.submitCounts.receiptsTaken == 1 }
        }
    }

    @Test func `what must not go is given back`() async throws {
        try await self.withProvider { stage async throws in
            #expect(try await stage.prepare("x").send { false } == .withdrawnFromWindow)
            #expect(stage.centre.submitCounts.accepted == 0)
        }
    }

    @Test func `the shipped file is read once it is enabled`() throws {
        let configuration = try ChannelConfiguration.load(
            providersFolder: Repository.providers,
            environment: [
                "MARTLET_SMPP_ENABLED": "true", "MARTLET_SMPP_URL": "smpps://smpp.example.com",
                "MARTLET_SMPP_SYSTEM_ID": "martlet", "MARTLET_SMPP_PASSWORD": "secret",
            ])
        guard case .smpp(let smpp)? = configuration.providers.first(where: { $0.name == "smpp" }) else {
            Issue.record("it is not there")
            return
        }
        #expect(smpp.settings.usesTLS && smpp.settings.port == 3550 && smpp.settings.window == 100)
        #expect(smpp.rules.keywords.meaning(of: "STOP") == .stop && smpp.rules.deadErrors.isEmpty)
    }

    @Test func `a file with mistakes says where they are`() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "bad.yaml",
            """
            kind: smpp
            endpoint: smpp+plaintext://smpp.example.com
            system_id: a-name-that-is-too-long
            password: secret
            from: A name that is too long
            text: {languages: [pl], transliterate: all}
            price: {per_segment: much, currency: EUR}
            answers: [{status: 0x00, verdict: accepted, reason: x}]
            keywords_file: nowhere.yaml
            """)
        let error = try #require(throws: ChannelConfigurationError.self) {
            try ChannelConfiguration.load(providersFolder: folder.path, environment: [:])
        }
        let keys = Set(error.problems.compactMap(\.key))
        for key in [
            "endpoint", "system_id", "password", "from", "text.languages", "text.transliterate", "price.per_segment",
            "answers[0].status", "answers[0].verdict", "keywords_file",
        ] { #expect(keys.contains(key), "\(key) is missing in \(keys.sorted())") }
    }
}

extension Outcome {
    fileprivate static let withdrawnFromWindow = Outcome(
        .deferred, reason: "withdrawn", detail: "not wanted any more when its turn came")
}

func eventually(
    within seconds: Double = 20, sourceLocation: SourceLocation = #_sourceLocation, _ isSo: () -> Bool
) async throws {
    let end = ContinuousClock.now + .seconds(seconds)
    while !isSo() {
        guard ContinuousClock.now < end else {
            Issue.record("it did not come about within \(seconds) s", sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}
