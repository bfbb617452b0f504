// docs/state-machine.md and the statements of the ledger: a trigger notes each change of a row in PostgreSQL, and by
// which statement; what is noted is what the document says, both ways.
import DeliveryModel
import Foundation
import Ledger
import PostgresClient
import Testing

extension LedgerTests {
    @Suite("The state machine")
    struct StateMachineTests {
        private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path

        private static let triggers = """
            CREATE TABLE moves (here text, there text, query text);
            CREATE FUNCTION phase(u unsettled) RETURNS text LANGUAGE sql AS $$
                SELECT CASE WHEN u.open_number IS NOT NULL THEN 'open' WHEN u.lease IS NOT NULL THEN 'held'
                            ELSE 'rests' END
            $$;
            CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_TABLE_NAME = 'dead_letters' THEN
                    INSERT INTO moves SELECT 'dead_letter', state, current_query() FROM settlements
                    WHERE id = OLD.decision;
                ELSIF TG_OP = 'INSERT' THEN
                    -- What was accepted earlier comes back from its end.
                    INSERT INTO moves SELECT CASE WHEN accepted_at < now() THEN 'dead_letter' ELSE 'appended' END,
                        phase(NEW), current_query() FROM decisions WHERE id = NEW.id;
                ELSIF TG_OP = 'DELETE' THEN
                    INSERT INTO moves SELECT phase(OLD),
                        CASE WHEN EXISTS (SELECT FROM dead_letters WHERE decision = OLD.id) THEN 'dead_letter'
                             ELSE state END, current_query() FROM settlements WHERE id = OLD.id;
                ELSIF (phase(OLD), OLD.epoch, OLD.due_at) IS DISTINCT FROM (phase(NEW), NEW.epoch, NEW.due_at) THEN
                    INSERT INTO moves VALUES (phase(OLD), phase(NEW), current_query());
                END IF;
                RETURN NULL;
            END
            $$;
            CREATE TRIGGER note_move AFTER INSERT OR UPDATE OR DELETE ON unsettled
                FOR EACH ROW EXECUTE FUNCTION note_move();
            CREATE TRIGGER note_move AFTER DELETE ON dead_letters FOR EACH ROW EXECUTE FUNCTION note_move();
            CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO moves VALUES (OLD.state, NEW.state, current_query());
                RETURN NULL;
            END
            $$;
            CREATE TRIGGER note_end AFTER UPDATE ON settlements FOR EACH ROW EXECUTE FUNCTION note_end();
            """

        @Test func isWhatTheStatementsDo() async throws {
            try await withLedger { test in
                try await test.sql(Self.triggers)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<8 {
                        group.addTask {
                            var draws = MoveDraws(state: UInt64(worker))
                            for number in 0..<200 { try await Self.live("d-\(worker)-\(number)", test, &draws) }
                        }
                    }
                    try await group.waitForAll()
                }
                let rows = try await test.text(
                    """
                    SELECT string_agg(DISTINCT here || ' → ' || there || ': ' || split_part(query, E'\\n', 1), '|')
                    FROM moves
                    """)
                let names = try Self.statements()
                let moves = Set(
                    rows.split(separator: "|").map { row in
                        let parts = row.split(separator: ": ", maxSplits: 1).map(String.init)
                        return "\(parts[0]): \(names[parts[1]] ?? parts[1])"
                    })
                let written = try Self.document()
                #expect(moves.subtracting(written).sorted() == [], "these are not in the document")
                #expect(written.subtracting(moves).sorted() == [], "these never happen")
            }
        }

        /// One decision, from its acceptance through a few random steps.
        private static func live(_ id: String, _ test: TestLedger, _ draws: inout MoveDraws) async throws {
            let isHeld = Bool.random(using: &draws)
            let isOpen = isHeld && Bool.random(using: &draws)
            let accepted = try await test.ledger.accept(
                arrival(id, lease: isHeld ? "w/\(id)" : nil, opens: isOpen ? id : nil))
            guard case .accepted(var delivery, let answer) = accepted else { throw Surprise("\(accepted)") }
            var isOnTheWire = answer == .opened
            for step in 0..<18 {
                switch Int.random(in: 0..<16, using: &draws) {
                case 0, 1, 2:
                    if Bool.random(using: &draws) { try await test.lapse(id) }
                    guard case .claimed(let again, _, _) = try await test.ledger.claim(id, lease: "w\(step)/\(id)")
                    else {
                        continue
                    }
                    delivery = again
                    isOnTheWire = again.openAttempt != nil
                case 3, 4:
                    isOnTheWire =
                        try await test.ledger.open(
                            opening(delivery, number: delivery.attempts + 1, address: id)) == .opened || isOnTheWire
                case 5, 6, 7:
                    try await Self.close(delivery, isOnTheWire, test, &draws)
                    isOnTheWire = false
                case 8, 9:
                    _ = try await test.ledger.cancel(id, reason: "cancelled.by_request")
                case 10, 11:
                    _ = try await test.ledger.note(
                        RecipientEvent(
                            key: "\(id)/\(step)", target: .decision(id: id), kind: .click))
                case 12:
                    _ = try await test.ledger.resume(.all)
                case 13, 14:
                    // Of the first attempt, or of one that may be on the wire.
                    let number = Bool.random(using: &draws) ? 1 : delivery.attempts + 1
                    _ = try await test.ledger.record(
                        Receipt(
                            key: "\(id)/receipt/\(step)", subject: .attempt(decision: id, number: number),
                            kind: Receipt.Kind.allCases.randomElement(using: &draws) ?? .delivered, reason: "x"))
                default:
                    if Bool.random(using: &draws) {
                        _ = try await test.ledger.discard(deadLetters: [id])
                    } else {
                        _ = try await test.ledger.retry(deadLetters: [id])
                    }
                }
            }
        }

        private static func close(
            _ delivery: Delivery, _ isOnTheWire: Bool, _ test: TestLedger, _ draws: inout MoveDraws
        ) async throws {
            let ends: [TerminalState] =
                isOnTheWire
                ? [.sent, .failed, .unknown, .expired]
                : [.sent, .failed, .refused, .suppressed, .capped, .expired, .superseded, .unknown]
            let until = now(-1)
            let outcome: Outcome? = isOnTheWire ? .deferred : nil
            let number = delivery.attempts + 1
            switch Int.random(in: 0..<6, using: &draws) {
            case 0, 1:
                let state = ends.randomElement(using: &draws) ?? .sent
                _ = try await test.ledger.close(
                    closing(delivery, outcome, number: number, next: .settle(state, reason: "x")))
            case 2:
                _ = try await test.ledger.close(
                    closing(delivery, outcome, number: number, next: .setAside(reason: "x")))
            case 3 where !isOnTheWire:
                try await test.ledger.pause(.all, reason: "")
                _ = try await test.ledger.close(
                    closing(
                        delivery, nil, next: .rest(until: now(3600), step: delivery.step, reason: "paused.all"),
                        pausedBy: "all"))
            case 3 where isOnTheWire && delivery.step == 0, 4 where isOnTheWire && delivery.step == 0:
                let steps = [
                    Step(
                        channel: .email, template: "a", until: Bool.random(using: &draws) ? .click : .delivered,
                        within: .seconds(1)),
                    Step(channel: .email, template: "b"),
                ]
                let plan = ChosenPlan(steps: steps, arm: nil, propensity: 1, policy: "fixed", seed: 0)
                _ = try await test.ledger.close(
                    closing(
                        delivery, .taken, number: number,
                        next: .rest(
                            until: Bool.random(using: &draws) ? until : now(3600), step: 1, reason: "goal.waiting"),
                        plan: plan))
            default:
                _ = try await test.ledger.close(
                    closing(
                        delivery, outcome, number: number, next: .rest(until: until, step: delivery.step, reason: "x")))
            }
        }

        /// Names of statements by their first lines.
        private static func statements() throws -> [String: String] {
            let folder = "\(Self.root)/Sources/Ledger/SQL"
            var names: [String: String] = [:]
            for file in try FileManager.default.contentsOfDirectory(atPath: folder) where file.hasSuffix(".sql") {
                let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
                names[String(text.prefix { $0 != "\n" })] = String(file.dropLast(4))
            }
            return names
        }

        /// `from → to: statement` of the table of transitions; not what the queue alone is told.
        private static func document() throws -> Set<String> {
            let text = try String(contentsOfFile: "\(Self.root)/docs/state-machine.md", encoding: .utf8)
            let rows = text.matches(of: /\n\| `(\w+)` \| `(\w+)` \| `(\w+)` \|/).filter { $0.output.3 != "settle" }
            return Set(rows.map { "\($0.output.1) → \($0.output.2): \($0.output.3)" })
        }
    }
}

private struct MoveDraws: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
