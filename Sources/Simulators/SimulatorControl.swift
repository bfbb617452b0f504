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
//     GET    /people                             the dials of the people, and what they did so far
//     PUT    /people                             sets dials anew: see `PeopleDials`
//     GET    /people/acts?after=&limit=          what was done, one JSON object on a line, the oldest first: acts with a
//                                                number above `after`; 10 000 unless told, at most 100 000
//
// A request must name 127.0.0.1 or localhost as its host: a web page in somebody's browser cannot get in by
// giving its own name that address. It cannot send PUT or DELETE either, since no CORS answer lets it.

import DeliveryModel

struct SimulatorControl: Sendable {
    private static let limitDefault = 50
    private static let limitMax = 1_000

    private static let actsDefault = 10_000
    private static let actsMax = 100_000

    private let simulators: [any Inspectable]
    private let people: People?

    init(_ simulators: [any Inspectable], people: People?) {
        self.simulators = simulators
        self.people = people
    }

    func answer(_ request: ReceivedRequest) -> HTTPAnswer {
        guard Self.isOurs(request.host) else { return Self.problem(421, "Ask for 127.0.0.1 or localhost.") }
        let path = request.path
        guard let first = path.first else {
            guard request.method == "GET" else { return Self.methodNotAllowed("GET") }
            return InboxPage.answer(self.simulators, people: self.people)
        }
        if first == "people" { return self.answerPeople(request) }
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

    private func answerPeople(_ request: ReceivedRequest) -> HTTPAnswer {
        guard let people = self.people else { return Self.problem(404, "There are no people here: see --people.") }
        switch (request.method, request.path.dropFirst().joined(separator: "/")) {
        case ("GET", ""): return Self.summary(of: people)
        case ("PUT", ""):
            do {
                people.setDials(try people.dials.changed(by: JSONValue.parse(request.body)))
                return Self.summary(of: people)
            } catch {
                return Self.problem(error)
            }
        case ("GET", "acts"):
            let query = FormFields((request.query ?? "").utf8)
            let after = query["after"].map { Int($0) ?? -1 } ?? 0
            let limit = query["limit"].map { Int($0) ?? -1 } ?? Self.actsDefault
            guard after >= 0, (0...Self.actsMax).contains(limit) else {
                return Self.problem(400, "after and limit must be whole numbers, limit at most \(Self.actsMax).")
            }
            var lines: [UInt8] = []
            for act in people.acts(after: after, limit: limit) {
                var json = JSONWriter(reserving: 512)
                json.object { act.write(into: &$0) }
                lines += json.bytes + [UInt8(ascii: "\n")]
            }
            return HTTPAnswer(status: 200, body: lines, contentType: "application/x-ndjson")
        case (_, ""): return Self.methodNotAllowed("GET, PUT")
        case (_, "acts"): return Self.methodNotAllowed("GET")
        default: return Self.notFound
        }
    }

    private static func summary(of people: People) -> HTTPAnswer {
        let totals = people.totals
        let counts = people.counts
        var actors = JSONObject()
        for row in counts.rows {
            var acts = actors[row.actor]?.object ?? JSONObject()
            acts[row.act] = .integer(Int64(row.count))
            actors[row.actor] = .object(acts)
        }
        return .json(200) { json in
            json.member("tracking_url", people.origin.origin)
            json.member("dials", people.dials.json)
            json.object("counts") { json in
                json.member("messages", totals.messages)
                json.member("waiting", totals.waiting)
                json.member("given_up", totals.givenUp)
                json.member("failures", counts.failures)
                json.member("acts", .object(actors))
            }
        }
    }

    /// What was wrong with a request's JSON.
    private static func problem(_ error: any Error) -> HTTPAnswer {
        guard let error = error as? JSONSyntaxError else { return Self.problem(400, "\(error)") }
        return Self.problem(400, "\(error.problem) (line \(error.line), column \(error.column)).")
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
        } catch {
            return Self.problem(error)
        }
    }
}
