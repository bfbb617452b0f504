/// Puts the parts together: settings in, services out.
import Attribution
import Channels
import Crypto
import CurlTransport
import DeliveryModel
import Edge
import Foundation
import Ledger
import LocalTime
import Logging
import MailIntake
import Metrics
import NIOPosix
import Pipeline
import ServiceLifecycle
import UnixSignals
import SMPPTransport
import SMTPTransport
import Telemetry
import ThreadBridge

/// What a process does.
struct Roles: OptionSet, Sendable {
    let rawValue: Int

    static let worker = Roles(rawValue: 1)
    static let edge = Roles(rawValue: 2)
    static let scheduler = Roles(rawValue: 4)
    static let all: Roles = [.worker, .edge, .scheduler]
}

/// One process of the fleet.
struct Fleet {
    let settings: Settings
    let roles: Roles
    let logger: Logger

    static let version = "0.1.0"

    /// Runs until SIGTERM or SIGINT; returns once everything has ended in order.
    ///
    /// - Parameters:
    ///   - onStart: Called once signals are heeded here.
    ///   - onReady: Called when everything is prepared and about to start.
    func run(
        onStart: @escaping @Sendable () -> Void = {}, onReady: @escaping @Sendable () async -> Void = {}
    ) async throws {
        let registry = MetricsRegistry()
        MetricsSystem.bootstrap(registry)
        registry.gauge(.buildInfo, Self.version).set(1)
        let meters = FleetMeters(registry)
        let dependencies = Dependencies(metrics: registry, logger: self.logger)
        let worker = Self.workerName()
        let connections = try Connections.make(
            self.settings, meters: meters, dependencies: dependencies, worker: worker, logger: self.logger)
        let preparation = Protected(["the first start"])
        let ops = OpsServer(
            settings: self.settings.edge, metrics: registry,
            readiness: { preparation.withLock { $0 } + dependencies.missing }, logger: self.logger)
        let keyRing = TrackingKeyRing(ledger: connections.ledger, clock: SystemClock(), logger: self.logger)
        let channels: ChannelSet?
        do {
            channels = self.roles.contains(.worker) ? try self.channels(registry, keyRing, connections.ledger) : nil
        } catch {
            // A file with mistakes: what has threads is ended before they are told.
            await connections.close()
            throw error
        }
        // Fetches what signatures of webhooks are checked with.
        let ownHTTP = channels == nil && self.roles.contains(.edge) ? CurlTransport(logger: self.logger) : nil
        let core = Core(fleet: self) { () async throws -> [any Service] in
            onStart()
            try await connections.prepare(shards: self.settings.shards, logger: self.logger)
            try await keyRing.refresh()
            let services = try await self.services(
                connections, channels, keyRing, http: channels?.http ?? ownHTTP, meters: meters, registry: registry,
                worker: worker)
            preparation.withLock { $0 = [] }
            await onReady()
            return services
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: ops), .init(service: core)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Self.quiet(self.logger)))
        do {
            try await group.run()
        } catch {
            await ownHTTP?.shutdown()
            await connections.close()
            throw error
        }
        await channels?.close()
        await ownHTTP?.shutdown()
        await connections.close()
        self.logger.info("ended")
    }

    private func services(
        _ connections: Connections, _ channels: ChannelSet?, _ keyRing: TrackingKeyRing, http: CurlTransport?,
        meters: FleetMeters, registry: MetricsRegistry, worker: String
    ) async throws -> [any Service] {
        let clock = SystemClock()
        let learning = LearningServices(
            self.settings, connections, clock: clock, holder: worker, meters: meters, logger: self.logger)
        await learning.load()
        let intake = Intake(
            ledger: connections.ledger, queue: connections.queue, clock: clock, shards: self.settings.shards,
            chooser: learning.chooser(self.settings, connections, meters: meters),
            profiles: Profiles(connections.ledger, needsZones: self.settings.admission.needsZones), meters: meters,
            logger: self.logger)
        if Settings.zones.zone(named: "Etc/UTC") == nil {
            self.logger.warning(
                "this machine has no time zone database: local times are taken as UTC",
                metadata: ["mend": "apt-get install tzdata"])
        }
        var services: [any Service] = [
            Accounting(
                ledger: connections.ledger, queue: connections.queue, clock: clock, meters: meters, logger: self.logger),
            FeedbackWatch(
                ledger: connections.ledger, rule: self.settings.feedback.quiet, clock: clock, meters: meters,
                logger: self.logger),
        ]
        if self.roles.contains(.scheduler) || self.roles.contains(.worker) {
            services.append(DueMover(queue: connections.queue, clock: clock, meters: meters, logger: self.logger))
            services.append(
                Recovery(
                    ledger: connections.ledger, queue: connections.queue, clock: clock, every: .seconds(5),
                    logger: self.logger))
            services.append(ReceiptMatcher(ledger: connections.ledger, clock: clock, logger: self.logger))
            services += try self.feedback(connections, clock, meters: meters, worker: worker)
            services += learning.teachers
        }
        services.append(keyRing)
        services += learning.shelves
        if let channels {
            let addressKey = Self.addressKey(try await connections.ledger.addressHashKey())
            channels.startTexts(ledger: connections.ledger, addressKey: addressKey)
            let holds = HoldRegister(lease: self.settings.lease)
            let pool = ProviderPool(
                channels.catalog.providers, tokens: connections.queue, clock: clock, logger: self.logger)
            if !channels.catalog.receiptSources.isEmpty {
                services.append(
                    Reconciler(
                        sources: channels.catalog.receiptSources, ledger: connections.ledger, clock: clock,
                        meters: meters, logger: self.logger))
            }
            services.append(ProviderWatch(pool: pool, clock: clock, meters: meters, logger: self.logger))
            let pipeline = DeliveryPipeline(
                ledger: connections.ledger, queue: connections.queue,
                providers: pool,
                intake: intake, retry: self.settings.retry, admission: self.settings.admissionPolicy, clock: clock,
                worker: worker,
                addressKey: addressKey, holds: holds, notes: learning.notes,
                meters: meters, logger: self.logger)
            services.append(learning.notes)
            services.append(
                LeaseKeeper(
                    queue: connections.queue, ledger: connections.ledger, holds: holds, clock: clock,
                    lease: self.settings.lease, logger: self.logger))
            services.append(
                ReadAhead(
                    queue: connections.queue, holds: holds, concurrency: self.settings.concurrency, clock: clock,
                    logger: self.logger))
            services.append(
                WorkerPool(
                    queue: connections.queue, pipeline: pipeline, clock: clock, concurrency: self.settings.concurrency,
                    grace: self.settings.grace, executors: LoopExecutor.all, logger: self.logger))
        }
        if let http, self.roles.contains(.edge) {
            let sink = SightingSink(
                queue: connections.queue, folder: self.settings.dataFolder, clock: clock, metrics: registry,
                logger: self.logger)
            let tracking = TrackingDesk(keys: keyRing.keys, sink: sink, clock: clock, metrics: registry)
            keyRing.onChange { tracking.use($0) }
            services.append(sink)
            let webhooks = WebhookDesk(
                try self.providers(), http: http, clock: clock, ledger: connections.ledger,
                addressKey: Self.addressKey(try await connections.ledger.addressHashKey()),
                unread: UnreadFolder(folder: "\(self.settings.dataFolder)/unread-webhooks", ending: "txt")
            ) { provider, kind in
                registry.counter(.webhookItems, provider, kind.rawValue).increment()
            }
            services.append(
                try EdgeServer(
                    settings: self.settings.edge, intake: intake, ledger: connections.ledger, tracking: tracking,
                    topics: self.settings.admission.topics, rejects: connections.queue, webhooks: webhooks,
                    metrics: registry, logger: self.logger))
            if let mail = self.settings.mail {
                services.append(try self.mailServer(mail, ledger: connections.ledger, registry))
            }
        }
        return services
    }

    /// From what people do to what engines learn.
    private func feedback(
        _ connections: Connections, _ clock: SystemClock, meters: FleetMeters, worker: String
    ) throws -> [any Service] {
        let ledger = connections.ledger
        // Where nothing is tracked nothing is seen.
        let isTracked = self.settings.feedback.links != nil
        let machines = isTracked ? try MachineLists(path: self.settings.feedback.machinesFile) : MachineLists()
        return [
            SightingKeeper(
                queue: connections.queue, ledger: ledger,
                objections: ObjectionDesk(
                    recipients: ledger, admission: ledger, topics: self.settings.admission.topics),
                clock: clock, meters: meters, logger: self.logger),
            ConversionKeeper(queue: connections.queue, events: ledger, clock: clock, logger: self.logger),
            RewardGiver(
                ledger: ledger,
                rewarder: Rewarder(lists: machines, zones: self.settings.personalZone),
                clock: clock, meters: meters, logger: self.logger),
            RewardPublisher(
                ledger: ledger, streams: connections.queue, shards: self.settings.shards,
                entriesMax: self.settings.feedback.rewardsMax, holder: worker, clock: clock, meters: meters,
                logger: self.logger),
        ]
    }

    /// Takes the mails that come back. Needs what the providers' files name: the secrets of their return paths.
    private func mailServer(
        _ mail: MailIntakeSettings, ledger: any ReceiptLedger, _ registry: MetricsRegistry
    ) throws -> MailServer {
        let desk = ReportDesk(
            ledger: ledger, returnPaths: try self.providers().returnPaths,
            rules: try BounceRules(path: self.settings.bouncesFile), addresses: mail.addresses,
            unread: UnreadMails(folder: "\(self.settings.dataFolder)/unread-mails")
        ) { result in
            registry.counter(.mailResults, result.rawValue).increment()
        }
        return MailServer(settings: mail.server, desk: desk, logger: self.logger)
    }

    private func providers() throws -> ChannelConfiguration {
        try ChannelConfiguration.load(
            providersFolder: self.settings.providersFolder, environment: self.settings.environment)
    }

    /// The keyed hash of an address; begun once with the key and copied for each address.
    private static func addressKey(_ key: [UInt8]) -> @Sendable (String) -> [UInt8] {
        let hash = HMAC<SHA256>(key: SymmetricKey(data: key))
        return { address in
            var hash = hash
            hash.update(data: Array(address.utf8))
            return Array(hash.finalize())
        }
    }

    private func channels(
        _ registry: MetricsRegistry, _ keyRing: TrackingKeyRing, _ ledger: PostgresLedger
    ) throws -> ChannelSet {
        let links = self.settings.feedback.links.map {
            LinkTracker(settings: $0, keys: { keyRing.keys }, register: ledger)
        }
        let channels = try ChannelSet(self.settings, links: links, registry: registry, logger: self.logger)
        for problem in channels.catalog.templates.problems {
            self.logger.error("a template is unusable", metadata: ["problem": "\(problem)"])
        }
        for warning in channels.catalog.warnings {
            self.logger.warning("a provider's file is to be mended", metadata: ["problem": "\(warning)"])
        }
        if channels.catalog.providers.isEmpty {
            self.logger.warning(
                "no provider is enabled: every delivery will fail",
                metadata: ["folder": "\(self.settings.providersFolder)"])
        }
        return channels
    }

    /// New in each run: a worker that comes back is not the one that went.
    private static func workerName() -> String {
        let host = ProcessInfo.processInfo.hostName.prefix { $0 != "." }.prefix(40)
        return "\(host)-\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 36))"
    }

    /// The service group says at info level what our own services say themselves.
    private static func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return quiet
    }
}

/// Prepares, then runs the services that need what was prepared: metrics and health answer meanwhile.
private struct Core: Service {
    let fleet: Fleet
    let prepare: @Sendable () async throws -> [any Service]

    func run() async throws {
        let services: [any Service]
        do {
            services = try await cancelWhenGracefulShutdown { try await self.prepare() }
        } catch is CancellationError {
            return
        }
        var quiet = self.fleet.logger
        quiet.logLevel = max(quiet.logLevel, .warning)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: services.map { .init(service: $0) }, logger: quiet))
        try await withGracefulShutdownHandler {
            try await group.run()
        } onGracefulShutdown: {
            Task { await group.triggerGracefulShutdown() }
        }
    }
}

/// The providers with their transports.
struct ChannelSet: Sendable {
    let catalog: ChannelCatalog
    let http: CurlTransport
    private let mail: [SMTPClient]
    private let texts: [SMPPClient]
    private let desk: SMSDesk

    /// - Throws: What is wrong with the providers' files, all at once.
    init(_ settings: Settings, links: LinkTracker?, registry: MetricsRegistry, logger: Logger) throws {
        // First what may be wrong, then what has a thread.
        let configuration = try ChannelConfiguration.load(
            providersFolder: settings.providersFolder, environment: settings.environment)
        let http = CurlTransport(threads: 1, logger: logger)
        let mail = Protected<[SMTPClient]>([])
        let texts = Protected<[SMPPClient]>([])
        let desk = SMSDesk { provider, kind in registry.counter(.smsReceived, provider, kind).increment() }
        self.catalog = ChannelCatalog(
            configuration, templates: TemplateLibrary(folder: settings.templatesFolder), http: http,
            clock: SystemClock(), links: links,
            mail: { smtp in
                let client = SMTPClient(settings: smtp, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
                mail.withLock { $0.append(client) }
                return client
            },
            texts: { smpp in
                let client = SMPPClient(
                    settings: smpp.settings, group: MultiThreadedEventLoopGroup.singleton, logger: logger,
                    onDelivery: { await desk.take($0, from: smpp.name, smpp.rules) },
                    observe: { registry.counter(.smppEvents, smpp.name, $0.rawValue).increment() })
                texts.withLock { $0.append(client) }
                return client
            })
        self.texts = texts.withLock { $0 }
        self.desk = desk
        self.http = http
        self.mail = mail.withLock { $0 }
    }

    /// Puts on record what message centres bring, and binds to them: receipts come whether or not there is something to
    /// send.
    func startTexts(
        ledger: any ReceiptLedger & AddressLedger, addressKey: @escaping @Sendable (String) -> [UInt8]
    ) {
        self.desk.open(receipts: ledger, addresses: ledger, addressKey: addressKey)
        for client in self.texts { client.start() }
    }

    /// For a tool that only sends: what centres bring meanwhile is theirs to bring again.
    func startSending() {
        for client in self.texts { client.start() }
    }

    /// Closes the connections; one that is still waited on gets a moment, and is then cut.
    func close() async {
        await withTaskGroup { group in
            group.addTask {
                for client in self.mail { await client.shutdown() }
                for client in self.texts { await client.shutdown() }
                await self.http.shutdown()
                return true
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(2))
                return false
            }
            _ = await group.next()
            group.cancelAll()
        }
    }
}
