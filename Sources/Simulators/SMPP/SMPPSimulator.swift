// A message centre (SMSC) that speaks SMPP 3.4 on 127.0.0.1, keeps what it gets, sends receipts, and goes wrong when told.
//
// Magic numbers: what the destination ends in decides what happens.
//
//     …0000   ESME_RINVDSTADR
//     …0008   ESME_RSYSERR
//     …0020   ESME_RMSGQFUL the first time, taken from then on
//     …0088   ESME_RTHROTTLED the first time, taken from then on
//     …0500   taken; the receipt says UNDELIV, err 001
//     …0501   taken; the receipt says EXPIRED
//     …0502   taken; a receipt ACCEPTD, then one DELIVRD
//     …0610   taken and delivered; then the person answers STOP
//     …0998   the line is cut, nothing was taken
//     …0999   taken, and the answer never comes
//
// Receipts go over any line that can receive. What is not answered, or answered with an error, is brought again, over
// another line if need be: a client that loses one has only itself to blame.

package import DeliveryModel
import NIOCore
import NIOPosix
import NIOSSL
import SMPPTransport
import ThreadBridge

package final class SMPPSimulator: Sendable {
    struct Brought: Sendable {
        let message: SMPPMessage
        let isReceipt: Bool
    }

    /// A message that was taken, for those who report on it later.
    struct Taken: Sendable {
        let id: String
        let message: SMPPMessage
    }

    private struct State {
        var ring: Ring<ReceivedSubmit>
        var counts = SMPPSimulatorCounts()
        var faults: SMPPSimulatorFaults
        var generator: SeededGenerator
        var nextID: UInt64 = 0x1A00
        var turnedAway: Set<String> = []
        var second: Int64 = 0
        var inSecond = 0
        /// What waits for a line.
        var waiting = CircularBuffer<Brought>()
        var receivers: [Int: any Channel] = [:]
        var lines: [Int: any Channel] = [:]
    }

    private struct Running: Sendable {
        var group: MultiThreadedEventLoopGroup
        var channel: any Channel
    }

    let settings: SMPPSimulatorSettings
    private let state: Protected<State>
    private let running = Protected<Running?>(nil)

    package init(settings: SMPPSimulatorSettings = SMPPSimulatorSettings()) {
        self.settings = settings
        self.state = Protected(
            State(
                ring: Ring(capacity: settings.messagesMax), faults: settings.faults,
                generator: SeededGenerator(seed: settings.faults.seed)))
    }

    package func start() async throws {
        let tls = try self.tlsContext()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, self.settings.threads))
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                        try channel.pipeline.syncOperations.addHandler(SMPPSimulatorHandler(self))
                    }
                }
                .bind(host: "127.0.0.1", port: self.settings.port).get()
            self.running.withLock { $0 = Running(group: group, channel: channel) }
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    package var port: Int { self.running.withLock { $0?.channel.localAddress?.port ?? 0 } }
    package var submitCounts: SMPPSimulatorCounts { self.state.withLock { $0.counts } }
    package var faults: SMPPSimulatorFaults { self.state.withLock { $0.faults } }

    /// Up to `limit` messages, the newest first.
    package func messages(limit: Int) -> [ReceivedSubmit] { self.state.withLock { $0.ring.newest(limit) } }

    /// Takes new faults, and their seed's sequence from its beginning.
    package func setFaults(_ faults: SMPPSimulatorFaults) {
        self.state.withLock { state in
            state.faults = faults
            state.generator = SeededGenerator(seed: faults.seed)
        }
    }

    /// Forgets messages and counts.
    package func forget() {
        self.state.withLock { state in
            state.ring = Ring(capacity: self.settings.messagesMax)
            state.counts = SMPPSimulatorCounts()
            state.turnedAway = []
        }
    }

    /// Cuts all lines, as a centre that is restarted would, and goes on listening.
    package func cutConnections() async {
        for channel in self.state.withLock({ Array($0.lines.values) }) { try? await channel.close() }
    }

    /// Brings a message of a person.
    package func say(_ text: String, from source: String, to destination: String) {
        var message = SMPPMessage(
            source: SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: source),
            destination: SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: destination), text: Array(text.utf8))
        message.dataCoding = 0
        self.bring(Brought(message: message, isReceipt: false))
    }

    package func stop() async {
        let running = self.running.withLock { running in
            defer { running = nil }
            return running
        }
        guard let running else { return }
        try? await running.channel.close()
        await self.cutConnections()
        try? await running.group.shutdownGracefully()
    }

    private func tlsContext() throws -> NIOSSLContext? {
        guard let certificateFile = self.settings.certificateFile, let keyFile = self.settings.keyFile else {
            return nil
        }
        let chain = try NIOSSLCertificate.fromPEMFile(certificateFile).map { NIOSSLCertificateSource.certificate($0) }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain, privateKey: .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        return try NIOSSLContext(configuration: configuration)
    }
}

// MARK: What lines ask and report

extension SMPPSimulator {
    enum Verdict: Sendable {
        case taken(id: String)
        case refused(SMPPStatus)
        /// The line is cut; with an id, it was taken before.
        case cut(id: String?)
        /// Taken, and nothing is said.
        case silent(id: String)
    }

    func opened(_ channel: any Channel) -> Int {
        self.state.withLock { state in
            state.counts.connections += 1
            state.lines[state.counts.connections] = channel
            return state.counts.connections
        }
    }

    func closed(_ number: Int) {
        self.state.withLock { state in
            state.lines[number] = nil
            state.receivers[number] = nil
        }
    }

    func count(_ path: WritableKeyPath<SMPPSimulatorCounts, Int>) {
        self.state.withLock { $0.counts[keyPath: path] += 1 }
    }

    func bound(_ number: Int, receives channel: (any Channel)?) {
        self.state.withLock { state in
            state.counts.binds += 1
            if let channel { state.receivers[number] = channel }
        }
        self.bringWaiting()
    }

    var answerDelay: Int64 {
        self.state.withLock { $0.faults.answerDelayMilliseconds } ?? self.settings.answerDelayMilliseconds
    }

    /// What becomes of a submit.
    func judge(_ message: SMPPMessage, on connection: Int) -> Verdict {
        let now = Timestamp.current()
        let number = message.destination.text
        let verdict: Verdict = self.state.withLock { state in
            let isThrottled = state.generator.unit() < state.faults.throttle
            let isCut = state.generator.unit() < state.faults.cut
            if state.second != now.milliseconds / 1000 {
                state.second = now.milliseconds / 1000
                state.inSecond = 0
            }
            state.inSecond += 1
            if isThrottled || state.faults.perSecond > 0 && state.inSecond > state.faults.perSecond {
                state.counts.throttled += 1
                return .refused(.throttled)
            }
            switch number.suffix(4) {
            case "0000":
                state.counts.refused += 1
                return .refused(.invalidDestination)
            case "0008":
                state.counts.refused += 1
                return .refused(.systemError)
            case "0020" where state.turnedAway.insert(number).inserted:
                state.counts.throttled += 1
                return .refused(.queueFull)
            case "0088" where state.turnedAway.insert(number).inserted:
                state.counts.throttled += 1
                return .refused(.throttled)
            case "0998":
                state.counts.cut += 1
                return .cut(id: nil)
            default: break
            }
            state.nextID += 1
            let id = String(state.nextID, radix: 16)
            state.counts.accepted += 1
            if self.settings.keepsMessages {
                _ = state.ring.append(
                    ReceivedSubmit(id: id, message: message, receivedAt: now, connection: connection))
            }
            if isCut { state.counts.cut += 1 }
            if isCut { return .cut(id: id) }
            return number.hasSuffix("0999") ? .silent(id: id) : .taken(id: id)
        }
        return verdict
    }

    /// What is to come later about a message that was taken.
    func aftermath(_ id: String, _ message: SMPPMessage) -> [Brought] {
        let number = message.destination.text
        if let people = self.settings.people, !["0500", "0501", "0502", "0610"].contains(number.suffix(4)) {
            people.take(.centre(self, Taken(id: id, message: message)))
            return []
        }
        var states: [(SMPPReceipt.State, String)] = []
        if message.registeredDelivery & 0x03 != 0 {
            states =
                switch number.suffix(4) {
                case "0500": [(.undeliverable, "001")]
                case "0501": [(.expired, "000")]
                case "0502": [(.accepted, "000"), (.delivered, "000")]
                default: [(.delivered, "000")]
                }
        }
        var brought = states.map { self.receipt($0.0, $0.1, id, message) }
        if number.hasSuffix("0610"), Self.isLastPart(message) {
            let reply = SMPPMessage(
                source: message.destination, destination: message.source, text: Array("Stop!".utf8))
            brought.append(Brought(message: reply, isReceipt: false))
        }
        return brought
    }

    /// Brings the receipt of a message that was taken before.
    func bringReceipt(_ fate: MessageFate, of taken: Taken) {
        let (state, error): (SMPPReceipt.State, String) =
            switch fate {
            case .delivered: (.delivered, "000")
            case .unknown: (.undeliverable, "001")
            case .full: (.expired, "000")
            case .spam: (.rejected, "000")
            }
        self.bring(self.receipt(state, error, taken.id, taken.message))
    }

    /// A person answers once they have read all of it.
    private static func isLastPart(_ message: SMPPMessage) -> Bool {
        let header = Array(message.text.prefix(6))
        guard message.esmClass & 0x40 != 0, header.count == 6, header[1] == 0, header[2] == 3 else { return true }
        return header[4] == header[5]
    }

    private func receipt(
        _ state: SMPPReceipt.State, _ error: String, _ id: String, _ message: SMPPMessage
    ) -> Brought {
        let name = self.settings.mixesNumberForms ? UInt64(id, radix: 16).map { String($0) } ?? id : id
        let text = SMPPReceipt(messageID: name, state: state, error: error, doneDate: "2611271400").text
        let form = self.settings.receiptForm
        var receipt = SMPPMessage(
            source: message.destination, destination: message.source, text: form == .parameters ? [] : Array(text.utf8))
        receipt.esmClass = 0x04
        if form != .text {
            receipt.parameters = [
                SMPPTag.receiptedMessageID: Array(name.utf8) + [0], SMPPTag.messageState: [state.rawValue],
            ]
        }
        return Brought(message: receipt, isReceipt: true)
    }

    func bring(_ brought: Brought) {
        self.state.withLock { $0.waiting.append(brought) }
        self.bringWaiting()
    }

    private func bringWaiting() {
        while true {
            let next: (Brought, any Channel)? = self.state.withLock { state in
                guard let channel = state.receivers.values.first, let brought = state.waiting.popFirst() else {
                    return nil
                }
                return (brought, channel)
            }
            guard let (brought, channel) = next else { return }
            channel.triggerUserOutboundEvent(brought, promise: nil)
        }
    }
}

extension SMPPSimulator: Inspectable {
    package var name: String { "smpp" }
    package var url: String {
        (self.settings.certificateFile == nil ? "smpp+plaintext" : "smpps") + "://127.0.0.1:\(self.port)"
    }

    package var counts: SimulatorCounts {
        let own = self.submitCounts
        var counts = SimulatorCounts()
        counts.requests = own.accepted + own.throttled + own.refused
        counts.accepted = own.accepted
        counts.refused = own.throttled + own.refused
        counts.cut = own.cut
        return counts
    }

    package var countsJSON: JSONValue {
        let own = self.submitCounts
        let members: [(String, Int)] = [
            ("connections", own.connections), ("binds", own.binds), ("binds_refused", own.bindsRefused),
            ("accepted", own.accepted), ("throttled", own.throttled), ("refused", own.refused), ("cut", own.cut),
            ("receipts_sent", own.receiptsSent), ("receipts_taken", own.receiptsTaken), ("replies", own.replies),
            ("enquiries", own.enquiries), ("unbinds", own.unbinds),
        ]
        return .object(JSONObject(members.map { .init(name: $0.0, value: .integer(Int64($0.1))) }))
    }

    package var faultsJSON: JSONValue { self.faults.json }

    package func setFaults(json: JSONValue) throws(SimulatorError) {
        self.setFaults(try SMPPSimulatorFaults(json: json))
    }

    package func inbox(limit: Int) -> [InboxEntry] {
        self.messages(limit: limit).map { one in
            InboxEntry(
                id: one.id, receivedAt: one.receivedAt, from: one.message.source.text, to: one.message.destination.text,
                subject: "", text: one.text,
                fields: JSONObject([
                    .init(name: "data_coding", value: .integer(Int64(one.message.dataCoding))),
                    .init(name: "esm_class", value: .integer(Int64(one.message.esmClass))),
                ]))
        }
    }
}
