// Caps against a plain count: messages to a few persons at random times, in zones of their own, some of them given back.
//
// The ledger's clock is the server's. Time passes here by moving what is remembered into the past, minutes at a time;
// the test itself takes less than one, so that whole minutes say what is in a window.
import DeliveryModel
import Ledger
import PostgresClient
import Testing

extension LedgerTests {
    @Suite("Caps against a plain count")
    struct CapsTests {
        private struct Reached {
            var minute: Int64
            var campaign: String
            var channel: ChannelKind
            var message: String
        }

        private static let rules = AdmissionRules(caps: [
            Cap(messages: 3, period: .day), Cap(messages: 2, period: .rolling(.seconds(3600))),
            Cap(messages: 1, period: .rolling(.seconds(600)), channel: .sms),
            Cap(messages: 2, period: .rolling(.seconds(6 * 3600)), isPerCampaign: true),
        ])
        /// Minutes east of UTC, of each person.
        private static let zones: [Int64] = [0, 345, -720, 840]

        @Test(arguments: [1, 2, 3] as [UInt64])
        func neitherMoreThanAllowedNorLessThanThereIsRoomFor(_ seed: UInt64) async throws {
            try await withLedger(settings: .init(admission: Self.rules)) { test in
                var draws = CapDraws(state: seed)
                let start = now()
                var minute: Int64 = 100_000
                let first = minute
                var reached: [[Reached]] = Array(repeating: [], count: Self.zones.count)
                var waiting: [(delivery: Delivery, person: Int, campaign: String)] = []
                var answers = (opened: 0, capped: 0)

                func dayStart(_ person: Int) -> Timestamp {
                    let east = Self.zones[person]
                    let begin = (minute + east) / 1440 * 1440 - east
                    return start.advanced(by: .seconds((begin - minute) * 60))
                }
                func full(_ person: Int, _ one: Reached) -> [String] {
                    Self.rules.caps.filter { cap in
                        guard cap.channel == nil || cap.channel == one.channel else { return false }
                        let others = reached[person].filter { other in
                            let isInWindow =
                                switch cap.period {
                                case .day:
                                    (other.minute + Self.zones[person]) / 1440 == (minute + Self.zones[person]) / 1440
                                case .rolling(let length): minute - other.minute < length.count / 60_000
                                }
                            return isInWindow && other.message != one.message
                                && (cap.channel == nil || other.channel == cap.channel)
                                && (!cap.isPerCampaign || other.campaign == one.campaign)
                        }
                        return others.count >= cap.messages
                    }.map(\.name)
                }
                /// The ledger says what the count says.
                func judge(_ answer: OpeningAnswer?, _ person: Int, _ one: Reached) {
                    let names = full(person, one)
                    switch answer {
                    case .opened:
                        #expect(names.isEmpty, "seed \(seed), \(one)")
                        answers.opened += 1
                        reached[person].removeAll { $0.message == one.message }
                        reached[person].append(one)
                    case .capped(let name):
                        #expect(names.contains(name), "seed \(seed), \(one): \(name)")
                        answers.capped += 1
                    default:
                        Issue.record("seed \(seed), \(one): \(String(describing: answer))")
                    }
                }

                for number in 0..<350 {
                    let steps = [0, 0, 1, 9, 10, 59, 60, 61, Int64.random(in: 0..<400, using: &draws)]
                    let passed = steps.randomElement(using: &draws) ?? 0
                    minute += passed
                    if passed > 0 {
                        try await test.sql(
                            """
                            UPDATE reach SET sends = (
                                SELECT array_agg(ROW(s.at - interval '\(passed) minutes', s.campaign, s.channel,
                                                     s.message)::reached ORDER BY s.at)
                                FROM unnest(sends) s) WHERE cardinality(sends) > 0
                            """)
                    }
                    // One that was given back is tried again: it asks anew, as the same message.
                    if !waiting.isEmpty, Int.random(in: 0..<4, using: &draws) == 0 {
                        let old = waiting.remove(at: Int.random(in: 0..<waiting.count, using: &draws))
                        let again = try await test.claimed(old.delivery.id, lease: "w2/\(number)")
                        let recipient = Recipient(
                            person: "p-\(old.person)", topic: "", dayStart: dayStart(old.person))
                        let answer = try await test.ledger.open(
                            opening(again, number: 2, campaign: old.campaign, recipient: recipient))
                        judge(
                            answer, old.person,
                            Reached(
                                minute: minute, campaign: old.campaign, channel: .email,
                                message: "\(again.id)/0"))
                        continue
                    }
                    let person = Int.random(in: 0..<Self.zones.count, using: &draws)
                    let campaign = ["one", "two"].randomElement(using: &draws) ?? "one"
                    let atOnce = Bool.random(using: &draws)
                    let channel = atOnce ? .email : ChannelKind.allCases.randomElement(using: &draws) ?? .email
                    let recipient = Recipient(person: "p-\(person)", topic: "", dayStart: dayStart(person))
                    let id = "d-\(number)"
                    let accepted = try await test.ledger.accept(
                        arrival(
                            id, lease: "w/\(id)", opens: atOnce ? id : nil, campaign: campaign,
                            recipient: recipient))
                    guard case .accepted(let delivery, let opened) = accepted else { throw Surprise("\(accepted)") }
                    var answer = opened
                    if !atOnce {
                        answer = try await test.ledger.open(
                            opening(delivery, address: id, channel: channel, campaign: campaign, recipient: recipient))
                    }
                    judge(
                        answer, person,
                        Reached(minute: minute, campaign: campaign, channel: channel, message: "\(id)/0"))
                    // A third is given back, and leaves room.
                    guard answer == .opened, channel == .email, Int.random(in: 0..<3, using: &draws) == 0 else {
                        continue
                    }
                    let rest = NextMove.rest(until: now(-1), step: 0, reason: "later")
                    _ = try await test.ledger.close(
                        closing(delivery, .deferred, next: rest, releases: "p-\(person)"))
                    reached[person].removeAll { $0.message == "\(id)/0" }
                    waiting.append((delivery, person, campaign))
                }
                #expect(answers.opened > 60 && answers.capped > 60, "seed \(seed): \(answers)")
                #expect(now().since(start) < .seconds(60), "whole minutes say nothing when the test is that slow")
                #expect(minute - first > 3 * 1440)
            }
        }
    }
}

private struct CapDraws: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
