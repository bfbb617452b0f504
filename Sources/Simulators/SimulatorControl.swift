// The control API of a fleet of simulators, plain HTTP/1.1 on the loopback interface.
//
//     GET    /                                   a page for people: counters and the latest messages
//     GET    /simulators                         name, URL, counts and faults of each
//     GET    /simulators/{name}                  the same of one
//     GET    /simulators/{name}/messages?limit=  the newest messages first; 50 unless told, at most 1 000
//     DELETE /simulators/{name}/messages         forgets messages and counts
//     GET    /simulators/{name}/faults
//     PUT    /simulators/{name}/faults           a JSON object, see `SimulatorFaults` (SMS, push) and
//                                                `MailInspection` (mail); `{}` ends all faults
//
// A request must name 127.0.0.1 or localhost as its host: a web page in somebody's browser cannot get in by
// giving its own name that address. It cannot send PUT or DELETE either, since no CORS answer lets it.

import DeliveryModel

struct SimulatorControl: Sendable {
    private static let limitDefault = 50
    private static let limitMax = 1_000

    private let simulators: [any Inspectable]

    init(_ simulators: [any Inspectable]) {
        self.simulators = simulators
    }

    func answer(_ request: ReceivedRequest) -> HTTPAnswer {
        guard Self.isOurs(request.host) else { return Self.problem(421, "Ask for 127.0.0.1 or localhost.") }
        let path = request.path
        guard let first = path.first else {
            guard request.method == "GET" else { return Self.methodNotAllowed("GET") }
            return InboxPage.answer(self.simulators)
        }
        guard first == "simulators", path.count <= 3 else { return Self.notFound }
        guard path.count > 1 else {
            guard request.method == "GET" else { return Self.methodNotAllowed("GET") }
            return .json(200) { json in
                json.array("simulators") { list in
                    for simulator in self.simulators { list.object { Self.write(simulator, into: &$0) } }
                }
            }
        }
        guard let simulator = self.simulators.first(where: { $0.name == path[1] }) else { return Self.notFound }
        switch (request.method, path.count > 2 ? path[2] : "") {
        case ("GET", ""): return .json(200) { Self.write(simulator, into: &$0) }
        case ("GET", "messages"): return Self.messages(of: simulator, query: request.query)
        case ("DELETE", "messages"):
            simulator.forget()
            return .json(200) { Self.write(simulator, into: &$0) }
        case ("GET", "faults"): return HTTPAnswer(status: 200, body: simulator.faultsJSON.encoded())
        case ("PUT", "faults"): return Self.setFaults(of: simulator, request.body)
        case (_, ""): return Self.methodNotAllowed("GET")
        case (_, "messages"): return Self.methodNotAllowed("GET, DELETE")
        case (_, "faults"): return Self.methodNotAllowed("GET, PUT")
        default: return Self.notFound
        }
    }

    /// An RFC 9457 problem.
    static func problem(_ status: Int, _ detail: String) -> HTTPAnswer {
        var answer = HTTPAnswer.json(status) { json in
            json.member("status", status)
            json.member("detail", detail)
        }
        answer.contentType = "application/problem+json"
        return answer
    }

    private static let notFound = Self.problem(404, "There is nothing here; GET /simulators lists what there is.")

    private static func methodNotAllowed(_ allowed: String) -> HTTPAnswer {
        Self.problem(405, "Allowed here: \(allowed).").with(.allow, allowed)
    }

    private static func isOurs(_ host: String?) -> Bool {
        guard let name = host?.split(separator: ":").first else { return false }
        return name == "127.0.0.1" || name == "localhost"
    }

    private static func write(_ simulator: any Inspectable, into json: inout JSONWriter) {
        json.member("name", simulator.name)
        json.member("url", simulator.url)
        json.member("counts", simulator.countsJSON)
        json.member("faults", simulator.faultsJSON)
    }

    private static func messages(of simulator: any Inspectable, query: String?) -> HTTPAnswer {
        let text = FormFields((query ?? "").utf8)["limit"]
        let limit = text.map { Int($0) ?? -1 } ?? Self.limitDefault
        guard (0...Self.limitMax).contains(limit) else {
            return Self.problem(400, "limit must be a whole number from 0 to \(Self.limitMax).")
        }
        return .json(200) { json in
            json.array("messages") { list in
                for entry in simulator.inbox(limit: limit) { list.object { Self.write(entry, into: &$0) } }
            }
        }
    }

    private static func write(_ entry: InboxEntry, into json: inout JSONWriter) {
        json.member("id", entry.id)
        json.member("received_at", entry.receivedAt)
        json.member("from", entry.from)
        json.member("to", entry.to)
        json.member("subject", entry.subject)
        json.member("text", entry.text)
        json.member("html", entry.html)
        for member in entry.fields.members { json.member(member.name, member.value) }
    }

    private static func setFaults(of simulator: any Inspectable, _ body: [UInt8]) -> HTTPAnswer {
        do {
            try simulator.setFaults(json: JSONValue.parse(body))
            return HTTPAnswer(status: 200, body: simulator.faultsJSON.encoded())
        } catch let error as JSONSyntaxError {
            return Self.problem(400, "\(error.problem) (line \(error.line), column \(error.column)).")
        } catch {
            return Self.problem(400, "\(error)")
        }
    }
}
