/// Amazon SNS (docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html), by which SES reports.
///
/// A message names the certificate that it was signed with. It is fetched over TLS from Amazon's own hosts only, must be
/// valid now and be made out to one of them, and is kept for a day. That Amazon signed it says nothing of whose topic it is:
/// only topics of the file are heard.

import Crypto
import CryptoExtras
import CurlTransport
import DeliveryModel
import Foundation
import NIOSSL
import ThreadBridge

final class SNSScheme: WebhookScheme {
    private static let certificatesMax = 16
    private static let certificateBytesMax = 64 * 1024
    private static let kept = Milliseconds.seconds(24 * 3600)
    /// What is signed, in order; what is absent is left out.
    private static let signedOfNotification = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    private static let signedOfSubscription = [
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ]

    struct Certificate: Sendable {
        var key: _RSA.Signing.PublicKey
        var begin: Timestamp
        var end: Timestamp
    }

    private let topics: Set<String>
    private let window: SignatureWindow
    private let certificates = Protected<[String: (certificate: Certificate, since: Timestamp)]>([:])

    init(topics: Set<String>, window: SignatureWindow) {
        self.topics = topics
        self.window = window
    }

    func judge(_ request: WebhookRequest, now: Timestamp, http: any HTTPExchanging) async -> WebhookVerdict {
        guard let message = (try? JSONValue.parse(request.body))?.object else {
            return .forged("the body is no message")
        }
        guard let topic = message["TopicArn"]?.string, self.topics.contains(topic) else {
            return .forged("a topic that the file does not name")
        }
        guard let type = message["Type"]?.string, let url = message["SigningCertURL"]?.string,
            Self.isAmazons(url), url.hasSuffix(".pem"),
            let signature = message["Signature"]?.string.flatMap({ Base64Text.decode($0) })
        else { return .forged("no signature, or a certificate that is not Amazon's") }
        guard let time = message["Timestamp"]?.string.flatMap({ Timestamp(rfc3339: $0) }),
            self.window.holds(seconds: String(time.milliseconds / 1000), now: now)
        else { return .forged("the message's time is not near enough") }
        let certificate: Certificate
        switch await self.certificate(at: url, now: now, http: http) {
        case .success(let found): certificate = found
        case .failure(let flaw): return flaw.verdict
        }
        let input = Self.input(message, type)
        let rsa = _RSA.Signing.RSASignature(rawRepresentation: signature)
        let isValid =
            message["SignatureVersion"]?.string == "2"
            ? certificate.key.isValidSignature(rsa, for: SHA256.hash(data: input), padding: .insecurePKCS1v1_5)
            : certificate.key.isValidSignature(rsa, for: Insecure.SHA1.hash(data: input), padding: .insecurePKCS1v1_5)
        guard isValid else { return .forged("the signature is not that of this message") }
        switch type {
        case "Notification": return .genuine(Array((message["Message"]?.string ?? "").utf8))
        case "SubscriptionConfirmation": return await self.confirm(message, http)
        default: return .settled
        }
    }

    /// Says that messages of the topic are wanted here.
    private func confirm(_ message: JSONObject, _ http: any HTTPExchanging) async -> WebhookVerdict {
        guard let url = message["SubscribeURL"]?.string, Self.isAmazons(url) else {
            return .forged("a subscription that is not Amazon's to confirm")
        }
        do throws(HTTPFailure) {
            let answer = try await http.perform(Self.get(url))
            return answer.status == 200 ? .settled : .undecided("the subscription was answered \(answer.status)")
        } catch {
            return .undecided("the subscription could not be confirmed: \(error.detail)")
        }
    }

    static func input(_ message: JSONObject, _ type: String) -> [UInt8] {
        var input = ""
        for name in type == "Notification" ? self.signedOfNotification : self.signedOfSubscription {
            if let value = message[name]?.string { input += "\(name)\n\(value)\n" }
        }
        return Array(input.utf8)
    }

    /// `https://sns.eu-west-1.amazonaws.com/…`, without user, port or anything else before the path.
    static func isAmazons(_ url: String) -> Bool {
        guard url.hasPrefix("https://"), let host = url.dropFirst(8).split(separator: "/", maxSplits: 1).first,
            url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") })
        else { return false }
        return host.wholeMatch(of: /sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/) != nil
    }

    // MARK: Certificates

    private struct Flaw: Error {
        var verdict: WebhookVerdict
    }

    private func certificate(
        at url: String, now: Timestamp, http: any HTTPExchanging
    ) async -> Result<Certificate, Flaw> {
        if let known = self.certificates.withLock({ $0[url] }), now.since(known.since) < Self.kept {
            return Self.valid(known.certificate, now)
        }
        let answer: HTTPResponse
        do throws(HTTPFailure) {
            answer = try await http.perform(Self.get(url))
        } catch {
            return .failure(Flaw(verdict: .undecided("the certificate could not be fetched: \(error.detail)")))
        }
        guard answer.status == 200 else {
            return .failure(Flaw(verdict: .undecided("the certificate was answered \(answer.status)")))
        }
        guard let certificate = Self.read(answer.body) else {
            return .failure(Flaw(verdict: .forged("what the message names is no certificate of Amazon's")))
        }
        self.certificates.withLock { certificates in
            if certificates.count >= Self.certificatesMax { certificates = [:] }
            certificates[url] = (certificate, now)
        }
        return Self.valid(certificate, now)
    }

    private static func valid(_ certificate: Certificate, _ now: Timestamp) -> Result<Certificate, Flaw> {
        guard (certificate.begin...max(certificate.begin, certificate.end)).contains(now) else {
            return .failure(Flaw(verdict: .forged("the certificate is not valid now")))
        }
        return .success(certificate)
    }

    static func read(_ pem: [UInt8]) -> Certificate? {
        guard let certificate = try? NIOSSLCertificate(bytes: pem, format: .pem), Self.isAmazons(certificate),
            let spki = try? certificate.extractPublicKey().toSPKIBytes(),
            let key = try? _RSA.Signing.PublicKey(derRepresentation: spki)
        else { return nil }
        return Certificate(
            key: key, begin: Timestamp(milliseconds: Int64(certificate.notValidBefore) * 1000),
            end: Timestamp(milliseconds: Int64(certificate.notValidAfter) * 1000))
    }

    private static func isAmazons(_ certificate: NIOSSLCertificate) -> Bool {
        let names = certificate._subjectAlternativeNames().compactMap { name -> String? in
            name.nameType == .dnsName ? String(decoding: name.contents, as: UTF8.self) : nil
        }
        return names.contains {
            $0 == "sns.amazonaws.com" || $0.hasSuffix(".amazonaws.com") || $0.hasSuffix(".amazonaws.com.cn")
        }
    }

    private static func get(_ url: String) -> HTTPRequest {
        var request = HTTPRequest(
            method: "GET", url: url, timeoutMilliseconds: 10_000, responseBytesMax: self.certificateBytesMax)
        request.allowsPrivateAddresses = false
        return request
    }
}
