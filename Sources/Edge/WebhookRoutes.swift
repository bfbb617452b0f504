import DeliveryModel
import Hummingbird
import Logging
import NIOCore

/// `POST /v1/webhooks/{provider}`: what providers report of their own accord; `GET` where one does it in a query.
struct WebhookRoutes {
    static let bodyBytesMax = 1024 * 1024

    let intake: any WebhookIntake
    /// Without a slash at its end; nil to go by the Host header.
    let publicURL: String?
    let isTLS: Bool
    let logger: Logger

    func add(to router: Router<EdgeContext>) {
        for method in [HTTPRequest.Method.post, .get] {
            router.on("v1/webhooks/{provider}", method: method) { request, context in
                try await self.take(request, from: try context.text("provider"))
            }
        }
    }

    private func take(_ request: Request, from provider: String) async throws -> Response {
        let body: [UInt8]
        do {
            body = Array((try await request.body.collect(upTo: Self.bodyBytesMax)).readableBytesView)
        } catch is NIOTooManyBytesError {
            return Problem(
                status: .contentTooLarge, type: "body.too_large", title: "The body is too large",
                detail: "Send at most \(Self.bodyBytesMax) bytes in one request."
            ).response()
        }
        let base = self.publicURL ?? "\(self.isTLS ? "https" : "http")://\(request.head.authority ?? "")"
        let answer = await self.intake.take(
            WebhookRequest(
                method: request.method.rawValue, url: base + request.uri.string,
                headers: request.headers.map { ($0.name.canonicalName, $0.value) }, body: body),
            from: provider)
        switch answer {
        case .taken: return Response(status: .ok)
        case .unknown:
            return Problem(
                status: .notFound, type: "webhook.missing", title: "No such webhook",
                detail: "No provider of this name is enabled that has a `webhook` in its file."
            ).response()
        case .forged(let why):
            self.logger.notice(
                "a webhook was refused", metadata: ["provider": "\(provider)", "why": "\(why)"])
            return Problem(
                status: .unauthorized, type: "webhook.signature", title: "The signature is not right",
                detail: "Nothing was learned from this request."
            ).response()
        case .later(let what): return Problem.unavailable(what, "a webhook of \(provider)", self.logger)
        }
    }
}
