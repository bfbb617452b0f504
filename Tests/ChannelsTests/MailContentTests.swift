/// Images, attachments, and text made from HTML; and how fast mails go to one domain.

import DeliveryModel
import Foundation
import NIOCore
import SMTPTransport
import Synchronization
import Testing
import ThreadBridge

@testable import Channels

@Suite struct MailContentTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
        try self.folder.write("t/subject.txt", "Hello").write(
            "t/email.html", "<p>Hi <img src=\"cid:logo.png\" alt=Logo></p>"
        )
        .write("t/files/logo.png", "PNG").write("t/files/terms.pdf", String(repeating: "terms ", count: 100))
        .write(
            "t/email.yaml",
            "attachments:\n  - {file: terms.pdf, name: \"Zażółć \\\"1\\\".pdf\"}\n  - {file: terms.pdf}\n")
    }

    private func provider(
        _ mail: FakeMail, bytesMax: Int = MailComposer.defaultBytesMax, options: EmailOptions = EmailOptions()
    ) throws -> EmailProvider {
        let address = try #require(EmailAddress("a@example.com"))
        return EmailProvider(
            name: "smtp", concurrency: 8,
            composer: MailComposer(from: address, messageIDDomain: "mail.example.com", bytesMax: bytesMax),
            sender: address, options: options, templates: TemplateLibrary(folder: self.folder.path), transport: mail)
    }

    @Test func `Python's email package finds text, HTML, the image it shows and the attachments`() async throws {
        let mail = FakeMail()
        _ = await (try self.provider(mail).compose(.example(channel: .email, template: "t"))).send()
        let output = try runPython("check_parts.py", input: Data(try #require(mail.sent.first).1.readableBytesView))
        let expected = """
            multipart/mixed
             multipart/alternative
              text/plain 'Hi Logo\\n'
              multipart/related
               text/html '<p>Hi <img src="cid:logo.png@mail.example.com" alt=Logo></p>'
               image/png inline <logo.png@mail.example.com> 'logo.png' 3
             application/pdf attachment None 'Zażółć "1".pdf' 600
             application/pdf attachment None 'terms.pdf' 600

            """
        #expect(output == expected)
    }

    @Test func `a mail that is too large with its files is refused before it is made`() throws {
        let refusal = try #require(throws: CompositionRefusal.self) {
            try self.provider(FakeMail(), bytesMax: 1500).compose(.example(channel: .email, template: "t"))
        }
        #expect(refusal.code == .messageTooLarge)
    }

    @Test(arguments: [
        ("attachments: [{file: nothing.pdf}]", "nothing.pdf"),
        ("attachments: [{file: ../t/subject.txt}]", "cannot be the name"),
        ("attachments: [{file: terms.pdf, type: \"a\\r\\nb\"}]", "line break"),
        ("attachments: []\nattached: []", "attached"), ("attachments: [{file: terms.pdf, type: pdf}]", "media type"),
        ("attachments: [{file: terms.pdf, name: \"a\\r\\nBcc: x\"}]", "line break"), ("attachments: 3", "a list"),
    ])
    func `a file that is not there is a problem of the template`(yaml: String, word: String) throws {
        try self.folder.write("t/email.yaml", yaml)
        let library = TemplateLibrary(folder: self.folder.path)
        #expect(library.problems.first.map { "\($0)".contains(word) } == true, "\(library.problems)")
        #expect(throws: CompositionRefusal.self) { try library.email("t", locale: nil) }
    }

    @Test func `an image that HTML shows must be there, one that data names is left alone`() async throws {
        try self.folder.write("t/email.html", "<img src='cid:other.png'>")
        #expect(TemplateLibrary(folder: self.folder.path).problems.count == 1)
        try self.folder.write("t/email.html", "<img src='cid:logo.png'>{{first_name}}")
        let mail = FakeMail()
        _ = await
            (try self.provider(mail).compose(
                .example(channel: .email, template: "t", data: ["first_name": "cid:terms.pdf cid:../x"]))).send()
        let text = String(buffer: try #require(mail.sent.first).1)
        #expect(text.contains("cid:terms.pdf cid:../x"))
        #expect(text.split(separator: "Content-ID").count == 2)
    }

    @Test(arguments: [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree\n"),
        ("<h1>Title</h1>\n  text &amp; more&nbsp;&#8364;&#x20AC; &unknown; &", "Title\n\ntext & more €€ &unknown; &\n"),
        ("<a href=\"https://x.example/?a=1&amp;b=2\">Go</a> on", "Go <https://x.example/?a=1&b=2> on\n"),
        ("<a href='https://x.example'>https://x.example</a>", "https://x.example\n"),
        ("<a href=\"javascript:alert(1)\">x</a>", "x\n"),
        ("<ul><li>a</li><li>b</li></ul>c", "- a\n- b\n\nc\n"),
        ("<head><title>No</title><style>p{}</style></head><body>Yes<script>no()</script></body>", "Yes\n"),
        ("<!-- no -->a<!-- never closed", "a\n"), ("a < b <3 <p", "a < b <3\n"), ("", ""), ("<p></p>", ""),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"),
        ("<p>zażółć</p> <b>gęślą</b>", "zażółć\n\ngęślą\n"),
    ])
    func `HTML reads as text`(html: String, text: String) {
        #expect(String(decoding: HTMLText.convert(Array(html.utf8)), as: UTF8.self) == text)
    }

    @Test func `no HTML makes text of it fail or grow without measure`() {
        let seed: UInt64 = 2045
        var generator = SeededGenerator(seed: seed)
        let pieces = [
            "<", ">", "<a href=\"", "\"", "'", "<p>", "</p>", "&", "&#", "&#x", ";", "<script", "</", "<!--", "-->",
            "x", " ", "\n", "é", "<li>", "cid:", "<img alt=",
        ]
        for round in 0..<3000 {
            let html = (0..<Int.random(in: 0...60, using: &generator)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &generator)]
            }.joined()
            let text = HTMLText.convert(Array(html.utf8))
            #expect(text.count <= 4 * html.utf8.count + 64, "seed \(seed), round \(round)")
            #expect(String(validating: text, as: UTF8.self) != nil, "seed \(seed), round \(round): \(html)")
        }
    }

    // MARK: Domains

    @Test func `the most special limit of a domain counts`() {
        let limits = DomainLimits(concurrency: ["example.com": 1, "*.example.com": 2, "*.mail.example.com": 3, "*": 4])
        let found = { (domain: String) in limits.limit(for: domain).map { "\($0.name) \($0.concurrency)" } }
        #expect(found("example.com") == "example.com 1")
        #expect(found("a.example.com") == "*.example.com 2")
        #expect(found("b.a.mail.example.com") == "*.mail.example.com 3")
        #expect(found("example.org") == "example.org 4")
        #expect(DomainLimits(concurrency: ["a.b": 1]).limit(for: "c.b") == nil)
    }

    @Test(.timeLimit(.minutes(1))) func `no more mails than allowed are on their way to one domain`() async throws {
        let gate = DomainGate(DomainLimits(concurrency: ["example.com": 3]), waitingMax: 50)
        let counts = Protected((now: 0, most: 0, entered: 0, sentBack: 0))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    guard await gate.enter("example.com") else { return counts.withLock { $0.sentBack += 1 } }
                    counts.withLock {
                        $0.now += 1
                        $0.entered += 1
                        $0.most = max($0.most, $0.now)
                    }
                    await Task.yield()
                    counts.withLock { $0.now -= 1 }
                    gate.leave("example.com")
                }
            }
        }
        let (now, most, entered, sentBack) = counts.withLock { $0 }
        #expect(now == 0 && most <= 3 && entered >= 3 && entered + sentBack == 200)
        #expect(await gate.enter("example.com"))
        #expect(await gate.enter("example.org"))
    }

    @Test(.timeLimit(.minutes(1))) func `who finds too many waiting, or waits for too long, comes back later`()
        async throws
    {
        let gate = DomainGate(DomainLimits(concurrency: ["*": 1]), waitingMax: 1, patience: .milliseconds(1))
        #expect(await gate.enter("example.com"))
        async let first = gate.enter("example.com")
        // The one who waits is sent back when something moves after its patience is over; until then nobody else waits.
        try await Task.sleep(for: .milliseconds(50))
        async let second = gate.enter("example.com")
        #expect(await first == false)
        gate.leave("example.com")
        if await second { gate.leave("example.com") }
        #expect(await gate.enter("example.com"))

        let mail = FakeMail()
        var options = EmailOptions()
        let full = DomainGate(DomainLimits(concurrency: ["*": 1]), waitingMax: 1)
        options.domains = full
        #expect(await full.enter("example.com"))
        let waiting = Task { await full.enter("example.com") }
        try await Task.sleep(for: .milliseconds(50))
        let busy = await (try self.provider(mail, options: options).compose(.example(channel: .email, template: "t")))
            .send()
        #expect(busy.verdict == .deferred && busy.reason == "email.domain_busy" && busy.retryAfter == DomainGate.pause)
        full.leave("example.com")
        #expect(await waiting.value)
    }

    @Test(.timeLimit(.minutes(1))) func `a mail that is cancelled while it waits gives its place to others`()
        async throws
    {
        let gate = DomainGate(DomainLimits(concurrency: ["*": 1]), waitingMax: 10)
        #expect(await gate.enter("a.example"))
        let waiting = Task { await gate.enter("a.example") }
        waiting.cancel()
        #expect(await waiting.value == false)
        gate.leave("a.example")
        #expect(await gate.enter("a.example"))
    }
}
