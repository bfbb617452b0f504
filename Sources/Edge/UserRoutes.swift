import DeliveryModel
import Hummingbird
import Logging
import NIOCore

/// `GET` and `PUT /v1/users/{id}`: stored profiles. `PUT /v1/users/{id}/consent`: what a person said yes or no to.
struct UserRoutes {
    let ledger: any ProfileLedger & AdmissionLedger
    let logger: Logger

    func add(to routes: RouterGroup<EdgeContext>) {
        routes.get("users/{id}") { _, context in try await self.profile(try context.text("id")) }
        routes.put("users/{id}") { request, context in
            try await self.store(request, id: try context.text("id"))
        }
        routes.put("users/{id}/consent") { request, context in
            try await self.consent(request, id: try context.text("id"))
        }
    }

    private func profile(_ id: String) async throws -> Response {
        do throws(LedgerError) {
            guard let profile = try await self.ledger.profile(of: id) else {
                return Problem(
                    status: .notFound, type: "user.unknown", title: "No such profile",
                    detail: "Nothing is stored of this user. PUT it here."
                ).response()
            }
            return .json(profile.encodedProfile())
        } catch {
            return Problem.unavailable("the ledger", error.detail, self.logger)
        }
    }

    private func store(_ request: Request, id: String) async throws -> Response {
        guard let body = try await Self.body(request) else { return Self.tooLarge }
        let profile: User
        do throws(DecisionRejections) {
            profile = try User.decodeProfile(body, id: id)
        } catch {
            return Self.refusal("The profile cannot be taken", error)
        }
        do throws(LedgerError) {
            try await self.ledger.store(profile)
            return .json(profile.encodedProfile())
        } catch {
            return Problem.unavailable("the ledger", error.detail, self.logger)
        }
    }

    private func consent(_ request: Request, id: String) async throws -> Response {
        guard let body = try await Self.body(request) else { return Self.tooLarge }
        let consent: Consent
        do throws(DecisionRejections) {
            consent = try Consent.decode(body, person: id, source: "api")
        } catch {
            return Self.refusal("The consent cannot be taken", error)
        }
        do throws(LedgerError) {
            try await self.ledger.record(consent)
            return Response(status: .noContent)
        } catch {
            return Problem.unavailable("the ledger", error.detail, self.logger)
        }
    }

    private static func body(_ request: Request) async throws -> [UInt8]? {
        do {
            return Array((try await request.body.collect(upTo: 65_536)).readableBytesView)
        } catch is NIOTooManyBytesError {
            return nil
        }
    }

    private static var tooLarge: Response {
        Problem(
            status: .contentTooLarge, type: "body.too_large", title: "The body is too large",
            detail: "Send at most 65536 bytes in one request."
        ).response()
    }

    private static func refusal(_ title: String, _ error: DecisionRejections) -> Response {
        Problem(
            status: .badRequest, type: error.all.first?.code ?? "body", title: title,
            detail: error.all.first?.detail ?? "", rejections: error.all
        ).response()
    }
}
