// What people and services ask of the ledger: recovery, cancelling, the story, the schema, an outage.
import DeliveryModel
import Ledger
import LocalServers
import PostgresClient
import Testing

extension LedgerTests {
    @Suite("Looking around")
    struct LookTests {
        @Test func findsWhatNobodyMovedAndNotWhatIsHeld() async throws {
            try await withLedger { test in
                let due = now()
                for id in ["overdue", "early"] { _ = try await test.ledger.accept(arrival(id, due: due)) }
                _ = try await test.accepted("held")
                _ = try await test.accepted("orphan")
                try await test.lapse("orphan")
                #expect(try await test.ledger.lookAround(limit: 100).isEmpty)
                try await test.sql("UPDATE unsettled SET look_at = now() - interval '1 second' WHERE id <> 'early'")

                let found = try await test.ledger.lookAround(limit: 100)
                #expect(Set(found.map(\.id)) == ["overdue", "orphan"])
                #expect(found.allSatisfy { $0.shard == 3 })
                #expect(found.first { $0.id == "overdue" }?.dueAt == due)
                #expect(try await test.ledger.lookAround(limit: 100).isEmpty)
            }
        }

        @Test func saysWhoseTurnItTakes() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("urgent", due: now(), campaign: "alerts", priority: 1))
                try await test.sql("UPDATE unsettled SET look_at = now() - interval '1 second'")
                let found = try await test.ledger.lookAround(limit: 100)
                #expect(found.map(\.flow) == [Flow(lane: 1, campaign: "alerts")])
            }
        }

        @Test func knowsForHowLongTheEarliestThatWaitsHasBeenDue() async throws {
            try await withLedger { test in
                #expect(try await test.ledger.balance().overdue == Milliseconds(0))
                _ = try await test.ledger.accept(arrival("later", due: now(300)))
                #expect(try await test.ledger.balance().overdue == Milliseconds(0))
                _ = try await test.ledger.accept(arrival("late", due: now(-300)))
                _ = try await test.accepted("held")
                try await test.sql("UPDATE unsettled SET due_at = now() - interval '1 hour' WHERE id = 'held'")
                let overdue = try await test.ledger.balance().overdue
                #expect(overdue >= .seconds(300) && overdue < .seconds(360))
            }
        }

        @Test func bringsFarOffWorkNearByTheHorizon() async throws {
            try await withLedger(settings: .init(horizon: .seconds(600))) { test in
                _ = try await test.ledger.accept(arrival("far", due: now(7200)))
                let ahead = try await test.count("SELECT extract(epoch FROM due_at - look_at)::int8 FROM unsettled")
                #expect(ahead >= 600 && ahead <= 660)
            }
        }

        @Test func bringsARestNearByTheHorizonOfTheSettings() async throws {
            try await withLedger(settings: .init(horizon: .seconds(60))) { test in
                let delivery = try await test.accepted("d-1")
                let next = NextMove.rest(until: now(300), step: 0, reason: "smtp.4.7.0")
                #expect(try await test.ledger.close(closing(delivery, nil, next: next)))
                let late = try await test.count("SELECT extract(epoch FROM look_at - due_at)::int8 FROM unsettled")
                do {
                    #expect(late <= 0)
                }
            }
        }

        @Test func afterTheQueueWasEmptiedAllThatIsNearIsFoundAtOnce() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("due"))
                _ = try await test.ledger.accept(arrival("near", due: now(300)))
                _ = try await test.ledger.accept(arrival("far", due: now(7200)))
                _ = try await test.accepted("held")
                #expect(try await test.ledger.lookAround(limit: 10).isEmpty)
                try await test.ledger.lookAtAllThatIsNear()
                #expect(try await test.ledger.lookAround(limit: 10).map(\.id).sorted() == ["due", "near"])
                try await test.ledger.lookAtAllThatIsNear()
                #expect(try await test.ledger.lookAround(limit: 10).map(\.id).sorted() == ["due", "near"])
            }
        }

        @Test func extendingKeepsOnlyTheLeasesThatAreStillHeld() async throws {
            try await withLedger { test in
                let lost = try await test.accepted("lost")
                let kept = try await test.accepted("kept")
                try await test.lapse("lost")
                _ = try await test.claimed("lost", lease: "w2")
                for id in ["lost", "kept"] { try await test.lapse(id) }
                let prolonged = try await test.ledger.extend([
                    Hold(id: "lost", epoch: lost.epoch), Hold(id: "kept", epoch: kept.epoch),
                ])
                #expect(prolonged.map(\.id) == ["kept"])
                guard case .notNow = try await test.ledger.claim("kept", lease: "w3") else { throw Surprise("kept") }
                guard case .claimed = try await test.ledger.claim("lost", lease: "w3") else { throw Surprise("lost") }
            }
        }
    }

    @Suite("Cancelling")
    struct CancelTests {
        @Test func worksAtRestAndWhileNothingIsOnTheWire() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("resting", due: now(3600)))
                let held = try await test.accepted("held")
                for id in ["resting", "held"] {
                    #expect(try await test.ledger.cancel(id, reason: "by.hand") == .cancelled(state: "cancelled"))
                }
                #expect(try await test.ledger.open(opening(held)) == .fenced)
                guard case .finished = try await test.ledger.claim("resting", lease: "w") else {
                    throw Surprise("claim")
                }
                try await test.expectBalance(accepted: 2, settled: 2, active: 0, waiting: 0)
                #expect(try await test.ledger.cancel("held", reason: "again") == .finished(state: "cancelled"))
                #expect(try await test.ledger.cancel("nobody", reason: "by.hand") == .missing)
            }
        }

        @Test func isTooLateWhileAnAttemptIsOnTheWire() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                _ = try await test.ledger.open(opening(delivery))
                #expect(try await test.ledger.cancel("d-1", reason: "by.hand") == .tooLate)
                #expect(try await test.ledger.close(closing(delivery, .taken)))
                #expect(try await test.ledger.cancel("d-1", reason: "by.hand") == .finished(state: "sent"))
            }
        }

        @Test func afterAFirstStepWentOutEndsAsSent() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                _ = try await test.ledger.open(opening(delivery))
                let next = NextMove.rest(until: now(3600), step: 1, reason: "goal.waiting")
                #expect(try await test.ledger.close(closing(delivery, .taken, next: next)))
                #expect(try await test.ledger.cancel("d-1", reason: "by.hand") == .cancelled(state: "sent"))
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }
    }

    @Suite("The story")
    struct StoryTests {
        @Test func tellsEverythingWithTheAttemptOnTheWire() async throws {
            try await withLedger { test in
                let first = try await test.accepted("d-1")
                _ = try await test.ledger.open(opening(first))
                let next = NextMove.rest(until: now(-1), step: 1, reason: "goal.waiting")
                _ = try await test.ledger.close(closing(first, .taken, next: next))
                let second = try await test.claimed("d-1", lease: "w2")
                _ = try await test.ledger.open(opening(second, number: 2))

                let open = try #require(try await test.ledger.story(of: "d-1"))
                #expect([open.campaign, open.messageClass, open.source] == ["welcome", "marketing", "s/d-1"])
                #expect(open.shard == 3)
                #expect(open.decision?.user.email == "ada@example.com")
                #expect(open.attempts.map(\.number) == [1, 2])
                #expect(open.attempts.map(\.verdict) == ["accepted", nil])
                #expect(open.attempts.first?.providerMessageID == "m-1")
                #expect(open.attempts.first?.detail == "queued as 1")
                #expect(open.attempts.last?.closedAt == nil)
                #expect(open.events.map(\.kind) == ["rest"])
                #expect(open.open?.heldBy == "w2")
                #expect(open.open?.step == 1)
                #expect(open.settlement == nil)

                let end = NextMove.settle(.failed, reason: "smtp.5.7.1")
                let refused = Outcome(.rejected, reason: "smtp.5.7.1")
                _ = try await test.ledger.close(closing(second, refused, number: 2, next: end, step: 1))
                let closed = try #require(try await test.ledger.story(of: "d-1"))
                #expect(closed.attempts.map(\.verdict) == ["accepted", "rejected"])
                #expect(closed.attempts.map(\.step) == [0, 1])
                #expect(closed.open == nil)
                #expect(closed.settlement?.state == "failed")
                #expect(closed.settlement?.reason == "smtp.5.7.1")
                #expect(try await test.ledger.story(of: "nobody") == nil)
            }
        }
    }

    @Suite("The schema")
    struct SchemaTests {
        @Test func isMadeOnceByManyAtOnceAndKeptAfterwards() async throws {
            let url = try await TestServer.database()
            let pools = try (0..<4).map { _ in try TestServer.pool(url, connections: 2) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for pool in pools { group.addTask { try await PostgresLedger.migrate(pool) } }
                try await group.waitForAll()
            }
            let ledgers = pools.map { TestLedger(pool: $0) }
            _ = try await ledgers[0].accepted("d-1")
            try await PostgresLedger.migrate(pools[1])
            try await ledgers[2].expectBalance(accepted: 1, settled: 0, active: 1, waiting: 0)
            let keys = [try await ledgers[0].ledger.addressHashKey(), try await ledgers[3].ledger.addressHashKey()]
            #expect(keys[0] == keys[1])
            #expect(keys[0].count == 32)
            for pool in pools { await pool.shutDown() }
        }
    }

    @Suite("An outage")
    struct OutageTests {
        @Test func makesCallsFailAsUnavailableUntilTheServerIsBack() async throws {
            let folder = TestServer.folder("outage")
            let server = try await LocalPostgres.start(in: folder, isDurable: false)
            let pool = try TestServer.pool(server.url)
            try await PostgresLedger.migrate(pool)
            let test = TestLedger(pool: pool)
            let delivery = try await test.accepted("d-1")
            // Without a durable commit at the end a test server may forget; a clean stop writes everything.
            await server.stop()

            for _ in 0..<3 {
                let error = await #expect(throws: LedgerError.self) {
                    _ = try await test.ledger.open(opening(delivery))
                }
                #expect(error?.code == .unavailable)
            }

            let again = try await LocalPostgres.start(in: folder, isDurable: false)
            let limit = ContinuousClock.now + .seconds(30)
            var answer: OpeningAnswer?
            while answer == nil, ContinuousClock.now < limit {
                answer = try? await test.ledger.open(opening(delivery))
                if answer == nil { try await Task.sleep(for: .milliseconds(20)) }
            }
            #expect(answer == .opened)
            #expect(try await test.ledger.close(closing(delivery, .taken)))
            try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            await pool.shutDown()
            await again.stop()
        }
    }
}
