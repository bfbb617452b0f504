/// TLS towards one server: certificates and the host name are verified, always.
import NIOCore
import NIOSSL

struct SMTPTLS: Sendable {
    private let context: NIOSSLContext
    /// Nil for an address literal: it is compared with the certificate's addresses instead.
    private let serverName: String?

    /// Nil when the settings ask for none.
    static func make(for settings: SMTPSettings) -> Result<SMTPTLS?, SMTPFailure> {
        guard settings.security != .plaintext else { return .success(nil) }
        do {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            configuration.certificateVerification = .fullVerification
            if let file = settings.trustFile { configuration.trustRoots = .file(file) }
            let isAddress = (try? SocketAddress(ipAddress: settings.host, port: 0)) != nil
            return .success(
                SMTPTLS(
                    context: try NIOSSLContext(configuration: configuration),
                    serverName: isAddress ? nil : settings.host))
        } catch {
            return .failure(
                SMTPFailure(.tls, stage: .connect, detail: "the trusted certificates cannot be read: \(error)"))
        }
    }

    func makeHandler() throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: self.context, serverHostname: self.serverName)
    }
}
