// Messages whose receipts never came, and the counts by which a provider that went quiet is found.
import DeliveryModel
import Ledger
import Testing
import ThreadBridge

private let policy = LookupPolicy(after: .seconds(600), tries: 3, perMinute: 3000)

extension TestLedger {
    /// A text message that `twilio` took, so many seconds ago.
    fileprivate func texted(_ id: String, ago seconds: Int64, messageID: String? = "SM") async throws {
        let delivery = try await self.accepted(id)
        _ = try await self.ledger.open(opening(delivery, channel: .sms))
        let outcome = Outcome(.accepted, reason: "sms.accepted", providerMessageID: messageID.map { $0 + id })
        let attempt = ClosedAttempt(
            number: 1, channel: .sms, provider: "twilio", addressKey: [1], openedAt: now(-seconds),
            closedAt: now(-seconds), outcome: outcome)
        _ = try await self.ledger.close(
            Closing(
                id: id, epoch: delivery.epoch, attempt: attempt, next: .settle(.sent, reason: "accepted"), plan: nil,
                step: 0, at: now()))
    }

    fileprivate func take(_ policy: LookupPolicy = policy, limit: Int = 100) async throws -> [MessageLookup] {
        try await self.ledger.takeLookups(of: "twilio", policy: policy, limit: limit)
    }

    /// As if the provider's turn had come. The first call makes its row.
    fileprivate func comeTurn() async throws {
        _ = try await self.take()
        try await self.sql("UPDATE lookup_turns SET next_at = now()")
    }

    /// As if so much time had passed for what was asked for already.
    fileprivate func pass(seconds: Int) async throws {
        try await self.sql("UPDATE lookups SET look_at = look_at - interval '\(seconds) seconds'")
        try await self.sql("UPDATE lookup_turns SET next_at = now()")
    }
}

private func receipt(_ id: String, isAsked: Bool = false) -> Receipt {
    Receipt(
        key: "receipt/twilio/SM\(id)", subject: .message(provider: "twilio", id: "SM\(id)"), kind: .delivered,
        reason: "sms.delivered", isAsked: isAsked)
}

extension LedgerTests {
    @Suite("A message without a receipt")
    struct LookupTests {
        @Test func isAskedForOnceItIsMissed() async throws {
            try await withLedger { test in
                try await test.texted("young", ago: 590)
                try await test.texted("old", ago: 700)
                try await test.texted("told", ago: 700)
                try await test.texted("nameless", ago: 700, messageID: nil)
                try await test.texted("ancient", ago: 4 * 86_400)
                _ = try await test.ledger.record(receipt("told"))
                try await test.comeTurn()
                let taken = try await test.take()
                #expect(taken == [MessageLookup(decision: "old", number: 1, messageID: "SMold", isLast: false)])
                #expect(try await test.take() == [])
            }
        }

        @Test func isAskedForAgainAfterTwiceTheTimeUntilItIsGivenUp() async throws {
            try await withLedger { test in
                try await test.texted("d", ago: 600)
                try await test.comeTurn()
                var waits: [Int] = []
                for try_ in 1...3 {
                    let taken = try await test.take()
                    #expect(taken.map(\.isLast) == [try_ == 3])
                    let wait = try await test.count(
                        "SELECT round(extract(epoch FROM look_at - now())) FROM lookups")
                    waits.append(wait)
                    try await test.pass(seconds: wait - 5)
                    #expect(try await test.take() == [])
                    try await test.pass(seconds: 6)
                }
                #expect(waits == [600, 1200, 2400])
                #expect(try await test.take() == [])
                #expect(try await test.count("SELECT count(*) FROM lookups") == 0)
            }
        }

        @Test func isNotAskedForAgainWhenItsReceiptCame() async throws {
            try await withLedger { test in
                try await test.texted("d", ago: 600)
                try await test.comeTurn()
                #expect(try await test.take().count == 1)
                let answer = try await test.ledger.record(receipt("d", isAsked: true))
                #expect(answer == .recorded(decision: "d"))
                #expect(try await test.ledger.story(of: "d")?.settlement?.state == "delivered")
                try await test.pass(seconds: 601)
                #expect(try await test.take() == [])
                #expect(try await test.count("SELECT count(*) FROM lookups") == 0)
            }
        }

        @Test func isAskedForByOneOfSeveralProcessesAndInPace() async throws {
            try await withLedger { test in
                for number in 0..<40 { try await test.texted("d\(number)", ago: 600 + Int64(number)) }
                try await test.comeTurn()
                let others = (0..<3).map { _ in TestLedger(pool: test.pool) }
                let slow = LookupPolicy(after: .seconds(600), perMinute: 60)
                let taken = try await withThrowingTaskGroup(of: [MessageLookup].self) { group in
                    for other in others { group.addTask { try await other.take(slow, limit: 10) } }
                    return try await group.reduce(into: []) { $0 += $1 }
                }
                // Ten of them in ten seconds, whoever asks.
                #expect(taken.count == 10)
                #expect(Set(taken.map(\.decision)) == Set((30..<40).map { "d\($0)" }))
                let wait = try await test.count("SELECT round(extract(epoch FROM next_at - now())) FROM lookup_turns")
                #expect((8...10).contains(wait))
                try await test.sql("UPDATE lookup_turns SET next_at = now()")
                var all = taken
                while all.count < 40 {
                    let more = try await test.take(policy, limit: 7)
                    try #require(!more.isEmpty || all.count > 0)
                    all += more
                    try await test.sql("UPDATE lookup_turns SET next_at = now()")
                }
                #expect(Set(all.map(\.decision)).count == 40)
            }
        }

        @Test func isNotCountedAsAskedForWhenTheProviderWouldNotSay() async throws {
            try await withLedger { test in
                try await test.texted("d", ago: 600)
                try await test.comeTurn()
                let taken = try await test.take()
                try await test.ledger.pauseLookups(of: "twilio", for: .seconds(900), putBack: taken)
                #expect(try await test.take() == [])
                let wait = try await test.count("SELECT round(extract(epoch FROM next_at - now())) FROM lookup_turns")
                #expect((895...900).contains(wait))
                for _ in 0..<3 {
                    try await test.pass(seconds: 2401)
                    #expect(try await test.take().count == 1)
                }
                try await test.pass(seconds: 2401)
                #expect(try await test.take() == [])
            }
        }

        @Test func isOneOfManyThatAreWalkedOnlyOnce() async throws {
            try await withLedger { test in
                try await test.sql(
                    """
                    INSERT INTO attempts (decision, number, epoch, step, channel, provider, opened_at, closed_at, verdict,
                                          reason, provider_message_id, receipt)
                    SELECT 'd' || n, 1, 1, 0, 'sms', 'twilio', now(), now() - interval '1 day' + n * interval '1 second',
                           'accepted', 'x', 'SM' || n, CASE WHEN n % 1000 <> 0 THEN 'delivered' END
                    FROM generate_series(1, 20000) n
                    """)
                try await test.comeTurn()
                var taken: [String] = []
                for _ in 0..<12 {
                    taken += try await test.take(limit: 3).map(\.decision)
                    try await test.sql("UPDATE lookup_turns SET next_at = now()")
                }
                #expect(taken == (1...20).map { "d\($0 * 1000)" })
            }
        }
    }

    @Suite("Feedback")
    struct FeedbackTests {
        @Test func isToldFromWhereverItComes() async throws {
            let heard = Protected<[String]>([])
            try await withLedger { test in
                let ledger = PostgresLedger(
                    settings: .init(), pool: test.pool, logger: TestLedger.silent,
                    onReceipt: { receipt, provider, isNew in
                        heard.withLock { $0.append("\(provider) \(receipt.isAsked) \(isNew)") }
                    })
                _ = try await ledger.record(receipt("d", isAsked: true))
                #expect(heard.withLock { $0 } == [])
                try await test.texted("d", ago: 10)
                try await test.sql("UPDATE receipts_unmatched SET look_at = now()")
                #expect(try await ledger.lookAtReceipts(limit: 10).recorded == 1)
                _ = try await ledger.record(receipt("d"))
                let bounce = Receipt(
                    key: "b", subject: .attempt(decision: "d", number: 1), kind: .delayed, reason: "bounce.full")
                _ = try await ledger.record(bounce)
                #expect(heard.withLock { $0 } == ["twilio true true", "twilio false false", "twilio false true"])
            }
        }

        @Test func ofAllProcessesIsAddedUpAndForgottenAfterEightDays() async throws {
            try await withLedger { test in
                let other = TestLedger(pool: test.pool).ledger
                let start = Timestamp(milliseconds: 1_790_000_100_000)
                func add(_ accepted: Int, _ receipts: Int, after seconds: Int64) async throws -> FeedbackStanding? {
                    let time = start.advanced(by: .seconds(seconds))
                    _ = try await other.addFeedback(
                        [FeedbackCount(provider: "p", accepted: accepted), FeedbackCount(provider: "o")], now: time)
                    return try await test.ledger.addFeedback(
                        [FeedbackCount(provider: "p", receipts: receipts)], now: time
                    )
                    .first { $0.provider == "p" }
                }
                #expect(try await add(5, 0, after: 0) == nil)
                #expect(try await add(7, 6, after: 100)?.unansweredSince == nil)
                _ = try await add(4, 0, after: 310)
                let quiet = try await add(8, 0, after: 4000)
                #expect(
                    quiet
                        == FeedbackStanding(
                            provider: "p", unansweredSince: start.advanced(by: .seconds(300)), unanswered: 12,
                            acceptedBefore: 12, receiptsBefore: 6))
                let again = try await add(1, 1, after: 4100)
                #expect(again?.unansweredSince == nil && again?.receiptsBefore == 7)
                #expect(try await add(1, 0, after: 9 * 86_400) == nil)
                #expect(try await test.count("SELECT count(*) FROM feedback") == 2)
            }
        }
    }
}
