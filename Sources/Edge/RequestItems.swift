import DeliveryModel
import Hummingbird
import NIOCore

/// The items of a request's body: one object, an array, or NDJSON.
enum RequestItems {
    case texts([[UInt8]])
    /// The request cannot be taken as a whole.
    case refused(Response)

    /// The largest body: a few hundred of the largest decisions, or ten thousand usual ones.
    static let bodyBytesMax = 16 * 1024 * 1024
    static let itemsMax = 10_000

    /// - Parameter plural: What the items are, for a person.
    static func read(_ request: Request, plural: String) async throws -> RequestItems {
        let body: [UInt8]
        do {
            body = Array((try await request.body.collect(upTo: Self.bodyBytesMax)).readableBytesView)
        } catch is NIOTooManyBytesError {
            return .refused(
                Problem(
                    status: .contentTooLarge, type: "body.too_large", title: "The body is too large",
                    detail: "Send at most \(Self.bodyBytesMax) bytes in one request."
                ).response())
        }
        let texts: [[UInt8]]
        let isNDJSON = request.headers[.contentType]?.lowercased().contains("ndjson") ?? false
        if isNDJSON {
            texts = body.split(separator: UInt8(ascii: "\n")).map { Array($0) }.filter { !$0.allSatisfy(Self.isBlank) }
        } else {
            do throws(JSONSyntaxError) {
                let ranges = try JSONValue.elementRanges(of: body)
                texts = ranges.map { $0.map { Array(body[$0]) } } ?? [body]
            } catch {
                return .refused(
                    Problem(
                        status: .badRequest, type: error.code.rawValue, title: "The body is not JSON",
                        detail: error.rejection.detail, rejections: [error.rejection]
                    ).response())
            }
        }
        guard texts.count <= Self.itemsMax else {
            return .refused(
                Problem(
                    status: .contentTooLarge, type: "body.too_many", title: "Too many \(plural) in one request",
                    detail: "Send at most \(Self.itemsMax) \(plural) in one request; this one has \(texts.count)."
                ).response())
        }
        return .texts(texts)
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0d
    }

    /// One result for each item, in the order of the items (schema `martlet.result/1`).
    static func results(_ answers: [PostAnswer]) -> Response {
        var writer = JSONWriter(reserving: answers.count * 64)
        writer.object { object in
            object.member("schema", "martlet.result/1")
            object.array("results") { list in
                for answer in answers { list.object { Self.write(answer, into: &$0) } }
            }
        }
        return .json(writer.bytes, status: .accepted)
    }

    private static func write(_ answer: PostAnswer, into object: inout JSONWriter) {
        switch answer {
        case .accepted(let id):
            object.member("id", id)
            object.member("result", "accepted")
        case .duplicate(let id, let isSameText):
            object.member("id", id)
            object.member("result", "duplicate")
            object.member("same_text", isSameText)
        case .rejected(let rejections, let id):
            object.member("id", id)
            object.member("result", "rejected")
            if let first = rejections.first { object.members(of: first) }
            if rejections.count > 1 {
                object.array("more") { list in
                    for rejection in rejections.dropFirst() { list.object { $0.members(of: rejection) } }
                }
            }
        }
    }
}
