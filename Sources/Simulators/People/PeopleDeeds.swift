// Does what people and machines have decided to do: visits, mails that come back, receipts and replies.

import CurlTransport
import DeliveryModel
import Logging
import NIOCore
import NIOPosix
import SMPPTransport
import SMTPTransport

/// The ways out, kept open between acts.
struct PeopleDeeds: Sendable {
    private static let pageBytesMax = 256 * 1024
    private static let timeoutMilliseconds = 10_000
    /// The failure of what nobody said where to bring.
    static let noWayBack = "nowhere to bring it"

    private let origin: TrackingOrigin
    /// Where the origin's server is; nil for where it says.
    private let via: TrackingOrigin?
    private let webhooksURL: String?
    private let web: CurlTransport
    private let door: SMTPClient?

    init(_ settings: PeopleSettings, origin: TrackingOrigin) throws(SimulatorError) {
        self.origin = origin
        self.via = settings.trackingVia.flatMap { TrackingOrigin($0) }
        if let given = settings.trackingVia, self.via == nil { throw SimulatorError("\(given) is not a URL") }
        self.webhooksURL = settings.webhooksURL.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
        if let given = self.webhooksURL, TrackingOrigin(given) == nil { throw SimulatorError("\(given) is not a URL") }
        let logger = Logger(label: "simulators.people") { _ in SwiftLogNoOpLogHandler() }
        self.web = CurlTransport(logger: logger, maxHostConnections: max(1, settings.concurrencyMax))
        self.door = settings.mailDoor.map { host, port in
            SMTPClient(
                settings: SMTPSettings(
                    host: host, port: port, security: .plaintext, heloName: ReturnedMail.hostName, connectionsMax: 8),
                group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        }
    }

    func stop() async {
        await self.door?.shutdown()
        await self.web.shutdown()
    }

    /// What came of it: a record for each request, at least one.
    @concurrent
    func perform(_ due: DueAct) async -> [PeopleAct] {
        switch due.act.kind {
        case .bounce, .complaint: return [await self.bringMail(due)]
        case .receipt, .stop: return [await self.bringWord(due)]
        default: break
        }
        guard !due.act.visits.isEmpty else { return [PeopleAct(due, at: .current())] }
        var records: [PeopleAct] = []
        for visit in due.act.visits { records += await self.visit(visit, due) }
        return records
    }

    // MARK: Visits

    @concurrent
    private func visit(_ visit: PlannedAct.Visit, _ due: DueAct) async -> [PeopleAct] {
        switch visit.method {
        case .get: return [await self.ask("GET", visit.url, due).record]
        case .head: return [await self.ask("HEAD", visit.url, due).record]
        case .oneClick:
            return [await self.ask("POST", visit.url, due, body: "List-Unsubscribe=One-Click").record]
        case .form:
            let (page, text) = await self.ask("GET", visit.url, due)
            guard let form = PageForm(page: text) else { return [page] }
            let url = form.action.map { self.resolved($0, on: visit.url) } ?? visit.url
            return [page, await self.ask("POST", url, due, body: form.body).record]
        }
    }

    /// An action that is a whole URL or begins with a slash; anything else counts as the page's own.
    private func resolved(_ action: String, on page: String) -> String {
        if self.origin.target(of: action) != nil { return action }
        return action.hasPrefix("/") && !action.hasPrefix("//") ? self.origin.origin + action : page
    }

    @concurrent
    private func ask(
        _ method: String, _ url: String, _ due: DueAct, body: String = ""
    ) async -> (record: PeopleAct, text: String) {
        var record = PeopleAct(due, at: .current())
        record.method = method
        record.url = url
        var headers: [HTTPHeader] = []
        if let marks = due.act.marks {
            headers = [HTTPHeader("User-Agent", marks.userAgent), HTTPHeader("X-Forwarded-For", marks.address)]
        }
        if !body.isEmpty { headers.append(HTTPHeader("Content-Type", "application/x-www-form-urlencoded")) }
        guard let target = self.origin.target(of: url) else {
            record.failure = "not a URL of the tracking origin"
            return (record, "")
        }
        var reached = url
        if let via = self.via {
            reached = via.origin + target
            headers += [HTTPHeader("Host", self.origin.host), HTTPHeader("X-Forwarded-Proto", self.origin.scheme)]
        }
        let request = HTTPRequest(
            method: method, url: reached, headers: headers, body: Array(body.utf8),
            timeoutMilliseconds: Self.timeoutMilliseconds, responseBytesMax: Self.pageBytesMax)
        do throws(HTTPFailure) {
            let answer = try await self.web.perform(request)
            record.status = answer.status
            record.location = answer.header("location")
            return (record, String(decoding: answer.body, as: UTF8.self))
        } catch {
            record.failure = error.code.rawValue
            return (record, "")
        }
    }

    // MARK: Mails that come back

    @concurrent
    private func bringMail(_ due: DueAct) async -> PeopleAct {
        var record = PeopleAct(due, at: .current())
        guard case .mail(let returnPath, let headers) = due.letter.wayBack, !returnPath.isEmpty, let door = self.door
        else {
            record.failure = Self.noWayBack
            return record
        }
        let letter = due.letter
        let mail =
            due.act.kind == .bounce
            ? ReturnedMail.bounce(
                of: headers, to: returnPath, recipient: letter.message.recipient, fate: due.act.fate ?? .unknown,
                takenAt: letter.takenAt, at: record.at, number: due.number)
            : ReturnedMail.complaint(
                about: headers, to: returnPath, recipient: letter.message.recipient, takenAt: letter.takenAt,
                at: record.at, number: due.number)
        let results = await door.send(
            SMTPEnvelope(sender: mail.sender, recipients: [mail.recipient]), message: ByteBuffer(bytes: mail.content))
        switch results.first {
        case .accepted(let reply): record.status = reply.code
        case .refused(let reply, _): record.status = reply.code
        case .notSent(let failure), .unknown(let failure): record.failure = failure.code.rawValue
        case nil: record.failure = "there is no result"
        }
        return record
    }

    // MARK: Receipts and replies

    @concurrent
    private func bringWord(_ due: DueAct) async -> PeopleAct {
        var record = PeopleAct(due, at: .current())
        let message = due.letter.message
        switch due.letter.wayBack {
        case .centre(let centre, let taken):
            if due.act.kind == .receipt {
                centre.bringReceipt(due.act.fate ?? .delivered, of: taken)
            } else {
                centre.say("STOP", from: message.recipient, to: taken.message.source.text)
            }
        case .webhook(let webhook, let ours):
            guard let base = self.webhooksURL else {
                record.failure = Self.noWayBack
                return record
            }
            let url = "\(base)/v1/webhooks/\(webhook.name)"
            let request =
                due.act.kind == .receipt
                ? webhook.receipt(
                    due.act.fate ?? .delivered, url: url, id: message.id, to: message.recipient, from: ours,
                    at: record.at)
                : webhook.reply(
                    "STOP", url: url,
                    id: hexadecimal(UInt64(bitPattern: due.letter.takenAt.milliseconds), UInt64(due.number)),
                    from: message.recipient, to: ours, at: record.at)
            await self.post(request, &record)
        case .mail, .none: record.failure = Self.noWayBack
        }
        return record
    }

    @concurrent
    private func post(_ request: SMSCallback, _ record: inout PeopleAct) async {
        record.method = request.method
        record.url = request.url
        let headers = request.headers.sorted { $0.key < $1.key }.map { HTTPHeader($0.key, $0.value) }
        do throws(HTTPFailure) {
            record.status = try await self.web.perform(
                HTTPRequest(
                    method: request.method, url: request.url, headers: headers, body: request.body,
                    timeoutMilliseconds: Self.timeoutMilliseconds)
            ).status
        } catch {
            record.failure = error.code.rawValue
        }
    }
}
