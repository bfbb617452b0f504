/// A whole SMTP server on 127.0.0.1 that keeps what it gets and goes wrong when told to.
///
/// It checks states and syntax as a real server does (RFC 5321, 2920, 1870, 6152, 6531, 2034, 3207, 4954), so that
/// a client which only works by luck fails here. `SMTPSimulatorSession` is the dialogue as a value,
/// `SMTPSimulatorHandler` performs it and applies the faults, `SMTPSimulatorRecord` is what they share.
///
///     let simulator = SMTPSimulator(settings: SMTPSimulatorSettings())
///     try await simulator.start()
///     …send to simulator.port…
///     let newest = simulator.snapshot(limit: 10)
///     await simulator.stop()
import NIOCore
import NIOPosix
import NIOSSL
import ThreadBridge

package final class SMTPSimulator: Sendable {
    private struct Running: Sendable {
        var group: MultiThreadedEventLoopGroup
        var channel: any Channel
    }

    private let settings: SMTPSimulatorSettings
    private let record: SMTPSimulatorRecord
    private let running = Protected<Running?>(nil)
    private let lines = Protected<[ObjectIdentifier: any Channel]>([:])

    /// Nothing listens before ``start()``.
    package init(settings: SMTPSimulatorSettings = SMTPSimulatorSettings()) {
        self.settings = settings
        self.record = SMTPSimulatorRecord(settings: settings)
    }

    /// Listens on 127.0.0.1.
    ///
    /// - Throws: What the operating system says of the port, or TLS of the certificate.
    package func start() async throws {
        let context = try self.tlsContext()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, self.settings.threads))
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1_024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { [settings, record, lines] channel in
                    let id = ObjectIdentifier(channel)
                    lines.withLock { $0[id] = channel }
                    channel.closeFuture.whenComplete { _ in lines.withLock { $0[id] = nil } }
                    return channel.eventLoop.makeCompletedFuture {
                        if let context, settings.security == .implicitTLS {
                            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                        }
                        let handler = SMTPSimulatorHandler(settings: settings, record: record, tls: context)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .bind(host: "127.0.0.1", port: self.settings.port).get()
            self.running.withLock { $0 = Running(group: group, channel: channel) }
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    /// Where it listens; 0 when it does not.
    package var port: Int { self.running.withLock { $0?.channel.localAddress?.port ?? 0 } }

    /// All mails that are kept, the oldest first.
    package var received: [ReceivedMail] { self.record.kept }

    /// Up to `limit` mails, the newest first.
    package func snapshot(limit: Int) -> [ReceivedMail] { Array(self.record.kept.suffix(max(0, limit)).reversed()) }

    package var counts: SMTPSimulatorCounts { self.record.counts }

    package var faults: [SMTPFault] { self.record.faults }

    /// Replaces all faults and begins the seed's sequence anew.
    package func setFaults(_ faults: [SMTPFault]) { self.record.setFaults(faults) }

    /// Forgets mails and counts.
    package func forget() { self.record.forget() }

    /// Cuts all lines, as a server that is restarted would, and goes on listening.
    package func cutConnections() async {
        for channel in self.lines.withLock({ Array($0.values) }) {
            // Closing fails only when the client was faster.
            try? await channel.close()
        }
    }

    /// Cuts all lines and stops listening.
    ///
    /// Calling it again does nothing.
    package func stop() async {
        let running = self.running.withLock { running in
            defer { running = nil }
            return running
        }
        guard let running else { return }
        // Closing fails only when it is closed already; shutting the group down closes the rest.
        try? await running.channel.close()
        try? await running.group.shutdownGracefully()
    }

    private func tlsContext() throws -> NIOSSLContext? {
        guard self.settings.security != .plaintext, let certificateFile = self.settings.certificateFile,
            let keyFile = self.settings.keyFile
        else { return nil }
        let chain = try NIOSSLCertificate.fromPEMFile(certificateFile).map { NIOSSLCertificateSource.certificate($0) }
        let key = try NIOSSLPrivateKey(file: keyFile, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        return try NIOSSLContext(configuration: configuration)
    }
}
