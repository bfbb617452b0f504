import Attribution
import DeliveryModel
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// `GET /u/{token}`: the page that asks. `POST /u/{token}`: its buttons, and the one click of RFC 8058.
///
/// Whoever says no is heard even if the ledger is away: the wish is kept in Redis, or in a file, before the answer. Only
/// the list of topics needs the ledger.
struct UnsubscribeRoutes {
    let desk: TrackingDesk
    let networks: ClientNetwork
    let ledger: any RecipientLedger & AdmissionLedger
    /// What campaigns are about, by their names.
    let topics: [String: String]
    let logger: Logger

    func add(to router: Router<EdgeContext>) {
        for method in [HTTPRequest.Method.get, .head] {
            router.on("u/{token}", method: method) { request, context in try await self.show(request, context) }
        }
        router.post("u/{token}") { request, context in try await self.take(request, context) }
    }

    private func show(_ request: Request, _ context: EdgeContext) async throws -> Response {
        guard let reference = self.desk.reference(unsubscribe: try context.parameters.require("token")) else {
            return self.page(.notFound, self.language(request, nil).gone())
        }
        self.desk.lookedAt(
            reference, method: request.method == .head ? .head : .get, userAgent: TrackingRoutes.userAgent(request),
            network: self.networks.text(of: request, context))
        let known = await self.known(reference)
        let page = self.language(request, known?.recipient)
        return self.page(.ok, page.asking(topic: known?.topic, topics: known?.topics ?? []))
    }

    private func take(_ request: Request, _ context: EdgeContext) async throws -> Response {
        guard let reference = self.desk.reference(unsubscribe: try context.parameters.require("token")) else {
            return self.page(.notFound, self.language(request, nil).gone())
        }
        let body: [UInt8]
        do {
            body = Array((try await request.body.collect(upTo: UnsubscribeChoice.bytesMax)).readableBytesView)
        } catch is NIOTooManyBytesError {
            return Response(status: .contentTooLarge)
        }
        let known = await self.known(reference)
        let page = self.language(request, known?.recipient)
        switch UnsubscribeChoice(form: body) {
        case .topic:
            // What the message was about is not known while the ledger is away: then it is all, as the page says.
            guard await self.keep(reference, fromAll: known?.topic == nil, request, context) else {
                return self.unavailable
            }
            return self.page(.ok, page.confirming(known?.topic.map { .topic($0) } ?? .all))
        case .all:
            guard await self.keep(reference, fromAll: true, request, context) else { return self.unavailable }
            return self.page(.ok, page.confirming(.all))
        case .topics(let wanted):
            guard let known, await self.prefer(wanted, known) else { return self.unavailable }
            return self.page(.ok, page.confirming(.preferences))
        }
    }

    private struct Known {
        let recipient: TrackedRecipient
        let topic: String?
        let topics: [UnsubscribePage.Topic]
    }

    /// Nil while the ledger is away, or when it has no such decision.
    private func known(_ reference: TrackingReference) async -> Known? {
        do throws(LedgerError) {
            guard
                let recipient = try await self.ledger.recipient(
                    decision: reference.decision, attempt: reference.attempt)
            else { return nil }
            let names = Set(self.topics.values).sorted()
            let consents = names.isEmpty ? [] : try await self.ledger.consents(of: recipient.userID)
            return Known(
                recipient: recipient, topic: self.topics[recipient.campaign],
                topics: names.map { name in
                    UnsubscribePage.Topic(id: name, isWanted: Self.isWanted(name, recipient.channel, consents))
                })
        } catch {
            self.logger.notice("an unsubscribe page goes without its topics", metadata: ["detail": "\(error.detail)"])
            return nil
        }
    }

    /// As the ledger decides: the narrowest word that fits.
    private static func isWanted(_ topic: String, _ channel: ChannelKind?, _ consents: [Consent]) -> Bool {
        let fitting = consents.filter {
            ($0.channel == nil || $0.channel == channel) && ($0.topic == nil || $0.topic == topic)
        }
        let narrowest = fitting.max {
            ($0.channel == nil ? 0 : 2) + ($0.topic == nil ? 0 : 1) < ($1.channel == nil ? 0 : 2)
                + ($1.topic == nil ? 0 : 1)
        }
        return narrowest?.isGranted ?? true
    }

    private func keep(
        _ reference: TrackingReference, fromAll: Bool, _ request: Request, _ context: EdgeContext
    ) async -> Bool {
        do {
            try await self.desk.unsubscribed(
                reference, fromAll: fromAll, userAgent: TrackingRoutes.userAgent(request),
                network: self.networks.text(of: request, context))
            return true
        } catch {
            self.logger.error("a wish to unsubscribe could not be kept: the person was told so")
            return false
        }
    }

    private func prefer(_ wanted: Set<String>, _ known: Known) async -> Bool {
        do throws(LedgerError) {
            for topic in known.topics where topic.isWanted != wanted.contains(topic.id) {
                try await self.ledger.record(
                    Consent(
                        person: known.recipient.userID, channel: known.recipient.channel, topic: topic.id,
                        isGranted: wanted.contains(topic.id), source: "preferences"))
            }
            return true
        } catch {
            self.logger.notice("preferences could not be kept", metadata: ["detail": "\(error.detail)"])
            return false
        }
    }

    private func language(_ request: Request, _ recipient: TrackedRecipient?) -> UnsubscribePage {
        UnsubscribePage(
            PageLanguage.best(locale: recipient?.locale, acceptLanguage: request.headers[.acceptLanguage]))
    }

    private func page(_ status: HTTPResponse.Status, _ html: [UInt8]) -> Response {
        var headers = HTTPFields()
        for (name, value) in UnsubscribePage.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: html)))
    }

    private var unavailable: Response {
        Problem(
            status: .serviceUnavailable, type: "unavailable", title: "Try again later",
            detail: "This could not be kept just now. Please press the button again in a minute."
        ).response(headers: [.retryAfter: "60"])
    }
}
