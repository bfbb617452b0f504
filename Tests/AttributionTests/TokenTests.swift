import Attribution
import DeliveryModel
import Testing

@Suite struct TokenTests {
    private static let alphabet = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")
    private static let keys = TrackingKeys([.init(id: 7, secret: Array(0..<32))], newest: 7)

    private static func id(_ length: Int, _ random: inout some RandomNumberGenerator) -> String {
        String((0..<length).map { _ in Self.alphabet.randomElement(using: &random) ?? "a" })
    }

    @Test func aTokenSaysWhatItWasMadeOf() throws {
        var random = SeededGenerator(1)
        for length in 1...128 {
            let id = Self.id(length, &random)
            let attempt = Int.random(in: 1...255, using: &random)
            let maker = try #require(Self.keys.maker(decision: id, attempt: attempt))
            for purpose in TrackingReference.Purpose.allCases {
                let token = maker.token(
                    purpose, link: 3, isHidden: attempt % 2 == 0, url: "https://a.example/\(length)")
                #expect(token.utf8.count <= 64)
                let read = Self.keys.read(token.bytes, purpose, url: Array("https://a.example/\(length)".utf8))
                let reference = try #require(read)
                #expect(reference.attempt == attempt && reference.link == 3)
                #expect(reference.isHidden == (attempt % 2 == 0))
                if length <= 42 {
                    #expect(reference.decision == id)
                } else {
                    #expect(reference.decision.hasPrefix("#") && reference.decision.count == 33)
                }
            }
        }
    }

    @Test func whatWasChangedIsNoToken() throws {
        let maker = try #require(Self.keys.maker(decision: "01JD3V6W2Q9X", attempt: 1))
        let url = "https://shop.example.com/basket?a=1"
        let token = Array(maker.token(.click, url: url).utf8)
        #expect(Self.keys.read(token[...], .click, url: Array(url.utf8)) != nil)
        #expect(Self.keys.read(token[...], .open, url: Array(url.utf8)) == nil)
        #expect(Self.keys.read(token[...], .unsubscribe, url: Array(url.utf8)) == nil)
        #expect(Self.keys.read(token[...], .click, url: Array("https://evil.example/".utf8)) == nil)
        #expect(Self.keys.read(token[...], .click, url: []) == nil)
        for index in token.indices {
            for replacement in Self.alphabet.map({ UInt8(ascii: $0.unicodeScalars.first ?? "a") }) + [0, 255, 61]
            where replacement != token[index] {
                var changed = token
                changed[index] = replacement
                #expect(Self.keys.read(changed[...], .click, url: Array(url.utf8)) == nil)
            }
            #expect(Self.keys.read(token[..<index], .click, url: Array(url.utf8)) == nil)
        }
        #expect(Self.keys.read((token + token)[...], .click, url: Array(url.utf8)) == nil)
    }

    @Test func anotherFleetsTokensAreNone() throws {
        let other = TrackingKeys([.init(id: 7, secret: Array(1..<33))], newest: 7)
        let token = try #require(other.maker(decision: "d", attempt: 1)).token(.open)
        #expect(other.read(token.bytes, .open) != nil)
        #expect(Self.keys.read(token.bytes, .open) == nil)
    }

    @Test func oldTokensStayGoodWhenTheKeyIsRotated() throws {
        let old = try #require(Self.keys.maker(decision: "d", attempt: 1)).token(.open)
        let rotated = TrackingKeys(
            [.init(id: 7, secret: Array(0..<32)), .init(id: 8, secret: Array(32..<64))], newest: 8)
        #expect(rotated.read(old.bytes, .open)?.decision == "d")
        let new = try #require(rotated.maker(decision: "d", attempt: 1)).token(.open)
        #expect(new != old)
        #expect(Self.keys.read(new.bytes, .open) == nil)
    }

    /// Of two messages to a person, and of two ids that are nearly the same, no part of the tokens is alike: what is
    /// sealed does not show through.
    @Test func tokensTellNothing() throws {
        let tokens = try ["user-0001", "user-0002", "user-0003"].map { id in
            try #require(Self.keys.maker(decision: id, attempt: 1)).token(.open)
        }
        for (index, token) in tokens.enumerated() {
            #expect(!token.contains("user") && !(Base64URL.decode(token.bytes) ?? []).contains(subsequence: "user"))
            for other in tokens[(index + 1)...] {
                let same = zip(token.dropFirst(2), other.dropFirst(2)).filter { $0 == $1 }.count
                #expect(same < token.count / 3)
            }
        }
    }

    @Test func destinationsComeBackAsTheyWere() {
        for url in [
            "https://shop.example.com/basket?a=1&b=%20x#end", "myapp://open/42?x=ä".addingUTF8Escapes,
            "http://a.b/'\"<>&+=,;", "https://x.example/" + String(repeating: "y", count: 1900),
        ] {
            let tracked = TrackedURL.click(base: "https://t.example", token: "TOKEN", url: url)
            let query = tracked.split(separator: "?", maxSplits: 1).last.map { Array($0.utf8) } ?? []
            #expect(TrackedURL.target(inQuery: query[...]) == Array(url.utf8))
            #expect(TrackedURL.target(inQuery: (query + Array("&utm_source=x".utf8))[...]) == Array(url.utf8))
        }
    }

    @Test(arguments: [
        "javascript:alert(1)", "data:text/html,x", "JavaScript:x()", "//evil.example", "/path", "", "https:",
        "mailto:a@b.c",
        "https://a.example/\r\nSet-Cookie:x", "https://a.example/ä", " https://a.example",
    ])
    func whatIsNoPlaceIsNoDestination(url: String) {
        #expect(!TrackedURL.isTarget(Array(url.utf8)))
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers in each run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension String {
    fileprivate var bytes: ArraySlice<UInt8> { Array(self.utf8)[...] }
}

extension [UInt8] {
    fileprivate func contains(subsequence text: String) -> Bool {
        let text = Array(text.utf8)
        return self.indices.contains { self[$0...].starts(with: text) }
    }
}

extension String {
    /// As a browser would write it.
    fileprivate var addingUTF8Escapes: String {
        self.utf8.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "%" + String($0, radix: 16, uppercase: true) }.joined()
    }
}
