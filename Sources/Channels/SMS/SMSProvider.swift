/// The adapter for SMS over any HTTP provider that a file in `channels/providers` describes.

package import DeliveryModel
import CurlTransport

/// How one provider wants its requests.
struct SMSRequestFormat: Sendable {
    var method: String
    /// Scheme, host and port, without a slash at the end.
    var endpoint: String
    /// Begins with a slash.
    var path: RequestText
    /// Those that are the same for each message, authentication among them.
    var fixedHeaders: [HTTPHeader]
    var headers: [(name: String, value: RequestText)]
    var body: RequestText
    var prefersHTTP2: Bool
    var trustFile: String?
    var timeoutMilliseconds: Int
    var connectTimeoutMilliseconds: Int

    func request(_ values: RequestValues) -> HTTPRequest {
        var headers = self.fixedHeaders
        for (name, value) in self.headers {
            headers.append(HTTPHeader(name, String(decoding: value.filled(with: values), as: UTF8.self)))
        }
        return HTTPRequest(
            method: self.method, url: self.endpoint + String(decoding: self.path.filled(with: values), as: UTF8.self),
            headers: headers, body: self.body.filled(with: values), timeoutMilliseconds: self.timeoutMilliseconds,
            connectTimeoutMilliseconds: self.connectTimeoutMilliseconds, prefersHTTP2: self.prefersHTTP2,
            trustFile: self.trustFile)
    }
}

/// A provider of kind `http-sms`.
package struct SMSProvider: Provider {
    package let name: String
    package let channel = ChannelKind.sms
    package let concurrency: Int

    let writing: SMSWriting
    let format: SMSRequestFormat
    let answers: AnswerTable
    let templates: TemplateLibrary
    let links: LinkTracker?
    let transport: any HTTPExchanging

    package func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        let (number, text, links) = try self.writing.text(request, self.templates, self.links)
        let segments = try self.writing.segments(text)
        let values = RequestValues(
            to: number.text, text: text, idempotencyKey: request.idempotencyKey, alphabet: segments.alphabet)
        return PreparedSMS(
            address: number.text, request: self.format.request(values), answers: self.answers, segments: segments,
            writing: self.writing, links: links, now: request.now, transport: self.transport)
    }
}

private struct PreparedSMS: PreparedMessage {
    let address: String
    let request: HTTPRequest
    let answers: AnswerTable
    let segments: SMSSegments
    let writing: SMSWriting
    let links: ShortLinks?
    let now: Timestamp
    let transport: any HTTPExchanging

    var size: Int { self.request.body.count }

    func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
        // Shielded: to drop a request that is on the wire would make its outcome unknown.
        var outcome = await Task { await self.exchange(mayGo) }.value
        if outcome.verdict == .accepted || outcome.verdict == .unknown {
            outcome.detail = self.writing.detail(self.segments, outcome.detail)
        }
        return outcome
    }

    private func exchange(_ mayGo: @Sendable () -> Bool) async -> Outcome {
        if let outcome = await self.links?.record() { return outcome }
        guard mayGo() else { return .withdrawn }
        do throws(HTTPFailure) {
            return self.answers.outcome(try await self.transport.perform(self.request), now: self.now)
        } catch {
            return HTTPAnswer.outcome(error)
        }
    }
}

extension String {
    /// Without blanks and line breaks at both ends.
    var trimmed: String {
        let start = self.firstIndex { !$0.isWhitespace } ?? self.endIndex
        let end = self.lastIndex { !$0.isWhitespace }.map { self.index(after: $0) } ?? start
        return String(self[start..<end])
    }
}
