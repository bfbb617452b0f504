// HTTP as the tests speak it: through curl, which knows nothing of Martlet, and JSON as Foundation reads it.
import Foundation

struct Answer: Sendable {
    let status: Int
    let headers: [String: String]
    let body: String

    var json: JSON { JSON.parse(self.body) }
}

enum Web {
    /// Sends one request; throws when no answer comes.
    static func send(
        _ method: String, _ url: String, body: String? = nil, headers: [String: String] = [:], options: [String] = []
    ) async throws -> Answer {
        // Headers first, then a line that no header can be, then the body.
        var command = ["curl", "-sS", "--max-time", "30", "-X", method, "-D", "-", "-H", "Expect:"]
        for (name, value) in headers { command += ["-H", "\(name): \(value)"] }
        if body != nil { command += ["--data-binary", "@-"] }
        let output = try await Program.run(command + options + [url], input: body.map { Array($0.utf8) })
        guard output.code == 0 else { throw Overdue("\(method) \(url): \(output.err)") }
        let text = output.out.replacingOccurrences(of: "\r\n", with: "\n")
        guard let gap = text.range(of: "\n\n") else { throw Overdue("\(method) \(url): no headers") }
        let lines = text[..<gap.lowerBound].split(separator: "\n")
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0].lowercased()] = parts.dropFirst().first.map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return Answer(status: status, headers: fields, body: String(text[gap.upperBound...]))
    }

    static func get(_ url: String, headers: [String: String] = [:]) async throws -> Answer {
        try await self.send("GET", url, headers: headers)
    }
}

/// Any JSON value; what is not there is null.
enum JSON: Decodable, Sendable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    static func parse(_ text: String) -> JSON {
        (try? JSONDecoder().decode(JSON.self, from: Data(text.utf8))) ?? .null
    }

    subscript(_ name: String) -> JSON {
        if case .object(let members) = self { members[name] ?? .null } else { .null }
    }

    var list: [JSON] { if case .array(let list) = self { list } else { [] } }
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var number: Double? { if case .number(let number) = self { number } else { nil } }
    var int: Int? { if case .number(let number) = self { Int(number) } else { nil } }
}
