// Whom marketing may reach: consent, suppression, caps and pauses, asked for in the statement that opens an attempt.
import DeliveryModel
import Ledger
import PostgresClient
import Testing

extension LedgerTests {
    @Suite("Admission")
    struct AdmissionTests {
        private func recipient(_ person: String = "ada", topic: String = "", day: Timestamp = now(-3600)) -> Recipient {
            Recipient(person: person, topic: topic, dayStart: day)
        }

        /// Accepts a decision about `person` and opens its first attempt, in two steps or in one.
        private func send(
            _ id: String, to recipient: Recipient?, _ test: TestLedger, campaign: String = "welcome",
            channel: ChannelKind = .email, class messageClass: MessageClass = .marketing, atOnce: Bool = false
        ) async throws -> (Delivery, OpeningAnswer?) {
            let answer = try await test.ledger.accept(
                arrival(
                    id, class: messageClass, lease: "w/\(id)", opens: atOnce ? id : nil, campaign: campaign,
                    recipient: recipient))
            guard case .accepted(let delivery, let opened) = answer else { throw Surprise("\(answer)") }
            if let opened { return (delivery, opened) }
            let opening = opening(
                delivery, address: id, channel: channel, class: messageClass, campaign: campaign, recipient: recipient)
            return (delivery, try await test.ledger.open(opening))
        }

        // MARK: Consent

        @Test(arguments: [false, true])
        func whoObjectedIsLeftAloneFromThenOn(_ atOnce: Bool) async throws {
            try await withLedger { test in
                let ada = self.recipient()
                #expect(try await self.send("a", to: ada, test, atOnce: atOnce).1 == .opened)
                try await test.ledger.record(
                    Consent(person: "ada", channel: nil, topic: nil, isGranted: false, source: "test"))
                #expect(
                    try await self.send("b", to: ada, test, atOnce: atOnce).1
                        == .suppressed(reason: "consent.withdrawn"))
                #expect(try await self.send("c", to: self.recipient("eve"), test, atOnce: atOnce).1 == .opened)
                #expect(
                    try await self.send("d", to: nil, test, class: .transactional, atOnce: atOnce).1 == .opened)
            }
        }

        @Test(arguments: [false, true])
        func whereConsentIsNeededSilenceIsNo(_ atOnce: Bool) async throws {
            try await withLedger(settings: .init(admission: AdmissionRules(needsConsent: [.email]))) { test in
                let missing = OpeningAnswer.suppressed(reason: "consent.missing")
                let ada = self.recipient(topic: "offers")
                #expect(try await self.send("a", to: ada, test, atOnce: atOnce).1 == missing)
                try await test.ledger.record(
                    Consent(person: "ada", channel: .sms, topic: nil, isGranted: true, source: "test"))
                #expect(try await self.send("b", to: ada, test, atOnce: atOnce).1 == missing)
                try await test.ledger.record(
                    Consent(person: "ada", channel: .email, topic: "offers", isGranted: true, source: "test"))
                #expect(try await self.send("c", to: ada, test, atOnce: atOnce).1 == .opened)
                #expect(try await self.send("d", to: self.recipient(topic: "news"), test, atOnce: atOnce).1 == missing)
                #expect(
                    try await self.send("e", to: nil, test, class: .transactional, atOnce: atOnce).1 == .opened)
            }
        }

        @Test func theNarrowestDecidesUntilSomethingBroaderIsSaid() async throws {
            try await withLedger { test in
                let ada = self.recipient(topic: "offers")
                func say(_ granted: Bool, _ channel: ChannelKind?, _ topic: String?) async throws {
                    try await test.ledger.record(
                        Consent(person: "ada", channel: channel, topic: topic, isGranted: granted, source: "test"))
                }
                try await say(false, nil, nil)
                try await say(true, .email, "offers")
                #expect(try await self.send("a", to: ada, test).1 == .opened)
                #expect(
                    try await self.send("b", to: self.recipient(topic: "news"), test).1
                        == .suppressed(reason: "consent.withdrawn"))
                try await say(false, .email, nil)
                #expect(try await self.send("c", to: ada, test).1 == .suppressed(reason: "consent.withdrawn"))
                #expect(try await test.count("SELECT count(*) FROM consents") == 2)
            }
        }

        // MARK: Suppression

        @Test func whatWasDeclinedIsMarketingAndOfItsTopic() async throws {
            try await withLedger { test in
                let rows = "('email', 'a', 'reply.stop', 'x', now(), 'declined', 'offers')"
                try await test.sql(
                    "INSERT INTO suppressions (channel, address_key, reason, decision, at, kind, topic) VALUES \(rows)")
                func open(
                    _ id: String, _ topic: String, _ messageClass: MessageClass = .marketing
                ) async throws -> OpeningAnswer {
                    let recipient = messageClass == .marketing ? self.recipient(id, topic: topic) : nil
                    let answer = try await test.ledger.accept(
                        arrival(id, class: messageClass, lease: "w", opens: "a", recipient: recipient))
                    guard case .accepted(_, let opened?) = answer else { throw Surprise("\(answer)") }
                    return opened
                }
                #expect(try await open("a", "offers") == .suppressed(reason: "suppressed.reply.stop"))
                #expect(try await open("b", "news") == .opened)
                #expect(try await open("c", "", .transactional) == .opened)
                // A mailbox that is gone takes nothing at all.
                try await test.sql("UPDATE suppressions SET kind = 'dead', topic = ''")
                #expect(try await open("d", "news") == .suppressed(reason: "suppressed.reply.stop"))
                #expect(try await open("e", "", .transactional) == .suppressed(reason: "suppressed.reply.stop"))
            }
        }

        // MARK: Caps

        private static let day = AdmissionRules(caps: [Cap(messages: 2, period: .day)])

        @Test(arguments: [false, true])
        func aPersonGetsNoMoreThanTheCap(_ atOnce: Bool) async throws {
            try await withLedger(settings: .init(admission: Self.day)) { test in
                let ada = self.recipient()
                for id in ["a", "b"] {
                    #expect(try await self.send(id, to: ada, test, atOnce: atOnce).1 == .opened)
                }
                #expect(try await self.send("c", to: ada, test, atOnce: atOnce).1 == .capped("2_per_day"))
                #expect(try await self.send("d", to: self.recipient("eve"), test, atOnce: atOnce).1 == .opened)
                #expect(try await self.send("e", to: nil, test, class: .transactional, atOnce: atOnce).1 == .opened)
                // The next day has begun where Ada lives.
                let next = self.recipient(day: now(1))
                #expect(try await self.send("f", to: next, test, atOnce: atOnce).1 == .opened)
                try await test.expectBalance(accepted: 6, settled: 0, active: 6, waiting: 0)
            }
        }

        @Test func aWindowRollsOnAndForgets() async throws {
            let rules = AdmissionRules(caps: [Cap(messages: 1, period: .rolling(.seconds(3600)))])
            try await withLedger(settings: .init(admission: rules)) { test in
                let ada = self.recipient()
                #expect(try await self.send("a", to: ada, test).1 == .opened)
                #expect(try await self.send("b", to: ada, test).1 == .capped("1_per_PT1H"))
                let back = "ARRAY[ROW(now() - interval '61 minutes', 'welcome', 'email', 'a/0')::reached]"
                try await test.sql("UPDATE reach SET sends = \(back)")
                #expect(try await self.send("c", to: ada, test).1 == .opened)
                #expect(try await test.count("SELECT cardinality(sends)::int8 FROM reach") == 1)
            }
        }

        @Test func capsCountByCampaignAndByChannelWhereTheySaySo() async throws {
            let rules = AdmissionRules(caps: [
                Cap(messages: 1, period: .day, isPerCampaign: true), Cap(messages: 1, period: .day, channel: .sms),
            ])
            try await withLedger(settings: .init(admission: rules)) { test in
                let ada = self.recipient()
                var answers: [OpeningAnswer?] = []
                for (id, campaign, channel) in [
                    ("a", "one", ChannelKind.email), ("b", "one", .email), ("c", "two", .sms), ("d", "three", .sms),
                    ("e", "three", .email),
                ] {
                    answers.append(try await self.send(id, to: ada, test, campaign: campaign, channel: channel).1)
                }
                #expect(
                    answers == [
                        .opened, .capped("1_per_day.campaign"), .opened, .capped("1_per_day.sms"), .opened,
                    ])
            }
        }

        @Test func whatWasNotSentLeavesRoom() async throws {
            try await withLedger(settings: .init(admission: Self.day)) { test in
                let ada = self.recipient()
                var deliveries: [Delivery] = []
                for id in ["a", "b"] { deliveries.append(try await self.send(id, to: ada, test).0) }
                // One was refused, of the other nobody knows.
                let rest = NextMove.rest(until: now(), step: 0, reason: "later")
                _ = try await test.ledger.close(closing(deliveries[0], .deferred, next: rest, releases: "ada"))
                _ = try await test.ledger.close(
                    closing(
                        deliveries[1], Outcome(.unknown, reason: "cut"), next: .settle(.unknown, reason: "cut")))
                #expect(try await self.send("c", to: ada, test).1 == .opened)
                let again = try await test.claimed("a", lease: "w2")
                #expect(try await test.ledger.open(opening(again, number: 2, recipient: ada)) == .capped("2_per_day"))
            }
        }

        @Test func askingAgainCountsOnce() async throws {
            try await withLedger(settings: .init(admission: Self.day)) { test in
                let ada = self.recipient()
                let (delivery, _) = try await self.send("a", to: ada, test)
                for _ in 0..<3 { #expect(try await test.ledger.open(opening(delivery, recipient: ada)) == .opened) }
                #expect(try await self.send("b", to: ada, test).1 == .opened)
                // Who lost the lease reserves nothing.
                try await test.lapse("b")
                _ = try await test.claimed("b", lease: "w2")
                #expect(try await test.count("SELECT cardinality(sends)::int8 FROM reach") == 2)
            }
        }

        @Test(arguments: [false, true])
        func workersWhoMeetAtOnePersonKeepTheCapTogether(_ atOnce: Bool) async throws {
            try await withLedger(settings: .init(admission: Self.day)) { one in
                let two = TestLedger(pool: one.pool, settings: .init(admission: Self.day))
                let opened = try await withThrowingTaskGroup(of: String?.self) { group in
                    for number in 0..<120 {
                        group.addTask {
                            let person = "p-\(number % 3)"
                            let test = number % 2 == 0 ? one : two
                            let (_, answer) = try await self.send(
                                "d-\(number)", to: self.recipient(person), test, atOnce: atOnce)
                            return answer == .opened ? person : nil
                        }
                    }
                    return try await group.reduce(into: [String: Int]()) {
                        if let person = $1 { $0[person, default: 0] += 1 }
                    }
                }
                #expect(opened == ["p-0": 2, "p-1": 2, "p-2": 2])
                try await one.expectBalance(accepted: 120, settled: 0, active: 120, waiting: 0)
            }
        }

        // MARK: Pauses

        @Test(arguments: ["all", "class:marketing", "campaign:welcome", "channel:email", "provider:smtp-1"])
        func whatIsPausedIsNotOpenedUntilItIsResumed(_ name: String) async throws {
            try await withLedger { test in
                let scope = try #require(PauseScope(name))
                try await test.ledger.pause(scope, reason: "maintenance")
                for (id, atOnce) in [("a", false), ("b", true)] {
                    let (delivery, answer) = try await self.send(id, to: self.recipient(), test, atOnce: atOnce)
                    #expect(answer == .paused(name))
                    let rest = NextMove.rest(until: now(86_400), step: 0, reason: "paused." + name)
                    #expect(try await test.ledger.close(closing(delivery, nil, next: rest, pausedBy: name)))
                }
                #expect(try await test.ledger.pauses().map(\.deliveries) == [2])
                #expect(try await test.ledger.resume(scope) == 2)
                #expect(try await test.ledger.resume(scope) == nil)
                #expect(try await test.ledger.lookAround(limit: 10).map(\.id).sorted() == ["a", "b"])
                let again = try await test.claimed("a", lease: "w2")
                #expect(try await test.ledger.open(opening(again, recipient: self.recipient())) == .opened)
            }
        }

        @Test func whoComesToRestAfterTheResumingIsDueAtOnce() async throws {
            try await withLedger { test in
                try await test.ledger.pause(.all, reason: "")
                let (delivery, _) = try await self.send("a", to: self.recipient(), test)
                #expect(try await test.ledger.resume(.all) == 0)
                let rest = NextMove.rest(until: now(86_400), step: 0, reason: "paused.all")
                #expect(try await test.ledger.close(closing(delivery, nil, next: rest, pausedBy: "all")))
                #expect(try await test.ledger.lookAround(limit: 10).map(\.id) == ["a"])
                _ = try await test.claimed("a", lease: "w2")
            }
        }

        @Test func resumingMissesNobodyWhoComesToRestMeanwhile() async throws {
            try await withLedger { test in
                for round in 0..<20 {
                    try await test.ledger.pause(.all, reason: "")
                    let (delivery, _) = try await self.send("d-\(round)", to: self.recipient(), test)
                    let rest = NextMove.rest(until: now(86_400), step: 0, reason: "paused.all")
                    async let closed = test.ledger.close(closing(delivery, nil, next: rest, pausedBy: "all"))
                    async let resumed = test.ledger.resume(.all)
                    _ = try await (closed, resumed)
                }
                let stuck = "SELECT count(*) FROM unsettled WHERE due_at > now() + interval '1 second'"
                #expect(try await test.count(stuck) == 0)
            }
        }
    }
}
