// Snapshots in a real ledger: who may publish, what is in use, what a person changes, and what stays in memory when
// something is wrong. The model is a toy: a number as text.
import DeliveryModel
import Ledger
import Logging
import Pipeline
import PostgresClient
import Telemetry
import Testing
import ThreadBridge

extension LedgerTests {
    @Suite(.serialized) struct Snapshots {}
}

/// Time that moves when it is told to.
private struct StillClock: WallClock {
    let time: Protected<Timestamp>

    init() { self.time = Protected(beginning()) }

    func now() -> Timestamp { self.time.withLock { $0 } }

    func sleep(until deadline: Timestamp) async throws {
        while self.now() < deadline { try await Task.sleep(for: .milliseconds(2)) }
    }

    func advance(seconds: Int64) { self.time.withLock { $0 = $0.advanced(by: .seconds(seconds)) } }
}

/// The server's time, which snapshots bear.
private func beginning() -> Timestamp { now() }

private struct NoNumber: Error, CustomStringConvertible {
    let description = "no number"
}

@Sendable private func decode(_ body: [UInt8]) throws -> Int {
    guard let number = Int(String(decoding: body, as: UTF8.self)) else { throw NoNumber() }
    return number
}

private func toy(_ value: Int, drift: Double = 0.1) -> FittedModel {
    FittedModel(
        body: Array("\(value)".utf8), metrics: [ModelMetric.drift: drift, ModelMetric.rewardRate: 0.25],
        trainedFrom: now(-3600), trainedTo: now())
}

extension LedgerTests.Snapshots {
    private func shelf(
        _ ledger: any SnapshotLedger, _ clock: StillClock, _ registry: MetricsRegistry = MetricsRegistry(),
        logger: Logger = TestLedger.silent
    ) -> ModelShelf<Int> {
        ModelShelf(
            .rhythm, ledger: ledger, rules: FitRules(), clock: clock, meters: FleetMeters(registry), logger: logger,
            decode: decode)
    }

    private func fitter(
        _ ledger: any SnapshotLedger, _ clock: StillClock, holder: String = "a",
        fit: @escaping @Sendable ([UInt8]?) async throws -> FittedModel?
    ) -> ModelFitter {
        ModelFitter(
            .rhythm, ledger: ledger, rules: FitRules(), holder: holder, clock: clock,
            meters: FleetMeters(MetricsRegistry()), logger: TestLedger.silent, check: { _ = try decode($0) }, fit: fit)
    }

    /// Publishes as a leader does.
    @discardableResult
    private func publish(
        _ model: FittedModel, in test: TestLedger, asCandidate: Bool = false, keeping: ModelRetention = .init()
    ) async throws -> ModelSnapshot {
        guard let lease = try await test.ledger.holdFits(of: .rhythm, as: "a", seconds: 30),
            let snapshot = try await test.ledger.publish(
                model, of: .rhythm, asCandidate: asCandidate, under: lease, keeping: keeping)
        else { throw Surprise("the lease is somebody else's") }
        return snapshot
    }

    private func lines(_ registry: MetricsRegistry, _ name: String) -> [String] {
        String(decoding: registry.render(.prometheusText), as: UTF8.self).split(separator: "\n").map(String.init)
            .filter { $0.hasPrefix(name) && $0.contains("rhythm") }
    }

    @Test func aLeaderFitsWhenItIsDueAndWhatItPublishesIsUsed() async throws {
        try await withLedger { test in
            let clock = StillClock()
            let shelf = self.shelf(test.ledger, clock)
            await shelf.refresh()
            #expect(shelf.active == nil)
            let fitter = self.fitter(test.ledger, clock) { previous in
                toy(try previous.map(decode).map { $0 + 1 } ?? 40)
            }
            #expect(await fitter.beat() == .active)
            #expect(await fitter.beat() == .early)
            await shelf.refresh()
            #expect(shelf.active?.number == 1 && shelf.active?.model == 40)

            clock.advance(seconds: 300)
            #expect(await fitter.beat() == .active)
            await shelf.refresh()
            #expect(shelf.active?.number == 2 && shelf.active?.model == 41)
            // What was chosen by the one before can still be told.
            #expect(shelf.held(1)?.model == 40)
            let first = try await shelf.model(1)
            #expect(first == 40)
            await #expect(throws: ModelAbsence.unknown) { try await shelf.model(7) }
            // Another process waits for the lease, and then goes by when the last snapshot was made.
            let other = self.fitter(test.ledger, clock, holder: "b") { _ in toy(9) }
            #expect(await other.beat() == .elsewhere)
            try await test.sql("UPDATE leases SET until = now() - interval '1 second'")
            #expect(await other.beat() == .early)
            clock.advance(seconds: 300)
            #expect(await other.beat() == .active)
        }
    }

    @Test func aLeaderThatIsFencedOffInMidFitPublishesNothing() async throws {
        try await withLedger { test in
            let clock = StillClock()
            let ledger = test.ledger
            let late = self.fitter(ledger, clock) { _ in
                // It stalls for so long that its lease lapses, and another one takes over and publishes.
                try await test.sql("UPDATE leases SET until = now() - interval '1 second' WHERE name = 'fit.rhythm'")
                let other = self.fitter(ledger, clock, holder: "b") { _ in toy(2) }
                guard await other.beat() == .active else { throw Surprise("the other one could not") }
                return toy(1)
            }
            #expect(await late.beat() == .fenced)
            #expect(try await ledger.snapshots(of: .rhythm, before: nil, limit: 10).map(\.madeBy) == ["b"])
            #expect(try await ledger.body(of: 1, .rhythm) == .whole(Array("2".utf8)))
            // The lease comes back to it later: what it did under the old epoch still counts for nothing.
            let old = FitLease(holder: "a", epoch: 1)
            try await test.sql("UPDATE leases SET until = now() - interval '1 second' WHERE name = 'fit.rhythm'")
            let new = try #require(try await ledger.holdFits(of: .rhythm, as: "a", seconds: 30))
            #expect(new.epoch == 3)
            let answer = try await ledger.publish(
                toy(3), of: .rhythm, asCandidate: false, under: old, keeping: .init())
            #expect(answer == nil)
            #expect(try await ledger.standing(of: .rhythm).newest?.number == 1)
        }
    }

    @Test func aLongFitKeepsItsLeaseAndEndsWhenItIsLost() async throws {
        try await withLedger { test in
            let clock = StillClock()
            let left = "SELECT extract(epoch FROM until - now())::int8 FROM leases WHERE name = 'fit.rhythm'"
            let long = self.fitter(test.ledger, clock) { _ in
                try await test.sql("UPDATE leases SET until = now() + interval '2 seconds'")
                clock.advance(seconds: 10)
                while try await test.count(left) < 20 { try await Task.sleep(for: .milliseconds(5)) }
                return toy(1)
            }
            #expect(await long.beat() == .active)

            clock.advance(seconds: 600)
            let wasEnded = Protected(false)
            let lost = self.fitter(test.ledger, clock) { _ in
                try await test.sql("UPDATE leases SET holder = 'b', epoch = epoch + 1")
                clock.advance(seconds: 10)
                while !Task.isCancelled { try? await Task.sleep(for: .seconds(60)) }
                wasEnded.withLock { $0 = true }
                return toy(2)
            }
            #expect(await lost.beat() == .fenced)
            #expect(wasEnded.withLock { $0 })
            let newest = try await test.ledger.standing(of: .rhythm).newest
            #expect(newest?.number == 1)
        }
    }

    @Test func aLeaseThatLapsedIsNoneEvenIfNobodyTookIt() async throws {
        try await withLedger { test in
            let lease = try #require(try await test.ledger.holdFits(of: .rhythm, as: "a", seconds: 30))
            try await test.sql("UPDATE leases SET until = now() - interval '1 second'")
            let answer = try await test.ledger.publish(
                toy(1), of: .rhythm, asCandidate: false, under: lease, keeping: .init())
            #expect(answer == nil)
            #expect(try await test.count("SELECT count(*) FROM snapshots") == 0)
        }
    }

    @Test func aFitThatFailsOrGivesNonsenseLeavesEverythingAsItWas() async throws {
        try await withLedger { test in
            let clock = StillClock()
            try await self.publish(toy(7), in: test)
            clock.advance(seconds: 600)
            let wrong: [@Sendable () throws -> FittedModel?] = [
                { throw NoNumber() },
                { FittedModel(body: [0xFF], metrics: [:], trainedFrom: now(), trainedTo: now()) },
                {
                    FittedModel(
                        body: Array("8".utf8), metrics: ["loss": .nan], trainedFrom: now(), trainedTo: now())
                },
                { nil },
            ]
            let expected: [ModelFitter.Outcome] = [.failed, .refused, .refused, .unchanged]
            for (fit, outcome) in zip(wrong, expected) {
                let fitter = self.fitter(test.ledger, clock) { _ in try fit() }
                #expect(await fitter.beat() == outcome)
            }
            let standing = try await test.ledger.standing(of: .rhythm)
            #expect(standing.active == 1 && standing.newest?.number == 1)
        }
    }

    @Test func aModelFarFromTheOneInUseWaitsForAPerson() async throws {
        try await withLedger { test in
            let clock = StillClock()
            let registry = MetricsRegistry()
            let shelf = self.shelf(test.ledger, clock, registry)
            try await self.publish(toy(1), in: test)
            clock.advance(seconds: 600)
            #expect(await self.fitter(test.ledger, clock) { _ in toy(2, drift: 0.9) }.beat() == .candidate)
            await shelf.refresh()
            #expect(shelf.active?.number == 1)
            #expect(self.lines(registry, "martlet_model_drift_ratio").first?.hasSuffix(" 1.8") == true)

            // Asked besides, then brought into use.
            _ = try await test.ledger.change(.rhythm, .shadow(2), by: "ada", reason: "")
            await shelf.refresh()
            #expect(shelf.active?.number == 1 && shelf.shadow?.model == 2)
            guard
                case .done(_, let after) = try await test.ledger.change(
                    .rhythm, .promote(nil), by: "ada", reason: "looked at it")
            else { throw Surprise("not promoted") }
            #expect(after.active == 2 && after.shadow == nil)
            await shelf.refresh()
            #expect(shelf.active?.model == 2 && shelf.shadow == nil)
            #expect(try await self.publish(toy(3), in: test).isCandidate == false)
            #expect(try await test.ledger.standing(of: .rhythm).active == 3)
        }
    }

    @Test func rollingBackHoldsUntilItIsUnfrozenAndIsOnRecord() async throws {
        try await withLedger { test in
            let ledger = test.ledger
            let shelf = self.shelf(ledger, StillClock())
            for value in 1...3 { try await self.publish(toy(value), in: test) }
            await shelf.refresh()
            guard
                case .done(let before, let after) = try await ledger.change(
                    .rhythm, .rollback(nil), by: "ada@h", reason: "wrong hours")
            else { throw Surprise("not rolled back") }
            #expect(before.active == 3 && after.active == 2 && after.isFrozen)
            await shelf.refresh()
            #expect(shelf.active?.model == 2)
            // What is made meanwhile is put beside; nothing that was left behind comes into use by itself.
            #expect(try await self.publish(toy(4), in: test).isCandidate)
            #expect(try await ledger.standing(of: .rhythm).active == 2)
            _ = try await ledger.change(.rhythm, .unfreeze, by: "ada@h", reason: "")
            #expect(try await ledger.standing(of: .rhythm).active == 2)
            #expect(try await self.publish(toy(5), in: test).number == 5)
            #expect(try await ledger.standing(of: .rhythm).active == 5)

            let changes = try await ledger.changes(of: .rhythm, limit: 10)
            #expect(changes.map(\.what) == ["unfreeze", "rollback"])
            #expect(changes.last.map { [$0.before, $0.after] } == [3, 2])
            #expect(changes.last?.by == "ada@h" && changes.last?.reason == "wrong hours")
            // The other kind is none of this one's business.
            #expect(try await ledger.standing(of: .arms).newest == nil)
        }
    }

    @Test func whatCannotBeDoneIsRefusedAndChangesNothing() async throws {
        try await withLedger { test in
            let ledger = test.ledger
            func refusal(_ change: ModelChange) async throws -> ModelChangeRefusal? {
                guard
                    case .refused(let refusal, _) = try await ledger.change(.rhythm, change, by: "x", reason: "")
                else { return nil }
                return refusal
            }
            #expect(try await refusal(.rollback(nil)) == .nothingBefore)
            for value in 1...3 { try await self.publish(toy(value), in: test) }
            try await test.sql("UPDATE snapshots SET body = '\\x00' WHERE number = 1")
            #expect(try await refusal(.rollback(12)) == .noSuchSnapshot(12))
            #expect(try await refusal(.rollback(1)) == .unusable(1))
            #expect(try await refusal(.promote(nil)) == .noShadow)
            #expect(try await refusal(.shadow(1)) == .unusable(1))
            _ = try await ledger.change(.rhythm, .rollback(2), by: "x", reason: "")
            #expect(try await refusal(.rollback(3)) == .notOlder(3))
            let standing = try await ledger.standing(of: .rhythm)
            let again = try await ledger.change(.rhythm, .freeze, by: "x", reason: "")
            #expect(again == .unchanged(standing))
            #expect(try await ledger.changes(of: .rhythm, limit: 10).count == 1)
        }
    }

    @Test func aDamagedSnapshotIsRefusedOnceAndTheLastGoodOneStays() async throws {
        try await withLedger { test in
            let clock = StillClock()
            let registry = MetricsRegistry()
            let said = Protected<[String]>([])
            let shelf = self.shelf(
                test.ledger, clock, registry, logger: Logger(label: "test") { _ in Listener(said: said) })
            for value in 1...2 { try await self.publish(toy(value), in: test) }
            await shelf.refresh()
            try await self.publish(toy(33), in: test)
            // It would even decode: only its digest tells.
            try await test.sql("UPDATE snapshots SET body = convert_to('34', 'UTF8') WHERE number = 3")
            for _ in 1...3 { await shelf.refresh() }
            #expect(shelf.active?.number == 2)
            // One that is whole and that this version cannot read.
            try await test.sql(
                """
                UPDATE snapshots SET body = '\\x01', digest = sha256('\\x01') WHERE number = 3;
                UPDATE model_state SET active = 3
                """)
            await shelf.refresh()
            #expect(shelf.active?.number == 2)
            #expect(
                said.withLock { $0.filter { $0 == "a snapshot cannot be used: the last good one stays" }.count } == 1)
            #expect(self.lines(registry, "martlet_model_refused_total").first?.hasSuffix(" 1") == true)
            await #expect(throws: ModelAbsence.unreadable("no number")) { try await shelf.model(3) }

            // A process that was just started finds one that is good, and the next fit starts without the bad one.
            let fresh = self.shelf(test.ledger, clock)
            await fresh.refresh()
            #expect(fresh.active?.number == 2)
            clock.advance(seconds: 600)
            let fitter = self.fitter(test.ledger, clock) { previous in previous == nil ? toy(5, drift: 9) : nil }
            #expect(await fitter.beat() == .active)
            await shelf.refresh()
            #expect(shelf.active?.number == 4 && shelf.active?.model == 5)
        }
    }

    @Test func whileTheLedgerIsAwayTheLastGoodOneStaysAndGrowsOld() async throws {
        try await withLedger { test in
            let clock = StillClock()
            let registry = MetricsRegistry()
            let pool = try TestServer.pool(try await TestServer.url(), connections: 1)
            await pool.shutDown()
            let away = Switch(test.ledger, away: TestLedger(pool: pool).ledger)
            let shelf = self.shelf(away, clock, registry)
            try await self.publish(toy(1), in: test)
            await shelf.refresh()
            away.isAway.withLock { $0 = true }
            clock.advance(seconds: 7200)
            await shelf.refresh()
            #expect(shelf.active?.model == 1)
            let age = self.lines(registry, "martlet_model_age_seconds").first?.split(separator: " ").last
            #expect((age.flatMap { Double($0) } ?? 0) > 7000)
            let fitter = self.fitter(away, clock) { _ in toy(2) }
            #expect(await fitter.beat() == .interrupted)
        }
    }

    @Test func numbersAreNeverGivenTwiceAndOldBodiesAreLetGo() async throws {
        try await withLedger { test in
            let ledger = test.ledger
            let keeping = ModelRetention(newest: 3, days: 90)
            for value in 1...8 {
                try await self.publish(toy(value), in: test, asCandidate: value == 7, keeping: keeping)
            }
            func kept() async throws -> [Int] {
                try await ledger.snapshots(of: .rhythm, before: nil, limit: 99).filter(\.isKept).map(\.number)
                    .reversed()
            }
            // The newest three; of today 8 is kept already.
            #expect(try await kept() == [6, 7, 8])
            // Six and seven were made on days before: each is the last of its day. What a person pointed at is kept too.
            try await test.sql(
                """
                UPDATE snapshots SET made_at = now() - interval '100 days' WHERE number = 6;
                UPDATE snapshots SET made_at = now() - interval '5 days' WHERE number = 7
                """)
            _ = try await ledger.change(.rhythm, .rollback(6), by: "ada", reason: "")
            for value in 9...12 { try await self.publish(toy(value), in: test, keeping: keeping) }
            #expect(try await kept() == [6, 7, 8, 10, 11, 12])
            #expect(try await ledger.body(of: 1, .rhythm) == .gone)
            #expect(try await ledger.snapshot(1, of: .rhythm)?.size == 1)
            // Even the newest rows may go: their numbers do not come again.
            try await test.sql("DELETE FROM snapshots WHERE number > 8")
            #expect(try await self.publish(toy(13), in: test).number == 13)
        }
    }

    @Test func twoProcessesAtOnceMakeOneSnapshot() async throws {
        try await withLedger { test in
            let ledger = test.ledger
            let clock = StillClock()
            let outcomes = await withTaskGroup { group in
                for holder in ["a", "b", "c", "d"] {
                    group.addTask { await self.fitter(ledger, clock, holder: holder) { _ in toy(1) }.beat() }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.filter { $0 == .active }.count == 1)
            #expect(outcomes.filter { $0 == .elsewhere }.count == 3)
            let count = try await test.count("SELECT count(*) FROM snapshots")
            #expect(count == 1)
        }
    }
}

/// Notes what is said.
private struct Listener: LogHandler {
    let said: Protected<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(said: Protected<[String]>) { self.said = said }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) { self.said.withLock { $0.append("\(event.message)") } }
}

/// One ledger or, when it is away, one whose connections are closed.
private struct Switch: SnapshotLedger {
    let isAway = Protected(false)
    private let here: PostgresLedger
    private let away: PostgresLedger

    init(_ here: PostgresLedger, away: PostgresLedger) {
        self.here = here
        self.away = away
    }

    private var ledger: PostgresLedger { self.isAway.withLock { $0 } ? self.away : self.here }

    func holdFits(of kind: ModelKind, as holder: String, seconds: Int) async throws(LedgerError) -> FitLease? {
        try await self.ledger.holdFits(of: kind, as: holder, seconds: seconds)
    }
    func publish(
        _ model: FittedModel, of kind: ModelKind, asCandidate: Bool, under lease: FitLease, keeping: ModelRetention
    ) async throws(LedgerError) -> ModelSnapshot? {
        try await self.ledger.publish(model, of: kind, asCandidate: asCandidate, under: lease, keeping: keeping)
    }
    func standing(of kind: ModelKind) async throws(LedgerError) -> ModelStanding {
        try await self.ledger.standing(of: kind)
    }
    func snapshots(
        of kind: ModelKind, before number: Int?, limit: Int
    ) async throws(LedgerError) -> [ModelSnapshot] {
        try await self.ledger.snapshots(of: kind, before: number, limit: limit)
    }
    func snapshot(_ number: Int, of kind: ModelKind) async throws(LedgerError) -> ModelSnapshot? {
        try await self.ledger.snapshot(number, of: kind)
    }
    func body(of number: Int, _ kind: ModelKind) async throws(LedgerError) -> ModelBody {
        try await self.ledger.body(of: number, kind)
    }
    func change(
        _ kind: ModelKind, _ change: ModelChange, by person: String, reason: String
    ) async throws(LedgerError) -> ModelChangeAnswer {
        try await self.ledger.change(kind, change, by: person, reason: reason)
    }
    func changes(of kind: ModelKind, limit: Int) async throws(LedgerError) -> [RecordedModelChange] {
        try await self.ledger.changes(of: kind, limit: limit)
    }
}
