// The people behind simulated addresses, and the machines around them, at work: `Population` says what they are going to
// do about each message that a simulator takes, `ActSchedule` holds it until it is due, and here it is done.
//
// One task looks every few milliseconds for what has come and what is due; what is done runs in tasks of its own, so many
// at a time as ``PeopleSettings/concurrencyMax`` says. Simulators only leave their messages at the door; without people
// they have no door.

import DeliveryModel
import Foundation
import SMPPTransport
import ThreadBridge

/// How people are set up.
package struct PeopleSettings: Sendable {
    package var dials: PeopleDials
    /// Whose links they visit, such as `https://t.example.com`.
    package var trackingURL = "http://127.0.0.1:8080"
    /// Where that origin's server is really reached; nil for where it says.
    package var trackingVia: String?
    /// Where mails come back to: LMTP or SMTP without TLS.
    package var mailDoor: (host: String, port: Int)?
    /// What stands before `/v1/webhooks/{provider}`.
    package var webhooksURL: String?
    /// How many acts are kept for the control API.
    package var actsMax = 100_000
    /// How many visits and mails are under way at a time.
    package var concurrencyMax = 128
    /// Planned acts beyond this are given up, and counted.
    package var waitingMax = 1_000_000

    package init(dials: PeopleDials) {
        self.dials = dials
    }
}

/// A message that was taken, with the way back to who sent it.
struct Letter: Sendable {
    enum WayBack: Sendable {
        case none
        /// The return path, and the header with each line ended by CR LF.
        case mail(returnPath: String, headers: String)
        case webhook(SMSWebhook, from: String)
        case centre(SMPPSimulator, SMPPSimulator.Taken)
    }

    let message: TakenMessage
    let takenAt: Timestamp
    let wayBack: WayBack

    /// Without what its acts have no need of: many letters wait for a long time.
    func kept(for acts: [PlannedAct]) -> Letter {
        var message = self.message
        message.links = MessageLinks()
        let comesBack = acts.contains { $0.kind == .bounce || $0.kind == .complaint }
        if case .mail = self.wayBack, !comesBack {
            return Letter(message: message, takenAt: self.takenAt, wayBack: .none)
        }
        return Letter(message: message, takenAt: self.takenAt, wayBack: self.wayBack)
    }

    /// When an act is due; Unix time in milliseconds.
    func due(_ act: PlannedAct, _ timeScale: Double) -> Int64 {
        self.takenAt.milliseconds + Int64(act.delay * 1000 / timeScale)
    }
}

final class People: Sendable {
    /// A message as a simulator leaves it; it is read later, on another thread.
    enum Arrival: Sendable {
        case mail(ReceivedMail, provider: String)
        case text(String, id: String, to: String, from: String, SMSWebhook)
        case centre(SMPPSimulator, SMPPSimulator.Taken)
        case push(JSONValue, provider: String, id: String, to: String)
    }

    private struct State: Sendable {
        var population: Population
        var arrivals: [(Arrival, Timestamp)] = []
        var schedule = ActSchedule()
        var running = 0
        var messages = 0
        var givenUp = 0
    }

    private static let tickMilliseconds = 2
    private static let attemptsMax = 6

    private let settings: PeopleSettings
    let origin: TrackingOrigin
    private let deeds: PeopleDeeds
    private let record: PeopleRecord
    private let state: Protected<State>
    private let pump = Protected<Task<Void, Never>?>(nil)
    private let parts = Protected(TextParts())

    /// Begins to look for what is due.
    ///
    /// - Throws: ``SimulatorError`` for URLs that are none.
    static func start(_ settings: PeopleSettings) throws(SimulatorError) -> People {
        guard let origin = TrackingOrigin(settings.trackingURL) else {
            throw SimulatorError("\(settings.trackingURL) is not a URL whose links can be visited")
        }
        let people = People(settings, origin, try PeopleDeeds(settings, origin: origin))
        people.pump.withLock { $0 = Task { await people.run() } }
        return people
    }

    private init(_ settings: PeopleSettings, _ origin: TrackingOrigin, _ deeds: PeopleDeeds) {
        self.settings = settings
        self.origin = origin
        self.deeds = deeds
        self.record = PeopleRecord(actsMax: settings.actsMax)
        self.state = Protected(State(population: Population(settings.dials)))
    }

    var dials: PeopleDials { self.state.withLock { $0.population.dials } }

    /// From the next message on; what is planned stays planned.
    func setDials(_ dials: PeopleDials) {
        self.state.withLock { $0.population = Population(dials) }
    }

    var counts: PeopleCounts { self.record.counts }

    /// Up to `limit` acts with a number above `number` that are still kept, the oldest first.
    func acts(after number: Int, limit: Int) -> [PeopleAct] {
        self.record.acts(after: number, limit: limit)
    }

    /// Messages that came, acts that wait or are under way, and acts that were given up for want of room.
    var totals: (messages: Int, waiting: Int, givenUp: Int) {
        self.state.withLock { state in
            (state.messages, state.schedule.count + state.running + state.arrivals.count, state.givenUp)
        }
    }

    /// Gives up what is planned, and returns when what is under way has ended.
    func stop() async {
        let pump = self.pump.withLock { pump in
            defer { pump = nil }
            return pump
        }
        guard let pump else { return }
        pump.cancel()
        await pump.value
        await self.deeds.stop()
    }

    /// Called by simulators, on any thread.
    func take(_ arrival: Arrival) {
        let now = Timestamp.current()
        self.state.withLock { state in
            state.messages += 1
            guard state.arrivals.count < self.settings.waitingMax else {
                state.givenUp += 1
                return
            }
            state.arrivals.append((arrival, now))
        }
    }
}

extension People {
    @concurrent
    private func run() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let isIdle = !self.plan()
                let due = self.takeDue()
                for act in due {
                    group.addTask {
                        await self.perform(act)
                        self.state.withLock { $0.running -= 1 }
                    }
                }
                guard isIdle, due.isEmpty else { continue }
                try? await Task.sleep(for: .milliseconds(Self.tickMilliseconds))
            }
            group.cancelAll()
        }
    }

    /// Reads what has come; false when nothing had.
    private func plan() -> Bool {
        let (arrivals, population) = self.state.withLock { state in
            defer { state.arrivals = [] }
            return (state.arrivals, state.population)
        }
        for (arrival, now) in arrivals {
            for letter in self.letters(arrival, at: now) {
                let planned = population.acts(for: letter.message)
                let acts = self.due(planned, letter.kept(for: planned), population.dials.timeScale)
                self.state.withLock { state in
                    let room = max(0, self.settings.waitingMax - state.schedule.count)
                    for act in acts.prefix(room) { state.schedule.add(act) }
                    state.givenUp += max(0, acts.count - room)
                }
            }
        }
        return !arrivals.isEmpty
    }

    /// Machines act on their own, each act of a person comes after the one before.
    private func due(_ acts: [PlannedAct], _ letter: Letter, _ timeScale: Double) -> [DueAct] {
        func due(_ act: PlannedAct, _ following: ArraySlice<PlannedAct> = []) -> DueAct {
            DueAct(due: letter.due(act, timeScale), act: act, letter: letter, following: following)
        }
        let own = acts.filter(\.isHuman).sorted { $0.delay < $1.delay }
        return acts.filter { !$0.isHuman }.map { due($0) } + own.prefix(1).map { due($0, own.dropFirst()) }
    }

    private func takeDue() -> [DueAct] {
        let now = Timestamp.current().milliseconds
        return self.state.withLock { state in
            var due: [DueAct] = []
            while state.running < self.settings.concurrencyMax, let act = state.schedule.take(at: now) {
                due.append(act)
                state.running += 1
            }
            return due
        }
    }

    @concurrent
    private func perform(_ due: DueAct) async {
        let records = await self.deeds.perform(due)
        // People do not try again; servers do.
        let isBrought = [.bounce, .complaint, .receipt, .stop].contains(due.act.kind)
        if isBrought, records.contains(where: \.isTransient), due.attempts + 1 < Self.attemptsMax, !Task.isCancelled {
            var again = due
            again.attempts += 1
            again.due = Timestamp.current().milliseconds + 250 << Int64(due.attempts)
            let later = again
            return self.state.withLock { $0.schedule.add(later) }
        }
        self.record.note(records)
        guard let next = due.following.first else { return }
        self.state.withLock { state in
            let time = due.letter.due(next, state.population.dials.timeScale)
            state.schedule.add(
                DueAct(due: time, act: next, letter: due.letter, following: due.following.dropFirst()))
        }
    }

    private func letters(_ arrival: Arrival, at now: Timestamp) -> [Letter] {
        switch arrival {
        case .mail(let mail, let provider):
            let reader = MailReader(mail)
            let links = MessageLinks(
                html: reader.html, text: reader.text, listUnsubscribe: mail.header("List-Unsubscribe"),
                post: mail.header("List-Unsubscribe-Post"), origin: self.origin)
            let id = mail.header("Message-ID") ?? ""
            let way = Letter.WayBack.mail(returnPath: mail.sender, headers: mail.headers)
            return mail.recipients.map { recipient in
                let message = TakenMessage(
                    channel: .email, provider: provider, id: id, key: id, recipient: recipient, links: links)
                return Letter(message: message, takenAt: now, wayBack: way)
            }
        case .text(let text, let id, let person, let ours, let webhook):
            var message = TakenMessage(
                channel: .sms, provider: webhook.name, id: id, key: text, recipient: person,
                links: MessageLinks(text: text, origin: self.origin))
            message.wantsReceipt = true
            return [Letter(message: message, takenAt: now, wayBack: .webhook(webhook, from: ours))]
        case .centre(let centre, let taken):
            let text = self.parts.withLock { $0.whole(taken.message) }
            var message = TakenMessage(
                channel: .sms, provider: centre.name, id: taken.id, key: text ?? "",
                recipient: taken.message.destination.text,
                links: MessageLinks(text: text ?? "", origin: self.origin))
            message.wantsReceipt = taken.message.registeredDelivery & 0x03 != 0
            message.isWhole = text != nil
            message.fateKey = TextParts.reference(taken.message).map { "parts \($0)" }
            return [Letter(message: message, takenAt: now, wayBack: .centre(centre, taken))]
        case .push(let payload, let provider, let id, let target):
            let message = TakenMessage(
                channel: .push, provider: provider, id: id, key: String(decoding: payload.encoded(), as: UTF8.self),
                recipient: target, links: MessageLinks(payload: payload, origin: self.origin))
            return [Letter(message: message, takenAt: now, wayBack: .none)]
        }
    }
}

extension PeopleAct {
    /// Whether a server would bring it again.
    fileprivate var isTransient: Bool {
        guard let status = self.status else { return self.failure != nil && self.failure != PeopleDeeds.noWayBack }
        // Of SMTP 4xx, of HTTP 5xx and 429.
        return self.channel == .email ? (400..<500).contains(status) : status >= 500 || status == 429
    }
}
