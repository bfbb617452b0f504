// Mails that come back: reports of failed delivery (RFC 3464 in RFC 6522's frame) and complaints (RFC 5965).

import DeliveryModel

struct ReturnedMail: Sendable, Hashable {
    static let hostName = "mx.simulator.test"

    /// The envelope's; a report has none (RFC 3464 §2).
    let sender: String
    let recipient: String
    /// Lines end with CR LF.
    let content: [UInt8]

    /// A report that a mail could not be delivered, to its return path.
    ///
    /// - Parameters:
    ///   - headers: The mail's own, each line ended by CR LF.
    ///   - number: Makes the report's Message-ID.
    static func bounce(
        of headers: String, to returnPath: String, recipient: String, fate: MessageFate, takenAt: Timestamp,
        at now: Timestamp, number: Int
    ) -> ReturnedMail {
        let (status, reply) = Self.words(fate)
        let boundary = Self.boundary(number)
        let content = """
            From: Mail Delivery System <MAILER-DAEMON@\(Self.hostName)>
            To: \(returnPath)
            Subject: Undelivered Mail Returned to Sender
            Date: \(now.rfc2822)
            Message-ID: <bounce-\(number).\(now.milliseconds)@\(Self.hostName)>
            Auto-Submitted: auto-replied
            MIME-Version: 1.0
            Content-Type: multipart/report; report-type=delivery-status;
             boundary="\(boundary)"

            --\(boundary)
            Content-Type: text/plain; charset=us-ascii

            This is the mail system at host \(Self.hostName).

            The mail could not be delivered to this recipient:

            <\(recipient)>: \(reply)

            --\(boundary)
            Content-Type: message/delivery-status

            Reporting-MTA: dns; \(Self.hostName)
            Arrival-Date: \(takenAt.rfc2822)

            Final-Recipient: rfc822; \(recipient)
            Action: failed
            Status: \(status)
            Remote-MTA: dns; mailbox.simulator.test
            Diagnostic-Code: smtp; \(reply)

            --\(boundary)
            Content-Type: text/rfc822-headers

            Return-Path: <\(returnPath)>
            @@HEADERS@@
            --\(boundary)--

            """
        return ReturnedMail(sender: "", recipient: returnPath, content: Self.lines(content, headers))
    }

    /// A complaint about a mail, as a feedback loop sends it, to the mail's return path.
    static func complaint(
        about headers: String, to returnPath: String, recipient: String, takenAt: Timestamp, at now: Timestamp,
        number: Int
    ) -> ReturnedMail {
        let boundary = Self.boundary(number)
        let sender = "feedback@\(Self.hostName)"
        let content = """
            From: <\(sender)>
            To: \(returnPath)
            Subject: Complaint about a mail
            Date: \(now.rfc2822)
            Message-ID: <complaint-\(number).\(now.milliseconds)@\(Self.hostName)>
            MIME-Version: 1.0
            Content-Type: multipart/report; report-type=feedback-report;
             boundary="\(boundary)"

            --\(boundary)
            Content-Type: text/plain; charset=us-ascii

            This is an email abuse report for a mail received at \(takenAt.rfc2822).

            --\(boundary)
            Content-Type: message/feedback-report

            Feedback-Type: abuse
            User-Agent: Martlet-Simulator/1.0
            Version: 1
            Original-Mail-From: <\(returnPath)>
            Original-Rcpt-To: <\(recipient)>
            Arrival-Date: \(takenAt.rfc2822)
            Reporting-MTA: dns; \(Self.hostName)

            --\(boundary)
            Content-Type: message/rfc822

            Return-Path: <\(returnPath)>
            @@HEADERS@@

            --\(boundary)--

            """
        return ReturnedMail(sender: sender, recipient: returnPath, content: Self.lines(content, headers))
    }

    private static func words(_ fate: MessageFate) -> (status: String, reply: String) {
        switch fate {
        case .delivered, .unknown: ("5.1.1", "550 5.1.1 No such user here")
        case .full: ("5.2.2", "552 5.2.2 The mailbox is full")
        case .spam: ("5.7.1", "554 5.7.1 The message was taken for spam")
        }
    }

    private static func boundary(_ number: Int) -> String { "=_martlet_simulator_\(number)" }

    private static func lines(_ text: String, _ headers: String) -> [UInt8] {
        let parts = text.replacing("\n", with: "\r\n").split(separator: "@@HEADERS@@\r\n", maxSplits: 1)
        return Array(parts.joined(separator: headers).utf8)
    }
}
