/// The connections to Redis, PostgreSQL and the providers, made from the settings, and who watches them.
import DeliveryModel
import Foundation
import Ledger
import LocalServers
import Logging
import NIOPosix
import Pipeline
import PostgresClient
import Queue
import RedisClient
import Telemetry
import ThreadBridge

/// Whether what this process depends on is there; says so once each time it changes.
final class Dependencies: Sendable {
    private let away = Protected<[String: String]>([:])
    private let metrics: MetricsRegistry
    private let logger: Logger

    init(metrics: MetricsRegistry, logger: Logger) {
        self.metrics = metrics
        self.logger = logger
    }

    /// What is missing, in words.
    var missing: [String] {
        self.away.withLock { $0.keys.sorted() }
    }

    func report(_ name: String, label: String, isUp: Bool, why: String) {
        self.metrics.gauge(.dependencyUp, label).set(isUp)
        let changed = self.away.withLock { away in
            let wasAway = away[name] != nil
            away[name] = isUp ? nil : why
            return wasAway == isUp
        }
        guard changed else { return }
        if isUp {
            self.logger.notice("\(name) is back")
        } else {
            self.logger.warning("\(name) is away: Martlet waits for it", metadata: ["reason": "\(why)"])
        }
    }
}

struct Connections: Sendable {
    let redis: RedisConnection
    let reader: RedisConnection
    let choosing: RedisConnection
    let postgres: PostgresPool
    let queue: StreamQueue
    let ledger: PostgresLedger

    /// Opens nothing yet; what is away is waited for when it is first needed.
    static func make(
        _ settings: Settings, meters: FleetMeters, dependencies: Dependencies, worker: String, logger: Logger
    ) throws -> Connections {
        guard let redisURL = settings.redisURL, let databaseURL = settings.databaseURL else {
            throw CommandError(
                "set MARTLET_REDIS_URL and MARTLET_DATABASE_URL, or run `martlet up`, which starts servers of its own")
        }
        let endpoint = try RedisEndpoint(url: redisURL)
        let group = MultiThreadedEventLoopGroup.singleton
        let redis = RedisConnection(endpoint, group: group, logger: logger, name: worker) { state in
            switch state {
            case .away(let reason): dependencies.report("Redis", label: "redis", isUp: false, why: reason)
            case .connected: dependencies.report("Redis", label: "redis", isUp: true, why: "")
            case .idle, .shutDown: break
            }
        }
        let reader = RedisConnection(endpoint, group: group, logger: logger, name: worker + "-reader")
        // A choice does without rather than wait.
        var impatient = RedisSettings()
        impatient.commandTimeout = .milliseconds(300)
        let choosing = RedisConnection(
            endpoint, group: group, logger: logger, name: worker + "-choosing", settings: impatient)
        let postgres = PostgresPool(
            try PostgresSettings(
                connectionString: databaseURL, connections: 6, applicationName: "martlet", waitingLimit: 4096,
                session: PostgresLedger.sessionSettings)
        ) { state in
            switch state {
            case .away(let error): dependencies.report("PostgreSQL", label: "ledger", isUp: false, why: "\(error)")
            case .connected: dependencies.report("PostgreSQL", label: "ledger", isUp: true, why: "")
            case .connecting, .shutDown: break
            }
        }
        let queue = StreamQueue(
            settings: StreamQueue.Settings(
                shards: settings.shards, consumer: worker, lease: settings.lease, horizon: settings.horizon,
                rewardsMax: settings.feedback.rewardsMax, allowsUnsafePersistence: settings.allowsUnsafePersistence),
            redis: redis, reader: reader, choosing: choosing, clock: SystemClock(), logger: logger,
            executor: LoopExecutor.all.last)
        let ledger = PostgresLedger(
            settings: PostgresLedger.Settings(
                lease: settings.lease, horizon: settings.horizon, admission: settings.admission.rules,
                credit: settings.feedback.credit),
            pool: postgres, logger: logger,
            executors: LoopExecutor.all, onReceipt: { meters.received($0, from: $1, isNew: $2) },
            observe: { operation, took, rows in
                meters.registry.histogram(.ledgerCommit, operation).observe(took)
                meters.registry.histogram(.ledgerCommitRows, operation).observe(Double(rows))
            })
        return Connections(
            redis: redis, reader: reader, choosing: choosing, postgres: postgres, queue: queue, ledger: ledger)
    }

    /// Waits until Redis and PostgreSQL are there, brings the tables up to date and agrees on the layout.
    func prepare(shards: Int, logger: Logger) async throws {
        try await Self.patiently("PostgreSQL", logger) { try await PostgresLedger.migrate(self.postgres) }
        try await Self.patiently("Redis", logger) { try await self.queue.agreeOnLayout() }
    }

    func close() async {
        try? await self.queue.handBack()
        await self.reader.shutdown()
        await self.choosing.shutdown()
        await self.redis.shutdown()
        await self.postgres.shutDown()
    }

    private static func patiently(_ what: String, _ logger: Logger, _ body: () async throws -> Void) async throws {
        var hasSaid = false
        while true {
            do {
                return try await body()
            } catch let error as PostgresError
                where error.code != .migration && error.code != .settings && error.sqlState == nil
            {
                if !hasSaid { logger.notice("waiting for \(what)", metadata: ["reason": "\(error)"]) }
            } catch let error as QueueError where error.code == .unavailable {
                if !hasSaid { logger.notice("waiting for \(what)", metadata: ["reason": "\(error.detail)"]) }
            }
            hasSaid = true
            try await Task.sleep(for: .milliseconds(500))
        }
    }
}

/// A command cannot go on; the text says what to mend.
struct CommandError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
