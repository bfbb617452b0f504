/// Signatures as dkimpy and RFC 8463 see them.

import Crypto
import CryptoExtras
import CurlTransport
import DeliveryModel
import Foundation
import NIOCore
import SMTPTransport
import SettingsFile
import Testing

@testable import Channels

@Suite struct DKIMTests {
    private static let now = Timestamp(milliseconds: 1_795_288_800_000)
    /// RFC 8463 §A.2; not a secret of anybody's.
    private static let seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="

    private static let rsa = Result {
        try DKIMKey(parsing: try _RSA.Signing.PrivateKey(keySize: .bits2048).pemRepresentation)
    }

    private static func selectors() throws -> [DKIMSigner.Selector] {
        [
            DKIMSigner.Selector(domain: "example.com", name: "r1", key: try Self.rsa.get()),
            DKIMSigner.Selector(domain: "example.com", name: "e1", key: try DKIMKey(parsing: Self.seed)),
        ]
    }

    private struct Case {
        var mail: [UInt8]
        var isTampered = false
    }

    /// Lets dkimpy look at all mails in one go; returns what it found wrong.
    private func differences(_ cases: [Case]) throws -> [String] {
        let selectors = try Self.selectors()
        let records = JSONObject(
            selectors.map { .init(name: "\($0.name)._domainkey.\($0.domain)", value: .string($0.key.record)) })
        var lines = ""
        for (index, item) in cases.enumerated() {
            let object: JSONValue = [
                "case": .integer(Int64(index)), "mail": .string(Data(item.mail).base64EncodedString()),
                "records": .object(records), "algorithms": ["rsa-sha256", "ed25519-sha256"],
                "tampered": .bool(item.isTampered),
            ]
            lines += String(decoding: object.encoded(), as: UTF8.self) + "\n"
        }
        let output = try runPython("check_dkim.py", input: Data(lines.utf8)).split(separator: "\n").map(String.init)
        #expect(output.last == "checked \(cases.count)")
        return output.dropLast()
    }

    private func signed(_ mail: String) throws -> [UInt8] {
        let signer = try #require(DKIMSigner(try Self.selectors()))
        return try signer.sign(Array(mail.utf8), at: Self.now)
    }

    private static let head = "From: Shop <a@example.com>\r\nTo: b@example.org\r\nSubject: Hello\r\n"

    @Test func `dkimpy verifies both algorithms over bodies and headers of every kind`() throws {
        let long = String(repeating: "x", count: 3000)
        let bodies = [
            "", "\r\n", "\r\n\r\n\r\n", "one line", "one\r\ntwo\r\n", "trailing\r\n\r\n\r\n\r\n",
            "blanks  \t in \t a line \t\r\n",
            " \r\n\t\r\n", " leading\r\n  and more\r\n", "zażółć gęślą jaźń\r\n", long, "\(long) \(long)\r\n",
            ".\r\n..\r\n",
            "\t \r\nx\r\n \r\n \r\n",
        ]
        let heads = [
            Self.head,
            "From: a@example.com\r\nSubject: folded\r\n over\r\n\t several   lines \t\r\nTo:b@example.org\r\n"
                + "Date: Sat, 21 Nov 2026 18:00:00 +0000\r\nMessage-ID: <x@example.com>\r\nMIME-Version: 1.0\r\n"
                + "List-Unsubscribe: <https://example.com/u/x>,\r\n <mailto:leave@example.com>\r\n"
                + "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: <c.example.com>\r\n"
                + "Feedback-ID: a:b:c:shop1\r\nContent-Type: text/plain; charset=utf-8\r\n"
                + "Content-Transfer-Encoding: 8bit\r\nX-Other: not signed\r\n",
            "Subject: zażółć raw\r\nFROM: a@example.com\r\nReply-To: c@example.com\r\nTo: \r\n b@example.org\r\n",
        ]
        var cases: [Case] = []
        for head in heads {
            for body in bodies { cases.append(Case(mail: try self.signed(head + "\r\n" + body))) }
        }
        // What relays may do to it.
        let relayed = String(decoding: try self.signed(Self.head + "\r\na  b \r\n\r\n"), as: UTF8.self)
            .replacing("Subject: Hello", with: "SUBJECT:   Hello  ").replacing("a  b \r\n\r\n", with: "a b\r\n\r\n\r\n")
        cases.append(Case(mail: Array(relayed.utf8)))
        for difference in try self.differences(cases) { Issue.record("\(difference)") }
    }

    @Test func `no signed field can be changed, nor another one be put beside it`() throws {
        let mail = String(decoding: try self.signed(Self.head + "\r\nbody\r\n"), as: UTF8.self)
        let cases = [
            mail.replacing("Subject: Hello", with: "Subject: Hallo"), mail.replacing("body", with: "bodies"),
            mail.replacing("To: b@", with: "To: c@"),
        ].map { Case(mail: Array($0.utf8), isTampered: true) }
        // Fields that were not there when it was signed, and second ones.
        let added = [
            "Subject: Free", "From: b@example.net", "Reply-To: eve@example.net", "Cc: x@example.net",
            "List-Unsubscribe: <https://example.net>", "Content-Type: text/html",
        ]
        .map { Case(mail: Array("\($0)\r\n\(mail)".utf8), isTampered: true) }
        for difference in try self.differences(cases + added) { Issue.record("\(difference)") }
    }

    @Test func `the example of RFC 8463 comes out byte for byte`() throws {
        let field =
            "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;"
            + "\r\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;"
            + "\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b="
        let mail =
            "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n"
            + "Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
            + "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"
            + "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
        let message = DKIMMessage(Array(mail.utf8))
        let bodyHash = Data(SHA256.hash(data: DKIMCanonical.body(message.body))).base64EncodedString()
        #expect(bodyHash == "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=")
        let names = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"]
        var input = DKIMSigner.canonicalHeaders(message, names)
        DKIMCanonical.appendHeader(Array(field.utf8)[...], to: &input)
        let signature = try DKIMKey(parsing: Self.seed).signature(of: input)
        #expect(
            Data(signature).base64EncodedString()
                == "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==")
    }

    @Test func `what relays do to blanks and empty lines leaves the canonical form as it is`() {
        let seed: UInt64 = 6376
        var generator = SeededGenerator(seed: seed)
        let alphabet = ["a", "b", ".", " ", "  ", "\t", " \t ", "\r\n", "\r\n", "\r", "\n", "ż", "\0"]
        for round in 0..<3000 {
            let pieces = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            let body = Array(pieces.joined().utf8)
            let canonical = DKIMCanonical.body(body[...])
            // By the rules of §3.4.4, one after the other, by other means.
            let lines = Self.lines(body).map { line -> [UInt8] in
                let words = line.split(omittingEmptySubsequences: false) { $0 == 32 || $0 == 9 }
                var compact: [UInt8] = []
                for (index, word) in words.enumerated() {
                    if index > 0, compact.last != 32 { compact.append(32) }
                    compact += word
                }
                if compact.last == 32 { compact.removeLast() }
                return compact
            }
            let kept = lines.prefix((lines.lastIndex { !$0.isEmpty } ?? -1) + 1)
            #expect(canonical == kept.flatMap { $0 + [13, 10] }, "seed \(seed), round \(round): \(body)")
            #expect(DKIMCanonical.body(canonical[...]) == canonical, "seed \(seed), round \(round)")
        }
    }

    /// Cut at each CRLF and nowhere else.
    private static func lines(_ body: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = [[]]
        var index = 0
        while index < body.count {
            if body[index] == 13, index + 1 < body.count, body[index + 1] == 10 {
                lines.append([])
                index += 2
            } else {
                lines[lines.count - 1].append(body[index])
                index += 1
            }
        }
        return lines
    }

    @Test func `keys are read in the forms that tools write, and others are refused without being quoted`() throws {
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        for pem in [key.pemRepresentation, key.pkcs8PEMRepresentation, "\n\(key.pemRepresentation)\n\n"] {
            #expect(try DKIMKey(parsing: pem).algorithm == "rsa-sha256")
        }
        let der = Data([0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20])
        let seed = try #require(Data(base64Encoded: Self.seed))
        let pem = "-----BEGIN PRIVATE KEY-----\n\((der + seed).base64EncodedString())\n-----END PRIVATE KEY-----\n"
        #expect(try DKIMKey(parsing: pem).record == (try DKIMKey(parsing: Self.seed).record))
        #expect(try DKIMKey(parsing: pem).record.hasSuffix("p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="))
        for bad in [
            "", "secret", "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----", "c2VjcmV0",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nsecret\n-----END ENCRYPTED PRIVATE KEY-----",
        ] {
            let problem = try #require(throws: DKIMKeyProblem.self) { try DKIMKey(parsing: bad) }
            #expect(!problem.detail.contains("secret"))
        }
    }

    @Test func `a provider's file asks for several signatures, and the mail that goes out bears them`() async throws {
        let folder = try TemporaryFolder()
        let rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        try folder.write("rsa.pem", rsa.pemRepresentation).write(
            "smtp.yaml",
            """
            kind: smtp
            endpoint: smtp+plaintext://127.0.0.1:25
            from: {address: a@example.com}
            dkim:
              - {domain: example.com, selector: r1, key_file: rsa.pem}
              - {domain: example.com, selector: e1, key_env: DKIM_KEY}
            """)
        let mail = FakeMail()
        let catalog = try ChannelCatalog.load(
            providersFolder: folder.path, templatesFolder: Repository.templates, environment: ["DKIM_KEY": Self.seed],
            http: FakeHTTP { _ in .success(HTTPResponse(200)) }, clock: ManualClock(), mail: { _ in mail })
        #expect(catalog.warnings.isEmpty)
        let known = try ChannelConfiguration.load(providersFolder: folder.path, environment: ["DKIM_KEY": Self.seed])
        #expect(known.dkimRecords.last == "e1._domainkey.example.com TXT \"\(try DKIMKey(parsing: Self.seed).record)\"")
        let provider = try #require(catalog.providers.first)
        let outcome = await (try provider.compose(.example(channel: .email, template: "welcome"))).send()
        #expect(outcome.verdict == .accepted)
        let text = String(buffer: try #require(mail.sent.first).1)
        #expect(text.hasPrefix("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com;\r\n s=r1;"))
        #expect(text.contains("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com;\r\n s=e1;"))
        let records = [
            "r1._domainkey.example.com": try DKIMKey(parsing: rsa.pemRepresentation).record,
            "e1._domainkey.example.com": try DKIMKey(parsing: Self.seed).record,
        ]
        let object: JSONValue = [
            "case": 0, "mail": .string(Data(text.utf8).base64EncodedString()),
            "records": .object(JSONObject(records.map { .init(name: $0.key, value: .string($0.value)) })),
            "algorithms": ["rsa-sha256", "ed25519-sha256"],
        ]
        let output = try runPython("check_dkim.py", input: Data(object.encoded() + [10]))
        #expect(output == "checked 1\n")
    }

    @Test func `a key that cannot be used is a problem of its line, a weak one a warning`() throws {
        let folder = try TemporaryFolder()
        let weak = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024)).pemRepresentation
        let load = { (environment: [String: String]) throws in
            try ChannelConfiguration.load(providersFolder: folder.path, environment: environment)
        }
        try folder.write(
            "smtp.yaml",
            """
            kind: smtp
            endpoint: smtp+plaintext://127.0.0.1:25
            from: {address: a@news.example.net}
            dkim:
              - domain: example.com
                selector: r1
                key_env: DKIM_KEY
            """)
        let warnings = try load(["DKIM_KEY": weak]).warnings
        #expect(warnings.count == 2)
        #expect(warnings.contains { $0.line == 7 && $0.detail.contains("1024 bits") })
        #expect(warnings.contains { $0.detail.contains("news.example.net") && $0.detail.contains("DMARC") })
        for (environment, word) in [([:], "not set"), (["DKIM_KEY": "x"], "no private key")] {
            let error = try #require(throws: ChannelConfigurationError.self) { try load(environment) }
            #expect(error.problems.count == 1 && error.problems.first?.line == 7)
            #expect(error.description.contains(word))
        }
    }
}
