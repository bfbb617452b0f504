/// What is an address and what is not.

import Foundation
import Testing

@testable import Channels

@Suite struct EmailAddressTests {
    @Test(arguments: [
        "ada@example.com", "a+b_c.d-e@sub.example.co.uk", "\"a b\"@example.com", "\"a\\\"b\"@example.com",
        "x@[192.0.2.1]",
        "x@[IPv6:2001:db8::1]", "x@localhost", "!#$%&'*+-/=?^_`{|}~@example.com", "żółw@example.com",
    ])
    func `an address is taken as it is`(text: String) throws {
        #expect(try #require(EmailAddress(text)).text == text)
    }

    @Test(arguments: [
        "", "@", "a@", "@b", "ada", "a..b@example.com", ".a@example.com", "a.@example.com", "a b@example.com", "a@b@c",
        "a@exa mple.com", "a@-example.com", "a@example-.com", "a@example..com", "a@.com", "a@example.com.",
        "<a@example.com>",
        "a@example.com\r\nBcc: x@example.com", "a\n@example.com", "a\0@example.com", "\"a\r\"@example.com",
        "\"a\"b\"@example.com",
        "a@exa_mple.com", "a@[300.1.1.1]", "a@[evil]", "a\u{2028}@example.com", "a\u{00A0}b@example.com",
        "a@exa\u{200B}mple.com",
        "a,b@example.com", "a@example.com>", "a@example.com SIZE=1",
    ])
    func `what is no address is refused`(text: String) {
        #expect(EmailAddress(text) == nil)
    }

    @Test func `lengths end where RFC 5321 says`() {
        let label = String(repeating: "d", count: 63)
        #expect(EmailAddress(String(repeating: "a", count: 64) + "@example.com") != nil)
        #expect(EmailAddress(String(repeating: "a", count: 65) + "@example.com") == nil)
        #expect(EmailAddress("a@\(label).com") != nil)
        #expect(EmailAddress("a@\(label)d.com") == nil)
        let domain = "\(label).\(label).\(label)"
        #expect(EmailAddress(String(repeating: "a", count: 254 - domain.utf8.count - 1) + "@\(domain)") != nil)
        #expect(EmailAddress(String(repeating: "a", count: 255 - domain.utf8.count - 1) + "@\(domain)") == nil)
    }

    @Test func `simple labels become the same punycode as Python's`() throws {
        let labels = [
            "bücher", "łódź", "gęślą-jaźń", "münchen", "пример", "例え", "παράδειγμα", "ééé", "a-é-b", "漢字かなカナ",
        ]
        let input = try JSONSerialization.data(withJSONObject: labels)
        let output = try runPython("check_addresses.py", input: input)
        let expected = try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String])
        #expect(labels.map { Punycode.asciiLabel($0) } == expected)
    }

    @Test func `an international domain goes out in ASCII, unless its form is in doubt`() throws {
        let simple = try #require(EmailAddress("ada@Bücher.Example"))
        #expect(simple.text == "ada@xn--bcher-kva.example")
        #expect(!simple.needsSMTPUTF8)
        for text in ["ada@straße.example", "ada@bu\u{308}cher.example", "żółw@example.com"] {
            #expect(try #require(EmailAddress(text)).needsSMTPUTF8)
        }
    }

    @Test func `spellings of one mailbox are suppressed together`() throws {
        #expect(try #require(EmailAddress("Ada@EXAMPLE.com")).normalised == "ada@example.com")
    }
}
