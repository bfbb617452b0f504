/// One SMTP dialogue from the client's side, as a value: events in, actions out, no socket and no clock.
///
///     greeting ─ EHLO ─ (STARTTLS ─ EHLO) ─ (AUTH) ─ ready ─ MAIL ─ RCPT… ─ DATA ─ content ─ dot ─ ready
///
/// With PIPELINING (RFC 2920) MAIL, all RCPT and DATA are one write, otherwise each waits for the reply to the one
/// before; the states that follow are the same, only who writes differs. The dialogue is over when something
/// comes that cannot be: a reply that nobody asked for, a code that the command cannot have. What that means for
/// the message depends on one thing only: whether the final dot may have reached the server.
///
/// The set-up of a session is in `SMTPSession+Setup.swift`, a message in `SMTPSession+Message.swift`.
import NIOCore

struct SMTPSession {
    enum State: Equatable {
        case connecting, greeting, ehlo, helo, startTLS, tlsStarting, token, auth, ready
        case mail
        /// Waits for the reply about the recipient of this index.
        case rcpt(Int)
        case data
        /// The content is on its way; `flushed` once the operating system has all of it.
        case content(flushed: Bool)
        /// Nobody was accepted, and still the server wants the message: it got a dot.
        case loneDot
        case resetting, quitting, closed
    }

    enum Action: Equatable {
        /// Write and flush.
        case write(ByteBuffer)
        /// Write and flush; ``SMTPSession/contentFlushed()`` when the operating system has all of it.
        case writeContent(SMTPContent)
        /// Begin the TLS handshake, then ``SMTPSession/tlsStarted()``.
        case startTLS
        /// Ask for an OAuth token, then ``SMTPSession/tokenArrived(_:)``.
        case askToken
        /// The message is done with. The session may not be ready yet for the next one.
        case finish([SMTPResult])
        /// The message that was given to ``SMTPSession/follow(_:)`` is the current one now.
        case followed
        /// The connection was dead before the message began: it belongs on another.
        case retry
        /// The session never became ready.
        case fail(SMTPFailure)
        case close
    }

    /// What the session waits for, and so how long it may wait.
    enum Awaiting: Equatable {
        case nothing, reply, contentFlush, finalDotReply
    }

    var state = State.connecting
    var parser = SMTPReplyParser()
    var capabilities = SMTPCapabilities()
    var transaction: SMTPTransaction?
    /// The message whose envelope was written behind the final dot of the current one.
    var following: SMTPTransaction?
    /// Given once, for all recipients, while the replies to pipelined RCPT commands are still to come.
    var mailRefusal: SMTPReply?
    var recipientsAccepted = 0
    /// Whether the connection has carried a message, or waited for one, before this one.
    var isReused = false
    var messagesBegun = 0

    var isEncrypted: Bool
    /// What is to be said to the next challenges of the server.
    var authResponses: [String] = []
    let settings: SMTPSettings
    /// Whether the peer's address is on this machine.
    let isLoopback: Bool

    init(settings: SMTPSettings, isLoopback: Bool) {
        self.settings = settings
        self.isLoopback = isLoopback
        self.isEncrypted = settings.security == .implicitTLS
    }

    var isReady: Bool { self.state == .ready }

    var awaiting: Awaiting {
        switch self.state {
        case .ready, .closed, .connecting: .nothing
        case .content(flushed: false): .contentFlush
        case .content(flushed: true): .finalDotReply
        default: .reply
        }
    }

    /// Where in the dialogue the session is, for failures.
    var stage: SMTPStage {
        switch self.state {
        case .connecting: .connect
        case .greeting: .greeting
        case .ehlo, .helo: .ehlo
        case .startTLS, .tlsStarting: .starttls
        case .token, .auth: .auth
        case .ready, .mail, .resetting, .quitting, .closed: .mail
        case .rcpt: .rcpt
        case .data, .content(flushed: false): .data
        case .content(flushed: true), .loneDot: .finalDot
        }
    }

    /// The TCP connection is up; with implicit TLS the handshake is under way.
    mutating func connected() -> [Action] {
        guard self.state == .connecting else { return [] }
        self.state = .greeting
        return []
    }

    /// Bytes came from the server.
    mutating func received(_ bytes: ByteBuffer) -> [Action] {
        guard self.state != .closed else { return [] }
        self.parser.append(bytes)
        var actions: [Action] = []
        do throws(SMTPReplyParser.Garbage) {
            while self.state != .closed, self.state != .tlsStarting, let parsed = try self.parser.next() {
                self.replied(parsed, &actions)
            }
        } catch {
            self.breakOff(.protocolError, detail: error.detail, &actions)
        }
        return actions
    }

    /// The line is gone, or TLS refused it: nothing more comes from the server.
    mutating func lost(_ code: SMTPFailure.Code, detail: String) -> [Action] {
        guard self.state != .closed else { return [] }
        if self.state == .mail, self.isReused, code == .connectionLost {
            self.state = .closed
            self.transaction = nil
            return [.retry, .close]
        }
        var actions: [Action] = []
        self.breakOff(code, detail: detail, &actions)
        return actions
    }

    /// The reply, or room for the content, did not come in time.
    mutating func timedOut() -> [Action] {
        guard self.awaiting != .nothing else { return [] }
        var actions: [Action] = []
        self.breakOff(.timeout, detail: "no reply in time", &actions)
        return actions
    }

    /// Says goodbye.
    ///
    /// Only a session that is ready can; any other is closed.
    mutating func quit() -> [Action] {
        guard self.state == .ready else {
            var actions: [Action] = []
            self.breakOff(.shutDown, detail: "the connection was closed by this side", &actions)
            return actions
        }
        self.state = .quitting
        return [.write(ByteBuffer(string: "QUIT\r\n"))]
    }

    /// Takes the next message.
    ///
    /// A session that is not ready gives it back.
    mutating func begin(_ transaction: SMTPTransaction, wasIdle: Bool) -> [Action] {
        guard self.state == .ready else { return [.retry] }
        self.isReused = wasIdle || self.messagesBegun > 0
        self.messagesBegun += 1
        return self.beginMessage(transaction)
    }

    private mutating func replied(_ parsed: SMTPReplyParser.Parsed, _ actions: inout [Action]) {
        switch self.state {
        case .greeting, .ehlo, .helo, .startTLS, .auth:
            self.repliedInSetup(parsed, &actions)
        case .mail, .rcpt, .data, .content, .loneDot, .resetting:
            self.repliedToMessage(parsed.reply, &actions)
        case .quitting:
            self.state = .closed
            actions.append(.close)
        case .ready:
            // Most often 421: the server has had enough of waiting. Anything else is out of step.
            self.breakOff(.connectionLost, detail: "the server closed with \(parsed.reply.code)", &actions)
        case .token, .connecting:
            self.breakOff(.protocolError, detail: "a reply that nobody asked for", &actions)
        case .tlsStarting, .closed:
            break
        }
    }

    /// Ends the dialogue for a reason other than an answer about the message.
    mutating func breakOff(_ code: SMTPFailure.Code, detail: String, _ actions: inout [Action]) {
        let failure = SMTPFailure(code, stage: self.stage, detail: detail)
        let before = self.state
        self.state = .closed
        switch before {
        case .connecting, .greeting, .ehlo, .helo, .startTLS, .tlsStarting, .token, .auth:
            actions.append(.fail(failure))
        case .content(let isFlushed):
            // A reply, whatever it says, is a sign that the server has seen the dot.
            let mayHaveArrived = isFlushed || code == .protocolError
            self.finish(openOnes: mayHaveArrived ? .unknown(failure) : .notSent(failure), &actions)
        case .mail, .rcpt, .data:
            self.finish(openOnes: .notSent(failure), &actions)
        case .ready, .loneDot, .resetting, .quitting, .closed:
            break
        }
        actions.append(.close)
    }
}
