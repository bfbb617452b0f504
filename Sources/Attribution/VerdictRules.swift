/// Whether a person made a request: each piece of evidence has a weight, and the weights are added.
///
/// The weights are natural logarithms of how much more often a person than a machine leaves that trace (naive Bayes with
/// even odds to begin with). They are judgements, written down once, below; Tests/AttributionTests measures what comes
/// of them on a population that they were not made from.
package import DeliveryModel
import Foundation

package enum Verdicts {
    /// How many different visible sightings of one decision are looked at. What comes later is a flood: `unknown`, with
    /// probability 0, since one person does not do that a thousand times.
    package static let examinedMax = 1024

    /// Between these the evidence says nothing.
    private static let undecided = 0.4..<0.6

    /// Judges all sightings of one decision, together.
    ///
    /// The verdict is `human` from a probability of 0.6 on. It is `unknown` from 0.4 to below 0.6, below 0.4 where
    /// nothing says what kind of machine it was, and for a flood. Else it is the kind of machine that most of the
    /// evidence speaks for. Who presses the button that unsubscribes is human, always; who follows the hidden link is
    /// not.
    ///
    /// - Parameters:
    ///   - sightings: Those of one decision, in any order: what is returned depends on the set of them alone.
    ///   - sentAt: When the attempt of that number was accepted; nil when that is not known.
    /// - Returns: One judgement for each, in the order given.
    /// - Complexity: O(n log n), and user agents are compared with the lists at most ``examinedMax`` times.
    package static func judge(
        _ sightings: [Sighting], sentAt: (Int) -> Timestamp?, lists: MachineLists
    ) -> [Judgement] {
        let scene = VerdictScene(sightings)
        var agents: [String: MachineLists.Agent?] = [:]
        var networks: [String: MachineLists.Network?] = [:]
        let judgements = scene.visible.indices.map { index in
            let sighting = scene.visible[index]
            if agents[sighting.userAgent] == nil { agents[sighting.userAgent] = lists.agent(sighting.userAgent) }
            if networks[sighting.network] == nil { networks[sighting.network] = lists.network(sighting.network) }
            let evidence = self.evidence(
                sighting, traces: scene.traces[index], agent: agents[sighting.userAgent] ?? nil,
                network: networks[sighting.network] ?? nil, sentAt: sentAt(sighting.attempt))
            return self.judgement(evidence)
        }
        return sightings.indices.map { index in
            switch scene.places[index] {
            case .pressed: Judgement(verdict: .human, humanProbability: 1, because: ["pressed"])
            case .hidden: Judgement(verdict: .gateway, humanProbability: 0, because: ["hidden_link"])
            case .flood: Judgement(verdict: .unknown, humanProbability: 0, because: ["flood"])
            case .visible(let place): judgements[place]
            }
        }
    }

    // MARK: The weights

    /// One trace of who it was.
    struct Evidence {
        let name: String
        /// How much it speaks for a person; below 0, for a machine.
        let weight: Double
        /// What kind of machine it speaks for; nil for none in particular.
        var kind: Verdict?

        init(_ name: String, _ weight: Double, _ kind: Verdict? = nil) {
            self.name = name
            self.weight = weight
            self.kind = kind
        }
    }

    private static func evidence(
        _ sighting: Sighting, traces: VerdictScene.Traces, agent: MachineLists.Agent?, network: MachineLists.Network?,
        sentAt: Timestamp?
    ) -> [Evidence] {
        var all = [Self.evidence(of: agent, in: sighting)]
        // Proxies fetch pictures, and people behind them follow links with browsers of their own.
        let isProxied = sighting.kind == .open && (agent?.kind == .imageProxy || agent?.kind == .privacyProxy)
        if let network, !isProxied { all += Self.evidence(of: network) }
        if let sentAt, agent?.kind != .privacyProxy || !isProxied {
            let weight = Self.weight(ofDelay: sighting.at.since(sentAt)) * (isProxied ? 0.25 : 1)
            all.append(weight < 0 ? Evidence("time.early", weight, .gateway) : Evidence("time.late", weight))
        }
        if sighting.method == .head { all.append(Evidence("head", -4, .gateway)) }
        if traces.contains(.headBefore) { all.append(Evidence("head_before_get", -4, .gateway)) }
        if traces.contains(.manyLinks) {
            all.append(Evidence("many_links", -6, .gateway))
        } else if traces.contains(.twoLinks) {
            all.append(Evidence("two_links", -1.5, .gateway))
        }
        if traces.contains(.openAndClick) { all.append(Evidence("open_and_click", -2, .gateway)) }
        if traces.contains(.hiddenNear) {
            all.append(Evidence("hidden_link", -8, .gateway))
        } else if traces.contains(.hiddenNetwork) {
            all.append(Evidence("hidden_link", -5, .gateway))
        }
        // A machine does these on purpose only: they count for what looks like a person otherwise.
        if agent?.kind == .client {
            if traces.contains(.afterOpen) { all.append(Evidence("after_open", 1.5)) }
            if traces.contains(.returns) { all.append(Evidence("returns", 1)) }
        }
        return all
    }

    private static func evidence(of agent: MachineLists.Agent?, in sighting: Sighting) -> Evidence {
        guard let agent else {
            return sighting.userAgent.isEmpty ? Evidence("agent.none", -2) : Evidence("agent.other", -0.5)
        }
        switch (agent.kind, sighting.kind) {
        case (.client, _): return Evidence(agent.name, 1.2)
        // 0.9: it fetches when a person opens the mail, except for the few that it looks at by itself.
        case (.imageProxy, .open): return Evidence(agent.name, 2.2)
        // 0.25, about as many as open a mail: it fetches them all.
        case (.privacyProxy, .open): return Evidence(agent.name, -1.1, .privacyProxy)
        case (.imageProxy, _), (.privacyProxy, _): return Evidence(agent.name, -1, .prefetcher)
        case (.gateway, _), (.dataCentre, _): return Evidence(agent.name, -5, .gateway)
        case (.prefetcher, _): return Evidence(agent.name, -6, .prefetcher)
        }
    }

    private static func evidence(of network: MachineLists.Network) -> [Evidence] {
        let name = "network.\(network.name)"
        return switch network.kind {
        case .gateway: [Evidence(name, -4, .gateway)]
        case .dataCentre: [Evidence(name, -2, .gateway)]
        case .prefetcher: [Evidence(name, -2, .prefetcher)]
        // People browse through these as well.
        case .imageProxy, .privacyProxy, .client: []
        }
    }

    /// How much a delay speaks for a person.
    ///
    /// Delays of people and of gateways are taken to be log-normal: half of the people act within an hour, nine in ten
    /// from 2 minutes to 27 hours; half of the gateways within 8 seconds, nine in ten of them within a minute. The weight
    /// is the logarithm of the ratio of both densities, between −3 and 1.5: some of either are far from the rest. It is 0
    /// at about two minutes.
    package static func weight(ofDelay delay: Milliseconds) -> Double {
        let x = log(max(delay.seconds, 1))
        let person = (x - log(3600)) / 2
        let gateway = (x - log(8)) / 1.5
        return min(max(log(1.5 / 2) - person * person / 2 + gateway * gateway / 2, -3), 1.5)
    }

    private static func judgement(_ evidence: [Evidence]) -> Judgement {
        let probability = 1 / (1 + exp(-evidence.reduce(0) { $0 + $1.weight }))
        let because = evidence.filter { abs($0.weight) >= 0.2 }
            .sorted { (abs($0.weight), $1.name) > (abs($1.weight), $0.name) }.map(\.name)
        var verdict = Verdict.unknown
        if probability >= Self.undecided.upperBound {
            verdict = .human
        } else if probability < Self.undecided.lowerBound {
            // In the order of the cases, so that of two that are equal the same one wins.
            var least = 0.0
            for kind in Verdict.allCases {
                let sum = evidence.filter { $0.kind == kind }.reduce(0) { $0 + $1.weight }
                if sum < least { (verdict, least) = (kind, sum) }
            }
        }
        return Judgement(verdict: verdict, humanProbability: probability, because: because)
    }
}
