/// Mustache texts, compiled once and rendered straight into bytes.
///
/// The language is the core of the Mustache specification (mustache.github.io, spec 1.4): variables,
/// `{{{unescaped}}}` and `{{&unescaped}}`, sections, inverted sections, comments, dotted names, the
/// implicit iterator, partials, delimiters, standalone lines. No lambdas, no inheritance.
///
/// Why our own and not the package swift-mustache 2.1.1: a partial always renders
/// with HTML escaping there, in plain texts too; a miss can be noticed but not located (no line);
/// names are looked up by dynamic casts and mirrors, and every token is a `String` that we would have to
/// walk again, where mail wants bytes. What differs from the specification on purpose: a variable
/// tag that finds nothing, null, a list or an object is a refusal, never a gap in a sentence.

import DeliveryModel

/// How the value of a variable is made harmless for the place where it stands.
enum MustacheEscaping: Sendable {
    case html
    case none
}

/// A name in a tag: `user.id` has two parts, the implicit iterator `.` none.
struct MustacheName: Sendable {
    var parts: [String]

    var text: String { self.parts.isEmpty ? "." : self.parts.joined(separator: ".") }
}

/// One compiled text.
struct MustacheText: Sendable {
    indirect enum Node: Sendable {
        case literal([UInt8])
        case variable(MustacheName, MustacheEscaping, line: Int)
        case section(MustacheName, [Node])
        case inverted(MustacheName, [Node])
        /// The text of a partial, compiled where it stands; its problems name its own file.
        case partial(file: String, [Node])

        fileprivate var sizeHint: Int {
            switch self {
            case .literal(let bytes): bytes.count
            case .variable: 32
            case .section(_, let inner), .inverted(_, let inner), .partial(_, let inner):
                inner.reduce(0) { $0 + $1.sizeHint }
            }
        }
    }

    /// For messages, such as `cart-rescue/pl/email.html`.
    let file: String
    let nodes: [Node]
    /// About how many bytes it renders to, to reserve them at once.
    let sizeHint: Int

    init(file: String, nodes: [Node]) {
        self.file = file
        self.nodes = nodes
        self.sizeHint = nodes.reduce(128) { $0 + $1.sizeHint }
    }

    /// Appends the text, filled in from `variables`, to `output`.
    ///
    /// `limit` is the most bytes that `output` may hold afterwards. Refuses with `variableMissing` or
    /// `messageTooLarge`.
    func render(
        _ variables: TemplateVariables, into output: inout [UInt8], limit: Int
    ) throws(CompositionRefusal) {
        var rendering = MustacheRendering(variables: variables, limit: limit)
        try rendering.append(self.nodes, file: self.file, to: &output)
    }
}

/// What a template can name: the members of the decision's `data`, and beneath them `user.id`,
/// `user.locale`, `decision.id` and `campaign`.
struct TemplateVariables: Sendable {
    private let data: JSONValue
    private let decision: Decision

    private let unsubscribeURL: String?

    /// - Parameter unsubscribeURL: What `{{unsubscribe_url}}` stands for; nil where there is no such page.
    init(_ decision: Decision, unsubscribeURL: String? = nil) {
        self.data = .object(decision.data)
        self.decision = decision
        self.unsubscribeURL = unsubscribeURL
    }

    /// Made when it is asked for: most templates name nothing of it.
    private var builtIn: JSONValue {
        let decision = self.decision
        var user: JSONObject = JSONObject([.init(name: "id", value: .string(decision.user.id))])
        if let locale = decision.user.locale { user["locale"] = .string(locale) }
        var root = JSONObject([
            .init(name: "user", value: .object(user)),
            .init(name: "decision", value: ["id": .string(decision.id)]),
            .init(name: "campaign", value: .string(decision.campaign)),
        ])
        root["unsubscribe_url"] = self.unsubscribeURL.map { .string($0) }
        return .object(root)
    }

    fileprivate var root: JSONValue { self.data }

    /// Looked at only when `data` has nothing of this name, so that `data.user.name` and `user.id` can
    /// both be used.
    fileprivate func builtIn(_ name: MustacheName) -> JSONValue? {
        self.builtIn.member(at: name.parts[...])
    }
}

extension JSONValue {
    fileprivate func member(at path: ArraySlice<String>) -> JSONValue? {
        var value = self
        for part in path {
            guard case .object(let object) = value, let member = object[part] else { return nil }
            value = member
        }
        return value
    }

    /// Whether a section over this value is left out.
    ///
    /// Null, false, the empty list, and the empty text, on which the specification is silent.
    fileprivate var isFalsy: Bool {
        switch self {
        case .null, .bool(false): true
        case .string(let text): text.isEmpty
        case .array(let elements): elements.isEmpty
        case .bool, .integer, .number, .object: false
        }
    }
}

/// The state of one rendering: the frames that sections have opened.
private struct MustacheRendering {
    let variables: TemplateVariables
    let limit: Int
    var frames: [JSONValue]

    init(variables: TemplateVariables, limit: Int) {
        self.variables = variables
        self.limit = limit
        self.frames = [variables.root]
    }

    mutating func append(
        _ nodes: [MustacheText.Node], file: String, to output: inout [UInt8]
    ) throws(CompositionRefusal) {
        for node in nodes {
            switch node {
            case .literal(let bytes):
                output.append(contentsOf: bytes)
            case .variable(let name, let escaping, let line):
                try self.appendValue(of: name, escaping, file: file, line: line, to: &output)
            case .section(let name, let inner):
                try self.appendSection(name, inner, file: file, to: &output)
            case .inverted(let name, let inner):
                if self.value(of: name)?.isFalsy ?? true { try self.append(inner, file: file, to: &output) }
            case .partial(let partial, let inner):
                try self.append(inner, file: partial, to: &output)
            }
            guard output.count <= self.limit else {
                throw CompositionRefusal(
                    .messageTooLarge, "\(file) came out larger than \(self.limit) bytes: shorten it or its lists")
            }
        }
    }

    private mutating func appendSection(
        _ name: MustacheName, _ inner: [MustacheText.Node], file: String, to output: inout [UInt8]
    ) throws(CompositionRefusal) {
        guard let value = self.value(of: name), !value.isFalsy else { return }
        guard case .array(let elements) = value else {
            self.frames.append(value)
            defer { self.frames.removeLast() }
            return try self.append(inner, file: file, to: &output)
        }
        for element in elements {
            self.frames.append(element)
            defer { self.frames.removeLast() }
            try self.append(inner, file: file, to: &output)
        }
    }

    private func appendValue(
        of name: MustacheName, _ escaping: MustacheEscaping, file: String, line: Int, to output: inout [UInt8]
    ) throws(CompositionRefusal) {
        switch self.value(of: name) {
        case .string(let text):
            switch escaping {
            case .html: appendHTMLEscaped(text, to: &output)
            case .none: output.append(contentsOf: text.utf8)
            }
        case .integer(let value): output.append(contentsOf: String(value).utf8)
        case .number(let value): output.append(contentsOf: plainDecimal(value).utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .array, .object:
            throw self.missing(name, "is a list or an object, not a text or a number", file, line)
        case .null: throw self.missing(name, "is null", file, line)
        case nil: throw self.missing(name, "is missing", file, line)
        }
    }

    private func missing(_ name: MustacheName, _ what: String, _ file: String, _ line: Int) -> CompositionRefusal {
        CompositionRefusal(
            .variableMissing,
            "variable `\(name.text)` \(what) (\(file), line \(line)): "
                + "give it in the decision's `data`, or put the tag into a section")
    }

    /// The specification's rule: the first part is looked for from the innermost frame outwards, the
    /// others only in what it found.
    private func value(of name: MustacheName) -> JSONValue? {
        guard let first = name.parts.first else { return self.frames.last }
        for frame in self.frames.reversed() {
            guard case .object(let object) = frame, let found = object[first] else { continue }
            return found.member(at: name.parts.dropFirst()) ?? self.variables.builtIn(name)
        }
        return self.variables.builtIn(name)
    }
}

/// Appends `text` with `& < > " '` as character references.
func appendHTMLEscaped(_ text: String, to output: inout [UInt8]) {
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "&"): output.append(contentsOf: "&amp;".utf8)
        case UInt8(ascii: "<"): output.append(contentsOf: "&lt;".utf8)
        case UInt8(ascii: ">"): output.append(contentsOf: "&gt;".utf8)
        case UInt8(ascii: "\""): output.append(contentsOf: "&quot;".utf8)
        case UInt8(ascii: "'"): output.append(contentsOf: "&#39;".utf8)
        default: output.append(byte)
        }
    }
}

/// A finite number as people write it: no exponent, and no fraction where there is none (`120`, `0.05`).
func plainDecimal(_ value: Double) -> String {
    let shortest = value.description
    guard let mark = shortest.firstIndex(of: "e") else {
        return shortest.hasSuffix(".0") ? String(shortest.dropLast(2)) : shortest
    }
    guard let exponent = Int(shortest[shortest.index(after: mark)...]) else { return shortest }
    let mantissa = shortest[..<mark]
    let sign = mantissa.hasPrefix("-") ? "-" : ""
    let digits = mantissa.filter(\.isNumber)
    let parts = mantissa.split(separator: ".")
    let fraction = parts.count == 2 && parts[1] != "0" ? parts[1].count : 0
    let significant = String(fraction == 0 ? digits.prefix(1) : digits[...])
    // The point stands behind the first digit; move it by the exponent.
    if exponent < 0 {
        return sign + "0." + String(repeating: "0", count: -exponent - 1) + significant
    }
    return sign + significant + String(repeating: "0", count: max(0, exponent - fraction))
}
