/// A decision's sightings side by side: what each of them shows only beside the others.
import DeliveryModel

struct VerdictScene {
    /// What a sighting turned out to be.
    enum Place {
        /// The button that unsubscribes.
        case pressed
        case hidden
        /// Beyond what is looked at.
        case flood
        /// Where it lies in ``VerdictScene/visible``.
        case visible(Int)
    }

    struct Traces: OptionSet {
        let rawValue: Int

        /// One of three different links or more that were followed within two seconds.
        static let manyLinks = Traces(rawValue: 1)
        static let twoLinks = Traces(rawValue: 2)
        /// The same thing was asked for with HEAD from the same network in the ten seconds before.
        static let headBefore = Traces(rawValue: 4)
        /// An open and a click from one network within a second.
        static let openAndClick = Traces(rawValue: 8)
        /// The hidden link was followed within five seconds before or after.
        static let hiddenNear = Traces(rawValue: 16)
        /// The hidden link was followed from the same network.
        static let hiddenNetwork = Traces(rawValue: 32)
        /// A click, two seconds to half an hour after an open by the same client.
        static let afterOpen = Traces(rawValue: 64)
        /// The same client came again ten minutes later or more.
        static let returns = Traces(rawValue: 128)
    }

    /// For each sighting that was given.
    private(set) var places: [Place]
    /// The different ones in the order of time, at most ``Verdicts/examinedMax``.
    private(set) var visible: [Sighting] = []
    /// For each of `visible`.
    private(set) var traces: [Traces]

    /// Hidden links leave traces on others that speak for a machine, and none that speak for a person: more of them
    /// never make anything more human.
    init(_ sightings: [Sighting]) {
        var places = sightings.map { sighting -> Place in
            let isButton = sighting.kind == .unsubscribe || sighting.kind == .unsubscribeAll
            if isButton, sighting.method == .post { return .pressed }
            return sighting.isHidden ? .hidden : .flood
        }
        var hidden: [Sighting] = []
        var rest: [Int] = []
        for (index, sighting) in sightings.enumerated() {
            switch places[index] {
            case .hidden: hidden.append(sighting)
            case .flood: rest.append(index)
            case .pressed, .visible: break
            }
        }
        rest.sort { sightings[$0].comesBefore(sightings[$1]) }
        for index in rest {
            if self.visible.last != sightings[index] {
                guard self.visible.count < Verdicts.examinedMax else { break }
                self.visible.append(sightings[index])
            }
            places[index] = .visible(self.visible.count - 1)
        }
        self.places = places
        self.traces = Array(repeating: [], count: self.visible.count)
        self.markBursts()
        self.markAfterHead()
        self.markOpensWithClicks(self.visible.indices)
        self.markOpensWithClicks(self.visible.indices.reversed())
        self.markAfterOpen()
        self.markReturns()
        self.markHidden(hidden)
    }

    // MARK: Each trace, in one pass over the order of time

    private mutating func markBursts() {
        let clicks = self.visible.indices.filter { self.visible[$0].target != nil }
        var counts: [Sighting.Target: Int] = [:]
        // The clicks of a window of two seconds, which begins at each in turn.
        var end = 0
        var (endOfTwo, endOfMany) = (0, 0)
        for (start, index) in clicks.enumerated() {
            while end < clicks.count, self.visible[clicks[end]].at.since(self.visible[index].at) <= .seconds(2) {
                if let target = self.visible[clicks[end]].target { counts[target, default: 0] += 1 }
                end += 1
            }
            if counts.count >= 2 { endOfTwo = end }
            if counts.count >= 3 { endOfMany = end }
            if start < endOfTwo { self.traces[index].insert(.twoLinks) }
            if start < endOfMany { self.traces[index].insert(.manyLinks) }
            if let target = self.visible[index].target {
                counts[target, default: 1] -= 1
                if counts[target] == 0 { counts[target] = nil }
            }
        }
    }

    private mutating func markAfterHead() {
        struct Key: Hashable {
            let kind: Sighting.Kind
            let attempt: Int
            let link: Int?
            let network: String
        }
        var heads: [Key: Timestamp] = [:]
        for (index, sighting) in self.visible.enumerated() {
            let key = Key(
                kind: sighting.kind, attempt: sighting.attempt, link: sighting.link, network: sighting.network)
            if sighting.method == .head {
                heads[key] = sighting.at
            } else if let head = heads[key], sighting.at.since(head) <= .seconds(10) {
                self.traces[index].insert(.headBefore)
            }
        }
    }

    /// Once in the order of time for what came first, once against it for what came last.
    private mutating func markOpensWithClicks(_ order: some Sequence<Int>) {
        var opens: [String: Timestamp] = [:]
        var clicks: [String: Timestamp] = [:]
        for index in order {
            let sighting = self.visible[index]
            guard !sighting.network.isEmpty else { continue }
            let isOpen = sighting.kind == .open
            if let other = isOpen ? clicks[sighting.network] : opens[sighting.network],
                (-1000...1000).contains(sighting.at.since(other).count)
            {
                self.traces[index].insert(.openAndClick)
            }
            if isOpen { opens[sighting.network] = sighting.at } else { clicks[sighting.network] = sighting.at }
        }
    }

    private mutating func markAfterOpen() {
        var opens: [Sighting.Client: Timestamp] = [:]
        var next = 0
        for (index, sighting) in self.visible.enumerated() where sighting.kind == .click {
            while next < index, sighting.at.since(self.visible[next].at) >= .seconds(2) {
                if self.visible[next].kind == .open { opens[self.visible[next].client] = self.visible[next].at }
                next += 1
            }
            if let open = opens[sighting.client], sighting.at.since(open) <= .seconds(1800) {
                self.traces[index].insert(.afterOpen)
            }
        }
    }

    private mutating func markReturns() {
        var spans: [Sighting.Client: (first: Timestamp, last: Timestamp)] = [:]
        for sighting in self.visible {
            spans[sighting.client, default: (sighting.at, sighting.at)].last = sighting.at
        }
        for (index, sighting) in self.visible.enumerated() {
            if let span = spans[sighting.client], span.last.since(span.first) >= .seconds(600) {
                self.traces[index].insert(.returns)
            }
        }
    }

    private mutating func markHidden(_ hidden: [Sighting]) {
        let networks = Set(hidden.map(\.network)).subtracting([""])
        let times = hidden.map(\.at).sorted()
        var next = 0
        for (index, sighting) in self.visible.enumerated() {
            if networks.contains(sighting.network) { self.traces[index].insert(.hiddenNetwork) }
            while next < times.count, sighting.at.since(times[next]) > .seconds(5) { next += 1 }
            if next < times.count, (-5000...5000).contains(sighting.at.since(times[next]).count) {
                self.traces[index].insert(.hiddenNear)
            }
        }
    }
}

extension Sighting {
    /// What was followed.
    fileprivate struct Target: Hashable {
        let attempt: Int
        /// Nil for the unsubscribe page.
        let link: Int?
    }

    fileprivate struct Client: Hashable {
        let network: String
        let userAgent: String
    }

    /// Nil for an open.
    fileprivate var target: Target? {
        self.kind == .open ? nil : Target(attempt: self.attempt, link: self.kind == .click ? self.link : nil)
    }

    fileprivate var client: Client { Client(network: self.network, userAgent: self.userAgent) }

    /// By time, then by all the rest, so that the order in which they came in does not matter.
    fileprivate func comesBefore(_ other: Sighting) -> Bool {
        if self.at != other.at { return self.at < other.at }
        let mine = (self.method == .head ? 0 : self.method == .get ? 1 : 2, self.kind.rawValue, self.attempt)
        let theirs = (other.method == .head ? 0 : other.method == .get ? 1 : 2, other.kind.rawValue, other.attempt)
        if mine != theirs { return mine < theirs }
        let (link, otherLink) = (self.link ?? -1, other.link ?? -1)
        return (link, self.network, self.userAgent) < (otherLink, other.network, other.userAgent)
    }
}
