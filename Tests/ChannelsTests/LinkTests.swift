import Attribution
import DeliveryModel
import Testing

@testable import Channels

/// Links and pixels of messages.
@Suite struct LinkTests {
    private func html(_ text: String) -> String {
        String(decoding: LinkRewriter.html(Array(text.utf8)) { "T(\($0))" }, as: UTF8.self)
    }

    private func text(_ text: String) -> String {
        String(decoding: LinkRewriter.text(Array(text.utf8)) { "T(\($0))" }, as: UTF8.self)
    }

    @Test(arguments: [
        (#"<a href="https://a.example/?x=1&amp;y=2">go</a>"#, #"<a href="T(https://a.example/?x=1&amp;y=2)">go</a>"#),
        (#"<A CLASS=b HREF = 'https://a.example'>go</A>"#, #"<A CLASS=b HREF = 'T(https://a.example)'>go</A>"#),
        (
            #"<a data-track="off" href="https://a.example">go</a>"#,
            #"<a data-track="off" href="https://a.example">go</a>"#
        ),
        (
            #"<link href="https://a.example"><img src="https://b">"#,
            #"<link href="https://a.example"><img src="https://b">"#
        ),
        (#"<!-- <a href="https://a.example"> --><b>"#, #"<!-- <a href="https://a.example"> --><b>"#),
        (#"<a title="<a href='x'>" href="https://a">"#, #"<a title="<a href='x'>" href="T(https://a)">"#),
        (#"a < b <a href="https://a"#, #"a < b <a href="T(https://a)"#),
        ("<a href", "<a href"), ("<a href=", "<a href="), ("<", "<"), ("", ""),
    ])
    func linksOfHTMLAreFound(given: String, expected: String) {
        #expect(self.html(given) == expected)
    }

    @Test(arguments: [
        ("Go to https://a.example/x?y=1.", "Go to T(https://a.example/x?y=1)."),
        ("(http://a.example), https://b.example!", "(T(http://a.example)), T(https://b.example)!"),
        ("<https://a.example>", "<T(https://a.example)>"), ("https", "https"), ("hhttps://a", "hT(https://a)"),
        ("no link", "no link"), ("", ""),
    ])
    func linksOfTextAreFound(given: String, expected: String) {
        #expect(self.text(given) == expected)
    }

    @Test func rubbishComesBackAsItWas() {
        var random = TestGenerator(seed: 5)
        let pieces = [
            "<a", " href", "=", "\"", "'", ">", "https://a.b", "<!--", "-->", "&amp;", " ", "</body", "<", "é",
        ]
        for _ in 0..<3000 {
            let text = (0..<Int.random(in: 0...14, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? ""
            }.joined()
            #expect(LinkRewriter.html(Array(text.utf8)) { _ in nil } == Array(text.utf8))
            #expect(LinkRewriter.text(Array(text.utf8)) { _ in nil } == Array(text.utf8))
            let appended = LinkRewriter.appending(Array("P".utf8), to: Array(text.utf8))
            #expect(appended.count == text.utf8.count + 1)
        }
    }

    @Test func aMessageKnowsItsLinks() throws {
        let keys = TrackingKeys([.init(id: 1, secret: Array(0..<32))], newest: 1)
        let tracker = LinkTracker(
            settings: .init(base: "https://t.example", untracked: ["plain"]), keys: { keys }, register: NoRegister())
        let decision = Decision(
            id: "d", user: User(id: "u"), campaign: "c", messageClass: .marketing,
            choice: .plan([Step(channel: .email, template: "t")]))
        var request = CompositionRequest(
            decision: decision, step: Step(channel: .email, template: "t"), stepIndex: 0,
            now: Timestamp(milliseconds: 0), attempt: 2)
        let made = tracker.message(request)
        var message = try #require(made)
        let url = "https://shop.example.com/a?b=c"
        let rewritten = message.tracked(url)
        let tracked = try #require(rewritten)
        #expect(message.tracked(url) == tracked)
        let parts = tracked.dropFirst("https://t.example/c/".count).split(separator: "?")
        #expect(keys.read(Array(parts[0].utf8)[...], .click, url: Array(url.utf8))?.attempt == 2)
        #expect(message.tracked("mailto:a@example.com") == nil)
        #expect(message.tracked("https://t.example/u/x") == nil)
        let shortened = message.shortened(url)
        let short = try #require(shortened)
        #expect(short.text.hasPrefix("https://t.example/c/") && short.link.code.count == ShortCode.length)
        #expect(short.link.url == url && short.link.decision == "d")
        #expect(message.shortened("https://other.example")?.link.code != short.link.code)
        request.step.template = "plain"
        #expect(tracker.message(request) == nil)
        #expect(tracker.link(for: request)?.url?.hasPrefix("https://t.example/u/") == true)
    }
}

private struct NoRegister: ShortLinkRegister {
    func record(_ links: [ShortLink]) async throws(LedgerError) {}
}

private struct TestGenerator: RandomNumberGenerator {
    var seed: UInt64

    mutating func next() -> UInt64 {
        self.seed = self.seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return self.seed ^ (self.seed >> 29)
    }
}
