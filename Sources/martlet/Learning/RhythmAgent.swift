/// A stand-in for the fleet that answers a simulated world: JSON lines in, slots with their probabilities out.
///
/// What it does with an event is what the fleet does: outcomes become increments, increments become a user's hash, hashes
/// become counts, counts teach the model, and the model chooses. Nothing is taken over from the world but what it sends.

import DeliveryModel
import Learning

struct RhythmAgent {
    enum Failure: Error {
        case unreadable(String)
    }

    /// Monday 2026-01-05, 00:00: the world's hour 0.
    private static let start = Timestamp(milliseconds: 1_767_571_200_000)

    private struct Send {
        var user: Int
        var round: Int
        var expected: Double?
        var isTaughtByClicks: Bool
        var current: SendOutcome
        /// What the user's hash knows.
        var known: SendOutcome?
        var isChanged = true
    }

    private var hashes: [UserHash] = []
    private var segments: [String] = []
    private var seed: Int64 = 0
    private var window = Milliseconds.seconds(72 * 3600)
    private var model = RhythmModel.generic(window: .seconds(72 * 3600))
    private var number = 0
    private var settings = SlotChooser.Settings()
    private var levels: [Int: CampaignLevels] = [:]
    private var sends: [Send] = []
    /// Where in `sends` the send of a round to a user is.
    private var places: [Int: Int] = [:]

    init(settings: SlotChooser.Settings = SlotChooser.Settings()) {
        self.settings = settings
    }

    /// Takes one line.
    ///
    /// - Returns: The answer to a question; nil where nothing is asked.
    mutating func take(_ line: [UInt8]) throws -> [UInt8]? {
        guard let message = try JSONValue.parse(line).object, let type = message["type"]?.string else {
            throw Failure.unreadable("A message has no type.")
        }
        switch type {
        case "init": try self.begin(message)
        case "events": try self.take(events: message)
        case "decide": return try self.decide(message)
        case "end": break
        default: throw Failure.unreadable("There is no message \(type).")
        }
        return nil
    }

    private mutating func begin(_ message: JSONObject) throws {
        let users = try Self.integer(message, "users")
        guard users > 0, users <= 10_000_000 else { throw Failure.unreadable("users is out of range.") }
        self.hashes = [UserHash](repeating: UserHash(), count: users)
        try self.name(message, users: users)
        if self.segments.count != users { self.segments = [String](repeating: "", count: users) }
        self.seed = Int64(try Self.integer(message, "seed"))
        self.window = Self.duration(hours: message["window_h"]?.double ?? 72)
        self.model = RhythmModel.generic(window: self.window)
    }

    /// Segments come at the beginning, and again with a question where the world says so, as decisions name them.
    private mutating func name(_ message: JSONObject, users: Int) throws {
        guard message["tags"] != nil else { return }
        let tags = try Self.numbers(message, "tags")
        self.segments = (0..<users).map { tags.indices.contains($0) ? "s\(Int64(tags[$0]))" : "" }
    }

    // MARK: Events

    private mutating func take(events message: JSONObject) throws {
        let users = try Self.numbers(message, "user")
        let rounds = try Self.numbers(message, "round")
        let slots = try Self.numbers(message, "slot")
        let times = try Self.numbers(message, "etime")
        let kinds = try Self.numbers(message, "kind")
        guard [rounds, slots, times, kinds].allSatisfy({ $0.count == users.count }) else {
            throw Failure.unreadable("The columns of the events are of several lengths.")
        }
        for index in users.indices {
            let (user, round) = (Int(users[index]), Int(rounds[index]))
            let at = Self.moment(hours: times[index])
            guard self.hashes.indices.contains(user) else { continue }
            if kinds[index] == 4 {
                self.hashes[user].apply(RhythmLesson.activity(slot: Int(slots[index]), at: at))
            } else if let place = self.places[self.key(user: user, round: round)] {
                self.take(kind: Int(kinds[index]), at: at, of: place)
            }
        }
    }

    private mutating func take(kind: Int, at moment: Timestamp, of place: Int) {
        switch kind {
        case 0: self.sends[place].current.opened = 1
        case 1: self.sends[place].current.isPrivacyOpen = true
        case 2: self.sends[place].current.clicked = 1
        default: return
        }
        if kind != 1 {
            let first = self.sends[place].current.respondedAt ?? moment
            self.sends[place].current.respondedAt = min(first, moment)
        }
        self.sends[place].isChanged = true
    }

    // MARK: Decisions

    private mutating func decide(_ message: JSONObject) throws -> [UInt8] {
        let now = Self.moment(hours: message["t"]?.double ?? 0)
        let round = try Self.integer(message, "round")
        let feasible = try Self.numbers(message, "eligible").map { Int($0) }
        guard let first = feasible.first else { throw Failure.unreadable("Nothing is eligible.") }
        try self.name(message, users: self.hashes.count)
        self.close(now)
        let counts = self.hashes.map { RhythmCounts(fields: $0.fields, now: now) }
        if round > 0 || counts.contains(where: { !$0.isEmpty }) {
            var trainer = RhythmTrainer(previous: self.model, now: now, window: self.window)
            for user in counts { trainer.add(user) }
            self.model = trainer.fit()
            self.number += 1
        }
        var drawn: [(slot: Int, propensity: Double)] = []
        drawn.reserveCapacity(counts.count)
        for user in counts.indices {
            let name = "u\(user)"
            let seed = SplitMix64.seed(of: "\(self.seed)/\(round)/\(name)")
            guard
                let choice = SlotChooser.choose(
                    feasible: feasible, user: name, counts: counts[user], model: self.model, number: self.number,
                    settings: self.settings, now: now, seed: seed)
            else { throw Failure.unreadable("Nothing is eligible.") }
            drawn.append((choice.slot, choice.propensity))
            let hours = (choice.slot - first + RhythmCounts.slots) % RhythmCounts.slots
            let outcome = SendOutcome(
                decision: "\(round)/\(name)", user: name, segment: self.segments[user], slot: choice.slot,
                sentAt: now.advanced(by: .seconds(Int64(hours) * 3600)), isFinal: false)
            self.places[self.key(user: user, round: round)] = self.sends.count
            self.sends.append(
                Send(
                    user: user, round: round, expected: choice.expected, isTaughtByClicks: choice.isTaughtByClicks,
                    current: outcome))
        }
        return Self.answer(drawn)
    }

    /// Brings the hashes to what is known at `now`: first how each campaign did, then what its sends teach.
    private mutating func close(_ now: Timestamp) {
        for place in self.sends.indices where !self.sends[place].current.isFinal {
            let send = self.sends[place]
            guard now.since(send.current.sentAt) >= self.window else { continue }
            self.sends[place].current.isFinal = true
            self.sends[place].isChanged = true
            guard let expected = send.expected else { continue }
            let response = max(send.isTaughtByClicks ? 0 : send.current.opened, send.current.clicked)
            self.levels[send.round, default: CampaignLevels()].add(expected: expected, seen: response)
        }
        for place in self.sends.indices where self.sends[place].isChanged {
            var current = self.sends[place].current
            current.campaignFactor = self.levels[self.sends[place].round]?.factor ?? 1
            let change = RhythmLesson.increments(from: self.sends[place].known, to: current)
            self.hashes[self.sends[place].user].apply(change)
            if self.sends[place].known?.isFinal == true {
                current.campaignFactor = self.sends[place].known?.campaignFactor ?? 1
            }
            self.sends[place].known = current
            self.sends[place].isChanged = false
        }
    }

    private func key(user: Int, round: Int) -> Int { round &* self.hashes.count &+ user }

    private static func answer(_ drawn: [(slot: Int, propensity: Double)]) -> [UInt8] {
        var writer = JSONWriter(reserving: drawn.count * 24)
        writer.object { writer in
            writer.array("slot") { writer in for item in drawn { writer.element(Int64(item.slot)) } }
            writer.array("p") { writer in for item in drawn { writer.element(item.propensity) } }
        }
        return writer.bytes
    }

    // MARK: Reading

    private static func integer(_ message: JSONObject, _ name: String) throws -> Int {
        guard let number = message[name]?.double, let integer = Int(exactly: number) else {
            throw Failure.unreadable("\(name) is no whole number.")
        }
        return integer
    }

    /// Numbers within what an `Int` holds.
    private static func numbers(_ message: JSONObject, _ name: String) throws -> [Double] {
        guard let array = message[name]?.array else { throw Failure.unreadable("\(name) is no array.") }
        return try array.map {
            guard let number = $0.double, abs(number) < 1e15 else {
                throw Failure.unreadable("\(name) holds something that is no number.")
            }
            return number
        }
    }

    private static func moment(hours: Double) -> Timestamp { Self.start.advanced(by: Self.duration(hours: hours)) }

    private static func duration(hours: Double) -> Milliseconds {
        Milliseconds(Int64((min(max(hours, -1e9), 1e9) * 3_600_000).rounded()))
    }
}

/// A hash as Redis keeps it: names and values are texts, and HINCRBY reads and writes decimal numbers.
private struct UserHash {
    private(set) var fields: [(name: [UInt8], value: [UInt8])] = []

    mutating func apply(_ change: RhythmIncrements) {
        for increment in change.increments {
            if let place = self.fields.firstIndex(where: { $0.name == increment.field }) {
                let old = Int64(String(decoding: self.fields[place].value, as: UTF8.self)) ?? 0
                self.fields[place].value = Array(String(old &+ increment.by).utf8)
            } else {
                self.fields.append((increment.field, Array(String(increment.by).utf8)))
            }
        }
        for setting in change.settings {
            self.fields.removeAll { $0.name == setting.field }
            self.fields.append((setting.field, setting.value))
        }
        for field in change.removals { self.fields.removeAll { $0.name == field } }
    }
}
