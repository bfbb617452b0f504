/// The HTTP front: intake and questions on one port, metrics and health on another.
///
/// Both listen on loopback unless told otherwise. A wider address for the first one needs an API token, which is
/// checked where the settings are read and once more here: it fails closed.
package import Attribution
package import DeliveryModel
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
package import Logging
import NIOSSL
import ServiceLifecycle
package import Telemetry

/// Where the edge listens and who may talk to it.
package struct EdgeSettings: Sendable {
    package var host: String
    package var port: Int
    /// A PEM certificate chain and its key; nil for plain HTTP.
    package var certificateFile: String?
    package var keyFile: String?
    /// Asked for as `Authorization: Bearer …` on everything under `/v1`; nil only on loopback.
    package var apiToken: String?
    /// Proxies whose word on where a request came from is believed, besides those on this machine.
    package var trustedProxies: [AddressRange] = []
    package var opsHost: String
    package var opsPort: Int

    package init(
        host: String = "127.0.0.1", port: Int = 8080, certificateFile: String? = nil, keyFile: String? = nil,
        apiToken: String? = nil, opsHost: String = "127.0.0.1", opsPort: Int = 9464
    ) {
        self.host = host
        self.port = port
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.apiToken = apiToken
        self.opsHost = opsHost
        self.opsPort = opsPort
    }

    /// Whether the edge is reached from this machine only.
    package static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}

/// Something is wrong with the edge's settings.
package struct EdgeError: Error, CustomStringConvertible {
    package let description: String
}

/// Intake and questions: `/v1/…`.
package struct EdgeServer: Service {
    private let application: any ApplicationProtocol

    package init(
        settings: EdgeSettings, intake: any DecisionIntake,
        ledger: any LedgerReader & EventLedger & ProfileLedger & AdmissionLedger & RecipientLedger,
        tracking: TrackingDesk, topics: [String: String], rejects: any RejectsReader, metrics: MetricsRegistry,
        logger: Logger
    ) throws {
        guard settings.apiToken != nil || EdgeSettings.isLoopback(settings.host) else {
            throw EdgeError(
                description: "the edge would listen on \(settings.host) without an API token: set MARTLET_API_TOKEN")
        }
        let router = Router(context: EdgeContext.self)
        router.add(middleware: RequestMeter(metrics: metrics))
        let routes = router.group("v1").add(middleware: TokenCheck(token: settings.apiToken))
        DecisionRoutes(intake: intake, ledger: ledger, rejects: rejects, logger: logger).add(to: routes)
        ConversionRoutes(events: ledger, logger: logger).add(to: routes)
        UserRoutes(ledger: ledger, logger: logger).add(to: routes)
        let networks = ClientNetwork(trusted: settings.trustedProxies)
        UnsubscribeRoutes(desk: tracking, networks: networks, ledger: ledger, topics: topics, logger: logger)
            .add(to: router)
        TrackingRoutes(desk: tracking, networks: networks, recipients: ledger, logger: logger).add(to: router)
        self.application = try Self.application(
            router, settings: settings, tracking: tracking, networks: networks, logger: logger)
    }

    package func run() async throws {
        try await self.application.runService(gracefulShutdownSignals: [])
    }

    private static func application(
        _ router: Router<EdgeContext>, settings: EdgeSettings, tracking: TrackingDesk, networks: ClientNetwork,
        logger: Logger
    ) throws -> any ApplicationProtocol {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let tls = try Self.tls(settings)
        let server = HTTPServerBuilder { responder in
            let channel = TrackedChannel(base: HTTP1Channel(responder: responder), desk: tracking, networks: networks)
            guard let tls else { return channel }
            return try TLSChannel(channel, tlsConfiguration: tls)
        }
        return Application(
            router: router, server: server,
            configuration: ApplicationConfiguration(
                address: .hostname(settings.host, port: settings.port), serverName: "martlet"),
            logger: quiet)
    }

    private static func tls(_ settings: EdgeSettings) throws -> TLSConfiguration? {
        guard let certificateFile = settings.certificateFile, let keyFile = settings.keyFile else { return nil }
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificateFile).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem)))
        tls.minimumTLSVersion = .tlsv12
        return tls
    }
}

/// Metrics and health: `/metrics`, `/healthz`, `/readyz`.
package struct OpsServer: Service {
    private let application: any ApplicationProtocol

    /// - Parameter readiness: What this process waits for, in words; empty when it is ready.
    package init(
        settings: EdgeSettings, metrics: MetricsRegistry, readiness: @escaping @Sendable () -> [String], logger: Logger
    ) {
        let router = Router()
        router.get("metrics") { request, _ in
            let format = ExpositionFormat.preferred(accept: request.headers[.accept])
            return Response(
                status: .ok, headers: [.contentType: format.contentType],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: metrics.render(format))))
        }
        router.get("healthz") { _, _ in "ok\n" }
        router.get("readyz") { _, _ in
            let missing = readiness()
            let text = missing.isEmpty ? "ready\n" : missing.map { "waiting for \($0)\n" }.joined()
            return Response(
                status: missing.isEmpty ? .ok : .serviceUnavailable,
                headers: [.contentType: "text/plain; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
        }
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        self.application = Application(
            router: router,
            configuration: ApplicationConfiguration(
                address: .hostname(settings.opsHost, port: settings.opsPort), serverName: "martlet"),
            logger: quiet)
    }

    package func run() async throws {
        try await self.application.runService(gracefulShutdownSignals: [])
    }
}
