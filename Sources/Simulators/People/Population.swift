// Decides what becomes of a message that was taken: who visits what, who says what, and when. Pure: nothing is done here.
//
// What sort of mailbox a recipient has follows from the seed and the recipient, what happens to one message from the
// seed, the recipient and the message's key. Each draws the same numbers whatever comes of them, so that turning one dial
// does not reshuffle the rest.

import Foundation

/// What is known of a message when it has been taken.
struct TakenMessage: Sendable, Hashable {
    enum Channel: String, Sendable { case email, sms, push }

    let channel: Channel
    /// The simulator that took it, such as `smtp`.
    let provider: String
    /// Message-ID, or the provider's own id.
    let id: String
    /// What makes this message another one than the last to the same recipient, run after run: a Message-ID, a text.
    let key: String
    /// One address, number or token.
    let recipient: String
    var links = MessageLinks()
    /// A text message whose end is to be told.
    var wantsReceipt = false
    /// The last part of a text message, or all of it: whoever has it has read everything.
    var isWhole = true
    /// What parts have in common that end together; nil for the key.
    var fateKey: String?
}

/// Something that somebody is going to do.
struct PlannedAct: Sendable, Hashable {
    enum Actor: String, Sendable {
        case person, gateway
        case applePrivacy = "apple_privacy"
        case imageProxy = "image_proxy"
        case previewBot = "preview_bot"
        case mailServer = "mail_server"
        case mailboxProvider = "mailbox_provider"
        case smsProvider = "sms_provider"
    }

    enum Kind: String, Sendable {
        case open, click, conversion, unsubscribe, complaint, stop
        case oneClick = "one_click"
        case prefetch, scan, preview
        case bounce, receipt
    }

    struct Visit: Sendable, Hashable {
        enum Method: String, Sendable {
            case get = "GET"
            case head = "HEAD"
            /// RFC 8058: POST with `List-Unsubscribe=One-Click`.
            case oneClick
            /// GET, and then the form of the page is sent.
            case form
        }

        let method: Method
        let url: String
    }

    /// Seconds of people's time after the message was taken.
    let delay: Double
    let actor: Actor
    let kind: Kind
    /// Whether a person is behind it, though a machine may carry it out.
    let isHuman: Bool
    /// One after the other; empty where nothing is fetched.
    var visits: [Visit] = []
    var marks: VisitorMarks?
    /// Of a bounce and a receipt.
    var fate: MessageFate?
}

/// Where a message ended, as far as servers know.
enum MessageFate: String, Sendable {
    case delivered
    /// There is no such recipient.
    case unknown
    /// The mailbox is full, the phone is off.
    case full
    /// Taken for spam.
    case spam
}

/// The recipients of all messages.
struct Population: Sendable {
    enum Mailbox: Sendable { case gateway, applePrivacy, imageProxy, own }

    /// Within so many seconds of the delivery a gateway has looked.
    static let gatewaySeconds = 3.0
    private static let openSigma = 1.2
    private static let clickSigma = 0.8

    let dials: PeopleDials

    init(_ dials: PeopleDials) {
        self.dials = dials
    }

    /// What stays the same from message to message.
    struct Person: Sendable {
        let mailbox: Mailbox
        let isGone: Bool
        let hasPreviews: Bool
        /// In a browser.
        let browser: VisitorMarks
        /// Where images are fetched without a proxy.
        let program: VisitorMarks
        let gateway: VisitorFamily
        let proxy: VisitorFamily
        let previewer: VisitorFamily
    }

    func person(_ recipient: String) -> Person {
        var dice = self.dice(recipient)
        let draw = dice.unit()
        let dials = self.dials
        let mailbox: Mailbox =
            draw < dials.gateway
            ? .gateway
            : draw < dials.gateway + dials.applePrivacy
                ? .applePrivacy : draw < dials.gateway + dials.applePrivacy + dials.imageProxy ? .imageProxy : .own
        let isGone = dice.unit() < dials.hardBounce
        let hasPreviews = dice.unit() < dials.preview
        let browser = VisitorFamily.person.marks(&dice)
        let program = VisitorFamily.mailProgram.marks(&dice)
        return Person(
            mailbox: mailbox, isGone: isGone, hasPreviews: hasPreviews,
            browser: browser,
            // From the same place; half of them read mails in the browser.
            program: VisitorMarks(
                userAgent: dice.unit() < 0.5 ? browser.userAgent : program.userAgent, address: browser.address),
            gateway: dice.one(of: VisitorFamily.gateways), proxy: dice.one(of: VisitorFamily.imageProxies),
            previewer: dice.one(of: VisitorFamily.previews))
    }

    /// All that follows from one message, in no order.
    func acts(for message: TakenMessage) -> [PlannedAct] {
        let person = self.person(message.recipient)
        var dice = self.dice(message.recipient + "\n" + message.key)
        var fateDice = self.dice(message.recipient + "\n" + (message.fateKey ?? message.key) + "\nfate")
        let fate = self.fate(person, fateDice.unit())
        let minutes = dice.logNormal(median: message.channel == .email ? 15 : 3, sigma: 0.7)
        var acts: [PlannedAct] = []
        if message.channel == .sms, message.wantsReceipt {
            acts.append(
                PlannedAct(delay: minutes, actor: .smsProvider, kind: .receipt, isHuman: false, fate: fate))
        }
        guard fate == .delivered else {
            // Nobody reports what becomes of a push message.
            if message.channel == .email {
                acts.append(PlannedAct(delay: minutes, actor: .mailServer, kind: .bounce, isHuman: false, fate: fate))
            }
            return message.channel == .push ? [] : acts
        }
        guard message.isWhole else { return acts }
        acts += self.machines(person, message, &dice)
        acts += self.humans(person, message, &dice)
        return acts
    }

    private func fate(_ person: Person, _ draw: Double) -> MessageFate {
        if person.isGone { return .unknown }
        let scaled = draw * (1 - self.dials.hardBounce)
        if scaled < self.dials.softBounce { return .full }
        return scaled < self.dials.softBounce + self.dials.block ? .spam : .delivered
    }

    private func machines(_ person: Person, _ message: TakenMessage, _ dice: inout SeededGenerator) -> [PlannedAct] {
        let gateway = person.gateway.marks(&dice)
        let apple = VisitorFamily.applePrivacy.marks(&dice)
        let previewer = person.previewer.marks(&dice)
        let soon = dice.unit()
        let later = dice.logNormal(median: 1_800, sigma: 1.5)
        let links = message.links
        switch message.channel {
        case .email where person.mailbox == .gateway:
            // Hidden or not, all at once; images, too.
            let visits = links.links.map {
                [PlannedAct.Visit(method: .head, url: $0.url), .init(method: .get, url: $0.url)]
            }
            let images = links.images.map { [PlannedAct.Visit(method: .get, url: $0)] }
            return (visits + images).map {
                PlannedAct(
                    delay: soon * Self.gatewaySeconds, actor: .gateway, kind: .scan, isHuman: false, visits: $0,
                    marks: gateway)
            }
        case .email where person.mailbox == .applePrivacy && !links.images.isEmpty:
            return [
                PlannedAct(
                    delay: later, actor: .applePrivacy, kind: .prefetch, isHuman: false, visits: Self.get(links.images),
                    marks: apple)
            ]
        case .sms where person.hasPreviews:
            guard let first = links.links.first else { return [] }
            return [
                PlannedAct(
                    delay: 1 + 4 * soon, actor: .previewBot, kind: .preview, isHuman: false,
                    visits: Self.get([first.url]),
                    marks: previewer)
            ]
        default: return []
        }
    }

    private func humans(_ person: Person, _ message: TakenMessage, _ dice: inout SeededGenerator) -> [PlannedAct] {
        let dials = self.dials
        let opens = dice.unit() < dials.open
        let clicks = dice.unit() < dials.click
        let converts = dice.unit() < dials.conversion
        let unsubscribes = dice.unit() < dials.unsubscribe
        let takesButton = dice.unit() < dials.oneClick
        let complains = dice.unit() < dials.complaint
        let stops = dice.unit() < dials.stop
        let choice = dice.next()
        let opened = dice.logNormal(median: dials.openMedian, sigma: Self.openSigma)
        let clicked = opened + dice.logNormal(median: dials.clickMedian, sigma: Self.clickSigma)
        let thought = dice.logNormal(median: dials.clickMedian, sigma: Self.clickSigma)
        let bought = clicked + dice.logNormal(median: 300, sigma: 1)
        let proxy = person.proxy.marks(&dice)

        var acts: [PlannedAct] = []
        func add(
            _ kind: PlannedAct.Kind, at delay: Double, by actor: PlannedAct.Actor = .person,
            visits: [PlannedAct.Visit] = [], marks: VisitorMarks? = nil
        ) {
            acts.append(
                PlannedAct(delay: delay, actor: actor, kind: kind, isHuman: true, visits: visits, marks: marks))
        }
        if message.channel == .sms, stops { add(.stop, at: opened) }
        guard opens else { return acts }
        let images = message.links.images
        switch person.mailbox {
        case _ where images.isEmpty: add(.open, at: opened)
        // The pixel was fetched before, or is fetched another time: nobody sees this opening.
        case .applePrivacy: add(.open, at: opened)
        case .imageProxy: add(.open, at: opened, by: .imageProxy, visits: Self.get(images), marks: proxy)
        case .gateway, .own: add(.open, at: opened, visits: Self.get(images), marks: person.program)
        }
        let offers = message.links.offers
        let isClicked = clicks && !offers.isEmpty
        if isClicked {
            let link = offers[Int(choice % UInt64(offers.count))]
            add(.click, at: clicked, visits: Self.get([link.url]), marks: person.browser)
            if converts { add(.conversion, at: bought) }
        }
        let decided = (isClicked ? clicked : opened) + thought
        if unsubscribes, let url = message.links.unsubscribe {
            if takesButton, message.links.takesOneClick {
                let isMailboxProvider = person.mailbox == .imageProxy
                add(
                    .oneClick, at: decided, by: isMailboxProvider ? .mailboxProvider : .person,
                    visits: [.init(method: .oneClick, url: url)],
                    marks: isMailboxProvider
                        ? VisitorMarks(userAgent: "Mozilla/5.0", address: proxy.address) : person.browser)
            } else {
                add(.unsubscribe, at: decided, visits: [.init(method: .form, url: url)], marks: person.browser)
            }
        }
        if message.channel == .email, complains { add(.complaint, at: decided) }
        return acts
    }

    private static func get(_ urls: [String]) -> [PlannedAct.Visit] {
        urls.map { .init(method: .get, url: $0) }
    }

    /// FNV-1a over the text, from a start that the seed decides.
    private func dice(_ text: String) -> SeededGenerator {
        var start = SeededGenerator(seed: UInt64(self.dials.seed))
        let hash = text.utf8.reduce(start.next() ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return SeededGenerator(seed: hash)
    }
}

extension SeededGenerator {
    /// Two numbers are drawn (Box and Muller, 1958).
    fileprivate mutating func logNormal(median: Double, sigma: Double) -> Double {
        let radius = sqrt(-2 * log(1 - self.unit()))
        return median * exp(sigma * radius * cos(2 * .pi * self.unit()))
    }

    fileprivate mutating func one<Element>(of elements: [Element]) -> Element {
        elements[Int(self.next() % UInt64(elements.count))]
    }
}
