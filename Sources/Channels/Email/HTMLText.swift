/// Plain text made from HTML, for templates that have no `email.txt`: readers without HTML, and filters that
/// distrust mails that have nothing else.
///
/// No parser of HTML: one pass over tags, texts and entities, with the few rules that matter in mails. Whatever
/// comes in, what comes out is no longer than a few times as much.

struct HTMLText {
    private static let blocks: Set<String> = [
        "address", "article", "aside", "blockquote", "center", "dd", "div", "dl", "dt", "fieldset", "figure", "footer",
        "form", "header", "hr", "li", "main", "nav", "ol", "pre", "section", "table", "tr", "ul",
    ]
    /// With an empty line before and behind.
    private static let paragraphs: Set<String> = [
        "p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "ul", "ol",
    ]
    private static let skipped: Set<String> = ["head", "script", "style", "title", "template", "svg"]
    private static let entities: [String: String] = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": " ", "copy": "©", "reg": "®",
        "trade": "™", "euro": "€", "pound": "£", "ndash": "–", "mdash": "—", "hellip": "…", "laquo": "«",
        "raquo": "»", "lsquo": "‘", "rsquo": "’", "ldquo": "“", "rdquo": "”", "bull": "•", "middot": "·",
        "rarr": "→", "larr": "←", "times": "×", "shy": "", "zwnj": "", "zwj": "", "ensp": " ", "emsp": " ",
        "thinsp": " ",
    ]
    /// Longer ones are shown as they are.
    private static let entityMax = 10
    /// How far a quote within a tag is looked for.
    private static let tagMax = 8192

    private let html: [UInt8]
    private var position = 0
    private var output: [UInt8] = []
    /// Line breaks to be written before the next text.
    private var breaks = 0
    private var hasBlank = false
    private var links: [(target: String, start: Int)] = []

    private init(_ html: [UInt8]) {
        self.html = html
    }

    /// UTF-8 with LF at the ends of lines; empty when the HTML shows no text.
    static func convert(_ html: [UInt8]) -> [UInt8] {
        var converter = HTMLText(html)
        converter.output.reserveCapacity(html.count / 2)
        converter.run()
        return converter.output
    }

    private mutating func run() {
        while self.position < self.html.count {
            switch self.html[self.position] {
            case UInt8(ascii: "<"): self.tag()
            case UInt8(ascii: "&"): self.entity()
            case 9, 10, 12, 13, 32:
                self.hasBlank = true
                self.position += 1
            default:
                self.write(self.html[self.position])
                self.position += 1
            }
        }
        if !self.output.isEmpty { self.output.append(10) }
    }

    private mutating func write(_ byte: UInt8) {
        if self.breaks > 0, !self.output.isEmpty {
            for _ in 0..<self.breaks { self.output.append(10) }
        } else if self.hasBlank, self.output.last.map({ $0 != 10 && $0 != 32 }) ?? false {
            self.output.append(32)
        }
        self.breaks = 0
        self.hasBlank = false
        self.output.append(byte)
    }

    private mutating func write(_ text: String) {
        for byte in text.utf8 {
            if byte == 32 { self.hasBlank = true } else { self.write(byte) }
        }
    }

    private mutating func breakLine(_ count: Int) {
        self.breaks = max(self.breaks, count)
        self.hasBlank = false
    }

    private mutating func tag() {
        if self.html[self.position...].starts(with: Array("<!--".utf8)) {
            let end = self.html.firstRange(of: Array("-->".utf8), from: self.position + 4)
            self.position = end?.upperBound ?? self.html.count
            return
        }
        let next = self.position + 1 < self.html.count ? self.html[self.position + 1] : 0
        guard next.isASCIILetter || next == UInt8(ascii: "/") || next == UInt8(ascii: "!") || next == UInt8(ascii: "?")
        else {
            self.write(UInt8(ascii: "<"))
            self.position += 1
            return
        }
        let end = self.endOfTag()
        let inner = self.html[(self.position + 1)..<end]
        self.position = min(end + 1, self.html.count)
        let isEnd = inner.first == UInt8(ascii: "/")
        let name = String(
            decoding: inner.dropFirst(isEnd ? 1 : 0).prefix { $0.isASCIIAlphanumeric }, as: UTF8.self
        ).lowercased()
        if Self.skipped.contains(name), !isEnd, inner.last != UInt8(ascii: "/") {
            self.skip(name)
        } else {
            self.act(name, isEnd: isEnd, inner)
        }
    }

    private mutating func act(_ name: String, isEnd: Bool, _ inner: ArraySlice<UInt8>) {
        if Self.paragraphs.contains(name) {
            self.breakLine(2)
        } else if Self.blocks.contains(name) {
            self.breakLine(1)
        }
        switch name {
        case "br":
            self.breaks = min(self.breaks + 1, 2)
            self.hasBlank = false
        case "li" where !isEnd: self.write("- ")
        case "td", "th": self.hasBlank = true
        case "hr" where !isEnd:
            self.write("---")
            self.breakLine(1)
        case "img" where !isEnd:
            if let alternative = Self.attribute("alt", inner) { self.write(Self.decoded(alternative)) }
        case "a": isEnd ? self.endLink() : self.beginLink(inner)
        default: break
        }
    }

    private mutating func beginLink(_ inner: ArraySlice<UInt8>) {
        guard self.links.count < 8 else { return }
        self.links.append((Self.decoded(Self.attribute("href", inner) ?? ""), self.output.count))
    }

    /// Where a link leads is put behind its text, unless the text says it already.
    private mutating func endLink() {
        guard let (target, start) = self.links.popLast() else { return }
        let isUseful = ["https://", "http://", "mailto:", "tel:"].contains { target.lowercased().hasPrefix($0) }
        guard isUseful, !target.utf8.contains(where: { $0 <= 32 }) else { return }
        let text = self.output.indices.contains(start) ? self.output[start...] : []
        let shown = String(decoding: text, as: UTF8.self).filter { !$0.isWhitespace }
        guard shown != target, "mailto:\(shown)" != target, "tel:\(shown)" != target else { return }
        if !shown.isEmpty { self.hasBlank = true }
        self.write(shown.isEmpty ? target : "<\(target)>")
    }

    private func endOfTag() -> Int {
        var quote: UInt8?
        var index = self.position + 1
        let limit = min(self.html.count, index + Self.tagMax)
        while index < limit {
            let byte = self.html[index]
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: ">") {
                return index
            }
            index += 1
        }
        // A quote that is never closed must not swallow the rest.
        return self.html[(self.position + 1)...].firstIndex(of: UInt8(ascii: ">")) ?? self.html.count
    }

    /// To behind the end tag of `name`.
    private mutating func skip(_ name: String) {
        let end = Array("</\(name)".utf8)
        var index = self.position
        while index + end.count <= self.html.count {
            let isHere = zip(self.html[index...], end).allSatisfy { $0 == $1 || $0.isASCIILetter && $0 | 0x20 == $1 }
            if isHere {
                self.position = self.html[index...].firstIndex(of: UInt8(ascii: ">")).map { $0 + 1 } ?? self.html.count
                return
            }
            index += 1
        }
        self.position = self.html.count
    }

    private mutating func entity() {
        let rest = self.html[(self.position + 1)...].prefix(Self.entityMax + 1)
        guard let end = rest.firstIndex(of: UInt8(ascii: ";")),
            let text = Self.character(String(decoding: rest[..<end], as: UTF8.self))
        else {
            self.write(UInt8(ascii: "&"))
            self.position += 1
            return
        }
        self.write(text)
        self.position = end + 1
    }

    private static func character(_ name: String) -> String? {
        guard name.hasPrefix("#") else { return self.entities[name] }
        let digits = name.dropFirst()
        let isHexadecimal = digits.hasPrefix("x") || digits.hasPrefix("X")
        let value = isHexadecimal ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
        guard let value, value >= 32, value != 127, let scalar = Unicode.Scalar(value) else { return nil }
        return value == 160 ? " " : String(Character(scalar))
    }

    /// The value of an attribute, still encoded.
    private static func attribute(_ name: String, _ tag: ArraySlice<UInt8>) -> String? {
        let text = String(decoding: tag, as: UTF8.self)
        let pattern = /(?i)\s([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/
        for match in text.matches(of: pattern) where match.output.1.lowercased() == name {
            return String(match.output.2 ?? match.output.3 ?? match.output.4 ?? "")
        }
        return nil
    }

    static func decoded(_ text: String) -> String {
        guard text.contains("&") else { return text }
        var output = ""
        var rest = text[...]
        while let start = rest.firstIndex(of: "&") {
            output += rest[..<start]
            rest = rest[start...]
            let window = rest.dropFirst().prefix(self.entityMax + 1)
            if let end = window.firstIndex(of: ";"), let character = self.character(String(window[..<end])) {
                output += character
                rest = rest[rest.index(after: end)...]
            } else {
                output += "&"
                rest = rest.dropFirst()
            }
        }
        return output + rest
    }
}
