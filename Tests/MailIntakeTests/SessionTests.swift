/// The receiving side of SMTP and LMTP, fed by hand.

import Testing

@testable import MailIntake

@Suite struct SessionTests {
    private func session(_ limits: MailSession.Limits = .init()) -> MailSession {
        MailSession(hostName: "mx.test", limits: limits) { $0.hasPrefix("b") }
    }

    /// Feeds text; what is to be handled is handled with `result`.
    private func talk(
        _ session: inout MailSession, _ text: String, _ result: MailResult = .recorded
    ) -> (replies: [String], mails: [IncomingMail], isClosed: Bool) {
        var replies: [String] = []
        var mails: [IncomingMail] = []
        var isClosed = false
        var actions = session.receive(text.utf8)
        while !actions.isEmpty {
            var next: [MailSession.Action] = []
            for action in actions {
                switch action {
                case .reply(let text): replies += text.split(separator: "\r\n").map { String($0.prefix(9)) }
                case .close: isClosed = true
                case .handle(let mail):
                    mails.append(mail)
                    next = session.handled(mail.recipients.map { _ in result })
                }
            }
            actions = next
        }
        return (replies, mails, isClosed)
    }

    @Test func `SMTP takes a mail for addresses that are ours, and no other`() {
        var session = self.session()
        let heard = self.talk(
            &session,
            "EHLO a\r\nMAIL FROM:<> SIZE=10\r\nRCPT TO:<eve@x.test>\r\nRCPT TO:<b1@x.test>\r\nDATA\r\n"
                + "Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
        #expect(
            heard.replies.suffix(6) == ["250 2.1.0", "550 5.1.1", "250 2.1.5", "354 end w", "250 2.0.0", "221 2.0.0"])
        #expect(
            heard.mails == [
                IncomingMail(sender: "", recipients: ["b1@x.test"], content: Array("Subject: x\r\n\r\n.dot\r\n".utf8))
            ])
        #expect(heard.isClosed)
    }

    @Test func `LMTP answers for each recipient`() {
        var session = self.session()
        let start = "LHLO a\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<b1@x.test>\r\nRCPT TO:<b2@x.test>\r\nDATA\r\n"
        let heard = self.talk(&session, start + "x\r\n.\r\n", .postponed)
        #expect(heard.replies.suffix(3) == ["354 end w", "451 4.3.0", "451 4.3.0"])
        let again = self.talk(&session, start.replacing("LHLO a\r\n", with: "") + "x\r\n.\r\n")
        #expect(again.replies.suffix(2) == ["250 2.0.0", "250 2.0.0"])
    }

    @Test(arguments: ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r\n\r.\r\n"])
    func `nothing but a dot between line ends of CRLF ends a mail`(trick: String) {
        var session = self.session()
        let heard = self.talk(
            &session,
            "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b1@x.test>\r\nDATA\r\nx\(trick)MAIL FROM:<>\r\nRCPT TO:<b2@x.test>\r\n.\r\n"
        )
        #expect(heard.mails.count == 1)
        #expect(heard.mails.first?.recipients == ["b1@x.test"])
    }

    @Test func `a mail that is too large is refused, and the next one taken`() {
        var limits = MailSession.Limits()
        limits.mailOctetsMax = 100
        var session = self.session(limits)
        let large = String(repeating: "line\r\n", count: 50)
        let head = "MAIL FROM:<>\r\nRCPT TO:<b1@x.test>\r\nDATA\r\n"
        let heard = self.talk(
            &session,
            "EHLO a\r\nMAIL FROM:<> SIZE=101\r\n\(head)\(large).\r\n\(head)\(String(repeating: "x", count: 5000))\r\n.\r\n\(head)ok\r\n.\r\n"
        )
        #expect(heard.replies.filter { $0 == "552 5.3.4" }.count == 3)
        #expect(heard.mails.map { String(decoding: $0.content, as: UTF8.self) } == ["ok\r\n"])
    }

    @Test func `of a large mail the beginning is kept`() {
        var limits = MailSession.Limits()
        limits.keptOctetsMax = 10
        var session = self.session(limits)
        let heard = self.talk(
            &session, "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b1@x.test>\r\nDATA\r\n12345\r\n67890\r\nrest\r\n.\r\n")
        #expect(heard.mails.map { String(decoding: $0.content, as: UTF8.self) } == ["12345\r\n678"])
    }

    @Test(arguments: [
        ("MAIL FROM:<>\r\n", "503 5.5.1"), ("EHLO a\r\nDATA\r\n", "503 5.5.1"),
        ("EHLO a\r\nRCPT TO:<b@x>\r\n", "503 5.5.1"),
        ("EHLO a\r\nMAIL FROM:a@b\r\n", "501 5.1.7"), ("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\n", "501 5.1.3"),
        ("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b<b@x>>\r\n", "501 5.1.3"), ("X\r\n", "502 5.5.1"),
        ("\0\r\n", "500 5.5.2"),
        ("\r\n", "502 5.5.1"), ("EHLO a\r\nAUTH PLAIN\r\n", "502 5.5.1"), ("VRFY b\r\n", "252 2.1.5"),
    ])
    func `a mistake is answered`(text: String, reply: String) {
        var session = self.session()
        #expect(self.talk(&session, text).replies.last == reply)
    }

    @Test func `who makes nothing but mistakes, or never ends a line, is dismissed`() {
        var session = self.session()
        let heard = self.talk(&session, String(repeating: "X\r\n", count: 30))
        #expect(heard.isClosed && heard.replies.count == 21)
        #expect(self.talk(&session, "NOOP\r\n").replies.isEmpty)
        var endless = self.session()
        #expect(self.talk(&endless, String(repeating: "x", count: 5000)).isClosed)
    }

    @Test func `where the bytes are cut makes no difference`() {
        let seed: UInt64 = 2033
        var generator = SeededGenerator(seed: seed)
        let pieces = [
            "LHLO a\r\n", "EHLO a\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<b1@x.test>\r\n", "RCPT TO:<b2@x.test>\r\n",
            "DATA\r\n",
            "x\r\n", ".\r\n", "..\r\n", "\n", "\r", ".", "RSET\r\n", "\0", "é\r\n", "NOOP\r\n",
            String(repeating: "y", count: 300),
        ]
        var limits = MailSession.Limits()
        limits.lineOctetsMax = 200
        limits.mailOctetsMax = 1000
        limits.keptOctetsMax = 400
        for round in 0..<600 {
            let text =
                "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b1@x.test>\r\nDATA\r\n"
                + (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    pieces[Int.random(in: 0..<pieces.count, using: &generator)]
                }.joined()
            var whole = self.session(limits)
            let expected = self.talk(&whole, text)
            var cut = self.session(limits)
            var replies: [String] = []
            var mails: [IncomingMail] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...30, using: &generator))
                rest = rest.dropFirst(piece.count)
                var actions = cut.receive(piece)
                while !actions.isEmpty {
                    var next: [MailSession.Action] = []
                    for action in actions {
                        switch action {
                        case .reply(let text): replies += text.split(separator: "\r\n").map { String($0.prefix(9)) }
                        case .close: break
                        case .handle(let mail):
                            mails.append(mail)
                            next = cut.handled(mail.recipients.map { _ in .recorded })
                        }
                    }
                    actions = next
                }
            }
            #expect(mails == expected.mails, "seed \(seed), round \(round)")
            #expect(replies == expected.replies, "seed \(seed), round \(round)")
        }
    }
}
