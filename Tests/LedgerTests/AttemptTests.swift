// Opening and closing attempts: fencing, suppression, repeats, and what follows.
import DeliveryModel
import Ledger
import PostgresClient
import Testing

extension LedgerTests {
    @Suite("Opening an attempt")
    struct OpenTests {
        @Test func isAllowedToTheHolderAsOftenAsItAsks() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                #expect(try await test.ledger.open(opening(delivery)) == .opened)
                #expect(try await test.ledger.open(opening(delivery)) == .opened)
                #expect(try await test.ledger.open(opening(delivery, number: 2)) == .fenced)
            }
        }

        @Test func isRefusedToWhoHasLostTheLease() async throws {
            try await withLedger { test in
                let old = try await test.accepted("d-1")
                try await test.lapse("d-1")
                let current = try await test.claimed("d-1", lease: "w2")
                #expect(try await test.ledger.open(opening(old)) == .fenced)
                #expect(try await test.ledger.open(opening(current)) == .opened)
                var stranger = current
                stranger.id = "nobody"
                #expect(try await test.ledger.open(opening(stranger)) == .fenced)
            }
        }

        @Test func isAllowedToExactlyOneOfTwoHoldersInOneGroup() async throws {
            try await withLedger { test in
                var pairs: [(old: Delivery, current: Delivery)] = []
                for number in 0..<20 {
                    let old = try await test.accepted("d-\(number)")
                    try await test.lapse(old.id)
                    pairs.append((old, try await test.claimed(old.id, lease: "w2")))
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (old, current) in pairs {
                        group.addTask {
                            let answer = try await test.ledger.open(opening(old))
                            #expect(answer == .fenced)
                        }
                        group.addTask {
                            let answer = try await test.ledger.open(opening(current))
                            #expect(answer == .opened)
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }

        @Test func isRefusedForAnAddressThatIsDead() async throws {
            try await withLedger { test in
                let first = try await test.accepted("d-1")
                #expect(try await test.ledger.open(opening(first, address: "gone")) == .opened)
                let dead = Outcome(.rejected, reason: "smtp.5.1.1", isAddressDead: true)
                let end = NextMove.settle(.failed, reason: "smtp.5.1.1")
                #expect(try await test.ledger.close(closing(first, dead, next: end, address: "gone")))

                let second = try await test.accepted("d-2")
                #expect(
                    try await test.ledger.open(opening(second, address: "gone"))
                        == .suppressed(reason: "suppressed.smtp.5.1.1"))
                #expect(try await test.ledger.open(opening(second, address: "alive")) == .opened)
                let other = try await test.accepted("d-3")
                #expect(try await test.ledger.open(opening(other, address: "gone", channel: .sms)) == .opened)
            }
        }
    }

    @Suite("Closing an attempt")
    struct CloseTests {
        @Test func settlesOnceHoweverOftenItIsRepeated() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                _ = try await test.ledger.open(opening(delivery))
                let seed = UInt64.max - 1
                let plan = ChosenPlan(steps: [], arm: "a", propensity: 0.25, policy: "uniform@v1", seed: seed)
                let close = closing(delivery, .taken, plan: plan)
                for _ in 0..<3 { #expect(try await test.ledger.close(close)) }

                #expect(try await test.count("SELECT count(*) FROM settlements") == 1)
                #expect(try await test.count("SELECT count(*) FROM attempts") == 1)
                #expect(try await test.count("SELECT count(*) FROM events") == 0)
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
                let end = try #require(try await test.ledger.story(of: "d-1")?.settlement)
                #expect([end.state, end.reason, end.arm, end.policy] == ["sent", "accepted", "a", "uniform@v1"])
                #expect(end.propensity == 0.25)
                #expect(end.seed == seed)
            }
        }

        @Test func byAnOldHolderChangesNothingButIsNoted() async throws {
            try await withLedger { test in
                let old = try await test.accepted("d-1")
                _ = try await test.ledger.open(opening(old))
                try await test.lapse("d-1")
                let current = try await test.claimed("d-1", lease: "w2")

                #expect(try await !test.ledger.close(closing(old, .taken)))
                #expect(
                    try await test.text("SELECT kind || ' ' || (detail->>'verdict') FROM events")
                        == "late_outcome accepted")
                try await test.expectBalance(accepted: 1, settled: 0, active: 1, waiting: 0)
                let unknown = Outcome(.unknown, reason: "crash.attempt_open")
                #expect(
                    try await test.ledger.close(closing(current, unknown, next: .settle(.unknown, reason: "crash"))))
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func withARestCountsAttemptsByStep() async throws {
            try await withLedger { test in
                var delivery = try await test.accepted("d-1")
                let moves: [(step: Int, next: Int, counted: [Int])] = [
                    (0, 0, [0, 1, 1]), (0, 0, [0, 2, 2]), (0, 1, [1, 3, 0]), (1, 1, [1, 4, 1]),
                ]
                for (index, move) in moves.enumerated() {
                    #expect(try await test.ledger.open(opening(delivery, number: index + 1)) == .opened)
                    let next = NextMove.rest(until: now(-1), step: move.next, reason: "smtp.4.7.0")
                    let close = closing(delivery, .deferred, number: index + 1, next: next, step: move.step)
                    #expect(try await test.ledger.close(close))
                    try await test.expectBalance(accepted: 1, settled: 0, active: 0, waiting: 1)
                    delivery = try await test.claimed("d-1", lease: "w\(index)")
                    #expect([delivery.step, delivery.attempts, delivery.stepAttempts] == move.counted)
                    #expect(delivery.openAttempt == nil)
                    #expect(!delivery.hasSent)
                }
                #expect(try await test.count("SELECT count(*) FROM events WHERE kind = 'rest'") == 4)
            }
        }

        @Test(arguments: [true, false])
        func withARestMayBeRepeatedWhenTheAnswerWasLost(_ wasTried: Bool) async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                if wasTried { #expect(try await test.ledger.open(opening(delivery)) == .opened) }
                let next = NextMove.rest(until: now(-1), step: 0, reason: "smtp.4.7.0")
                let close = closing(delivery, wasTried ? .deferred : nil, next: next)
                #expect(try await test.ledger.close(close))

                let answer = try? await test.ledger.close(close)
                let events = try await test.count("SELECT count(*) FROM events WHERE kind = 'rest'")

                do {
                    #expect(answer == true)
                    #expect(events == 1)
                }
                let again = try await test.claimed("d-1", lease: "w2")
                let tries = wasTried ? 1 : 0
                #expect([again.step, again.attempts, again.stepAttempts] == [0, tries, tries])
            }
        }

        @Test func withoutAnAttemptCountsNoneAndKeepsTheReason() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                let next = NextMove.rest(until: now(-1), step: 1, reason: "address.missing")
                #expect(try await test.ledger.close(closing(delivery, nil, next: next, detail: "There is no address.")))
                let again = try await test.claimed("d-1", lease: "w2")
                #expect([again.step, again.attempts, again.stepAttempts] == [1, 0, 0])
                let story = try #require(try await test.ledger.story(of: "d-1"))
                #expect(story.events.contains { $0.kind == "not_tried" })
                #expect(story.attempts.isEmpty)
            }
        }

        @Test func keepsTheDevicesThatAStepIsDoneWithUntilTheNextStep() async throws {
            try await withLedger { test in
                var delivery = try await test.accepted("d-1")
                var devices = DeviceProgress()
                let isNoted = devices.add(Array("12345678 and more".utf8), .accepted, attempts: 3)
                #expect(isNoted)
                for step in [0, 1] {
                    #expect(try await test.ledger.open(opening(delivery, number: step + 1)) == .opened)
                    let next = NextMove.rest(until: now(-1), step: step, reason: "device.next")
                    let close = closing(delivery, .taken, number: step + 1, next: next, devices: devices)
                    #expect(try await test.ledger.close(close))
                    delivery = try await test.claimed("d-1", lease: "w\(step)")
                    #expect(delivery.devices == (step == 0 ? devices : DeviceProgress()))
                    #expect(delivery.hasSent)
                }
            }
        }

        @Test func leavesARestAtRestUntilItsTime() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                let until = now(900)
                #expect(
                    try await test.ledger.close(
                        closing(delivery, nil, next: .rest(until: until, step: 0, reason: "smtp.4.7.0"))))
                guard case .notNow(let time) = try await test.ledger.claim("d-1", lease: "w2") else {
                    throw Surprise("due")
                }
                #expect(time >= until)
            }
        }

        @Test func ofManyAtOnceAnswersEachItsOwn() async throws {
            try await withLedger { test in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<300 {
                        group.addTask {
                            let delivery = try await test.accepted("d-\(number)")
                            let opened = try await test.ledger.open(opening(delivery))
                            #expect(opened == .opened)
                            var stale = delivery
                            if number % 3 == 0 { stale.epoch = 0 }
                            let isOurs = try await test.ledger.close(closing(stale, .taken))
                            #expect(isOurs == (number % 3 != 0))
                        }
                    }
                    try await group.waitForAll()
                }
                try await test.expectBalance(accepted: 300, settled: 200, active: 100, waiting: 0)
                #expect(try await test.ledger.balance().terminal == [.sent: 200])
            }
        }

        @Test func afterACancellationSaysThatTheLeaseIsLost() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                #expect(try await test.ledger.cancel("d-1", reason: "by.hand") == .cancelled(state: "cancelled"))
                let answer = try await test.ledger.close(
                    closing(delivery, nil, next: .settle(.refused, reason: "late")))
                do {
                    #expect(!answer)
                }
                #expect(try await test.text("SELECT state FROM settlements") == "cancelled")
            }
        }
    }
}
