import DeliveryModel
import Foundation
import Testing

@testable import Simulators

extension SimulatorsTests {
    /// What people and machines decide to do, without doing it.
    @Suite struct PopulationTests {
        static let pixel = "https://t.example.com/o/tok"
        static let html = """
            <html><body><div style="display: none">preheader <a href='https://t.example.com/c/inner'>x</a></div>
            <!-- <a href="https://t.example.com/c/comment">no</a> -->
            <p>Hello <a class=button href="https://t.example.com/c/tok?u=https%3A%2F%2Fshop.example.com&amp;x=1">Shop</a>
            <a href="https://elsewhere.example.com/c/tok">elsewhere</a> <A HREF=https://t.example.com/c/two>two</A>
            <a href="https://t.example.com/c/honey" style="display:none">pot</a>
            <a href="https://t.example.com/u/tok">unsubscribe</a></p>
            <img src="https://t.example.com/o/tok" width="1" height="1" alt=""><img src="https://cdn.example.com/a.png">
            """
        private static let offers = [
            "https://t.example.com/c/tok?u=https%3A%2F%2Fshop.example.com&x=1", "https://t.example.com/c/two",
        ]

        private static func mail(_ number: Int) throws -> TakenMessage {
            let origin = try #require(TrackingOrigin("https://T.example.com"))
            return TakenMessage(
                channel: .email, provider: "smtp", id: "<\(number)@x>", key: "<\(number)@x>",
                recipient: "person-\(number)@example.com",
                links: MessageLinks(
                    html: Self.html, text: nil,
                    listUnsubscribe: "<https://t.example.com/u/tok>, <mailto:stop@example.com>",
                    post: "List-Unsubscribe=One-Click", origin: origin))
        }

        /// Whether `count` of `total` can be a share of `share`: within five standard deviations.
        private static func fits(_ count: Int, _ share: Double, of total: Int) -> Bool {
            let mean = share * Double(total)
            return abs(Double(count) - mean) <= 5 * sqrt(mean * (1 - share)) + 1
        }

        private static var dials: PeopleDials {
            var dials = PeopleDials.lively
            dials.hardBounce = 0.05
            dials.softBounce = 0.1
            dials.block = 0.05
            dials.unsubscribe = 0.3
            dials.complaint = 0.1
            return dials
        }

        @Test func aMailIsReadAsAProgramWould() throws {
            let links = try Self.mail(1).links

            #expect(links.images == [Self.pixel])
            #expect(links.links.count == 5)
            #expect(
                links.links.filter(\.isHidden).map(\.url) == [
                    "https://t.example.com/c/inner", "https://t.example.com/c/honey",
                ])
            #expect(links.offers.map(\.url) == Self.offers)
            #expect(links.unsubscribe == "https://t.example.com/u/tok")
            #expect(links.takesOneClick)
            let origin = try #require(TrackingOrigin("https://t.example.com"))
            #expect(
                origin.urls(in: "See https://t.example.com/c/abc. Or (https://t.example.com.evil.org/c/x)") == [
                    "https://t.example.com/c/abc"
                ])
            let push = MessageLinks(
                payload: ["data": ["link": "https://t.example.com/c/p"], "title": "https://t.example.com is ours"],
                origin: origin)
            #expect(push.links.map(\.url) == ["https://t.example.com/c/p"])
        }

        @Test func aFormIsSentAsABrowserSendsIt() {
            let form = PageForm(
                page: """
                    <form action="/search"><input name=q></form><form METHOD='post' action="/u/x?a=1&amp;b=2">
                    <input type=hidden name=id value="1 &amp; 2"><input type=checkbox name=all value=1>
                    <input type=radio name=why value=spam><input type=radio name=why value=often checked>
                    <button name=go value=yes>Yes</button><button name=go value=no>No</button></form>
                    <form method=post><input name=other></form>
                    """)
            #expect(form?.action == "/u/x?a=1&b=2")
            #expect(form?.body == "id=1+%26+2&why=often&go=yes")
            #expect(PageForm(page: "<p>no form") == nil)
        }

        @Test func sharesAreThoseOfTheDials() throws {
            let population = Population(Self.dials)
            var acts: [PlannedAct.Kind: Int] = [:]
            var mailboxes: [Population.Mailbox: Int] = [:]
            var fates: [MessageFate: Int] = [:]
            for number in 0..<10_000 {
                let mail = try Self.mail(number)
                mailboxes[population.person(mail.recipient).mailbox, default: 0] += 1
                for act in population.acts(for: mail) {
                    if act.kind != .scan { acts[act.kind, default: 0] += 1 }
                    if let fate = act.fate { fates[fate, default: 0] += 1 }
                }
            }
            let opens = acts[.open] ?? 0
            let clicks = acts[.click] ?? 0

            #expect(Self.fits(mailboxes[.gateway] ?? 0, 0.15, of: 10_000))
            #expect(Self.fits(mailboxes[.applePrivacy] ?? 0, 0.3, of: 10_000))
            #expect(Self.fits(mailboxes[.imageProxy] ?? 0, 0.3, of: 10_000))
            #expect(Self.fits(fates[.unknown] ?? 0, 0.05, of: 10_000))
            #expect(Self.fits(fates[.full] ?? 0, 0.1, of: 10_000))
            #expect(Self.fits(fates[.spam] ?? 0, 0.05, of: 10_000))
            #expect(Self.fits(acts[.prefetch] ?? 0, 0.3 * 0.8, of: 10_000))
            #expect(Self.fits(opens, 0.4 * 0.8, of: 10_000))
            #expect(Self.fits(clicks, 0.2, of: opens))
            #expect(Self.fits(acts[.conversion] ?? 0, 0.15, of: clicks))
            #expect(Self.fits((acts[.unsubscribe] ?? 0) + (acts[.oneClick] ?? 0), 0.3, of: opens))
            #expect(Self.fits(acts[.complaint] ?? 0, 0.1, of: opens))
        }

        @Test func theSameSeedMakesTheSameActsAndAnotherSeedOthers() throws {
            func all(_ seed: Double) throws -> [[PlannedAct]] {
                var dials = Self.dials
                dials.seed = seed
                return try (0..<500).map { Population(dials).acts(for: try Self.mail($0)) }
            }
            #expect(try all(1) == all(1))
            #expect(try all(1) != all(2))

            // Turning one dial leaves the rest as it was.
            var quiet = Self.dials
            quiet.complaint = 0
            let others = try (0..<500).map { Population(quiet).acts(for: try Self.mail($0)) }
            #expect(try all(1).map { $0.filter { $0.kind != .complaint } } == others)
        }

        @Test func machinesGiveThemselvesAwayAndPeopleDoNot() throws {
            let population = Population(Self.dials)
            var seen = Set<PlannedAct.Actor>()
            for number in 0..<2_000 {
                let mail = try Self.mail(number)
                let acts = population.acts(for: mail)
                let scans = acts.filter { $0.kind == .scan }
                if !scans.isEmpty {
                    // Every link, the hidden ones too, HEAD before GET, at one moment within three seconds.
                    #expect(scans.count == 6)
                    #expect(Set(scans.map(\.delay)).count == 1 && scans.allSatisfy { (0...3).contains($0.delay) })
                    #expect(scans.prefix(5).allSatisfy { $0.visits.map(\.method) == [.head, .get] })
                    #expect(Set(scans.flatMap(\.visits).map(\.url)) == Set(mail.links.links.map(\.url) + [Self.pixel]))
                    #expect(Set(scans.map(\.marks)).count == 1)
                }
                let open = acts.first { $0.kind == .open }
                switch population.person(mail.recipient).mailbox {
                case .applePrivacy: #expect(open?.visits.isEmpty != false)
                case .imageProxy:
                    #expect(
                        open.map { $0.actor == .imageProxy && $0.marks?.userAgent.contains("Proxy") == true } != false)
                case .gateway, .own: #expect(open.map { $0.actor == .person && $0.visits.count == 1 } != false)
                }
                for act in acts {
                    seen.insert(act.actor)
                    if act.isHuman, act.kind == .click {
                        #expect(act.visits.count == 1 && act.visits.allSatisfy { Self.offers.contains($0.url) })
                        #expect(act.delay > (open?.delay ?? .infinity))
                    }
                }
            }
            #expect(seen == [.person, .gateway, .applePrivacy, .imageProxy, .mailServer, .mailboxProvider])
        }

        @Test func aLongTextMessageIsReadWhenItIsWhole() throws {
            var dials = PeopleDials()
            dials.preview = 1
            dials.open = 1
            dials.click = 1
            dials.stop = 1
            let origin = try #require(TrackingOrigin("https://t.example.com"))
            var message = TakenMessage(
                channel: .sms, provider: "smpp", id: "1", key: "", recipient: "48600100200")
            message.wantsReceipt = true
            message.isWhole = false
            #expect(Population(dials).acts(for: message).map(\.kind) == [.receipt])
            message.isWhole = true
            message.links = MessageLinks(text: "https://t.example.com/c/a", origin: origin)
            let acts = Population(dials).acts(for: message)
            #expect(acts.map(\.kind) == [.receipt, .preview, .stop, .open, .click])
            #expect(acts.filter { $0.kind == .preview }.allSatisfy { $0.delay < 6 && !$0.isHuman })
        }

        @Test func dialsThatMakeNoSenseAreRefusedByName() throws {
            let wrong: [(JSONValue, String)] = [
                (["opne": 1], "opne"), (["open": 2], "open"), (["gateway": 0.7, "apple_privacy": 0.4], "shares"),
                (["time_scale": 0], "time_scale"), (["hard_bounce": 0.9, "block": 0.2], "hard_bounce"), ([1], "object"),
            ]
            for (json, word) in wrong {
                let error = #expect(throws: SimulatorError.self) { try PeopleDials().changed(by: json) }
                #expect("\(try #require(error))".contains(word))
            }
            #expect(try PeopleDials().changed(by: PeopleDials.lively.json) == .lively)
        }
    }
}
