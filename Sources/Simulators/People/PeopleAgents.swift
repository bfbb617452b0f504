// How the visitors of links show themselves: names of programs and addresses of networks, as they are seen in logs.
//
// The networks are those of companies and of access providers, in the form of the RIRs' registers; which address of a
// network somebody has is drawn.

/// What a web server sees of a visitor.
struct VisitorMarks: Sendable, Hashable {
    /// The header User-Agent.
    let userAgent: String
    /// IPv4, as the header X-Forwarded-For carries it.
    let address: String
}

/// A network of IPv4 addresses, such as 17.58.0.0/16.
struct VisitorNetwork: Sendable {
    let first: UInt32
    let bits: UInt32

    init(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ bits: UInt32) {
        self.first = a << 24 | b << 16 | c << 8 | d
        self.bits = bits
    }

    func address(_ draw: UInt64) -> String {
        let size = UInt64(1) << UInt64(32 - self.bits)
        let value = self.first + UInt32(truncatingIfNeeded: draw % size)
        return "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    }
}

/// Programs that visit from the same networks.
struct VisitorFamily: Sendable {
    let userAgents: [String]
    let networks: [VisitorNetwork]

    /// Three numbers are drawn, whatever comes of them.
    func marks(_ generator: inout SeededGenerator) -> VisitorMarks {
        let agent = generator.next()
        let network = generator.next()
        let host = generator.next()
        return VisitorMarks(
            userAgent: self.userAgents[Int(agent % UInt64(self.userAgents.count))],
            address: self.networks[Int(network % UInt64(self.networks.count))].address(host))
    }
}

extension VisitorFamily {
    /// People with their own mail programs and browsers, at home and on the way.
    static let person = VisitorFamily(
        userAgents: [
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
            "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
        ],
        networks: [
            // Deutsche Telekom, BT, Orange, Orange Polska, Comcast, Vodafone.
            VisitorNetwork(84, 128, 0, 0, 10), VisitorNetwork(86, 128, 0, 0, 10), VisitorNetwork(90, 0, 0, 0, 9),
            VisitorNetwork(83, 0, 0, 0, 11), VisitorNetwork(24, 0, 0, 0, 12), VisitorNetwork(91, 64, 0, 0, 14),
        ])

    /// Mail programs that fetch images themselves.
    static let mailProgram = VisitorFamily(
        userAgents: [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.10.0",
            "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/137.0.0.0 Mobile Safari/537.36",
        ], networks: person.networks)

    /// Security gateways: some say who they are, most look like a browser in a data centre.
    static let gateways = [
        // Microsoft Defender for Office 365, from Azure.
        VisitorFamily(
            userAgents: [
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 Edg/114.0.1823.43",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.88 Safari/537.36",
            ], networks: [VisitorNetwork(40, 94, 0, 0, 16), VisitorNetwork(52, 146, 0, 0, 15)]),
        // Barracuda.
        VisitorFamily(
            userAgents: ["Barracuda Sentinel (EE)"],
            networks: [VisitorNetwork(64, 235, 144, 0, 20), VisitorNetwork(209, 222, 80, 0, 21)]),
        // Proofpoint.
        VisitorFamily(
            userAgents: [
                "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0.2272.101 Safari/537.36"
            ], networks: [VisitorNetwork(67, 231, 144, 0, 20), VisitorNetwork(148, 163, 128, 0, 19)]),
        // Mimecast.
        VisitorFamily(
            userAgents: [
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/92.0.4515.159 Safari/537.36"
            ], networks: [VisitorNetwork(207, 211, 30, 0, 24), VisitorNetwork(205, 139, 110, 0, 24)]),
        // Others, from Amazon's data centres.
        VisitorFamily(
            userAgents: ["Python/3.9 aiohttp/3.8.1", "Go-http-client/1.1", "curl/7.68.0"],
            networks: [VisitorNetwork(54, 144, 0, 0, 12), VisitorNetwork(3, 208, 0, 0, 12)]),
    ]

    /// Apple's proxies: its own network, and the partners of iCloud Private Relay.
    static let applePrivacy = VisitorFamily(
        userAgents: ["Mozilla/5.0"],
        networks: [
            VisitorNetwork(17, 58, 0, 0, 16), VisitorNetwork(17, 57, 0, 0, 16), VisitorNetwork(104, 28, 0, 0, 16),
            VisitorNetwork(172, 224, 224, 0, 19), VisitorNetwork(146, 75, 128, 0, 17),
        ])

    /// Gmail, three times as often as Yahoo.
    static let imageProxies = [Self.gmail, Self.gmail, Self.gmail, Self.yahoo]

    private static let gmail = VisitorFamily(
        userAgents: ["Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"],
        networks: [VisitorNetwork(66, 249, 80, 0, 20), VisitorNetwork(74, 125, 208, 0, 21)])

    private static let yahoo = VisitorFamily(
        userAgents: ["YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"],
        networks: [VisitorNetwork(98, 136, 0, 0, 14)])

    /// What shows a link before anybody touches it.
    static let previews = [
        // iMessage.
        VisitorFamily(
            userAgents: [
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0"
            ], networks: VisitorFamily.person.networks),
        VisitorFamily(
            userAgents: [
                "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "WhatsApp/2.23.20.0 A",
            ], networks: [VisitorNetwork(31, 13, 24, 0, 21), VisitorNetwork(173, 252, 64, 0, 18)]),
        VisitorFamily(
            userAgents: ["TelegramBot (like TwitterBot)"], networks: [VisitorNetwork(149, 154, 160, 0, 20)]),
    ]
}
