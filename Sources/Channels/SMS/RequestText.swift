/// A part of a request with `{{placeholders}}`, compiled to bytes with holes.
///
/// What fills a hole is written for the place it stands in, so no value can end its field, its JSON string
/// or its path segment. Values that are known at load are filled in then.

/// What is filled in for each message.
struct RequestValues: Sendable {
    var to: String
    var text: String
    var idempotencyKey: String
    var messageID = ""
    var alphabet = SMSSegments.Alphabet.gsm7

    init(to: String, text: String, idempotencyKey: String, alphabet: SMSSegments.Alphabet = .gsm7) {
        (self.to, self.text, self.idempotencyKey, self.alphabet) = (to, text, idempotencyKey, alphabet)
    }

    /// Of a request that asks for a message.
    init(messageID: String) {
        (self.to, self.text, self.idempotencyKey, self.messageID) = ("", "", "", messageID)
    }
}

struct RequestText: Sendable {
    enum Place: Sendable {
        /// application/x-www-form-urlencoded.
        case form
        /// Within a JSON string.
        case json
        /// One segment of a path (RFC 3986 §3.3).
        case path
        /// An HTTP header's value; takes no placeholder whose value may hold anything but ASCII.
        case header
    }

    enum Hole: Sendable, Equatable {
        case to, text, idempotencyKey, messageID
        /// The number without its plus sign.
        case toDigits
        /// One word for a text in GSM-7 and another one for UCS-2, both known at load.
        case alphabet(gsm7: String, ucs2: String)
    }

    private enum Piece: Sendable {
        case bytes([UInt8])
        case hole(Hole, Place)
    }

    private var pieces: [Piece] = []

    var isConstant: Bool {
        self.pieces.allSatisfy { if case .bytes = $0 { true } else { false } }
    }

    mutating func appendRaw(_ bytes: some Sequence<UInt8>) {
        if case .bytes(var last)? = self.pieces.last {
            last.append(contentsOf: bytes)
            self.pieces[self.pieces.count - 1] = .bytes(last)
        } else {
            self.pieces.append(.bytes(Array(bytes)))
        }
    }

    /// Appends `template`, its text escaped for `place` (but a path's, which is a path already).
    ///
    /// `constants` are known at load, by name.
    mutating func append(
        _ template: String, place: Place, constants: [String: String], alphabets: Hole? = nil,
        holes: [String: Hole] = Self.holes
    ) throws(RequestTextProblem) {
        var rest = template[...]
        while let open = rest.firstRange(of: "{{") {
            self.appendFixed(rest[..<open.lowerBound], place)
            let behind = rest[open.upperBound...]
            guard let close = behind.firstRange(of: "}}") else {
                throw RequestTextProblem(detail: "a placeholder is never closed: write `{{to}}`")
            }
            let name = String(behind[..<close.lowerBound].filter { $0 != " " })
            if let hole = holes[name] ?? (name == "alphabet" ? alphabets : nil) {
                guard place != .header || hole != .text else {
                    throw RequestTextProblem(detail: "`{{text}}` cannot stand in a header: send it in the body")
                }
                self.pieces.append(.hole(hole, place))
            } else if let constant = constants[name] {
                var bytes: [UInt8] = []
                appendEscaped(constant, place, to: &bytes)
                self.appendRaw(bytes)
            } else {
                let known = (Array(holes.keys) + Array(constants.keys)).sorted().joined(separator: ", ")
                throw RequestTextProblem(detail: "there is no placeholder `\(name)`: \(known) are known")
            }
            rest = behind[close.upperBound...]
        }
        self.appendFixed(rest, place)
    }

    private mutating func appendFixed(_ text: Substring, _ place: Place) {
        guard !text.isEmpty else { return }
        if place == .path { return self.appendRaw(text.utf8) }
        var bytes: [UInt8] = []
        appendEscaped(String(text), place, to: &bytes)
        self.appendRaw(bytes)
    }

    func filled(with values: RequestValues) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(512)
        for piece in self.pieces {
            switch piece {
            case .bytes(let bytes): output.append(contentsOf: bytes)
            case .hole(.to, let place): appendEscaped(values.to, place, to: &output)
            case .hole(.text, let place): appendEscaped(values.text, place, to: &output)
            case .hole(.toDigits, let place):
                appendEscaped(String(values.to.drop { $0 == "+" }), place, to: &output)
            case .hole(.alphabet(let gsm7, let ucs2), let place):
                appendEscaped(values.alphabet == .gsm7 ? gsm7 : ucs2, place, to: &output)
            case .hole(.idempotencyKey, let place): appendEscaped(values.idempotencyKey, place, to: &output)
            case .hole(.messageID, let place): appendEscaped(values.messageID, place, to: &output)
            }
        }
        return output
    }

    static let holes: [String: Hole] = [
        "to": .to, "to_digits": .toDigits, "text": .text, "idempotency_key": .idempotencyKey,
    ]
    /// What a request that asks for a message may name.
    static let lookupHoles: [String: Hole] = ["message_id": .messageID]
    /// Names that a provider's own variables cannot have.
    static let reservedNames: Set<String> = [
        "to", "to_digits", "text", "idempotency_key", "message_id", "alphabet", "from",
    ]
}

/// One sentence that says what to mend.
struct RequestTextProblem: Error, Sendable, Equatable {
    var detail: String
}

/// Appends `value`, harmless in `place`.
func appendEscaped(_ value: String, _ place: RequestText.Place, to output: inout [UInt8]) {
    switch place {
    case .json: appendJSONEscaped(value, to: &output)
    case .header: output.append(contentsOf: value.utf8.filter { !$0.isASCIIControl })
    case .form, .path:
        for byte in value.utf8 {
            if byte.isASCIIAlphanumeric || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
                || byte == UInt8(ascii: "_") || (byte == UInt8(ascii: "~") && place == .path)
            {
                output.append(byte)
            } else if byte == UInt8(ascii: " "), place == .form {
                output.append(UInt8(ascii: "+"))
            } else {
                let (high, low) = byte.hexDigits
                output.append(UInt8(ascii: "%"))
                output.append(high)
                output.append(low)
            }
        }
    }
}

/// Appends `value` as the inside of a JSON string (RFC 8259 §7).
func appendJSONEscaped(_ value: String, to output: inout [UInt8]) {
    for byte in value.utf8 {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            output.append(UInt8(ascii: "\\"))
            output.append(byte)
        case 10: output.append(contentsOf: "\\n".utf8)
        case 0..<0x20:
            let (high, low) = byte.hexDigits
            output.append(contentsOf: "\\u00".utf8)
            output.append(high)
            output.append(low)
        default: output.append(byte)
        }
    }
}
