import Testing

@testable import Telemetry

@Suite("The redactor hides addresses and secrets") struct RedactorTests {
    private let redactor = Redactor(secret: Array("a secret of sixteen bytes or more".utf8))

    @Test func sipHashGivesTheNumbersOfItsAuthors() {
        // https://github.com/veorq/SipHash, vectors.h: key 00…0f, input 00, 01, …
        let hash = SipHash(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)

        #expect(hash.hash([]) == 0x726f_db47_dd0e_0e31)
        #expect(hash.hash([0]) == 0x74f8_39c5_93dc_67fd)
        #expect(hash.hash(Array(0..<8)) == 0x93f5_f579_9a93_2462)
        #expect(hash.hash(Array(0..<15)) == 0xa129_ca61_49be_45e5)
    }

    @Test func oneAddressReadsTheSameInEveryProcessWithTheSecret() {
        let elsewhere = Redactor(secret: Array("a secret of sixteen bytes or more".utf8))

        let pseudonym = self.redactor.pseudonym(of: "ada@example.com")

        #expect(pseudonym.wholeMatch(of: /h:[0-9a-f]{8}/) != nil)
        #expect(elsewhere.pseudonym(of: " Ada@Example.COM\n") == pseudonym)
        #expect(self.redactor.pseudonym(of: "ada@example.org") != pseudonym)
        #expect(Redactor(secret: [1]).pseudonym(of: "ada@example.com") != pseudonym)
        #expect(Redactor().pseudonym(of: "ada@example.com") != Redactor().pseudonym(of: "ada@example.com"))
        #expect(self.redactor.pseudonym(of: pseudonym) == pseudonym)
    }

    @Test(arguments: [
        "email", "user.email", "userEmail", "Email", "to-address", "phone", "phoneNumber", "user.phone_number",
        "push.token", "deviceToken", "password", "db.password", "client_secret", "Authorization", "http.authorization",
        "webpush.endpoint", "keys.auth", "keys.p256dh", "api_key", "apiKey", "private-key", "set.cookie", "recipient",
        "rcpt", "smtp.rcpt.to", "jwt", "token.value", "EMAIL", "remote.ip",
    ])
    func keysThatAnnounceASecretAreKnown(key: String) {
        #expect(Redactor.isSensitive(key))
    }

    @Test(arguments: [
        "decision.id", "provider", "channel", "attempt.number", "key", "idempotency.key", "email.domain",
        "tokens.count", "tokenised", "addressee", "author", "emailing", "http.status", "", "...", "state",
    ])
    func otherKeysAreLeftAlone(key: String) {
        #expect(!Redactor.isSensitive(key))
    }

    @Test(arguments: [
        ("no route to ada@example.com, giving up", "ada@example.com"),
        ("<Ada.Lovelace+x@mail.example.co.uk>:", "Ada.Lovelace+x@mail.example.co.uk"),
        ("RCPT TO:<\"ada lovelace\"@example.com> refused", "\"ada lovelace\"@example.com"),
        ("postmaster@[192.0.2.7] bounced", "postmaster@[192.0.2.7]"),
        ("żółw@przykład.pl.", "żółw@przykład.pl"),
        ("GET /u?m=ada%40example.com&x=1", "ada%40example.com"),
        ("to=ada@example.com", "ada@example.com"),
        ("call +48600100200 now", "+48600100200"),
        ("whatsapp:+1 (415) 555-2671", "+1 (415) 555-2671"),
        ("To=%2B48600100200&Body=x", "%2B48600100200"),
        ("redis://:hunter2@localhost:6379/0", ":hunter2"),
        ("postgres://martlet:s3cret@db/x", "martlet:s3cret"),
    ])
    func whatLooksLikeAnAddressIsMasked(text: String, address: String) throws {
        let masked = self.redactor.masked(text)

        #expect(!masked.contains(address))
        let parts = text.split(separator: address, maxSplits: 1, omittingEmptySubsequences: false)
        let (before, after) = (try #require(parts.first), try #require(parts.last))
        #expect(masked.hasPrefix(before) && masked.hasSuffix(after))
        #expect(masked.dropFirst(before.count).dropLast(after.count).wholeMatch(of: /h:[0-9a-f]{8}/) != nil)
    }

    @Test(arguments: [
        "", "plain", "@", "a@", "@b.c", "thompson@v17", "rhythm@v203.1", "2026-11-21T19:00:00+01:00", "+0100 20261121",
        "1 + 2 = 3", "+1234567", "100 % done", "%4", "%40", "http://host/path", "http://host:80/a?b@c",
        "x @ example.com",
        "01JD3V6W2Q9X", "1763751600123", "user@localhost",
    ])
    func ordinaryTextStaysAsItIs(text: String) {
        #expect(self.redactor.masked(text) == text)
    }

    @Test func aMaskedAddressReadsLikeTheHashedOne() {
        let pseudonym = self.redactor.pseudonym(of: "ada@example.com")

        #expect(
            self.redactor.masked("Ada@example.com, ada@example.com;+48600100200")
                == "\(pseudonym), \(pseudonym);\(self.redactor.pseudonym(of: "+48600100200"))")
    }

    @Test func anyBytesAreMaskedWithoutATrap() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("@+%40b2B://.:[]\"a1-() \u{0}\n".utf8) + [0xC3, 0xA9, 0xFF]
        for _ in 0..<20_000 {
            let length = Int.random(in: 0...40, using: &generator)
            let bytes = (0..<length).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            let masked = self.redactor.masked(bytes) ?? bytes
            // What is masked already contains nothing that another pass would still find in full.
            #expect(masked.count <= max(bytes.count * 10, 10), "seed \(seed)")
        }
    }
}

/// SplitMix64: a generator whose run can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var word = self.state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
