import DeliveryModel
import Foundation
import Hummingbird
import Logging
import NIOCore

/// `POST /v1/decisions`, `GET` and `DELETE /v1/decisions/{id}`.
struct DecisionRoutes {
    let intake: any DecisionIntake
    let ledger: any LedgerReader
    let rejects: any RejectsReader
    let logger: Logger

    /// The largest body: a few hundred of the largest decisions, or ten thousand usual ones.
    static let bodyBytesMax = 16 * 1024 * 1024
    static let itemsMax = 10_000

    func add(to routes: RouterGroup<BasicRequestContext>) {
        routes.post("decisions") { request, _ in try await self.post(request) }
        routes.get("decisions/{id}") { _, context in
            try await self.story(try context.parameters.require("id"))
        }
        routes.delete("decisions/{id}") { _, context in
            try await self.cancel(try context.parameters.require("id"))
        }
    }

    // MARK: POST

    private func post(_ request: Request) async throws -> Response {
        let body: [UInt8]
        do {
            body = Array((try await request.body.collect(upTo: Self.bodyBytesMax)).readableBytesView)
        } catch is NIOTooManyBytesError {
            return Problem(
                status: .contentTooLarge, type: "body.too_large", title: "The body is too large",
                detail: "Send at most \(Self.bodyBytesMax) bytes in one request."
            ).response()
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
                return Problem(
                    status: .badRequest, type: error.code.rawValue, title: "The body is not JSON",
                    detail: error.rejection.detail, rejections: [error.rejection]
                ).response()
            }
        }
        guard texts.count <= Self.itemsMax else {
            return Problem(
                status: .contentTooLarge, type: "body.too_many", title: "Too many decisions in one request",
                detail: "Send at most \(Self.itemsMax) decisions in one request; this one has \(texts.count)."
            ).response()
        }
        do throws(LedgerError) {
            let answers = try await self.intake.post(texts, source: "http:\(UUID().uuidString)")
            return .json(Self.results(answers), status: .accepted)
        } catch {
            return self.unavailable("the ledger", error.detail)
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0d
    }

    /// One result per item, in the order of the items (schema `martlet.result/1`).
    private static func results(_ answers: [PostAnswer]) -> [UInt8] {
        var writer = JSONWriter(reserving: answers.count * 64)
        writer.object { object in
            object.member("schema", "martlet.result/1")
            object.array("results") { list in
                for answer in answers { list.object { Self.write(answer, into: &$0) } }
            }
        }
        return writer.bytes
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

    // MARK: GET and DELETE

    private func story(_ id: String) async throws -> Response {
        do throws(LedgerError) {
            if let story = try await self.ledger.story(of: id) { return .json(StoryDocument.json(story)) }
        } catch {
            return self.unavailable("the ledger", error.detail)
        }
        do throws(QueueError) {
            let rejected = try await self.rejects.rejected(id: id)
            if !rejected.isEmpty { return .json(StoryDocument.json(rejected, id: id)) }
        } catch {
            return self.unavailable("Redis", error.detail)
        }
        return self.missing(id)
    }

    private func cancel(_ id: String) async throws -> Response {
        do throws(LedgerError) {
            switch try await self.ledger.cancel(id, reason: "cancelled.by_request") {
            case .cancelled(let state):
                return Self.cancellation(id, "cancelled", state: state)
            case .finished(let state):
                return Self.cancellation(id, "finished", state: state, status: .conflict)
            case .tooLate:
                return Self.cancellation(id, "too_late", state: nil, status: .conflict)
            case .missing:
                return self.missing(id)
            }
        } catch {
            return self.unavailable("the ledger", error.detail)
        }
    }

    private static func cancellation(
        _ id: String, _ result: String, state: String?, status: HTTPResponse.Status = .ok
    ) -> Response {
        var writer = JSONWriter()
        writer.object { object in
            object.member("id", id)
            object.member("result", result)
            object.member("state", state)
        }
        return .json(writer.bytes, status: status)
    }

    private func missing(_ id: String) -> Response {
        Problem(
            status: .notFound, type: "decision.missing", title: "No such decision",
            detail: "No decision with this id was accepted, and none is among the rejects that are kept."
        ).response()
    }

    private func unavailable(_ what: String, _ detail: String) -> Response {
        self.logger.notice("a request could not be served", metadata: ["missing": "\(what)", "detail": "\(detail)"])
        return Problem(
            status: .serviceUnavailable, type: "unavailable", title: "Try again later",
            detail: "Martlet waits for \(what). Nothing of this request was lost that was answered; send it again."
        ).response(headers: [.retryAfter: "1"])
    }
}
