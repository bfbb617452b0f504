import CurlTransport
import Testing

/// A request that could be read in two ways never leaves.
@Suite(.timeLimit(.minutes(2)))
struct RequestRuleTests {
    /// Nobody listens on port 1: a request that was let through fails with another code.
    private let target = "http://127.0.0.1:1/"

    private func expectRefused(
        _ request: HTTPRequest, by transport: CurlTransport, _ what: String,
        location: SourceLocation = #_sourceLocation
    ) async {
        let failure = await transport.failure(of: request)
        #expect(failure?.code == .invalidRequest, "\(what)", sourceLocation: location)
        #expect(failure?.mayHaveActed == false, "\(what)", sourceLocation: location)
        #expect(failure?.detail.contains("sesame") == false, "\(what)", sourceLocation: location)
    }

    @Test func lineBreaksAndControlCharactersInHeadersAreRefused() async {
        let transport = CurlTransport()
        for byte in (0..<0x20).map(UInt8.init) + [0x7F] where byte != 0x09 {
            let control = String(UnicodeScalar(byte))
            for value in ["sesame\(control)X-Injected: 1", "\(control)sesame", "sesame\(control)"] {
                await self.expectRefused(
                    HTTPRequest(method: "POST", url: self.target, headers: [HTTPHeader("X-Name", value)]),
                    by: transport, "value with byte \(byte)")
            }
            await self.expectRefused(
                HTTPRequest(method: "POST", url: self.target, headers: [HTTPHeader("X-\(control)sesame", "1")]),
                by: transport, "name with byte \(byte)")
            await self.expectRefused(
                HTTPRequest(method: "POST", url: self.target + "sesame\(control)"), by: transport,
                "URL with byte \(byte)")
            await self.expectRefused(
                HTTPRequest(method: "PO\(control)ST", url: self.target), by: transport, "method with byte \(byte)")
        }
        await transport.shutdown()
    }

    @Test(arguments: ["", "X Name", "X-Name:", "X;", "Ünicode", "@x"])
    func aHeaderNameIsAToken(name: String) async {
        let transport = CurlTransport()
        await self.expectRefused(
            HTTPRequest(method: "GET", url: self.target, headers: [HTTPHeader(name, "1")]), by: transport, name)
        await transport.shutdown()
    }

    @Test(arguments: ["Content-Length", "transfer-encoding", "CONNECTION", "Expect", "Upgrade", "TE"])
    func framingIsNotTheCallersToSet(name: String) async {
        let transport = CurlTransport()
        await self.expectRefused(
            HTTPRequest(method: "POST", url: self.target, headers: [HTTPHeader(name, "1")]), by: transport, name)
        await transport.shutdown()
    }

    @Test(arguments: [
        "", "relative", "/path", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/", "smtp://127.0.0.1",
        "https:/one-slash", "https:", "https://", "http://127.0.0.1:99999/", "http://sesame:sesame@127.0.0.1:1/",
        "http://127.0.0.1:1/a b", "http://127.0.0.1:1/ż", "httpss://127.0.0.1:1/",
    ])
    func anythingButAPlainWebAddressIsRefused(url: String) async {
        let transport = CurlTransport()
        await self.expectRefused(HTTPRequest(method: "GET", url: url), by: transport, url)
        await transport.shutdown()
    }

    @Test func methodsLimitsAndSizesAreChecked() async {
        let transport = CurlTransport()
        let bad: [(String, HTTPRequest)] = [
            ("no method", HTTPRequest(method: "", url: self.target)),
            ("two words", HTTPRequest(method: "GET /", url: self.target)),
            ("CONNECT", HTTPRequest(method: "CONNECT", url: self.target)),
            ("HEAD with a body", HTTPRequest(method: "HEAD", url: self.target, body: [1])),
            ("no time", HTTPRequest(method: "GET", url: self.target, timeoutMilliseconds: 0)),
            ("no time to connect", HTTPRequest(method: "GET", url: self.target, connectTimeoutMilliseconds: -1)),
            ("negative limit", HTTPRequest(method: "GET", url: self.target, responseBytesMax: -1)),
            ("NUL in a path", HTTPRequest(method: "GET", url: self.target, trustFile: "/a\0b")),
            ("long URL", HTTPRequest(method: "GET", url: self.target + String(repeating: "u", count: 20_000))),
            (
                "long headers",
                HTTPRequest(
                    method: "GET", url: self.target,
                    headers: Array(repeating: HTTPHeader("X-Long", String(repeating: "v", count: 1000)), count: 70))
            ),
        ]
        for (what, request) in bad { await self.expectRefused(request, by: transport, what) }
        await transport.shutdown()
    }

    @Test func whatIsAllowedGetsThroughToTheNetwork() async {
        let transport = CurlTransport()
        for url in ["http://127.0.0.1:1/", "HTTP://127.0.0.1:1/?q=a@b:c", "https://127.0.0.1:1/x#y"] {
            let failure = await transport.failure(
                of: HTTPRequest(method: "PROPFIND", url: url, headers: [HTTPHeader("X-Tab", "a\tb")]))
            #expect(failure?.code == .connect)
        }
        await transport.shutdown()
    }
}
