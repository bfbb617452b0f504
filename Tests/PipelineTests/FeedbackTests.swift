// Receipts that are asked for, and providers that stopped telling: by a ledger and a provider that say what a test wants.
import DeliveryModel
import Logging
import Telemetry
import Testing
import ThreadBridge

@testable import Pipeline

/// A ledger with a list of messages, and a provider with a list of answers.
private final class Asked: LookupLedger, ReceiptLedger, FeedbackLedger, ReceiptSource {
    struct State {
        var lookups: [MessageLookup] = []
        var answers: [String: LookupAnswer] = [:]
        var pauses: [(length: Milliseconds, putBack: [String])] = []
        var receipts: [Receipt] = []
        var standings: [FeedbackStanding] = []
        var counted: [String: FeedbackCount] = [:]
        var isAway = false
    }

    let name = "twilio"
    let policy = LookupPolicy(perMinute: 3000)
    let state = Protected(State())

    func takeLookups(of provider: String, policy: LookupPolicy, limit: Int) async throws(LedgerError) -> [MessageLookup]
    {
        self.state.withLock { state in
            defer { state.lookups = [] }
            return state.lookups
        }
    }

    func pauseLookups(
        of provider: String, for pause: Milliseconds, putBack lookups: [MessageLookup]
    ) async throws(LedgerError) {
        self.state.withLock { $0.pauses.append((pause, lookups.map(\.messageID).sorted())) }
    }

    func record(_ receipt: Receipt) async throws(LedgerError) -> ReceiptAnswer {
        self.state.withLock { $0.receipts.append(receipt) }
        return .recorded(decision: "d")
    }

    func look(up messageID: String, now: Timestamp) async -> LookupAnswer {
        self.state.withLock { $0.answers[messageID] } ?? .unknown
    }

    func addFeedback(_ counts: [FeedbackCount], now: Timestamp) async throws(LedgerError) -> [FeedbackStanding] {
        guard !self.state.withLock({ $0.isAway }) else { throw LedgerError(.unavailable, "away") }
        return self.state.withLock { state in
            for count in counts { state.counted[count.provider] = count }
            return state.standings
        }
    }

    /// Asks for one message.
    func ask(_ answers: [String: LookupAnswer], isLast: Bool = false, _ registry: MetricsRegistry) async {
        self.state.withLock { state in
            state.answers = answers
            state.lookups = answers.keys.sorted().map {
                MessageLookup(decision: "d-\($0)", number: 1, messageID: $0, isLast: isLast)
            }
        }
        await Reconciler(
            sources: [self], ledger: self, clock: VirtualClock(), meters: FleetMeters(registry),
            logger: TestFleet.silent
        ).ask(self)
    }
}

private func receipt(_ kind: Receipt.Kind) -> Receipt {
    Receipt(
        key: "k", subject: .message(provider: "twilio", id: "m"), kind: kind, reason: "sms.x", isAsked: true)
}

@Suite("Feedback") struct FeedbackTests {
    @Test func whatAProviderSaysIsRecordedAndCounted() async {
        let (asked, registry) = (Asked(), MetricsRegistry())
        await asked.ask(["a": .told([receipt(.delivered)]), "b": .told([receipt(.delayed)]), "c": .unknown], registry)
        await asked.ask(["b": .told([receipt(.delayed)]), "c": .unknown], isLast: true, registry)
        func count(_ result: String) -> Double { registry.counter(.lookups, "twilio", result).value }
        #expect(asked.state.withLock { $0.receipts.map(\.kind).filter { $0 == .delivered }.count } == 1)
        #expect(count("ended") == 1 && count("underway") == 2 && count("unknown") == 2 && count("given_up") == 2)
        #expect(asked.state.withLock { $0.pauses.isEmpty })
    }

    @Test func whoDoesNotLetUsInIsLeftAloneForAWhileAndNoMessageSuffers() async {
        let (asked, registry) = (Asked(), MetricsRegistry())
        await asked.ask(["a": .refused(reason: "http.401"), "b": .told([receipt(.failed)])], registry)
        await asked.ask(["a": .busy(retryAfter: .seconds(7))], registry)
        await asked.ask(["a": .busy(retryAfter: nil)], registry)
        await asked.ask(["a": .away(reason: "http.500")], registry)
        let pauses = asked.state.withLock { $0.pauses }
        #expect(pauses.map(\.length) == [.seconds(900), .seconds(7), .seconds(60), .seconds(60)])
        // One that makes the provider fail each time must not stand before the others for ever.
        #expect(pauses.map(\.putBack) == [["a"], ["a"], ["a"], []])
        #expect(registry.counter(.lookups, "twilio", "refused").value == 1)
    }

    @Test func whoStopsTellingIsQuietUntilItTellsAgain() async {
        let (asked, registry, clock) = (Asked(), MetricsRegistry(), VirtualClock())
        let meters = FleetMeters(registry)
        let watch = FeedbackWatch(
            ledger: asked, rule: QuietRule(after: .seconds(3600)), clock: clock, meters: meters,
            logger: TestFleet.silent)
        func look(quietFor seconds: Int64?) async -> Double {
            asked.state.withLock {
                $0.standings = [
                    FeedbackStanding(
                        provider: "twilio", unansweredSince: seconds.map { clock.now().advanced(by: .seconds(-$0)) },
                        unanswered: 100, acceptedBefore: 1000, receiptsBefore: 900)
                ]
            }
            await watch.look()
            return registry.gauge(.feedbackQuiet, "twilio").value ?? -1
        }
        #expect(await look(quietFor: nil) == 0)
        #expect(await look(quietFor: 3599) == 0)
        #expect(await look(quietFor: 3600) == 3600)
        #expect(await look(quietFor: 7200) == 7200)
        #expect(await look(quietFor: nil) == 0)
    }

    @Test(arguments: [
        // Bounces of one mail in a hundred: a thousand should bring ten of them, a hundred none.
        (unanswered: 1000, accepted: 10_000, receipts: 100, isQuiet: true),
        (unanswered: 100, accepted: 10_000, receipts: 100, isQuiet: false),
        // Twelve texts, each of which used to have two receipts.
        (unanswered: 12, accepted: 100, receipts: 200, isQuiet: true),
        (unanswered: 9, accepted: 100, receipts: 200, isQuiet: false),
        // Too few to go by.
        (unanswered: 100, accepted: 19, receipts: 19, isQuiet: false),
    ])
    func whoIsExpectedToTellNothingIsNotQuiet(
        unanswered: Int, accepted: Int, receipts: Int, isQuiet: Bool
    ) {
        let standing = FeedbackStanding(
            provider: "p", unansweredSince: VirtualClock.start, unanswered: unanswered, acceptedBefore: accepted,
            receiptsBefore: receipts)
        let time = QuietRule().quiet(standing, now: VirtualClock.start.advanced(by: .seconds(3600)))
        #expect((time != nil) == isQuiet)
    }

    @Test func whatWasHeardIsCountedEvenWhileTheLedgerIsAway() async {
        let (asked, registry) = (Asked(), MetricsRegistry())
        let meters = FleetMeters(registry)
        let watch = FeedbackWatch(
            ledger: asked, rule: QuietRule(), clock: VirtualClock(), meters: meters, logger: TestFleet.silent)
        let brought = Receipt(
            key: "k", subject: .message(provider: "twilio", id: "m"), kind: .delivered, reason: "sms.x")
        meters.received(brought, from: "twilio", isNew: true)
        meters.received(brought, from: "twilio", isNew: false)
        meters.received(receipt(.delivered), from: "twilio", isNew: true)
        meters.feedback.accepted("twilio")
        asked.state.withLock { $0.isAway = true }
        await watch.look()
        asked.state.withLock { $0.isAway = false }
        meters.feedback.accepted("twilio")
        await watch.look()
        let counted = asked.state.withLock { $0.counted["twilio"] }
        #expect(counted == FeedbackCount(provider: "twilio", accepted: 2, receipts: 2))
        #expect(registry.counter(.receipts, "twilio", "delivered", "brought").value == 1)
        #expect(registry.counter(.receipts, "twilio", "delivered", "asked").value == 1)
    }
}
