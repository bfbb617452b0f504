/// One message: MAIL, RCPT, DATA, content, dot (RFC 5321 §3.3), one result per recipient.
import NIOCore

extension SMTPSession {
    mutating func beginMessage(_ transaction: SMTPTransaction) -> [Action] {
        var transaction = transaction
        if let sizeMax = self.capabilities.sizeMax, transaction.content.size > sizeMax {
            let failure = SMTPFailure(
                .messageTooLarge, stage: .mail,
                detail: "\(transaction.content.size) bytes, and the server takes \(sizeMax)")
            return [.finish(transaction.results(openOnes: .notSent(failure)))]
        }
        if transaction.needsUTF8, !self.capabilities.hasSMTPUTF8 { transaction.refuseNonASCII() }
        guard !transaction.isDecided else { return [.finish(transaction.results.compactMap(\.self))] }
        self.mailRefusal = nil
        self.recipientsAccepted = 0
        self.state = .mail
        self.transaction = transaction
        return [.write(self.envelope(of: transaction))]
    }

    /// MAIL, and with pipelining all of RCPT and DATA.
    private func envelope(of transaction: SMTPTransaction) -> ByteBuffer {
        var commands = ByteBuffer()
        commands.reserveCapacity(128 + 64 * transaction.envelope.recipients.count)
        self.writeMail(of: transaction, into: &commands)
        guard self.isPipelining else { return commands }
        for (index, recipient) in transaction.envelope.recipients.enumerated() where transaction.results[index] == nil {
            Self.writeRecipient(recipient, into: &commands)
        }
        commands.writeStaticString("DATA\r\n")
        return commands
    }

    /// The dot is answered: on to the message whose envelope is out already, or ready for one.
    private mutating func goOn(_ actions: inout [Action]) {
        guard let following = self.following else {
            self.state = .ready
            return
        }
        self.following = nil
        self.transaction = following
        self.mailRefusal = nil
        self.recipientsAccepted = 0
        self.isReused = true
        self.messagesBegun += 1
        self.state = .mail
        actions.append(.followed)
    }

    /// Whether the envelope of another message may be written behind the content that is being written.
    ///
    /// Not behind a long one: it would wait where another connection could take it.
    var canTakeFollowing: Bool {
        guard case .content = self.state, self.following == nil, self.isPipelining,
            self.settings.pipelining == .full, let transaction = self.transaction
        else { return false }
        return transaction.content.size <= 65_536
    }

    /// The commands that begin `transaction` behind the current message's content (RFC 2920 §3.1: content may be the
    /// first of a group); nil when it must be looked at by itself, when the session is ready.
    mutating func follow(_ transaction: SMTPTransaction) -> ByteBuffer? {
        guard self.canTakeFollowing, transaction.content.size <= self.capabilities.sizeMax ?? .max,
            !transaction.needsUTF8 || self.capabilities.hasSMTPUTF8, !transaction.isDecided
        else { return nil }
        self.following = transaction
        return self.envelope(of: transaction)
    }

    var isPipelining: Bool { self.capabilities.hasPipelining && self.settings.pipelining != .off }

    /// The operating system has taken the content and the dot.
    mutating func contentFlushed() {
        if self.state == .content(flushed: false) { self.state = .content(flushed: true) }
    }

    mutating func repliedToMessage(_ reply: SMTPReply, _ actions: inout [Action]) {
        // RFC 5321 §3.8: whatever it is a reply to, the server closes now.
        if reply.code == 421 { return self.closing(reply, &actions) }
        switch self.state {
        case .mail: self.repliedToMail(reply, &actions)
        case .rcpt(let index): self.repliedToRecipient(reply, at: index, &actions)
        case .data: self.repliedToData(reply, &actions)
        case .content(let isFlushed): self.repliedToDot(reply, isFlushed: isFlushed, &actions)
        case .loneDot:
            guard reply.isPositive || reply.code >= 400 else { return self.outOfStep(reply, &actions) }
            self.state = .ready
        case .resetting:
            guard reply.isPositive else {
                return self.breakOff(.protocolError, detail: "\(reply.code) in reply to RSET", &actions)
            }
            self.state = .ready
        default: break
        }
    }

    /// Answers all recipients that are still open.
    mutating func finish(openOnes result: SMTPResult, _ actions: inout [Action]) {
        guard let transaction = self.transaction else { return }
        self.transaction = nil
        actions.append(.finish(transaction.results(openOnes: result)))
    }

    private mutating func repliedToMail(_ reply: SMTPReply, _ actions: inout [Action]) {
        if reply.isPositive {
            self.nextRecipient(from: 0, &actions)
        } else if reply.code >= 400 {
            guard self.isPipelining else {
                self.state = .ready
                return self.finish(openOnes: .refused(reply, stage: .mail), &actions)
            }
            // The replies to RCPT and DATA are under way all the same.
            self.mailRefusal = reply
            self.nextRecipient(from: 0, &actions)
        } else {
            self.outOfStep(reply, &actions)
        }
    }

    private mutating func repliedToRecipient(_ reply: SMTPReply, at index: Int, _ actions: inout [Action]) {
        if reply.isPositive {
            self.recipientsAccepted += self.mailRefusal == nil ? 1 : 0
        } else if reply.code >= 400 {
            if self.mailRefusal == nil { self.transaction?.results[index] = .refused(reply, stage: .rcpt) }
        } else {
            return self.outOfStep(reply, &actions)
        }
        self.nextRecipient(from: index + 1, &actions)
    }

    /// Goes on to the first open recipient from `index` on, or to DATA behind the last.
    private mutating func nextRecipient(from index: Int, _ actions: inout [Action]) {
        let next = self.transaction?.openRecipient(from: index)
        self.state = next.map { .rcpt($0) } ?? .data
        guard !self.isPipelining else { return }
        var command = ByteBuffer()
        if let next, let transaction = self.transaction {
            Self.writeRecipient(transaction.envelope.recipients[next], into: &command)
        } else if self.recipientsAccepted > 0 {
            command.writeStaticString("DATA\r\n")
        } else {
            return self.finishRefused(mustReset: true, &actions)
        }
        actions.append(.write(command))
    }

    private mutating func repliedToData(_ reply: SMTPReply, _ actions: inout [Action]) {
        if reply.code == 354, self.recipientsAccepted > 0 {
            self.state = .content(flushed: false)
            if let content = self.transaction?.content { actions.append(.writeContent(content)) }
        } else if reply.code == 354 {
            // RFC 2920 §3.1: nobody was accepted, yet the server waits for a message. It gets an empty one,
            // and refuses it.
            self.finishRefused(mustReset: false, &actions)
            self.state = .loneDot
            actions.append(.write(SMTPContent.dot))
        } else if reply.code >= 400 {
            guard self.recipientsAccepted > 0 else {
                return self.finishRefused(mustReset: self.mailRefusal == nil, &actions)
            }
            self.finish(openOnes: .refused(reply, stage: .data), &actions)
            self.reset(&actions)
        } else {
            self.outOfStep(reply, &actions)
        }
    }

    private mutating func repliedToDot(_ reply: SMTPReply, isFlushed: Bool, _ actions: inout [Action]) {
        guard isFlushed else {
            // The server did not wait for the end. What it will make of the rest nobody knows.
            if reply.code >= 400 {
                self.finish(openOnes: .refused(reply, stage: .finalDot), &actions)
                self.state = .closed
                actions.append(.close)
            } else {
                self.outOfStep(reply, &actions)
            }
            return
        }
        if reply.isPositive {
            self.finish(openOnes: .accepted(reply), &actions)
            self.goOn(&actions)
        } else if reply.code >= 400 {
            self.finish(openOnes: .refused(reply, stage: .finalDot), &actions)
            self.goOn(&actions)
        } else {
            self.outOfStep(reply, &actions)
        }
    }

    /// Everybody was refused, by MAIL or one by one.
    private mutating func finishRefused(mustReset: Bool, _ actions: inout [Action]) {
        let failure = SMTPFailure(.protocolError, stage: .rcpt, detail: "no reply about this recipient")
        self.finish(
            openOnes: self.mailRefusal.map { .refused($0, stage: .mail) } ?? .notSent(failure), &actions)
        if mustReset {
            self.reset(&actions)
        } else {
            self.state = .ready
        }
    }

    /// Takes the envelope back that the server still holds.
    private mutating func reset(_ actions: inout [Action]) {
        self.state = .resetting
        actions.append(.write(ByteBuffer(string: "RSET\r\n")))
    }

    private mutating func closing(_ reply: SMTPReply, _ actions: inout [Action]) {
        let refusal = self.mailRefusal.map { SMTPResult.refused($0, stage: .mail) }
        self.finish(openOnes: refusal ?? .refused(reply, stage: self.closingStage), &actions)
        self.state = .closed
        actions.append(.close)
    }

    /// A reply to the dot is about the dot, even when the last bytes of the content are still on their way.
    private var closingStage: SMTPStage {
        if case .content = self.state { .finalDot } else { self.stage }
    }

    private mutating func outOfStep(_ reply: SMTPReply, _ actions: inout [Action]) {
        self.breakOff(.protocolError, detail: "\(reply.code) is no reply to this", &actions)
    }

    private func writeMail(of transaction: SMTPTransaction, into commands: inout ByteBuffer) {
        commands.writeStaticString("MAIL FROM:<")
        commands.writeString(transaction.envelope.sender)
        commands.writeStaticString(">")
        if self.capabilities.hasSize {
            commands.writeStaticString(" SIZE=")
            commands.writeString(String(transaction.content.size))
        }
        // Without 8BITMIME the bytes go as they are: to encode them anew would break a signature.
        if self.capabilities.hasEightBitMIME, transaction.content.isEightBit {
            commands.writeStaticString(" BODY=8BITMIME")
        }
        if self.capabilities.hasSMTPUTF8, transaction.needsUTF8 { commands.writeStaticString(" SMTPUTF8") }
        commands.writeStaticString("\r\n")
    }

    private static func writeRecipient(_ recipient: String, into commands: inout ByteBuffer) {
        commands.writeStaticString("RCPT TO:<")
        commands.writeString(recipient)
        commands.writeStaticString(">\r\n")
    }
}
