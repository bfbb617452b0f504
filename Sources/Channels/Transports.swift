/// What the adapters need of the world: one HTTP exchange, one mail, one short message. The drivers conform
/// in CurlConformance.swift, SMTPConformance.swift and SMPPConformance.swift.

package import CurlTransport
package import NIOCore
package import SMPPTransport
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

/// Submits short messages to one message centre.
package protocol SMSSubmitting: Sendable {
    /// Submits one message and waits for its answer.
    ///
    /// - Parameter mayBegin: Asked when there is room for it; on false it is not sent.
    func submit(_ message: SMPPMessage, while mayBegin: @escaping @Sendable () -> Bool) async -> SMPPResult
}

/// Stands where nobody has a line to a centre: when files are only checked.
package struct NoMessageCentre: SMSSubmitting {
    package init() {}

    package func submit(_ message: SMPPMessage, while mayBegin: @escaping @Sendable () -> Bool) async -> SMPPResult {
        .notSent(SMPPFailure(.shutDown, "there is no line to the centre"))
    }
}
