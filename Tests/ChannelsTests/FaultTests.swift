/// Whose fault an answer is: the message's, the provider's, or ours for being too fast.

import CurlTransport
import DeliveryModel
import SMPPTransport
import SMTPTransport
import Testing

@testable import Channels

@Suite struct FaultTests {
    private static let now = Timestamp(milliseconds: 1_800_000_000_000)

    @Test(arguments: [
        (421, "4.3.2", SMTPStage.mail, Outcome.Fault.pace), (421, "", .rcpt, .pace), (451, "4.4.5", .data, .pace),
        (450, "4.7.28", .rcpt, .pace), (451, "4.3.2", .mail, .provider), (452, "4.3.1", .data, .provider),
        (535, "5.7.8", .auth, .provider), (450, "4.2.0", .rcpt, .message), (451, "", .rcpt, .message),
    ])
    func ofAMailServer(code: Int, enhanced: String, stage: SMTPStage, fault: Outcome.Fault) {
        let reply = SMTPReply(code: code, enhancedCode: enhanced.isEmpty ? nil : enhanced, text: "no")
        let outcome = SMTPAnswer.outcome(.refused(reply, stage: stage), messageID: "m")
        #expect(outcome.verdict == .deferred)
        #expect(outcome.fault == fault)
    }

    @Test func ofALineToAMailServer() {
        let lost = SMTPFailure(.connectionLost, stage: .data, detail: "")
        #expect(SMTPAnswer.outcome(.notSent(lost), messageID: "m").fault == .provider)
        #expect(SMTPAnswer.outcome(.unknown(lost), messageID: "m").fault == .provider)
        let withdrawn = SMTPFailure(.withdrawn, stage: .connect, detail: "")
        #expect(SMTPAnswer.outcome(.notSent(withdrawn), messageID: "m").fault == .message)
    }

    @Test(arguments: [
        (SMPPStatus.throttled, Outcome.Fault.pace), (.queueFull, .pace), (.invalidPassword, .provider),
        (.invalidDestination, .message),
    ])
    func ofAMessageCentre(status: SMPPStatus, fault: Outcome.Fault) {
        #expect(SMPPAnswer().outcome(.refused(status)).fault == fault)
    }

    @Test(arguments: [
        (429, #"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#, Outcome.Fault.pace),
        (503, #"{"error":{"status":"UNAVAILABLE"}}"#, .provider),
        (403, #"{"error":{"status":"PERMISSION_DENIED"}}"#, .provider),
        (404, #"{"error":{"details":[{"errorCode":"UNREGISTERED"}]}}"#, .message), (502, "", .provider),
    ])
    func ofFCM(status: Int, body: String, fault: Outcome.Fault) {
        let answer = FCMAnswer(HTTPResponse(status: status, headers: [], body: Array(body.utf8)))
        #expect(answer.outcome(now: Self.now).fault == fault)
    }

    /// An answer that a file lists goes by its status unless the file says whose fault it is.
    @Test func ofAProviderWithAFile() {
        var rule = AnswerRule(statuses: [200...200], verdict: .deferred, reason: "sms.too_many_requests")
        func outcome(_ status: Int) -> Outcome {
            AnswerTable(rules: [rule]).outcome(HTTPResponse(status: status, headers: [], body: []), now: Self.now)
        }
        #expect(outcome(200).fault == .message)
        rule.fault = .pace
        #expect(outcome(200).fault == .pace)
        // Not listed at all.
        #expect([429, 500, 401, 400].map { outcome($0).fault } == [.pace, .provider, .provider, .message])
    }
}
