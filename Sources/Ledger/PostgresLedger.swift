/// PostgreSQL as the durable record.
///
/// Each kind of call has a group commit of its own: what thousands of deliveries ask for at about the same time
/// becomes one statement, which is one transaction. A group names each decision at most once; what came twice
/// waits for the next group, where it finds the first one's effect. The statements are in SQL/.
import Attribution
package import DeliveryModel
package import Logging
package import PostgresClient
import ThreadBridge

package final class PostgresLedger: DeliveryLedger, UpkeepLedger, EventLedger, Sendable {
    /// How the ledger works; the defaults suit a fleet.
    package struct Settings: Sendable {
        /// How long a delivery is held by the worker that took it up.
        package var lease: Milliseconds
        /// Work due later than this stays in the ledger alone.
        package var horizon: Milliseconds
        /// The most deliveries in one commit.
        package var groupMax: Int
        /// Whom marketing may reach.
        package var admission: AdmissionRules
        /// Who gets the credit for what a person did that names no decision.
        package var credit: CreditModel

        package init(
            lease: Milliseconds = .seconds(30), horizon: Milliseconds = .seconds(600), groupMax: Int = 512,
            admission: AdmissionRules = AdmissionRules(), credit: CreditModel = .lastTouch
        ) {
            self.lease = lease
            self.horizon = horizon
            self.groupMax = groupMax
            self.admission = admission
            self.credit = credit
        }
    }

    let settings: Settings
    let pool: PostgresPool
    let logger: Logger
    private let accepts: GroupCommit<Arrival, Acceptance, LedgerError>
    private let claims: GroupCommit<ClaimRequest, ClaimAnswer, LedgerError>
    private let opens: GroupCommit<AttemptOpening, OpeningAnswer, LedgerError>
    private let closes: GroupCommit<Closing, Bool, LedgerError>
    let profileReads: GroupCommit<String, User?, LedgerError>
    private let notes: GroupCommit<RecipientEvent, NoteAnswer, LedgerError>
    let receipts: GroupCommit<Receipt, ReceiptAnswer, LedgerError>
    let onReceipt: ReceiptObserver
    let shortLinks: GroupCommit<ShortLink, Void, LedgerError>
    let reaches: GroupCommit<String, [ReachedMessage], LedgerError>

    /// - Parameters:
    ///   - pool: At least four connections, so that each kind of commit may go on beside the others.
    ///   - executors: Where groups are put together and answered; empty for the system's pool.
    ///   - onReceipt: Told of receipts from wherever they come, once they are on record.
    ///   - observe: Told of each commit: its kind, how long it took, and how many deliveries it was for.
    package init(
        settings: Settings, pool: PostgresPool, logger: Logger, executors: [any TaskExecutor] = [],
        onReceipt: @escaping ReceiptObserver = { _, _, _ in },
        observe: @escaping @Sendable (_ operation: String, _ took: Duration, _ rows: Int) -> Void = { _, _, _ in }
    ) {
        self.settings = settings
        self.pool = pool
        self.logger = logger
        self.onReceipt = onReceipt
        let statements = LedgerStatements(settings: settings)
        let short = LedgerError(.broken, "a call was left without an answer")
        func commits<Item: Sendable, Answer: Sendable>(
            _ operation: String, _ number: Int,
            _ body: @escaping @Sendable ([Item], PostgresConnection) throws(PostgresError) -> [Answer]
        ) -> GroupCommit<Item, Answer, LedgerError> {
            GroupCommit(
                groupMax: settings.groupMax, linger: .milliseconds(8),
                executor: executors.isEmpty ? nil : executors[number % executors.count], shortAnswer: short,
                isOneItemsFault: { $0.code == .broken }
            ) { (group: [Item]) throws(LedgerError) in
                let start = ContinuousClock.now
                let answers = try await pool.ledgerRun { connection throws(PostgresError) in try body(group, connection)
                }
                observe(operation, ContinuousClock.now - start, group.count)
                return answers
            }
        }
        self.accepts = commits("accept", 0, statements.accept)
        self.claims = commits("claim", 1, statements.claim)
        self.opens = commits("open", 0, statements.open)
        self.closes = commits("close", 1, statements.close)
        self.profileReads = commits("profiles", 0, Self.profiles)
        self.notes = commits("note", 0, statements.note)
        self.receipts = commits("receipt", 1) { (group, connection) throws(PostgresError) in
            try Self.record(group, connection, onReceipt)
        }
        self.shortLinks = commits("short_link", 1, Self.shorten)
        self.reaches = commits("reach", 0, Self.reach)
    }

    /// What every connection of the pool should set.
    ///
    /// The group statements meet tables that grow by thousands of rows a second with a few hundred ids: their
    /// only good plan is an index look-up for each id, made once. Statistics of a table that was empty a moment
    /// ago, or that is full of dead rows, would talk the planner into reading it whole.
    package static let sessionSettings: [(name: String, value: String)] = [
        ("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("jit", "off"),
    ]

    /// Makes or updates the tables; safe when several processes start at once.
    package static func migrate(_ pool: PostgresPool) async throws(PostgresError) {
        try await PostgresMigrator.run(LedgerMigrations.all, on: pool)
    }

    package func accept(_ arrival: Arrival) async throws(LedgerError) -> Acceptance {
        try await self.accepts.submit(arrival)
    }

    package func claim(_ id: String, lease: String) async throws(LedgerError) -> ClaimAnswer {
        try await self.claims.submit(ClaimRequest(id: id, lease: lease))
    }

    package func open(_ opening: AttemptOpening) async throws(LedgerError) -> OpeningAnswer {
        try await self.opens.submit(opening)
    }

    package func close(_ closing: Closing) async throws(LedgerError) -> Bool {
        try await self.closes.submit(closing)
    }

    package func note(_ event: RecipientEvent) async throws(LedgerError) -> NoteAnswer {
        try await self.notes.submit(event)
    }

    // MARK: UpkeepLedger

    package func extend(_ holds: [Hold]) async throws(LedgerError) -> [Hold] {
        let seconds = self.settings.leaseSeconds
        return try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.extend,
                [.textArray(holds) { $0.id }, .int4Array(holds) { Int32(clamping: $0.epoch) }, .int4(seconds)])
            var kept: [Hold] = []
            for row in 0..<rows.count { kept.append(Hold(id: try rows[row, 0].text, epoch: try rows[row, 1].int)) }
            return kept
        }
    }

    package func lookAround(limit: Int) async throws(LedgerError) -> [ScheduledWork] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.look, [.int4(Int32(clamping: limit))])
            var work: [ScheduledWork] = []
            for row in 0..<rows.count where try !rows[row, 3].bool {
                work.append(
                    ScheduledWork(
                        id: try rows[row, 0].text, shard: try rows[row, 1].int,
                        dueAt: Timestamp(milliseconds: try rows[row, 2].milliseconds),
                        flow: Flow(lane: try rows[row, 4].int, campaign: try rows[row, 5].text)))
            }
            return work
        }
    }

    package func lookAtAllThatIsNear() async throws(LedgerError) {
        let horizon = self.settings.horizonSeconds
        var moved: Int64
        repeat {
            moved = try await self.pool.ledgerRun { connection throws(PostgresError) in
                try connection.query(Statements.lookNear, [.int4(horizon), .int4(10_000)])[0, 0].int64
            }
        } while moved > 0
    }

    package func balance() async throws(LedgerError) -> Balance {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.balance, [])
            var balance = Balance()
            for row in 0..<rows.count {
                let state = try rows[row, 1].text
                let count = try rows[row, 2].int
                switch (try rows[row, 0].text, state) {
                case ("tally", "accepted"): balance.accepted = count
                case ("unsettled", "active"): balance.active = count
                case ("unsettled", _):
                    balance.waiting = count
                    balance.overdue = Milliseconds(Int64(max(0, try rows[row, 3].int)))
                case ("dead_letters", _): balance.deadLetters = count
                default: if let terminal = TerminalState(rawValue: state) { balance.terminal[terminal] = count }
                }
            }
            return balance
        }
    }
}

struct ClaimRequest: Sendable {
    let id: String
    let lease: String
}

extension PostgresLedger.Settings {
    var leaseSeconds: Int32 { Int32(clamping: max(1, self.lease.count / 1000)) }
    var horizonSeconds: Int32 { Int32(clamping: self.horizon.count / 1000) }
}

extension PostgresPool {
    /// Runs `work`, and says what went wrong in the pipeline's terms.
    ///
    /// A deadlock or a serialisation failure means only that two commits met: the loser goes again.
    ///
    /// - Parameter collisions: SQLSTATEs that mean the same for this piece of work.
    func ledgerRun<Result: Sendable>(
        collisions: Set<String> = [],
        _ work: @escaping @Sendable (PostgresConnection) throws(PostgresError) -> Result
    ) async throws(LedgerError) -> Result {
        var tries = 0
        while true {
            do throws(PostgresError) {
                return try await self.run(work)
            } catch {
                tries += 1
                let isCollision =
                    error.sqlState.map { ["40P01", "40001"].contains($0) || collisions.contains($0) } ?? false
                if isCollision, tries < 5 { continue }
                throw LedgerError(error.meansAway ? .unavailable : .broken, "\(error)")
            }
        }
    }
}

extension PostgresError {
    /// Whether asking again later may help: everything but an answer about the statement itself.
    var meansAway: Bool {
        guard let sqlState = self.sqlState else { return self.code != .encoding && self.code != .decoding }
        // Connection trouble, resources, operator's intervention, system errors, collisions.
        return ["08", "53", "57", "58", "40"].contains(String(sqlState.prefix(2)))
    }
}
