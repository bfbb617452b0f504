import Attribution
import Channels
import DeliveryModel
import Testing

/// The lists that operators get.
func shippedLists() throws -> MachineLists {
    try MachineLists(path: CheckScript.path("channels/machines.yaml"))
}

private let safari =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    + "Mobile/15E148 Safari/604.1"
private let gmail = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
private let sent = Timestamp(milliseconds: 1_795_000_000_000)

/// A sighting of one decision, `after` seconds after its message was sent.
private func seen(
    _ kind: Sighting.Kind, after seconds: Double, link: Int? = nil, hidden: Bool = false,
    _ method: Sighting.Method = .get,
    agent: String = safari, network: String = "84.113.7.0/24"
) -> Sighting {
    Sighting(
        decision: "d-1", attempt: 1, kind: kind, link: kind == .click ? link ?? 0 : nil, isHidden: hidden,
        method: method, at: sent.advanced(by: Milliseconds(Int64(seconds * 1000))), userAgent: agent, network: network)
}

private func judged(_ sightings: Sighting...) throws -> [Judgement] {
    Verdicts.judge(sightings, sentAt: { _ in sent }, lists: try shippedLists())
}

@Suite struct VerdictTests {
    @Test func proxiesOfPicturesAreToldApart() throws {
        let google = try judged(seen(.open, after: 1800, agent: gmail, network: "66.249.84.0/24"))[0]
        #expect(google.verdict == .human)
        #expect((0.85...0.95).contains(google.humanProbability))
        #expect(google.because.first == "proxy.gmail")

        let apple = try judged(
            seen(.open, after: 9, agent: "Mozilla/5.0", network: "172.225.31.0/24"),
            seen(.click, after: 2000, network: "104.28.45.0/24"))
        #expect(apple[0].verdict == .privacyProxy)
        #expect((0.2...0.3).contains(apple[0].humanProbability))
        #expect(apple[1].verdict == .human)
        #expect(apple[1].humanProbability > 0.9)
    }

    @Test func aGatewayThatComesFirstDoesNotHideThePersonBehindIt() throws {
        let judgements = try judged(
            seen(.open, after: 4, network: "148.163.145.0/24"),
            seen(.click, after: 4.1, link: 0, network: "148.163.145.0/24"),
            seen(.click, after: 4.3, link: 1, network: "148.163.145.0/24"),
            seen(.click, after: 4.5, link: 2, network: "148.163.145.0/24"),
            seen(.click, after: 240, link: 1, network: "84.113.7.0/24"))
        #expect(judgements.map(\.verdict) == [.gateway, .gateway, .gateway, .gateway, .human])
        #expect(judgements[1].because.first == "many_links")
    }

    @Test func whatCameWithTheHiddenLinkIsTainted() throws {
        let judgements = try judged(
            seen(.click, after: 3600, link: 0, network: "91.4.4.0/24"),
            seen(.click, after: 3601, link: 1, network: "93.8.8.0/24"),
            seen(.click, after: 3602, link: 9, hidden: true, network: "91.4.4.0/24"),
            seen(.click, after: 9000, link: 0, network: "91.4.4.0/24"),
            seen(.click, after: 9000, link: 0, network: "84.113.7.0/24"))
        #expect(judgements.map(\.verdict) == [.gateway, .gateway, .gateway, .gateway, .human])
        #expect(judgements[2].humanProbability == 0)
    }

    @Test func askingBeforeFetchingIsNoPersonsWay() throws {
        let judgements = try judged(
            seen(.click, after: 900, link: 0, .head), seen(.click, after: 901, link: 0),
            seen(.click, after: 900, link: 0, network: "91.4.4.0/24"))
        #expect(judgements.map(\.verdict) == [.gateway, .gateway, .human])
        #expect(judgements[1].because.first == "head_before_get")
    }

    @Test func previewsAndToolsAreNamed() throws {
        let judgements = try judged(
            seen(.click, after: 300, agent: "WhatsApp/2.24.20.88 A"),
            seen(.click, after: 300, agent: "python-requests/2.32.3", network: "91.4.4.0/24"),
            seen(.page, after: 300, agent: "Mimecast-URL-Protect/2.1", network: "93.4.4.0/24"))
        #expect(judgements.map(\.verdict) == [.prefetcher, .gateway, .gateway])
        #expect(judgements.map { $0.because.first } == ["preview.whatsapp", "agent.tool", "gateway.mimecast"])
    }

    @Test func onlyAButtonUnsubscribes() throws {
        let judgements = try judged(
            seen(.unsubscribe, after: 2, .post, agent: "", network: ""),
            seen(.unsubscribeAll, after: 2, .post, agent: "", network: ""),
            seen(.page, after: 2, agent: "curl/8.5.0"))
        let human = Judgement(verdict: .human, humanProbability: 1, because: ["pressed"])
        #expect(judgements[..<2] == [human, human])
        #expect(judgements[2].verdict == .gateway)
    }

    @Test func whereNothingIsKnownItIsUnknown() {
        let bare = [seen(.click, after: 60, agent: "MyReader/3.1", network: "")]
        #expect(Verdicts.judge(bare, sentAt: { _ in nil }, lists: MachineLists())[0].verdict == .unknown)
    }

    @Test func aDelaySpeaksForPeopleTheMoreTheLongerItIs() {
        let weights = [0, 1, 5, 20, 60, 120, 300, 3600, 86400].map { Verdicts.weight(ofDelay: .seconds($0)) }
        #expect(weights == weights.sorted())
        #expect(weights.first == -3 && weights.last == 1.5)
        #expect(abs(Verdicts.weight(ofDelay: .seconds(120))) < 0.2)
        #expect(Verdicts.weight(ofDelay: Milliseconds(-5)) == -3)
    }

    // MARK: Properties

    private static func random(_ count: Int, using generator: inout some RandomNumberGenerator) -> [Sighting] {
        let agents = [safari, gmail, "Mozilla/5.0", "", "curl/8.5.0", "WhatsApp/2.24", "MyReader/3.1"]
        let networks = ["84.113.7.0/24", "91.4.4.0/24", "148.163.145.0/24", "172.225.31.0/24", "2003:a:b::/48", ""]
        return (0..<count).map { _ in
            let kind = Sighting.Kind.allCases.randomElement(using: &generator) ?? .open
            let isButton = kind == .unsubscribe || kind == .unsubscribeAll
            let method = isButton ? .post : Bool.random(using: &generator) ? Sighting.Method.get : .head
            // Often in the same instant, so that ties are tried too.
            let seconds =
                Double(Int.random(in: 0...20, using: &generator)) * (Bool.random(using: &generator) ? 0.5 : 60)
            return seen(
                kind, after: seconds, link: Int.random(in: 0...4, using: &generator),
                hidden: kind == .click && Int.random(in: 0..<8, using: &generator) == 0, method,
                agent: agents.randomElement(using: &generator) ?? "",
                network: networks.randomElement(using: &generator) ?? "")
        }
    }

    @Test func theOrderOfArrivalDoesNotMatter() throws {
        var generator = SplitMix(state: 1)
        let lists = try shippedLists()
        for round in 0..<300 {
            let sightings = Self.random(round % 64 + 1, using: &generator)
            let judgements = Verdicts.judge(sightings, sentAt: { _ in sent }, lists: lists)
            let order = sightings.indices.shuffled(using: &generator)
            let shuffled = Verdicts.judge(order.map { sightings[$0] }, sentAt: { _ in sent }, lists: lists)
            #expect(shuffled == order.map { judgements[$0] })
            for judgement in judgements {
                #expect((0...1).contains(judgement.humanProbability))
                #expect((judgement.humanProbability >= 0.6) == (judgement.verdict == .human))
            }
        }
    }

    @Test func theHiddenLinkNeverMakesAnythingMoreHuman() throws {
        var generator = SplitMix(state: 2)
        let lists = try shippedLists()
        for round in 0..<300 {
            let sightings = Self.random(round % 40 + 1, using: &generator)
            let hit = Self.random(1, using: &generator).map {
                seen(
                    .click, after: $0.at.since(sent).seconds, link: 9, hidden: true, agent: $0.userAgent,
                    network: $0.network)
            }
            let before = Verdicts.judge(sightings, sentAt: { _ in sent }, lists: lists)
            let after = Verdicts.judge(sightings + hit, sentAt: { _ in sent }, lists: lists)
            for (old, new) in zip(before, after) { #expect(new.humanProbability <= old.humanProbability) }
        }
    }

    @Test func impossibleTimesAreJudgedLikeAnyOther() throws {
        let sightings = [Int64.min, 0, .max].flatMap { milliseconds in
            Sighting.Kind.allCases.flatMap { kind in
                [false, true].map { isHidden in
                    Sighting(
                        decision: "d", attempt: 1, kind: kind, link: 0, isHidden: isHidden,
                        at: Timestamp(milliseconds: milliseconds), userAgent: safari, network: "91.4.4.0/24")
                }
            }
        }
        let judgements = Verdicts.judge(sightings, sentAt: { _ in sent }, lists: try shippedLists())
        #expect(judgements.allSatisfy { (0...1).contains($0.humanProbability) })
    }

    @Test func aFloodIsNotLookedAt() throws {
        let flood = (0..<10000).map { index in
            seen(.open, after: 600 + Double(index) / 100, agent: "\(safari) \(index)", network: "91.4.4.0/24")
        }
        let click = seen(.click, after: 120)
        let judgements = Verdicts.judge(flood + [click], sentAt: { _ in sent }, lists: try shippedLists())
        #expect(judgements.count == 10001)
        #expect(judgements.count { $0.because == ["flood"] } == 10001 - Verdicts.examinedMax)
        #expect(judgements.last?.verdict == .human)
        // The same again and again is one.
        let same = try judged(click) + []
        let repeated = Verdicts.judge(
            Array(repeating: click, count: 10000), sentAt: { _ in sent }, lists: try shippedLists())
        #expect(repeated.allSatisfy { $0 == same[0] })
    }
}

/// SplitMix64: small, seeded, the same on every machine.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
