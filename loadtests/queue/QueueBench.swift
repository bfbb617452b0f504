/// The worker's own modules around a provider that takes everything at once; `run` beside this file drives it.
///
///     queue-bench serve FOLDER             a private Redis and PostgreSQL with durable settings, until standard input ends
///     queue-bench fill PREFIX COUNT        appends decisions to the streams
///     queue-bench work                     a worker, until SIGTERM
///     queue-bench due COUNT ROUNDS HOW     fills the schedule with what is due, and moves it; HOW is `crowd` for a
///                                          campaign that is due in a minute's time, `single` for entries of their own
///     queue-bench recover COUNT SECONDS    runs recovery until so many are scheduled, or for so long
///
/// All but the first take MARTLET_REDIS_URL and MARTLET_DATABASE_URL, and print JSON. What is put together here is what
/// Sources/martlet puts together, with its defaults.
import Crypto
import DeliveryModel
import Foundation
import Ledger
import LocalServers
import Logging
import NIOCore
import NIOPosix
import Pipeline
import PostgresClient
import Queue
import RedisClient
import ServiceLifecycle
import Telemetry
import ThreadBridge
import UnixSignals

@main
struct QueueBench {
    static func main() async throws {
        let words = Array(CommandLine.arguments.dropFirst())
        let numbers = words.compactMap { Int($0) }
        switch (words.first, words.count) {
        case ("serve", 2): try await self.serve(in: words[1])
        case ("fill", 3): try await Bench.with { try await $0.fill(words[1], count: numbers[0]) }
        case ("work", 1): try await Bench.with { try await $0.work() }
        case ("due", 4):
            try await Bench.with { try await $0.moveDue(numbers[0], rounds: numbers[1], isCrowd: words[3] == "crowd") }
        case ("recover", 3): try await Bench.with { try await $0.recover(numbers[0], seconds: numbers[1]) }
        default:
            FileHandle.standardError.write(Data("usage: see loadtests/queue/QueueBench.swift\n".utf8))
            exit(2)
        }
    }

    private static func serve(in folder: String) async throws {
        let redis = try await LocalRedis.start(in: folder + "/redis")
        let postgres = try await LocalPostgres.start(in: folder + "/postgres")
        say(#"{"redis": "\#(redis.url)", "database": "\#(postgres.url)", "port": \#(redis.port)}"#)
        _ = FileHandle.standardInput.readDataToEndOfFile()
        await postgres.stop()
        await redis.stop()
    }
}

/// Takes every message at once.
private struct NullProvider: Provider {
    let name = "null"
    let channel = ChannelKind.email
    let concurrency = 1024

    func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        Message(address: request.decision.user.email ?? "")
    }

    private struct Message: PreparedMessage {
        let address: String
        let size = 0

        func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
            mayGo() ? Outcome(.accepted, reason: "null.accepted") : .withdrawn
        }
    }
}

private struct SystemClock: WallClock {
    var behind = Milliseconds(0)

    func now() -> Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(
            milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000 - self.behind.count)
    }

    func sleep(until deadline: Timestamp) async throws {
        try await Task.sleep(for: .milliseconds(max(0, deadline.since(self.now()).count)))
    }
}

private struct Bench {
    static let shards = 16
    static let lease = Milliseconds.seconds(30)
    static let concurrency = 1024
    static let executors: [any TaskExecutor] = MultiThreadedEventLoopGroup.singleton.makeIterator().map { loop in
        TurnExecutor { turn in loop.execute(turn) }
    }

    let worker: String
    let redis: RedisConnection
    let reader: RedisConnection
    let postgres: PostgresPool
    let queue: StreamQueue
    let ledger: PostgresLedger
    let logger: Logger

    static func with(_ body: (Bench) async throws -> Void) async throws {
        let bench = try Bench()
        try await PostgresLedger.migrate(bench.postgres)
        try await bench.queue.agreeOnLayout()
        try await body(bench)
        try? await bench.queue.handBack()
        await bench.reader.shutdown()
        await bench.redis.shutdown()
        await bench.postgres.shutDown()
    }

    private init() throws {
        let environment = ProcessInfo.processInfo.environment
        self.worker = "queue-bench-\(getpid())"
        var logger = Logger(label: "queue-bench")
        logger.logLevel = .warning
        self.logger = logger
        let endpoint = try RedisEndpoint(url: environment["MARTLET_REDIS_URL"] ?? "")
        let group = MultiThreadedEventLoopGroup.singleton
        self.redis = RedisConnection(endpoint, group: group, logger: logger, name: self.worker)
        self.reader = RedisConnection(endpoint, group: group, logger: logger, name: self.worker + "-reader")
        self.postgres = PostgresPool(
            try PostgresSettings(
                connectionString: environment["MARTLET_DATABASE_URL"] ?? "", connections: 6,
                applicationName: "martlet", waitingLimit: 4096, session: PostgresLedger.sessionSettings))
        self.queue = Self.queue(self.worker, self.redis, self.reader, SystemClock(), logger)
        self.ledger = PostgresLedger(
            settings: PostgresLedger.Settings(lease: Self.lease), pool: self.postgres, logger: logger,
            executors: Self.executors)
    }

    private static func queue(
        _ worker: String, _ redis: RedisConnection, _ reader: RedisConnection, _ clock: SystemClock, _ logger: Logger
    ) -> StreamQueue {
        StreamQueue(
            settings: StreamQueue.Settings(shards: Self.shards, consumer: worker, lease: Self.lease), redis: redis,
            reader: reader, clock: clock, logger: logger, executor: Self.executors.last)
    }

    // MARK: From claim to settlement

    /// Each for another person; about 600 bytes.
    func fill(_ prefix: String, count: Int) async throws {
        let text = String(repeating: "We kept what you chose for you. ", count: 7)
        var bytes = 0
        for start in stride(from: 0, to: count, by: 500) {
            let commands = (start..<min(start + 500, count)).map { number in
                let user = "\(prefix)-u\(number)"
                let decision =
                    #"{"schema":"martlet.decision/1","id":"\#(prefix)-\#(number)","user":{"id":"\#(user)","#
                    + #""email":"\#(user)@example.com","locale":"en-GB"},"campaign":"cart-rescue","class":"marketing","#
                    + #""plan":[{"channel":"email","template":"cart-rescue"}],"data":{"first_name":"Ada","#
                    + #""product":"a swift feeder","basket_url":"https://shop.example.com/basket/\#(user)","#
                    + #""text":"\#(text)"}}"#
                bytes += decision.utf8.count
                let shard = Shard.of(userID: user, count: Self.shards)
                return RedisCommand("XADD", Keys.decisions(shard), "*", "decision", decision)
            }
            for reply in try await self.redis.pipeline(commands) {
                if let failure = reply.failure { throw failure }
            }
        }
        say(#"{"appended": \#(count), "bytes": \#(bytes / max(1, count))}"#)
    }

    func work() async throws {
        let clock = SystemClock()
        let meters = FleetMeters(MetricsRegistry())
        let intake = Intake(
            ledger: self.ledger, queue: self.queue, clock: clock, shards: Self.shards, meters: meters,
            logger: self.logger)
        let hash = HMAC<SHA256>(key: SymmetricKey(data: try await self.ledger.addressHashKey()))
        let holds = HoldRegister(lease: Self.lease)
        let pipeline = DeliveryPipeline(
            ledger: self.ledger, queue: self.queue, providers: ProviderPool([NullProvider()], clock: clock),
            intake: intake,
            retry: RetryPolicy(), clock: clock, worker: self.worker,
            addressKey: { address in
                var hash = hash
                hash.update(data: Array(address.utf8))
                return Array(hash.finalize())
            }, holds: holds, meters: meters, logger: self.logger)
        let services: [any Service] = [
            Accounting(ledger: self.ledger, queue: self.queue, clock: clock, meters: meters, logger: self.logger),
            DueMover(queue: self.queue, clock: clock, meters: meters, logger: self.logger),
            Recovery(
                ledger: self.ledger, queue: self.queue, clock: clock, every: .seconds(5), logger: self.logger),
            LeaseKeeper(
                queue: self.queue, ledger: self.ledger, holds: holds, clock: clock, lease: Self.lease,
                logger: self.logger),
            ReadAhead(
                queue: self.queue, holds: holds, concurrency: Self.concurrency, clock: clock, logger: self.logger),
            WorkerPool(
                queue: self.queue, pipeline: pipeline, clock: clock, concurrency: Self.concurrency,
                grace: .seconds(30), executors: Self.executors, logger: self.logger),
        ]
        try await ServiceGroup(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: self.logger
        ).run()
    }

    // MARK: The schedule

    func moveDue(_ count: Int, rounds: Int, isCrowd: Bool) async throws {
        // A clock that is behind schedules what is due by Redis' own clock, in the way that everything is scheduled.
        let behind = SystemClock(behind: .seconds(120))
        let late = Self.queue(self.worker, self.redis, self.reader, behind, self.logger)
        for round in 0..<rounds {
            let first = behind.now().advanced(by: .seconds(30))
            for start in stride(from: 0, to: count, by: 1000) {
                try await late.schedule(
                    (start..<min(start + 1000, count)).map { step in
                        // In large strides (a prime number), so that no two of a call are neighbours.
                        let number = isCrowd ? step : step * 7919 % count
                        return ScheduledWork(
                            id: Self.id(round, number), shard: number % Self.shards,
                            dueAt: first.advanced(by: Milliseconds(Int64(number) * 60_000 / Int64(count))),
                            flow: Flow(campaign: "cart-rescue"))
                    })
            }
            let held = try await self.queue.depth().scheduled
            let start = ContinuousClock.now
            var moved = 0
            while moved < count {
                let part = try await self.queue.moveDue(limit: 1000).count
                guard part > 0 else { break }
                moved += part
            }
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            let arrived = try await self.works()
            say(
                #"{"scheduled": \#(held), "moved": \#(moved), "arrived": \#(arrived), "seconds": \#(seconds), "#
                    + #""rate": \#(Double(moved) / seconds)}"#)
            _ = try await self.redis.pipeline((0..<Self.shards).map { RedisCommand("DEL", Keys.work($0)) })
        }
    }

    private func works() async throws -> Int64 {
        try await self.redis.pipeline((0..<Self.shards).map { RedisCommand("XLEN", Keys.work($0)) })
            .reduce(0) { $0 + ($1.integer ?? 0) }
    }

    /// As long as a ULID.
    private static func id(_ round: Int, _ number: Int) -> String {
        let digits = String(number)
        return "r\(round)" + String(repeating: "0", count: 24 - digits.count) + digits
    }

    func recover(_ count: Int, seconds limit: Int) async throws {
        let before = try await self.memory()
        let start = ContinuousClock.now
        let recovery = Task {
            try await Recovery(
                ledger: self.ledger, queue: self.queue, clock: SystemClock(), every: .seconds(5), logger: self.logger
            ).run()
        }
        var scheduled = 0
        while scheduled < max(1, count), ContinuousClock.now - start < .seconds(limit) {
            try await Task.sleep(for: .milliseconds(50))
            scheduled = try await self.queue.depth().scheduled
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        recovery.cancel()
        _ = try await recovery.value
        let works = try await self.works()
        try await Task.sleep(for: .seconds(2))
        let after = try await self.memory()
        say(
            #"{"scheduled": \#(scheduled), "work": \#(works), "seconds": \#(seconds), "#
                + #""rate": \#(Double(scheduled) / seconds), "bytes": \#(after - before)}"#)
    }

    private func memory() async throws -> Int {
        let text = try await self.redis.send(RedisCommand("INFO", "memory")).text ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("used_memory:") }
        return line.flatMap { Int($0.dropFirst("used_memory:".count)) } ?? 0
    }
}

private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
