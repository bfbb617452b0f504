/// What the connections of one simulator share: the mails, the counts, the faults and the dice.
import ThreadBridge

/// What becomes of one step of the dialogue.
struct SMTPFate: Equatable {
    var delayMilliseconds: Int64 = 0
    /// Nil: all goes well.
    var effect: SMTPFault.Effect?
}

final class SMTPSimulatorRecord: Sendable {
    private struct State: Sendable {
        var kept: [ReceivedMail] = []
        /// Where the oldest kept mail is, once the ring is full.
        var oldest = 0
        var counts = SMTPSimulatorCounts()
        var faults: [SMTPFault]
        var dice: SplitMix
        /// Sender and recipient of attempts that were put off.
        var greylisted: Set<String> = []
    }

    private static let greylistedMax = 10_000

    private let settings: SMTPSimulatorSettings
    private let state: Protected<State>

    init(settings: SMTPSimulatorSettings) {
        self.settings = settings
        self.state = Protected(State(faults: settings.faults, dice: SplitMix(state: settings.seed)))
    }

    var kept: [ReceivedMail] {
        self.state.withLock { Array($0.kept[$0.oldest...] + $0.kept[..<$0.oldest]) }
    }
    var counts: SMTPSimulatorCounts { self.state.withLock { $0.counts } }
    var faults: [SMTPFault] { self.state.withLock { $0.faults } }

    func setFaults(_ faults: [SMTPFault]) {
        self.state.withLock { state in
            state.faults = faults
            state.dice = SplitMix(state: self.settings.seed)
        }
    }

    func forget() {
        self.state.withLock { state in
            state.kept = []
            state.oldest = 0
            state.counts = SMTPSimulatorCounts()
            state.greylisted = []
        }
    }

    func count(_ note: @Sendable (inout SMTPSimulatorCounts) -> Void) {
        self.state.withLock { note(&$0.counts) }
    }

    /// The connection's number.
    func countConnection() -> Int {
        self.state.withLock { state in
            state.counts.connections += 1
            return state.counts.connections
        }
    }

    /// Counts a mail and keeps it, unless only counts are kept; returns its number.
    func take(_ mail: ReceivedMail, contentBytes: Int) -> Int {
        self.state.withLock { state in
            state.counts.mails += 1
            state.counts.recipients += mail.recipients.count
            state.counts.contentBytes += contentBytes
            guard self.settings.keepsMail, self.settings.keptMax > 0 else { return state.counts.mails }
            var mail = mail
            mail.number = state.counts.mails
            if state.kept.count < self.settings.keptMax {
                state.kept.append(mail)
            } else {
                state.kept[state.oldest] = mail
                state.oldest = (state.oldest + 1) % state.kept.count
            }
            return mail.number
        }
    }

    /// Throws the dice for one step.
    ///
    /// At RCPT `recipients` is the one that is named, later those accepted.
    func fate(at stage: SMTPFault.Stage, sender: String, recipients: [String]) -> SMTPFate {
        var fate = SMTPFate()
        self.state.withLock { state in
            for fault in state.faults where fault.stage == stage && Self.concerns(fault, recipients) {
                // Drawn in any case: a probability of 1 must not shift the draws of the faults behind it.
                let isDrawn = state.dice.unit() < fault.probability
                if isDrawn { fate.add(fault.effect) }
            }
            guard self.settings.knowsRecipientPatterns else { return }
            for recipient in recipients {
                if let fault = SMTPRecipientPattern.fault(for: recipient), fault.stage == stage {
                    fate.add(fault.effect)
                }
                guard stage == .rcpt, SMTPRecipientPattern.isGreylisted(recipient) else { continue }
                if state.greylisted.count >= Self.greylistedMax { state.greylisted = [] }
                guard state.greylisted.insert("\(sender) \(recipient)").inserted else { continue }
                fate.add(.refuse(code: 451, enhancedCode: "4.7.1", text: "greylisted, try again"))
            }
        }
        return fate
    }

    private static func concerns(_ fault: SMTPFault, _ recipients: [String]) -> Bool {
        guard let pattern = fault.recipient?.lowercased() else { return true }
        return recipients.contains { recipient in
            let recipient = recipient.lowercased()
            if pattern.hasSuffix("@") { return recipient.hasPrefix(pattern) }
            return pattern.hasPrefix("@") ? recipient.hasSuffix(pattern) : recipient == pattern
        }
    }
}

extension SMTPFate {
    /// Delays add up; of all else the first counts.
    fileprivate mutating func add(_ effect: SMTPFault.Effect) {
        if case .delay(let milliseconds) = effect {
            self.delayMilliseconds += max(0, min(milliseconds, 600_000))
        } else if self.effect == nil {
            self.effect = effect
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same on every machine.
private struct SplitMix: Sendable {
    var state: UInt64

    /// A number from 0..<1, of 53 bits.
    mutating func unit() -> Double {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((mixed ^ (mixed >> 31)) >> 11) * 0x1p-53
    }
}
