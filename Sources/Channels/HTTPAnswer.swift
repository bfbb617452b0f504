/// What both HTTP adapters read from an answer, and what the lack of one means.

import CurlTransport
import DeliveryModel

enum HTTPAnswer {
    private static let retryAfterSecondsMax: Int64 = 7 * 24 * 3600

    /// RFC 9110 §10.2.3: seconds or a date; nil when the header is absent or is neither.
    ///
    /// At most a week. `now` is for a date in an answer that has no Date of its own.
    static func retryAfter(_ response: HTTPResponse, now: Timestamp) -> Milliseconds? {
        guard let value = response.header("retry-after") else { return nil }
        if let seconds = Int64(value), seconds >= 0 { return .seconds(min(seconds, self.retryAfterSecondsMax)) }
        guard let date = MailDate.parse(httpDate: value) else { return nil }
        let start = response.header("date").flatMap { MailDate.parse(httpDate: $0) } ?? now
        return Milliseconds(min(max(date.since(start).count, 0), self.retryAfterSecondsMax * 1000))
    }

    static func outcome(_ failure: HTTPFailure) -> Outcome {
        Outcome(
            failure.mayHaveActed ? .unknown : .deferred, reason: failure.code.rawValue,
            detail: ProviderWords.clean(failure.detail), fault: .provider)
    }

    /// Whose fault it is, by the status alone.
    static func fault(_ status: Int) -> Outcome.Fault {
        switch status {
        case 429: .pace
        // Not ours to send with, or not there to answer.
        case 401, 403, 404, 408, 500...599: .provider
        default: .message
        }
    }

    /// The body as JSON; nil when it is none.
    static func json(_ response: HTTPResponse) -> JSONValue? {
        guard !response.body.isEmpty else { return nil }
        do throws(JSONSyntaxError) {
            return try JSONValue.parse(response.body)
        } catch {
            return nil
        }
    }
}

extension JSONValue {
    /// The value at an RFC 6901 pointer.
    func value(at pointer: AnswerPointer) -> JSONValue? {
        var value = self
        for token in pointer.tokens {
            switch value {
            case .object(let object):
                guard let member = object[token] else { return nil }
                value = member
            case .array(let elements):
                guard let index = Int(token), elements.indices.contains(index) else { return nil }
                value = elements[index]
            default: return nil
            }
        }
        return value
    }

    /// A text as it is, an integer in digits; nil for anything else.
    var answerText: String? {
        switch self {
        case .string(let text): text
        case .integer(let value): String(value)
        case .bool(let value): value ? "true" : "false"
        case .null, .number, .array, .object: nil
        }
    }
}

/// A parsed RFC 6901 pointer.
struct AnswerPointer: Sendable, Equatable {
    let tokens: [String]

    /// Nil when `text` is not a pointer: it is empty or begins with a slash.
    init?(_ text: String) {
        guard text.isEmpty || text.hasPrefix("/") else { return nil }
        self.tokens = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            String($0.replacing("~1", with: "/").replacing("~0", with: "~"))
        }
    }
}
