/// Mails as Python's email package reads them, and attempts to get something into them.

import DeliveryModel
import Foundation
import Testing

@testable import Channels

@Suite struct MailComposerTests {
    private struct Case {
        var subject: String
        var fromName: String
        var from = "hello@example.com"
        var to = "ada@example.com"
        var text: String?
        var html: String?
        var headers: [(name: String, value: String)] = []
    }

    private let now = Timestamp(milliseconds: 1_795_288_800_000)

    private func compose(_ item: Case, key: String = "d-1/0") throws -> [UInt8] {
        let composer = MailComposer(
            from: try #require(EmailAddress(item.from)), fromName: item.fromName, headers: item.headers,
            messageIDDomain: "mail.example.com")
        let content = MailContent(
            to: try #require(EmailAddress(item.to)), subject: Array(item.subject.utf8),
            text: item.text.map { Array($0.utf8) },
            html: item.html.map { Array($0.utf8) })
        return try composer.compose(content, key: key, at: self.now).bytes
    }

    /// Lets Python read all mails in one go; returns what it found different.
    private func differences(_ cases: [Case]) throws -> [String] {
        var lines = ""
        for (index, item) in cases.enumerated() {
            let mail = try self.compose(item, key: "d-\(index)/0")
            var headers: [JSONValue] = ["date", "message-id", "from", "to", "subject", "mime-version", "content-type"]
            if item.text == nil || item.html == nil { headers.append("content-transfer-encoding") }
            headers += item.headers.map { .string($0.name.lowercased()) }
            let object: JSONValue = [
                "case": .integer(Int64(index)), "mail": .string(Data(mail).base64EncodedString()),
                "headers": .array(headers), "subject": .string(Self.meant(item.subject)),
                "from_name": .string(Self.meant(item.fromName)), "from": .string(item.from), "to": .string(item.to),
                "text": item.text.map(JSONValue.string) ?? .null, "html": item.html.map(JSONValue.string) ?? .null,
            ]
            lines += String(decoding: object.encoded(), as: UTF8.self) + "\n"
        }
        let output = try runPython("check_mail.py", input: Data(lines.utf8)).split(separator: "\n").map(String.init)
        #expect(output.last == "checked \(cases.count)")
        return output.dropLast()
    }

    /// Runs of controls become one space, blanks at the ends go.
    private static func meant(_ text: String) -> String {
        String(decoding: HeaderField.cleaned(text.utf8), as: UTF8.self)
    }

    private static let alphabets: [[String]] = [
        letters("abcdefghij ABC,.:;()<>@\"\\[]=?_-+!*/'"), letters("zażółć gęślą jaźń ÄÖÜß é"), letters("日本語テキスト 中文"),
        letters("\u{1F426}\u{1F469}\u{200D}\u{1F4BB} a\u{301} e\u{308}"), letters("   x y"), letters("x"),
    ]
    private static let bodyAlphabet =
        letters("abcdefgh  =.\t\n\r<>&żółć日\u{1F426}F\0\u{7F}") + ["\r\n", "From ", "\n.", " \n"]

    private static func letters(_ text: String) -> [String] { text.map(String.init) }

    private func text(_ length: Int, _ alphabet: [String], _ generator: inout SeededGenerator) -> String {
        (0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] }.joined()
    }

    @Test func `Python's email package reads back what was put in, without a defect`() throws {
        let seed: UInt64 = 20_261_121
        var generator = SeededGenerator(seed: seed)
        var cases: [Case] = []
        for index in 0..<600 {
            let alphabet = Self.alphabets[index % Self.alphabets.count]
            let nameAlphabet = Self.alphabets[Int.random(in: 0..<Self.alphabets.count, using: &generator)]
            let body = { (generator: inout SeededGenerator) in
                self.text(Int.random(in: 0...900, using: &generator), Self.bodyAlphabet, &generator)
            }
            let kind = Int.random(in: 0..<4, using: &generator)
            cases.append(
                Case(
                    subject: self.text(Int.random(in: 0...260, using: &generator), alphabet, &generator),
                    fromName: self.text(Int.random(in: 0...90, using: &generator), nameAlphabet, &generator),
                    text: kind == 0 ? nil : body(&generator), html: kind == 1 ? nil : body(&generator)))
        }
        for difference in try self.differences(cases).prefix(20) { Issue.record("seed \(seed): \(difference)") }
    }

    @Test func `edge cases read back as they were`() throws {
        let long = String(repeating: "x", count: 5000)
        let words = Array(repeating: "word", count: 120).joined(separator: " ")
        let differences = try self.differences([
            Case(subject: "", fromName: "", text: ""),
            Case(subject: "=?UTF-8?Q?not_encoded?=", fromName: "=?x?=", text: "=?UTF-8?Q?a?="),
            Case(subject: long, fromName: "A", text: long, html: long),
            Case(subject: words, fromName: "Ada, \"Countess\" \\ of <Lovelace>", text: words),
            Case(subject: "a\r\nBcc: eve@example.com\r\n\r\nbody\0x", fromName: "B\r\nBcc: x@example.com", text: "a"),
            Case(subject: String(repeating: "ż", count: 300), fromName: String(repeating: "ó", count: 80), text: "ż"),
            Case(
                subject: "two  spaces   and more " + words, fromName: "A", from: "x+tag@example.co.uk",
                to: "\"a b\"@example.com", text: "a\n", html: "<p>\n",
                headers: [("X-Note", words), ("X-Long-Name-Of-Some-Forty-Characters-Here", "zażółć " + words)]),
            Case(subject: "dots", fromName: "A", text: ".\n..\nFrom me\n.x", html: "\r\n.\r\nQUIT\r\n"),
        ])
        for difference in differences { Issue.record("\(difference)") }
    }

    @Test func `plain ASCII with short lines stays as it is`() throws {
        let mail = String(
            decoding: try self.compose(Case(subject: "s", fromName: "A", text: "one\ntwo\n")), as: UTF8.self)
        #expect(mail.contains("Content-Transfer-Encoding: 7bit\r\n\r\none\r\ntwo\r\n"))
        #expect(mail.contains("Date: Sat, 21 Nov 2026 18:00:00 +0000\r\n") || mail.contains("Date: "))
    }

    @Test func `Message-ID and boundary are the same for each attempt and differ between messages`() throws {
        let item = Case(subject: "s", fromName: "A", text: "t", html: "h")
        let first = String(decoding: try self.compose(item, key: "d-1/0"), as: UTF8.self)
        let again = String(decoding: try self.compose(item, key: "d-1/0"), as: UTF8.self)
        let other = String(decoding: try self.compose(item, key: "d-1/1"), as: UTF8.self)
        #expect(first == again)
        let lines = { (text: String) in
            text.split(separator: "\r\n").filter { $0.hasPrefix("Message-ID") || $0.contains("boundary") }
        }
        #expect(lines(first).count == 2)
        #expect(Set(lines(first)).isDisjoint(with: lines(other)))
    }

    @Test func `a boundary that the content holds is not used`() throws {
        let item = Case(subject: "s", fromName: "A", text: "t", html: "h")
        let boundary = { (mail: [UInt8]) throws -> String in
            let text = String(decoding: mail, as: UTF8.self)
            return String(try #require(text.split(separator: "boundary=\"").last?.prefix(34)))
        }
        let usual = try boundary(try self.compose(item))
        var evil = item
        evil.text = "x\n--\(usual)\nContent-Type: text/html\n\nevil"
        #expect(try boundary(try self.compose(evil)) != usual)
        #expect(try self.differences([evil]) == [])
    }

    @Test func `a mail beyond the limit is refused before it is made`() throws {
        let composer = MailComposer(
            from: try #require(EmailAddress("a@example.com")), messageIDDomain: "example.com", bytesMax: 2000)
        for text in [String(repeating: "x", count: 2001), String(repeating: "ż", count: 700)] {
            let content = MailContent(
                to: try #require(EmailAddress("b@example.com")), subject: [], text: Array(text.utf8))
            let refusal = try #require(throws: CompositionRefusal.self) {
                try composer.compose(content, key: "k", at: self.now)
            }
            #expect(refusal.code == .messageTooLarge)
        }
    }

    @Test(
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"), (951_868_799_000, "Tue, 29 Feb 2000 23:59:59 +0000"),
            (1_735_689_600_000, "Wed, 01 Jan 2025 00:00:00 +0000"),
            (4_102_444_799_999, "Thu, 31 Dec 2099 23:59:59 +0000"),
            (-5, "Thu, 01 Jan 1970 00:00:00 +0000"), (Int64.max, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] as [(Int64, String)])
    func `dates are written as RFC 5322 wants them`(milliseconds: Int64, expected: String) {
        var output: [UInt8] = []
        MailDate.append(Timestamp(milliseconds: milliseconds), to: &output)
        #expect(String(decoding: output, as: UTF8.self) == expected)
    }

    @Test func `an HTTP date reads back as the moment that was written`() {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<2000 {
            let time = Timestamp(milliseconds: Int64.random(in: 0..<253_402_300_800, using: &generator) * 1000)
            var output: [UInt8] = []
            MailDate.append(time, to: &output)
            let text = String(decoding: output, as: UTF8.self).replacing("+0000", with: "GMT")
            #expect(MailDate.parse(httpDate: text) == time)
        }
        for bad in [
            "", "Sat, 21 Nov 2026 18:00:00 +0000", "Sat, 21 Foo 2026 18:00:00 GMT", "Sat, 99 Nov 2026 18:00:00 GMT",
            "120",
        ] {
            #expect(MailDate.parse(httpDate: bad) == nil)
        }
    }
}
