import Attribution
import DeliveryModel
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import ThreadBridge

/// `/o/{token}` and `/c/{token}` for what the lane passes on: short links that are not in memory, HTTP/1.0, connections
/// that began otherwise.
struct TrackingRoutes {
    let desk: TrackingDesk
    let networks: ClientNetwork
    let recipients: any RecipientLedger
    let logger: Logger
    /// Look-ups of short links under way: who makes codes up must not keep the ledger busy.
    private let lookups = Protected(0)
    private static let lookupsMax = 32

    init(
        desk: TrackingDesk, networks: ClientNetwork, recipients: any RecipientLedger, logger: Logger
    ) {
        self.desk = desk
        self.networks = networks
        self.recipients = recipients
        self.logger = logger
    }

    func add(to router: Router<EdgeContext>) {
        for method in [HTTPRequest.Method.get, .head] {
            router.on("o/{token}", method: method) { request, context in
                try await self.answer(request, context, .open)
            }
            router.on("c/{token}", method: method) { request, context in
                try await self.answer(request, context, .click)
            }
        }
    }

    private func answer(
        _ request: Request, _ context: EdgeContext, _ kind: TrackingRequest.Kind
    ) async throws -> Response {
        let tracked = TrackingRequest(
            kind: kind, method: request.method == .head ? .head : .get,
            token: Array(try context.parameters.require("token").utf8)[...],
            query: Array((request.uri.query ?? "").utf8)[...],
            userAgent: Self.userAgent(request), network: self.networks.text(of: request, context))
        var answer = self.desk.answer(tracked)
        if case .askLedger(let code) = answer {
            let mayAsk = self.lookups.withLock { count in
                guard count < Self.lookupsMax else { return false }
                count += 1
                return true
            }
            guard mayAsk else { return Problem.unavailable("the ledger", "too many unknown links", self.logger) }
            defer { self.lookups.withLock { $0 -= 1 } }
            do throws(LedgerError) {
                answer = self.desk.answer(tracked, link: try await self.recipients.shortLink(code))
            } catch {
                return Problem.unavailable("the ledger", error.detail, self.logger)
            }
        }
        return Self.response(answer)
    }

    static func userAgent(_ request: Request) -> String {
        String(decoding: (request.headers[.userAgent] ?? "").utf8.prefix(256), as: UTF8.self)
    }

    private static func response(_ answer: TrackingDesk.Answer) -> Response {
        var headers = HTTPFields()
        for (name, value) in TrackingAnswer.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        switch answer {
        case .pixel:
            headers[.contentType] = "image/gif"
            return Response(
                status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: TrackingAnswer.pixel)))
        case .redirect(let url):
            headers[.location] = String(decoding: url, as: UTF8.self)
            return Response(status: .found, headers: headers)
        case .notFound, .askLedger:
            headers[.contentType] = "text/plain; charset=utf-8"
            return Response(
                status: .notFound, headers: headers,
                body: ResponseBody(byteBuffer: ByteBuffer(string: TrackingAnswer.notFound)))
        }
    }
}

extension ClientNetwork {
    func text(of request: Request, _ context: EdgeContext) -> String {
        let forwarded = HTTPField.Name("X-Forwarded-For").map { request.headers[values: $0].joined(separator: ",") }
        return self.text(peer: context.remoteAddress.flatMap(IPText.bytes), forwarded: forwarded ?? "")
    }
}
