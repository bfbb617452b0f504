// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is compiled with these: the strictest the toolchain offers.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .strictMemorySafety(),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0335-existential-any.md
    .enableUpcomingFeature("ExistentialAny"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0409-access-level-on-imports.md
    .enableUpcomingFeature("InternalImportsByDefault"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0444-member-import-visibility.md
    .enableUpcomingFeature("MemberImportVisibility"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0461-async-function-isolation.md
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdHTTP2: Target.Dependency = .product(name: "HummingbirdHTTP2", package: "hummingbird")
let hummingbirdTLS: Target.Dependency = .product(name: "HummingbirdTLS", package: "hummingbird")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP2: Target.Dependency = .product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .library(name: "MartletClient", targets: ["MartletClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2.git", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        // C libraries: headers and module maps only.
        .systemLibrary(name: "CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),

        // Row 0. Foundations: know nothing of the domain's neighbours; Telemetry borrows ThreadBridge's lock.
        .target(name: "DeliveryModel", swiftSettings: strict),
        .target(name: "ThreadBridge", swiftSettings: strict),
        .target(name: "Telemetry", dependencies: ["ThreadBridge", logging, coreMetrics], swiftSettings: strict),

        // Row 1. Drivers and pure decisions: no word of Redis keys, SQL or templates here.
        .target(name: "Learning", dependencies: ["DeliveryModel"], swiftSettings: strict),
        .target(name: "Attribution", dependencies: ["DeliveryModel", crypto], swiftSettings: strict),
        .target(name: "LocalTime", dependencies: ["DeliveryModel", "ThreadBridge"], swiftSettings: strict),
        .target(
            name: "RedisClient", dependencies: ["CHiredis", "ThreadBridge", logging, nioCore, nioPosix, nioSSL],
            swiftSettings: strict),
        .target(
            name: "PostgresClient", dependencies: ["CPostgres", "ThreadBridge"], swiftSettings: strict),
        .target(name: "CurlTransport", dependencies: ["CCurl", "ThreadBridge", logging], swiftSettings: strict),
        .target(
            name: "SMTPTransport", dependencies: ["ThreadBridge", logging, nioCore, nioPosix, nioSSL],
            swiftSettings: strict),
        .target(
            name: "SMPPTransport", dependencies: ["ThreadBridge", logging, nioCore, nioPosix, nioSSL],
            swiftSettings: strict),
        .target(name: "LocalServers", swiftSettings: strict),
        .target(name: "RSASigning", dependencies: ["CLibcrypto"], swiftSettings: strict),
        .target(name: "SettingsFile", dependencies: [yams], swiftSettings: strict),

        // Row 2. Adapters put a port of DeliveryModel on a driver; the pipeline sees ports only.
        .target(
            name: "Queue", dependencies: ["Attribution", "DeliveryModel", "RedisClient", "ThreadBridge", logging],
            resources: [.embedInCode("Scripts")], swiftSettings: strict),
        .target(
            name: "Ledger", dependencies: ["Attribution", "DeliveryModel", "PostgresClient", "ThreadBridge", logging],
            resources: [.embedInCode("Migrations"), .embedInCode("SQL")], swiftSettings: strict),
        .target(
            name: "Channels",
            dependencies: [
                "Attribution", "CurlTransport", "DeliveryModel", "RSASigning", "SettingsFile", "SMPPTransport",
                "SMTPTransport", "ThreadBridge", crypto, cryptoExtras, nioCore, nioPosix, nioSSL, yams,
            ],
            swiftSettings: strict),
        .target(
            name: "Pipeline",
            dependencies: [
                "Attribution", "DeliveryModel", "Learning", "LocalTime", "Telemetry", "ThreadBridge", lifecycle,
                logging,
                metrics,
            ],
            swiftSettings: strict),
        .target(
            name: "Edge",
            dependencies: [
                "Attribution", "DeliveryModel", "Telemetry", "ThreadBridge", hummingbirdCore, crypto, httpTypes,
                hummingbird, hummingbirdTLS, lifecycle, logging,
                nioCore,
                nioSSL,
            ],
            swiftSettings: strict),

        // Mails that come back: bounces and complaints over LMTP and SMTP.
        .target(
            name: "MailIntake",
            dependencies: [
                "Channels", "DeliveryModel", "SettingsFile", crypto, lifecycle, logging, nioCore, nioPosix, yams,
            ],
            swiftSettings: strict),

        // Row 3. Programs and the producers' library.
        .executableTarget(
            name: "martlet",
            dependencies: [
                "Attribution", "Channels", "CurlTransport", "DeliveryModel", "Edge", "Learning", "Ledger",
                "LocalServers", "LocalTime", "MailIntake", "MartletClient", "Pipeline",
                "PostgresClient", "Queue", "RedisClient", "SettingsFile", "SMPPTransport", "SMTPTransport",
                "Simulators",
                "Telemetry",
                "ThreadBridge", arguments, crypto, lifecycle, logging, metrics, nioCore, nioPosix, unixSignals,
            ],
            swiftSettings: strict),
        .target(
            name: "MartletClient", dependencies: ["DeliveryModel", "RedisClient", logging, nioPosix],
            swiftSettings: strict),

        // Provider simulators: `martlet simulate`, and what the tests send to.
        .target(
            name: "Simulators",
            dependencies: [
                "CurlTransport", "DeliveryModel", "SMPPTransport", "SMTPTransport", "ThreadBridge", crypto,
                cryptoExtras,
                httpTypes, hummingbird, hummingbirdCore,
                hummingbirdHTTP2, logging,
                nioCore, nioHTTP2, nioPosix, nioSSL,
            ],
            swiftSettings: strict),

        // Benchmarks, beside the scripts that run the references (loadtests/README.md).
        .executableTarget(
            name: "smtp-bench", dependencies: ["SMTPTransport", logging, nioCore, nioPosix], path: "loadtests/smtp",
            exclude: ["run"], swiftSettings: strict),
        .executableTarget(
            name: "smpp-bench",
            dependencies: ["SMPPTransport", "Simulators", "ThreadBridge", logging, nioCore, nioPosix],
            path: "loadtests/smpp", exclude: ["run"], swiftSettings: strict),
        .executableTarget(
            name: "push-bench",
            dependencies: ["Channels", "CurlTransport", "DeliveryModel", "SMTPTransport", crypto, nioCore],
            path: "loadtests/push", exclude: ["run", "multi.c"], swiftSettings: strict),
        .executableTarget(
            name: "dkim-bench",
            dependencies: ["Channels", "CurlTransport", "DeliveryModel", "SMTPTransport", nioCore],
            path: "loadtests/dkim", exclude: ["run"], swiftSettings: strict),
        .executableTarget(
            name: "queue-bench",
            dependencies: [
                "DeliveryModel", "Ledger", "LocalServers", "Pipeline", "PostgresClient", "Queue", "RedisClient",
                "Telemetry", "ThreadBridge", crypto, lifecycle, logging, nioCore, nioPosix, unixSignals,
            ],
            path: "loadtests/queue", exclude: ["run", "noop.rb"], swiftSettings: strict),

        // Tests: real servers, simulators that speak the whole protocol, and independent implementations.
        .testTarget(
            name: "AttributionTests",
            dependencies: ["Attribution", "Channels", "DeliveryModel"],
            exclude: ["Checks"], swiftSettings: strict),
        .testTarget(
            name: "ChannelsTests",
            dependencies: [
                "Attribution", "Channels", "CurlTransport", "DeliveryModel", "SettingsFile", "Simulators",
                "SMPPTransport",
                "SMTPTransport", "ThreadBridge", crypto, cryptoExtras, logging, nioCore, nioPosix,
            ],
            exclude: ["Checks"], swiftSettings: strict),
        .testTarget(
            name: "CurlTransportTests", dependencies: ["CurlTransport", "ThreadBridge"], exclude: ["http_server.py"],
            swiftSettings: strict),
        .testTarget(
            name: "DeliveryModelTests", dependencies: ["DeliveryModel"], exclude: ["Python"], swiftSettings: strict),
        .testTarget(
            name: "EdgeTests",
            dependencies: [
                "Attribution", "DeliveryModel", "Edge", "Telemetry", "ThreadBridge", logging, nioCore, nioEmbedded,
            ], swiftSettings: strict),
        // The whole program as a process; it is built beside the tests.
        .testTarget(
            name: "FleetTests",
            dependencies: ["DeliveryModel", "LocalServers", "RedisClient", logging, nioPosix],
            exclude: ["Checks"], swiftSettings: strict),
        .testTarget(
            name: "LearningTests", dependencies: ["DeliveryModel", "Learning"], exclude: ["Checks"],
            swiftSettings: strict),
        .testTarget(
            name: "LedgerTests",
            dependencies: [
                "Attribution", "DeliveryModel", "Learning", "Ledger", "LocalServers", "Pipeline", "PostgresClient",
                "Telemetry", "ThreadBridge", logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LocalTimeTests", dependencies: ["DeliveryModel", "LocalTime"], exclude: ["Python"],
            swiftSettings: strict),
        .testTarget(
            name: "MailIntakeTests",
            dependencies: [
                "Channels", "DeliveryModel", "MailIntake", "SettingsFile", "Simulators", "ThreadBridge", lifecycle,
                logging,
                nioCore, nioPosix,
            ],
            exclude: ["Checks", "Corpus"], swiftSettings: strict),
        .testTarget(
            name: "MartletClientTests",
            dependencies: ["DeliveryModel", "LocalServers", "MartletClient", "RedisClient", logging, nioPosix],
            swiftSettings: strict),
        .testTarget(
            name: "PipelineTests",
            dependencies: [
                "Attribution", "DeliveryModel", "Learning", "LocalTime", "Pipeline", "Telemetry", "ThreadBridge",
                lifecycle,
                logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "PostgresClientTests", dependencies: ["LocalServers", "PostgresClient", "ThreadBridge"],
            swiftSettings: strict),
        .testTarget(
            name: "QueueTests",
            dependencies: [
                "Attribution", "DeliveryModel", "LocalServers", "Queue", "RedisClient", "ThreadBridge", logging,
                nioPosix,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "RedisClientTests",
            dependencies: ["LocalServers", "RedisClient", "ThreadBridge", logging, nioCore, nioPosix],
            swiftSettings: strict),
        .testTarget(
            name: "SMTPSimulatorTests", dependencies: ["LocalServers", "Simulators", nioCore, nioPosix]),
        .testTarget(
            name: "SMTPTransportTests",
            dependencies: ["LocalServers", "Simulators", "SMTPTransport", "ThreadBridge", logging, nioCore, nioPosix]),
        .testTarget(
            name: "SMPPTransportTests",
            dependencies: ["LocalServers", "Simulators", "SMPPTransport", "ThreadBridge", logging, nioCore, nioPosix],
            exclude: ["Corpus"], swiftSettings: strict),
        .testTarget(
            name: "SimulatorsTests", dependencies: ["DeliveryModel", "Simulators"], exclude: ["Checks"],
            swiftSettings: strict),
        .testTarget(
            name: "TelemetryTests", dependencies: ["Telemetry", coreMetrics, logging], swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
        .testTarget(name: "ThreadBridgeTests", dependencies: ["ThreadBridge"], swiftSettings: strict),
    ]
)
