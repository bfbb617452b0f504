/// Alphabets, parts, transliteration, senders and prices of text messages.

import DeliveryModel
import Foundation
import SMPPTransport
import Testing

@testable import Channels

@Suite struct SMSTextTests {
    private struct Case: Encodable {
        var text: String
        var locking: UInt8
        var single: UInt8
    }

    /// Every character of the tables, against a package that others made from the same standard.
    @Test func `the alphabets are those of gsmcodecs`() throws {
        var cases: [Case] = []
        var own: [String?] = []
        let alphabets = [GSMAlphabet.plain] + GSMAlphabet.candidates(SMSLanguage.allCases).dropFirst()
        #expect(alphabets.count == 6)
        for alphabet in alphabets {
            // All of Latin and Greek, and the signs.
            let values = Array(0x0A...0x17F) + Array(0x391...0x3A9) + [0x20AC, 0x221E]
            for scalar in values.compactMap({ Unicode.Scalar($0 as Int) }) where scalar.value != 0x1B {
                var septets: [UInt8] = []
                let isThere = alphabet.append(scalar, to: &septets)
                cases.append(
                    Case(
                        text: String(scalar), locking: alphabet.locking?.number ?? 0,
                        single: alphabet.single?.number ?? 0))
                own.append(isThere ? septets.map { String(format: "%02x", $0) }.joined() : nil)
            }
        }
        let output = try runPython("check_gsm.py", input: try JSONEncoder().encode(cases))
        let theirs = try JSONDecoder().decode([String?].self, from: Data(output.utf8))
        #expect(theirs.count == own.count)
        for (index, (mine, their)) in zip(own, theirs).enumerated() where mine != their {
            Issue.record("\(cases[index]): \(mine ?? "none"), \(their ?? "none")")
        }
    }

    @Test(
        arguments: [
            // One table in the header leaves 155 septets, two leave 152; with the number of a part 149 and 146.
            (String(repeating: "ş", count: 152), [SMSLanguage.turkish], "GSM-7", 1),
            (String(repeating: "ş", count: 153), [.turkish], "GSM-7", 2),
            (String(repeating: "ş", count: 292), [.turkish], "GSM-7", 2),
            (String(repeating: "ş", count: 293), [.turkish], "GSM-7", 3),
            // An escape for each: the single table alone does it.
            (String(repeating: "a", count: 153) + "ş", [.turkish], "GSM-7", 1),
            (String(repeating: "á", count: 77) + "a", [.spanish], "GSM-7", 1),
            (String(repeating: "á", count: 78), [.spanish], "GSM-7", 2),
            (String(repeating: "ã", count: 152), [.portuguese], "GSM-7", 1),
            // What needs no table gets none.
            (String(repeating: "a", count: 160), [.turkish, .spanish, .portuguese], "GSM-7", 1),
            ("ş", [], "UCS-2", 1), ("şż", [.turkish], "UCS-2", 1),
        ] as [(String, [SMSLanguage], String, Int)])
    func `national tables are used where they save messages`(
        text: String, languages: [SMSLanguage], alphabet: String, count: Int
    ) {
        let segments = SMSSegments(of: text, languages: languages)
        #expect(segments.alphabet.rawValue == alphabet)
        #expect(segments.count == count)
        // No part is larger than a message: octets of the header and septets of the text.
        for index in segments.parts.indices {
            let header = segments.header(index, reference: 7).count
            let octets =
                segments.alphabet == .gsm7 ? (segments.parts[index].count * 7 + 7) / 8 : segments.parts[index].count
            #expect(header + octets <= 140)
        }
    }

    @Test func `parts together are the text`() {
        for text in [String(repeating: "a€{", count: 120), String(repeating: "ż\u{1F426}", count: 90)] {
            let segments = SMSSegments(of: text)
            #expect(segments.count > 1)
            #expect(segments.header(1, reference: 9) == [5, 0, 3, 9, UInt8(segments.count), 2])
            let all = segments.parts.flatMap(\.self)
            if segments.alphabet == .gsm7 {
                #expect(GSMAlphabet.plain.text(all) == text)
                #expect(segments.parts.allSatisfy { $0.last != GSMAlphabet.escape })
            } else {
                let units = stride(from: 0, to: all.count, by: 2).map { UInt16(all[$0]) << 8 | UInt16(all[$0 + 1]) }
                #expect(String(decoding: units, as: UTF16.self) == text)
            }
        }
    }

    @Test(
        arguments: [
            ("“Ada’s” – 5 €…", Transliteration.punctuation, "\"Ada's\" - 5 €..."),
            ("“Ada’s”", .none, "“Ada’s”"), ("a\u{00A0}b\u{200B}", .punctuation, "a b"),
            // Whatever one does it needs UCS-2: it stays as it is.
            ("“żółw”", .punctuation, "“żółw”"), ("“żółw”", .letters, "\"zólw\""), ("“中”", .letters, "“中”"),
            ("Łódź, ş", .letters, "Lódz, s"), ("naïve", .letters, "naive"), ("Größe é", .letters, "Größe é"),
        ] as [(String, Transliteration, String)])
    func `dear characters give way where it helps`(text: String, how: Transliteration, expected: String) {
        // ó is in no 7-bit table without a language: letters take its accent as well.
        let expected = how == .letters ? expected.replacing("ó", with: "o") : expected
        #expect(how.applied(to: text, languages: []) == expected)
    }

    @Test func `what a language's tables have is not changed`() {
        #expect(Transliteration.letters.applied(to: "şeker", languages: [.turkish]) == "şeker")
        #expect(Transliteration.letters.applied(to: "şeker", languages: []) == "seker")
    }

    @Test func `senders are numbers, short codes or names of eleven characters`() {
        #expect(SMSSender("+48600100200") == .number("+48600100200"))
        #expect(SMSSender("70200") == .shortCode("70200"))
        #expect(SMSSender("Larch&Loom") == .name("Larch&Loom"))
        for text in ["", "Larch and Loom", "12", "123456789012", "+0123", "Läden", "a\nb", "+48 600"] {
            #expect(SMSSender(text) == nil, "\(text)")
        }
        #expect(SMSSender("Martlet")?.address == SMPPAddress(typeOfNumber: 5, numberingPlan: 0, text: "Martlet"))
        #expect(
            SMSSender("+48600100200")?.address
                == SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: "48600100200"))
    }

    @Test func `a price is counted without rounding`() {
        #expect(SMSPrice("0.0075", currency: "eur")?.of(3) == "0.0225 EUR")
        #expect(SMSPrice("1", currency: "PLN")?.of(2) == "2.00 PLN")
        #expect(SMSPrice("0.1", currency: "EUR")?.of(20) == "2.00 EUR")
        for text in ["", "-1", "1e3", "0.0000001", ".5", "1.", "99999", "1,5"] {
            #expect(SMSPrice(text, currency: "EUR") == nil, "\(text)")
        }
        #expect(SMSPrice("1", currency: "EURO") == nil)
    }

    @Test func `words that stop are found in any language, and only alone`() throws {
        let file = YAMLFileForTests.keywords()
        #expect(file.problems.isEmpty, "\(file.problems)")
        let keywords = file.keywords
        for text in ["STOP", " stop! ", "Arrêt", "BAJA", "İPTAL", "stop all", "Rezygnuję."] {
            #expect(keywords.meaning(of: text) == .stop, "\(text)")
        }
        #expect(keywords.meaning(of: "Start") == .start && keywords.meaning(of: "wznów") == .start)
        for text in ["please stop", "", "stop it now", "what?", String(repeating: "stop ", count: 100)] {
            #expect(keywords.meaning(of: text) == nil, "\(text)")
        }
    }
}
