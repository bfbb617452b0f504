// What may be chosen, what is chosen, and that it can be chosen again.
import DeliveryModel
import Learning
import LocalTime
import Testing

@testable import Pipeline

private let hour: Int64 = 3_600_000
private let monday = Timestamp(rfc3339: "2026-11-23T09:30:00Z") ?? Timestamp(milliseconds: 0)

private func zone(_ name: String) throws -> TimeZoneRules { try #require(TimeZoneCatalog().zone(named: name)) }

private func optimized(
    _ id: String = "d-1", user: String = "u-1", class messageClass: MessageClass = .marketing, hours: Int64 = 24,
    choice: Choice? = nil
) -> Decision {
    decision(
        id, user: user, class: messageClass, expiresAt: monday.advanced(by: Milliseconds(hours * hour)),
        timing: .optimize, timezone: "Europe/Warsaw", choice: choice)
}

@Suite("The feasible slots")
struct FeasibleSlotTests {
    private let quiet = QuietHours(startMinute: 21 * 60 + 30, endMinute: 8 * 60)

    @Test func areTheHoursOfTheWindowOutsideOfQuiet() throws {
        let warsaw = try zone("Europe/Warsaw")
        let quiet = try #require(self.quiet)
        let rules = SlotRules(quietHours: [.email: quiet])
        let found = rules.slots(of: optimized(hours: 48), channel: .email, from: monday, in: warsaw)
        #expect(!found.slots.isEmpty)
        // Two nights of ten hours and a half: each has ten whole hours, and half of one that stays.
        #expect(found.removed == ["quiet_hours": 20])
        for slot in found.slots {
            #expect(slot.start < slot.end)
            for moment in [slot.start, slot.end.advanced(by: Milliseconds(-1000))] {
                #expect(!quiet.contains(minuteOfDay: LocalTime.minuteOfDay(at: moment, in: warsaw)))
                #expect(LocalTime.hourOfWeek(at: moment, in: warsaw) == slot.hour)
            }
        }
        #expect(found.slots.contains { $0.end.since($0.start) == .seconds(1800) && $0.hour == 21 })
        #expect(found.slots.last.map { $0.end < monday.advanced(by: Milliseconds(48 * hour)) } ?? false)
        let transactional = rules.slots(
            of: optimized(class: .transactional, hours: 48), channel: .email, from: monday, in: warsaw)
        #expect(transactional.removed.isEmpty && transactional.slots.count > 47)
    }

    @Test func leaveOutHoursInWhichACapIsFull() throws {
        let rules = SlotRules(caps: [Cap(messages: 2, period: .rolling(.seconds(6 * 3600)), channel: .email)])
        let reach = [-5, -3, -1].map {
            ReachedMessage(
                at: monday.advanced(by: Milliseconds($0 * hour)), campaign: "other", channel: $0 == -3 ? "sms" : "email"
            )
        }
        let found = rules.slots(of: optimized(), channel: .email, from: monday, in: .utc, reach: reach)
        // Until the message of five hours ago is six hours old.
        #expect(found.slots.first?.start == Timestamp(rfc3339: "2026-11-23T11:00:00Z"))
        #expect(found.removed == ["cap": 2])
        let daily = SlotRules(caps: [Cap(messages: 1, period: .day)])
        let tomorrow = daily.slots(of: optimized(), channel: .email, from: monday, in: .utc, reach: reach)
        #expect(tomorrow.slots.first?.start == Timestamp(rfc3339: "2026-11-24T00:00:00Z"))
    }

    @Test func leaveOutHoursThatAreFull() throws {
        let rules = SlotRules(capacity: [.email: 100])
        let full = try #require(Timestamp(rfc3339: "2026-11-23T12:00:00Z"))
        let found = rules.slots(
            of: optimized(), channel: .email, from: monday, in: .utc, planned: [full: 100, monday: 99])
        #expect(found.removed == ["capacity": 1])
        #expect(!found.slots.contains { $0.hour == 12 } && found.slots.count == 24)
    }

    @Test func endBeforeTheExpiryAndAreNoneWhereThatIsNear() throws {
        let rules = SlotRules(window: .seconds(7200))
        #expect(rules.slots(of: optimized(hours: 0), channel: .email, from: monday, in: .utc).slots.isEmpty)
        let open = decision(timing: .optimize)
        #expect(rules.slots(of: open, channel: .email, from: monday, in: .utc).slots.map(\.hour) == [9, 10, 11])
        let far = rules.slots(of: optimized(hours: 5000), channel: .email, from: monday, in: .utc)
        #expect(far.slots.count == 169)
    }
}

/// Counts as they might be read, or not.
private struct Shelf: CountStore {
    var fields: [CountField]?

    func counts(ofUser user: String) async throws(QueueError) -> [CountField] { try self.read() }
    func counts(of owner: CountOwner) async throws(QueueError) -> [[CountField]] { [try self.read()] }
    func counted() async throws(QueueError) -> [String?] { [] }
    func count(
        _ updates: [CountUpdate], shard: Int, from: String?, to: String
    ) async throws(QueueError) -> String? { to }
    func forgetCounts(shard: Int) async throws(QueueError) {}
    func note(_ updates: [(shard: Int, update: CountUpdate)]) async throws(QueueError) {}
    func users(
        after cursor: String, limit: Int
    ) async throws(QueueError) -> (users: [(user: String, counts: [CountField])], next: String) { ([], "0") }

    private func read() throws(QueueError) -> [CountField] {
        guard let fields else { throw QueueError(.unavailable, "away") }
        return fields
    }
}

@Suite("The fleet's choices")
struct FleetChooserTests {
    private static let arms = (0..<4).map { number in
        Arm(id: "arm-\(number)", plan: [Step(channel: .email, template: "t\(number)")], cost: 0.01)
    }

    private func chooser(_ fields: [CountField]? = []) throws -> FleetChooser {
        let quiet = try #require(QuietHours(startMinute: 22 * 60, endMinute: 7 * 60))
        return FleetChooser(
            rules: SlotRules(quietHours: [.email: quiet]), sources: .init(counts: Shelf(fields: fields)),
            meters: TestFleet.meters)
    }

    private let known: [CountField] = [
        CountField(name: Array("19".utf8), value: Array("\(640 + (320 << 22))".utf8)),
        CountField(name: Array("p:1:arm-1".utf8), value: Array("10".utf8)),
        CountField(name: Array("n:20779:arm-1".utf8), value: Array("500".utf8)),
        CountField(name: Array("s:20779:arm-1".utf8), value: Array("90000000".utf8)),
    ]

    @Test func aSlotIsWithinTheFeasibleSetAndLogged() async throws {
        let warsaw = try zone("Europe/Warsaw")
        let chooser = try self.chooser(self.known)
        var minutes: Set<Int> = []
        for number in 0..<300 {
            let answer = await chooser.choose(optimized("d-\(number)", user: "u-\(number)"), now: monday)
            let slot = try #require(answer.choice?.slot)
            #expect(answer.due.dueAt == slot.dueAt && answer.choice?.arm == nil)
            #expect(LocalTime.hourOfWeek(at: slot.dueAt, in: warsaw) == slot.hours[slot.chosen])
            let minute = LocalTime.minuteOfDay(at: slot.dueAt, in: warsaw)
            #expect(minute >= 7 * 60 && minute < 22 * 60)
            #expect(slot.removed == ["quiet_hours": 9] && slot.draw.propensity > 0 && slot.draw.propensity <= 1)
            minutes.insert(minute % 60)
        }
        // No peak on the hour.
        #expect(minutes.count > 50)
    }

    @Test func theSameIsChosenForTheSame() async throws {
        let chooser = try self.chooser(self.known)
        for number in 0..<50 {
            let subject = optimized("d-\(number)", choice: .arms(Self.arms))
            let first = await chooser.choose(subject, now: monday)
            let again = await chooser.choose(subject, now: monday)
            #expect(first.choice == again.choice && first.due == again.due)
        }
    }

    @Test func aChoiceIsMadeAgainBitForBitFromItsRecord() async throws {
        let chooser = try self.chooser(self.known)
        let replay = ChoiceReplay(
            rhythm: { _ in RhythmModel.generic(window: .seconds(72 * 3600)) }, arms: { _ in nil })
        for number in 0..<50 {
            let subject = optimized("d-\(number)", user: "u-\(number)", choice: .arms(Self.arms))
            let made = try #require(await chooser.choose(subject, now: monday).choice)
            var record = try #require(ChoiceDocument.decode(ChoiceDocument.json(made)))
            let results = await replay.replay(record, of: subject)
            #expect(results.map(\.what) == ["arm", "slot"])
            for result in results {
                #expect(result.isSame && result.problem == nil)
                #expect(abs(result.probabilities.reduce(0, +) - 1) < 1e-12)
            }
            // Whatever is changed shows.
            let lower = (record.slot?.draw.propensity ?? 0).nextDown
            record.slot?.draw.propensity = lower
            record.arm?.inputs["price"] = 1e5
            record.arm?.draw.digest ^= 1
            #expect(await replay.replay(record, of: subject).allSatisfy { !$0.isSame })
        }
        let gone = ChoiceReplay(rhythm: { _ in nil }, arms: { _ in nil })
        let subject = optimized()
        let made = try #require(await chooser.choose(subject, now: monday).choice)
        #expect(await gone.replay(made, of: subject).first?.problem != nil)
    }

    /// What an evaluation reads is what was recorded, and a snapshot judged by its own choices would have made them.
    @Test func anEvaluationFindsTheProbabilitiesOfTheRecord() async throws {
        let chooser = try self.chooser(self.known)
        let generic = NumberedModel(number: 0, model: RhythmModel.generic(window: .seconds(72 * 3600)))
        for number in 0..<20 {
            let subject = optimized("d-\(number)", user: "u-\(number)", choice: .arms(Self.arms))
            let made = try #require(await chooser.choose(subject, now: monday).choice)
            let (arm, slot) = (try #require(made.arm), try #require(made.slot))
            let read = try ChoiceRecord.decode(ChoiceDocument.json(made))
            let row = try LoggedRow(
                decision: subject.id, user: subject.user.id, at: made.madeAt, campaign: subject.campaign, reward: 0,
                arms: read.arms, slots: read.slots
            ).checked()
            #expect(row.arms?.propensity == arm.draw.propensity && row.slots?.propensity == slot.draw.propensity)
            #expect(row.slots?.hours.map { Int($0) } == slot.hours && row.slots?.chosen == slot.chosen)
            #expect(row.arms?.ids == Self.arms.map(\.id))
            let shadow = try #require(SnapshotPolicy.slots(generic, made, of: subject))
            #expect(shadow.count == slot.hours.count && shadow[slot.chosen] == slot.draw.propensity)
            var other = made
            other.slot?.inputs = JSONObject()
            #expect(SnapshotPolicy.slots(generic, other, of: subject) == nil)
        }
    }

    @Test func nothingThatIsAwayStopsAChoice() async throws {
        let chooser = try self.chooser(nil)
        let answer = await chooser.choose(optimized(choice: .arms(Self.arms)), now: monday)
        #expect(answer.choice?.slot?.draw.notes.contains("counts_unavailable") ?? false)
        #expect(answer.choice?.arm?.draw.notes.contains("counts_unavailable") ?? false)
        #expect(answer.choice?.arm?.candidates.map(\.probability) == [0.25, 0.25, 0.25, 0.25])
    }

    @Test func whereNothingIsFeasibleItGoesItsWayAtOnceAndThatIsNoted() async throws {
        let chooser = try self.chooser()
        let night = try #require(Timestamp(rfc3339: "2026-11-23T23:00:00Z"))
        let subject = decision(
            expiresAt: night.advanced(by: .seconds(3600)), timing: .optimize, timezone: "Europe/Warsaw")
        let answer = await chooser.choose(subject, now: night)
        #expect(answer.due.dueAt == night && answer.choice?.slot?.draw.notes.contains("nothing_feasible") ?? false)
        #expect(answer.choice?.slot?.draw.propensity == 1 && answer.choice?.slot?.removed == ["quiet_hours": 1])
    }

    @Test func wherePeopleAreKnownTheirHourIsPreferred() async throws {
        // Twenty of twenty at nineteen on Mondays, by fields as Redis keeps them.
        let loves = [CountField(name: Array("19".utf8), value: Array("\(1280 + (1280 << 22))".utf8))]
        let (knowing, ignorant) = (try self.chooser(loves), try self.chooser([]))
        var (atNineteen, before) = (0, 0)
        for number in 0..<400 {
            let subject = optimized("d-\(number)", user: "u-\(number)", hours: 14)
            let (chosen, other) = (
                await knowing.choose(subject, now: monday).choice?.slot,
                await ignorant.choose(subject, now: monday).choice?.slot
            )
            if let chosen, (18...20).contains(chosen.hours[chosen.chosen]) { atNineteen += 1 }
            if let other, (18...20).contains(other.hours[other.chosen]) { before += 1 }
        }
        #expect(atNineteen > before * 2, "\(atNineteen) \(before)")
    }

    @Test func theArmOnRecordIsCarriedOutWhateverIsLearnedLater() async throws {
        let clock = VirtualClock()
        let fleet = TestFleet(
            [ScriptedProvider(.email, clock: clock)], clock: clock, chooser: try self.chooser(self.known))
        let subject = decision("d-1", choice: .arms(Self.arms))
        fleet.append(subject)
        try await fleet.runToTheEnd()
        let record = try #require(fleet.ledger.record("d-1"))
        #expect(record.choice?.arm != nil && record.choice?.slot == nil)
        let plan = try #require(record.settlements.first?.plan)
        #expect(plan.arm == record.choice?.arm?.chosen && plan.propensity == record.choice?.arm?.draw.propensity)
        #expect(plan.policy.hasPrefix("thompson@v"))
    }
}
