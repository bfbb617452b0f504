import Crypto
import Hummingbird
import Telemetry

/// Lets nobody in who does not know the token.
struct TokenCheck: RouterMiddleware {
    typealias Context = EdgeContext

    private let digest: SHA256.Digest?

    init(token: String?) {
        self.digest = token.map { SHA256.hash(data: Array($0.utf8)) }
    }

    @concurrent func handle(
        _ request: Request, context: Context, next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard let digest = self.digest else { return try await next(request, context) }
        let given = request.headers[.authorization].flatMap { header -> String? in
            guard header.lowercased().hasPrefix("bearer ") else { return nil }
            return String(header.dropFirst(7))
        }
        // Digests compare in constant time, and their length says nothing of the token's.
        guard let given, SHA256.hash(data: Array(given.utf8)) == digest else {
            return Problem(
                status: .unauthorized, type: "unauthorized", title: "A valid API token is needed",
                detail: "Send the header 'Authorization: Bearer <token>' with the token that MARTLET_API_TOKEN holds."
            ).response(headers: [.wwwAuthenticate: "Bearer"])
        }
        return try await next(request, context)
    }
}

/// Counts and times requests by the route that they matched, never by their path.
struct RequestMeter: RouterMiddleware {
    typealias Context = EdgeContext

    let metrics: MetricsRegistry

    @concurrent func handle(
        _ request: Request, context: Context, next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var status = 500
        defer {
            let route = context.endpointPath ?? "none"
            self.metrics.counter(.httpRequests, route, "\(status)").increment()
            self.metrics.histogram(.httpRequestTime, route).observe(ContinuousClock.now - start)
        }
        do {
            let response = try await next(request, context)
            status = response.status.code
            return response
        } catch let error as any HTTPResponseError {
            status = error.status.code
            let title = error.status.reasonPhrase
            return Problem(status: error.status, type: "about:blank", title: title, detail: title).response()
        }
    }
}
