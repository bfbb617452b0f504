import NIOCore
import Testing

@testable import SMTPTransport

@Suite struct ReplyParserTests {
    private func parse(_ text: String) throws -> [SMTPReplyParser.Parsed] {
        var parser = SMTPReplyParser()
        parser.append(ByteBuffer(string: text))
        var all: [SMTPReplyParser.Parsed] = []
        while let parsed = try parser.next() { all.append(parsed) }
        return all
    }

    @Test(arguments: [
        ("250 2.1.0 Ok\r\n", SMTPReply(code: 250, enhancedCode: "2.1.0", text: "Ok")),
        ("250 Ok\r\n", SMTPReply(code: 250, text: "Ok")),
        ("250\r\n", SMTPReply(code: 250, text: "")),
        ("354 go\n", SMTPReply(code: 354, text: "go")),
        ("550 5.1.1\r\n", SMTPReply(code: 550, enhancedCode: "5.1.1", text: "")),
        (
            "550-5.7.26 one\r\n550-5.7.26 two\r\n550 5.7.26 three\r\n",
            SMTPReply(code: 550, enhancedCode: "5.7.26", text: "one two three")
        ),
        // Not RFC 2034: another class, a missing part, a word that only begins like one.
        ("250 4.2.2 odd\r\n", SMTPReply(code: 250, text: "4.2.2 odd")),
        ("550 5.1 half\r\n", SMTPReply(code: 550, text: "5.1 half")),
        ("550 5.1.1234 long\r\n", SMTPReply(code: 550, text: "5.1.1234 long")),
        ("250 a\u{1B}[2Jb\u{7}\r\n", SMTPReply(code: 250, text: "a?[2Jb?")),
        ("250 zażółć\r\n", SMTPReply(code: 250, text: "zażółć")),
    ])
    func aReplyIsRead(_ text: String, _ reply: SMTPReply) throws {
        #expect(try self.parse(text).map(\.reply) == [reply])
    }

    @Test func theLinesBehindTheFirstAreKeptForEHLO() throws {
        let parsed = try self.parse("250-mx.test hello\r\n250-SIZE 5\r\n250 PIPELINING\r\n")

        #expect(parsed.map(\.moreLines) == [["SIZE 5", "PIPELINING"]])
    }

    @Test func whereTheBytesAreCutMakesNoDifference() throws {
        let text = "220 mx\r\n250-a\r\n250 SIZE 9\r\n250 2.1.0 ok\r\n354 go\r\n"
        let whole = try self.parse(text)
        for cut in 0...text.utf8.count {
            var parser = SMTPReplyParser()
            var all: [SMTPReplyParser.Parsed] = []
            for part in [text.utf8.prefix(cut), text.utf8.dropFirst(cut)] {
                parser.append(ByteBuffer(bytes: part))
                while let parsed = try parser.next() { all.append(parsed) }
            }
            #expect(all == whole, "cut at \(cut)")
            #expect(parser.isEmpty)
        }
    }

    @Test(arguments: [
        "hello\r\n", "25 ok\r\n", "2500 ok\r\n", "150 ok\r\n", "650 ok\r\n", "250_ok\r\n", "\r\n", " 250 ok\r\n",
        "-50 ok\r\n",
        "250-a\r\n251 b\r\n", "HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH\r\n", "２５０ ok\r\n",
    ])
    func whatIsNotSMTPIsRefused(_ text: String) {
        #expect(throws: SMTPReplyParser.Garbage.self) { try self.parse(text) }
    }

    @Test func aLineWithoutEndIsRefused() {
        #expect(throws: SMTPReplyParser.Garbage.self) {
            try self.parse("250 " + String(repeating: "x", count: SMTPReplyParser.lineBytesMax))
        }
        #expect(throws: SMTPReplyParser.Garbage.self) {
            try self.parse("250 " + String(repeating: "x", count: SMTPReplyParser.lineBytesMax) + "\r\n")
        }
    }

    @Test func aReplyWithoutEndIsRefused() {
        #expect(throws: SMTPReplyParser.Garbage.self) {
            try self.parse(String(repeating: "250-more and more\r\n", count: 5_000))
        }
    }

    @Test func theTextIsLimited() throws {
        let words = String(repeating: "ż", count: 600)
        let parsed = try self.parse("250-\(words)\r\n250 \(words)\r\n")

        #expect(parsed.first?.reply.text.utf8.count == SMTPReplyParser.textBytesMax)
    }
}

@Suite struct CapabilitiesTests {
    @Test func extensionsAreReadInAnyCase() {
        let capabilities = SMTPCapabilities(
            lines: [
                "pipelining", "Size 1000", "8bitMIME", "SMTPUTF8", "STARTTLS", "AUTH plain LOGIN", "AUTH=XOAUTH2", "X",
            ])

        #expect(capabilities.hasPipelining && capabilities.hasSize && capabilities.hasEightBitMIME)
        #expect(capabilities.hasSMTPUTF8 && capabilities.hasStartTLS)
        #expect(capabilities.sizeMax == 1_000)
        #expect(capabilities.authMechanisms == ["PLAIN", "LOGIN", "XOAUTH2"])
    }

    @Test(arguments: ["SIZE", "SIZE 0", "SIZE -5", "SIZE many", "SIZE 99999999999999999999"])
    func aSizeThatIsNoLimitIsNone(_ line: String) {
        let capabilities = SMTPCapabilities(lines: [line])

        #expect(capabilities.hasSize)
        #expect(capabilities.sizeMax == nil)
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        "a\r\nRSET@x", "a\nb@x", "a\rb@x", "a\0@x", "a b@x", "a>@x", "<a@x", "a@x\u{7F}", "a\t@x",
        String(repeating: "x", count: 250) + "@x.de",
    ])
    func anAddressThatCouldBecomeACommandIsRefused(_ address: String) {
        #expect(SMTPAddress.flaw(of: address) != nil)
    }

    @Test(arguments: [
        "", "a@x.test", "postmaster", "o'neil+tag=1@x.test", "zażółć@x.test", String(repeating: "x", count: 254),
    ])
    func anyOtherIsLeftToTheServer(_ address: String) {
        #expect(SMTPAddress.flaw(of: address) == nil)
    }
}

@Suite struct Base64Tests {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func theVectorsOfRFC4648Hold(_ plain: String, _ encoded: String) {
        #expect(Base64.encoded(plain) == encoded)
    }
}
