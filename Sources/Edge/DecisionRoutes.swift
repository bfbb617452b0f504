import DeliveryModel
import Foundation
import Hummingbird
import Logging

/// `POST /v1/decisions`, `GET` and `DELETE /v1/decisions/{id}`.
struct DecisionRoutes {
    let intake: any DecisionIntake
    let ledger: any LedgerReader
    let rejects: any RejectsReader
    let logger: Logger

    func add(to routes: RouterGroup<EdgeContext>) {
        routes.post("decisions") { request, _ in try await self.post(request) }
        routes.get("decisions/{id}") { _, context in
            try await self.story(try context.text("id"))
        }
        routes.delete("decisions/{id}") { _, context in
            try await self.cancel(try context.text("id"))
        }
    }

    // MARK: POST

    private func post(_ request: Request) async throws -> Response {
        let texts: [[UInt8]]
        switch try await RequestItems.read(request, plural: "decisions") {
        case .refused(let response): return response
        case .texts(let items): texts = items
        }
        do throws(LedgerError) {
            let answers = try await self.intake.post(texts, source: "http:\(UUID().uuidString)")
            return RequestItems.results(answers)
        } catch {
            return Problem.unavailable("the ledger", error.detail, self.logger)
        }
    }

    // MARK: GET and DELETE

    private func story(_ id: String) async throws -> Response {
        do throws(LedgerError) {
            if let story = try await self.ledger.story(of: id) { return .json(StoryDocument.json(story)) }
        } catch {
            return Problem.unavailable("the ledger", error.detail, self.logger)
        }
        do throws(QueueError) {
            let rejected = try await self.rejects.rejected(id: id)
            if !rejected.isEmpty { return .json(StoryDocument.json(rejected, id: id)) }
        } catch {
            return Problem.unavailable("Redis", error.detail, self.logger)
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
            return Problem.unavailable("the ledger", error.detail, self.logger)
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
}
