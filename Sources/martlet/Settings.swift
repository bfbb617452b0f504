/// What the program is told: one YAML file, and environment variables, which win.
///
/// Every problem is found before anything starts, and named with file, line and key. Secrets come from the
/// environment or from files of their own; the YAML file has no key for them.
import DeliveryModel
import Edge
import Foundation
import LocalTime
import Logging
import MailIntake
import Pipeline
import SettingsFile
import Telemetry

struct Settings: Sendable {
    /// The zones of this machine, for the whole process.
    static let zones = TimeZoneCatalog()

    var redisURL: String?
    var databaseURL: String?
    var shards = 16
    /// Whether a Redis without an append-only file will do.
    var allowsUnsafePersistence = false
    var edge = EdgeSettings()
    var concurrency = 1024
    var grace = Milliseconds.seconds(30)
    var lease = Milliseconds.seconds(30)
    var retry = RetryPolicy()
    /// Work due later than this rests in the ledger alone.
    var horizon = Milliseconds.seconds(600)
    var admission = AdmissionSettings()
    var feedback = FeedbackSettings()
    var learning = LearningSettings()
    /// Of people whose zone and country are unknown; nil for UTC.
    var defaultZone: TimeZoneRules?
    var providersFolder = "channels/providers"
    var templatesFolder = "channels/templates"
    var bouncesFile = "channels/bounces.yaml"
    /// Nil when no mails are taken that come back.
    var mail: MailIntakeSettings?
    var dataFolder = "data"
    var logLevel = Logger.Level.info
    var logFormat = LogFormat.json
    var environment: [String: String]

    /// Reads the file, if there is one, and the environment.
    ///
    /// - Parameter path: Nil stands for `martlet.yaml`, which may be missing; a file that is named must exist.
    /// - Throws: ``SettingsError`` with all problems.
    static func load(
        path: String?, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> Settings {
        let name = path ?? environment["MARTLET_CONFIG"] ?? "martlet.yaml"
        let isOptional = path == nil && environment["MARTLET_CONFIG"] == nil
        var settings = Settings(environment: environment)
        var problems: [ConfigurationProblem] = []
        if !isOptional || FileManager.default.fileExists(atPath: name) {
            let file = YAMLFile(path: name, environment: environment)
            if let root = file.root() {
                settings.read(root, relativeTo: URL(fileURLWithPath: name).deletingLastPathComponent().relativePath)
            }
            problems += file.problems
        }
        settings.readEnvironment(&problems)
        settings.judge(name, &problems)
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
        return settings
    }

    private mutating func read(_ root: YAMLSection, relativeTo folder: String) {
        func resolved(_ path: String) -> String { path.hasPrefix("/") ? path : folder + "/" + path }
        self.shards = root.integer("shards", in: 1...16384, default: self.shards)
        let edge = root.section("edge")
        self.edge.host = edge.string("address") ?? self.edge.host
        self.edge.port = edge.integer("port", in: 0...65535, default: self.edge.port)
        self.edge.apiToken = edge.has("api_token_file") ? edge.secret("api_token", required: true) : nil
        self.edge.publicURL = edge.string("public_url")
        let tls = edge.section("tls")
        self.edge.certificateFile = tls.filePath("certificate_file")
        self.edge.keyFile = tls.filePath("key_file")
        tls.finish()
        for section in edge.sections("trusted_proxies", required: false) {
            if let text = section.string("network", required: true) {
                if let range = AddressRange(text) {
                    self.edge.trustedProxies.append(range)
                } else {
                    section.report("network", "an address or a network such as 10.0.0.0/8 is expected")
                }
            }
            section.finish()
        }
        edge.finish()
        let metrics = root.section("metrics")
        self.edge.opsHost = metrics.string("address") ?? self.edge.opsHost
        self.edge.opsPort = metrics.integer("port", in: 0...65535, default: self.edge.opsPort)
        metrics.finish()
        let redis = root.section("redis")
        self.allowsUnsafePersistence = redis.bool("allow_unsafe_persistence", default: false)
        redis.finish()
        let worker = root.section("worker")
        self.concurrency = worker.integer("concurrency", in: 1...100_000, default: self.concurrency)
        self.grace = .seconds(Int64(worker.integer("grace_seconds", in: 0...3600, default: 30)))
        self.lease = .seconds(Int64(worker.integer("lease_seconds", in: 5...3600, default: 30)))
        worker.finish()
        let retry = root.section("retry")
        self.retry.base = .seconds(Int64(retry.integer("base_seconds", in: 1...86400, default: 30)))
        self.retry.longest = .seconds(Int64(retry.integer("longest_seconds", in: 1...86400, default: 3600)))
        self.retry.attemptsMax = retry.integer("attempts", in: 1...100, default: self.retry.attemptsMax)
        retry.finish()
        let schedule = root.section("schedule")
        if let name = schedule.string("default_timezone") {
            self.defaultZone = Self.zones.zone(named: name)
            if self.defaultZone == nil {
                schedule.report(
                    "default_timezone", "`\(name.prefix(64))` is not in this machine's time zone database")
            }
        }
        if let text = schedule.string("horizon") {
            if let length = Milliseconds(iso8601: text), (60_000...691_200_000).contains(length.count) {
                self.horizon = length
            } else {
                schedule.report("horizon", "a duration from PT1M to P8D is expected")
            }
        }
        schedule.finish()
        self.learning = LearningSettings(root)
        self.admission = AdmissionSettings(root, zones: Self.zones, arms: self.learning.choices.armPolicy)
        self.feedback = FeedbackSettings(root, resolved: resolved)
        let channels = root.section("channels")
        self.providersFolder = channels.string("providers").map(resolved) ?? resolved(self.providersFolder)
        self.templatesFolder = channels.string("templates").map(resolved) ?? resolved(self.templatesFolder)
        self.bouncesFile = channels.string("bounces").map(resolved) ?? resolved(self.bouncesFile)
        if let machines = channels.string("machines") { self.feedback.machinesFile = resolved(machines) }
        channels.finish()
        self.mail = MailIntakeSettings(reading: root.section("mail"))
        let log = root.section("log")
        self.logLevel = log.choice("level", Logger.Level.self, default: self.logLevel) ?? self.logLevel
        self.logFormat = log.choice("format", LogFormat.self, default: self.logFormat) ?? self.logFormat
        log.finish()
        self.dataFolder = root.string("data").map(resolved) ?? self.dataFolder
        root.finish()
    }

    private mutating func readEnvironment(_ problems: inout [ConfigurationProblem]) {
        func text(_ name: String) -> String? {
            self.environment[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        func problem(_ name: String, _ detail: String) {
            problems.append(ConfigurationProblem(file: "environment", key: name, detail: detail))
        }
        func number(_ name: String, _ range: ClosedRange<Int>) -> Int? {
            guard let given = text(name) else { return nil }
            if let value = Int(given), range.contains(value) { return value }
            problem(name, "a whole number from \(range.lowerBound) to \(range.upperBound) is expected")
            return nil
        }
        self.redisURL = text("MARTLET_REDIS_URL")
        self.databaseURL = text("MARTLET_DATABASE_URL")
        self.edge.apiToken = text("MARTLET_API_TOKEN") ?? self.edge.apiToken
        if let path = text("MARTLET_API_TOKEN_FILE") {
            let token = try? String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(
                in: .whitespacesAndNewlines)
            if let token, !token.isEmpty {
                self.edge.apiToken = token
            } else {
                problem("MARTLET_API_TOKEN_FILE", "the file cannot be read or is empty")
            }
        }
        self.edge.host = text("MARTLET_EDGE_ADDRESS") ?? self.edge.host
        self.edge.port = number("MARTLET_EDGE_PORT", 0...65535) ?? self.edge.port
        self.edge.publicURL = text("MARTLET_PUBLIC_URL") ?? self.edge.publicURL
        self.edge.opsHost = text("MARTLET_METRICS_ADDRESS") ?? self.edge.opsHost
        self.edge.opsPort = number("MARTLET_METRICS_PORT", 0...65535) ?? self.edge.opsPort
        if let allowed = text("MARTLET_REDIS_ALLOW_UNSAFE_PERSISTENCE") {
            if let value = Bool(allowed) {
                self.allowsUnsafePersistence = value
            } else {
                problem("MARTLET_REDIS_ALLOW_UNSAFE_PERSISTENCE", "true or false is expected")
            }
        }
        if let url = text("MARTLET_TRACKING_URL") {
            if let base = FeedbackSettings.base(url) {
                self.feedback.base = base
            } else {
                problem("MARTLET_TRACKING_URL", FeedbackSettings.demand)
            }
        }
        self.concurrency = number("MARTLET_CONCURRENCY", 1...100_000) ?? self.concurrency
        self.dataFolder = text("MARTLET_DATA") ?? self.dataFolder
        self.providersFolder = text("MARTLET_PROVIDERS") ?? self.providersFolder
        self.templatesFolder = text("MARTLET_TEMPLATES") ?? self.templatesFolder
        if let level = text("MARTLET_LOG_LEVEL") {
            if let known = Logger.Level(rawValue: level) {
                self.logLevel = known
            } else {
                problem("MARTLET_LOG_LEVEL", "use trace, debug, info, notice, warning, error or critical")
            }
        }
        if let format = text("MARTLET_LOG_FORMAT") {
            if let known = LogFormat(rawValue: format) {
                self.logFormat = known
            } else {
                problem("MARTLET_LOG_FORMAT", "use json or text")
            }
        }
    }

    /// Rules that concern more than one key.
    private mutating func judge(_ file: String, _ problems: inout [ConfigurationProblem]) {
        if self.edge.apiToken == nil, !EdgeSettings.isLoopback(self.edge.host) {
            problems.append(
                ConfigurationProblem(
                    file: file, key: "edge.address",
                    detail:
                        "listening on \(self.edge.host) needs an API token: set MARTLET_API_TOKEN or MARTLET_API_TOKEN_FILE, or use 127.0.0.1"
                ))
        }
        if let url = self.edge.publicURL {
            let isURL = url.wholeMatch(of: /https?:\/\/[A-Za-z0-9.:\[\]-]+(\/[!-~]*)?/) != nil
            if !isURL {
                problems.append(
                    ConfigurationProblem(
                        file: file, key: "edge.public_url",
                        detail: "a URL such as https://martlet.example.com is expected"))
            }
            self.edge.publicURL = String(url.reversed().drop { $0 == "/" }.reversed())
        }
        if (self.edge.certificateFile == nil) != (self.edge.keyFile == nil) {
            problems.append(
                ConfigurationProblem(
                    file: file, key: "edge.tls", detail: "certificate_file and key_file go together: give both or none")
            )
        }
        for path in [self.edge.certificateFile, self.edge.keyFile].compactMap({ $0 })
        where !FileManager.default.isReadableFile(atPath: path) {
            problems.append(ConfigurationProblem(file: file, key: "edge.tls", detail: "\(path) cannot be read"))
        }
    }
}

/// Everything that is wrong with the settings.
struct SettingsError: Error, CustomStringConvertible {
    let problems: [ConfigurationProblem]

    var description: String {
        self.problems.map(\.description).joined(separator: "\n")
    }
}
