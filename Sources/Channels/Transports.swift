/// What the adapters need of the world: one HTTP exchange, one mail on its way. The drivers conform in
/// CurlConformance.swift and SMTPConformance.swift.

package import CurlTransport
package import NIOCore
package import SMTPTransport

/// Carries out HTTP requests.
package protocol HTTPExchanging: Sendable {
    /// Sends `request` and waits for the whole answer, no longer than the request's time limit.
    func perform(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPResponse
}

/// Sends mails to one SMTP server.
package protocol MailSending: Sendable {
    /// Sends one message; the result has one entry for each recipient, in order.
    ///
    /// - Parameter mayBegin: Asked when a connection is ready for it; on false it is not sent.
    func send(
        _ envelope: SMTPEnvelope, message: ByteBuffer, while mayBegin: @escaping @Sendable () -> Bool
    ) async -> [SMTPResult]
}
