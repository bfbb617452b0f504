// What can be visited in a message: images and links of the tracking origin, and where to unsubscribe.
//
// The HTML is somebody else's and is only looked at: tags and their attributes, no more. What a style or an element
// around it hides from people is known as hidden.

import DeliveryModel
import Foundation

/// Whose links are visited, and where its server is.
struct TrackingOrigin: Sendable, Hashable {
    /// Such as `https://t.example.com`, without a slash at the end, in lower case.
    let origin: String

    init?(_ url: String) {
        let bytes = url.utf8
        guard let scheme = url.range(of: "://"), ["http", "https"].contains(url[..<scheme.lowerBound].lowercased())
        else { return nil }
        let authority = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.isEmpty, !authority.contains("@"), bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return nil
        }
        self.origin = "\(url[..<scheme.lowerBound])://\(authority)".lowercased()
    }

    var host: String { String(self.origin.drop { $0 != "/" }.dropFirst(2)) }
    var scheme: String { String(self.origin.prefix { $0 != ":" }) }

    /// Path and query of a URL of this origin; nil for any other.
    func target(of url: String) -> Substring? {
        guard url.utf8.count >= self.origin.utf8.count, url.prefix(self.origin.count).lowercased() == self.origin,
            url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        let rest = url.dropFirst(self.origin.count)
        guard rest.isEmpty || rest.first == "/" || rest.first == "?" else { return nil }
        let target = rest.prefix { $0 != "#" }
        return target.first == "/" ? target : "/" + target
    }

    /// The URLs of this origin in a text.
    func urls(in text: String) -> [String] {
        text.split { $0.isWhitespace || "<>\"'".contains($0) }.compactMap { word in
            guard let start = word.range(of: self.scheme + "://", options: .caseInsensitive) else { return nil }
            var url = word[start.lowerBound...]
            while let last = url.last, ".,;:!?)]".contains(last) { url = url.dropLast() }
            return self.target(of: String(url)) == nil ? nil : String(url)
        }
    }
}

struct MessageLinks: Sendable, Hashable {
    struct Link: Sendable, Hashable {
        let url: String
        /// No person sees it.
        let isHidden: Bool
    }

    var images: [String] = []
    var links: [Link] = []
    /// To unsubscribe: the page, and with RFC 8058 also where one POST does it.
    var unsubscribe: String?
    var takesOneClick = false

    /// What a person may click on for its own sake.
    var offers: [Link] {
        self.links.filter { !$0.isHidden && $0.url != self.unsubscribe }
    }

    init() {}

    /// Of a mail: its HTML, else its text, and List-Unsubscribe.
    init(html: String?, text: String?, listUnsubscribe: String?, post: String?, origin: TrackingOrigin) {
        if let html {
            for element in HTMLElements(html) {
                if element.name == "img", let url = element.attributes["src"], origin.target(of: url) != nil {
                    self.images.append(url)
                }
                if element.name == "a", let url = element.attributes["href"], origin.target(of: url) != nil {
                    self.links.append(Link(url: url, isHidden: element.isHidden))
                }
            }
        } else if let text {
            self.links = origin.urls(in: text).map { Link(url: $0, isHidden: false) }
        }
        let listed = (listUnsubscribe ?? "").split(separator: ",").map {
            $0.drop { $0 != "<" }.dropFirst().prefix { $0 != ">" }
        }
        self.unsubscribe =
            listed.map(String.init).first { origin.target(of: $0) != nil }
            ?? self.links.first { !$0.isHidden && origin.target(of: $0.url)?.hasPrefix("/u/") == true }?.url
        self.takesOneClick =
            post?.lowercased().filter { $0 != " " } == "list-unsubscribe=one-click" && self.unsubscribe != nil
    }

    /// Of a text message.
    init(text: String, origin: TrackingOrigin) {
        self.links = origin.urls(in: text).map { Link(url: $0, isHidden: false) }
    }

    /// Of a push message: any string in it that is a URL of the origin.
    init(payload: JSONValue, origin: TrackingOrigin) {
        self.collect(payload, origin, depth: 0)
    }

    private mutating func collect(_ value: JSONValue, _ origin: TrackingOrigin, depth: Int) {
        guard depth < 8 else { return }
        switch value {
        case .string(let text) where origin.target(of: text) != nil:
            let link = Link(url: text, isHidden: false)
            if !self.links.contains(link) { self.links.append(link) }
        case .array(let elements): for element in elements { self.collect(element, origin, depth: depth + 1) }
        case .object(let object):
            for member in object.members { self.collect(member.value, origin, depth: depth + 1) }
        default: break
        }
    }
}

/// A form as a person would send it without writing anything.
struct PageForm: Sendable, Hashable {
    /// As it stands there; nil for the page's own URL.
    let action: String?
    /// `application/x-www-form-urlencoded`
    let body: String

    /// The first form of a page that is posted; nil when there is none.
    init?(page: String) {
        var isFound = false
        var isPressed = false
        var action: String?
        var fields: [String] = []
        for element in HTMLElements(page) {
            if element.name == "form" {
                if isFound { break }
                isFound = element.attributes["method"]?.lowercased() == "post"
                action = element.attributes["action"].flatMap { $0.isEmpty ? nil : $0 }
            } else if isFound, let name = element.attributes["name"] {
                switch (element.name, element.attributes["type"]?.lowercased() ?? "") {
                case ("button", "button"), ("button", "reset"), ("input", "button"), ("input", "reset"): continue
                // One button is pressed, the first.
                case ("button", _), ("input", "submit"), ("input", "image"):
                    if isPressed { continue }
                    isPressed = true
                case ("input", "checkbox"), ("input", "radio"):
                    if element.attributes["checked"] == nil { continue }
                case ("input", _): break
                default: continue
                }
                fields.append("\(formEncoded(name))=\(formEncoded(element.attributes["value"] ?? ""))")
            }
        }
        guard isFound else { return nil }
        self.action = action
        self.body = fields.joined(separator: "&")
    }
}

/// The elements of an HTML text in order, by their start tags.
struct HTMLElements: Sequence, IteratorProtocol {
    struct Element {
        let name: String
        /// Names in lower case, character references resolved; the first of a name counts.
        let attributes: [String: String]
        /// It, or an element around it, is not shown.
        let isHidden: Bool
    }

    private static let voids: Set<String> = [
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
    ]

    private let bytes: [UInt8]
    private var position = 0
    /// Open elements, and whether each hides what is in it.
    private var open: [(name: String, isHidden: Bool)] = []

    init(_ html: String) {
        self.bytes = Array(html.utf8)
    }

    mutating func next() -> Element? {
        while let start = self.bytes[self.position...].firstIndex(of: UInt8(ascii: "<")) {
            self.position = start + 1
            if self.bytes[self.position...].starts(with: "!--".utf8) {
                self.skipComment()
                continue
            }
            let isEnd = self.peek == UInt8(ascii: "/")
            if isEnd { self.position += 1 }
            let name = self.word { Self.isNameByte($0) }.lowercased()
            guard !name.isEmpty else { continue }
            let attributes = self.attributes()
            if isEnd {
                if let last = self.open.lastIndex(where: { $0.name == name }) { self.open.removeSubrange(last...) }
                continue
            }
            let isHidden = self.open.last?.isHidden == true || Self.hides(attributes)
            if !Self.voids.contains(name), self.open.count < 500 { self.open.append((name, isHidden)) }
            return Element(name: name, attributes: attributes, isHidden: isHidden)
        }
        return nil
    }

    private static func hides(_ attributes: [String: String]) -> Bool {
        if attributes["hidden"] != nil { return true }
        let style = (attributes["style"] ?? "").lowercased().filter { !$0.isWhitespace }
        return style.contains("display:none") || style.contains("visibility:hidden")
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        !" \t\r\n\u{0C}/>=".utf8.contains(byte)
    }

    private var peek: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private mutating func word(_ belongs: (UInt8) -> Bool) -> String {
        let rest = self.bytes[self.position...]
        let end = rest.firstIndex { !belongs($0) } ?? rest.endIndex
        self.position = end
        return String(decoding: rest[..<end], as: UTF8.self)
    }

    private mutating func skipComment() {
        while self.position < self.bytes.count, !self.bytes[self.position...].starts(with: "-->".utf8) {
            self.position += 1
        }
    }

    /// Up to and with the `>`.
    private mutating func attributes() -> [String: String] {
        var attributes: [String: String] = [:]
        while let byte = self.peek, byte != UInt8(ascii: ">") {
            guard Self.isNameByte(byte) else {
                self.position += 1
                continue
            }
            let name = self.word { Self.isNameByte($0) }.lowercased()
            _ = self.word { " \t\r\n".utf8.contains($0) }
            var value = ""
            if self.peek == UInt8(ascii: "=") {
                self.position += 1
                _ = self.word { " \t\r\n".utf8.contains($0) }
                if let quote = self.peek, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
                    self.position += 1
                    value = self.word { $0 != quote }
                    self.position = Swift.min(self.position + 1, self.bytes.count)
                } else {
                    value = self.word { !" \t\r\n>".utf8.contains($0) }
                }
            }
            if attributes[name] == nil { attributes[name] = Self.resolved(value) }
        }
        self.position = Swift.min(self.position + 1, self.bytes.count)
        return attributes
    }

    /// Those references that stand in URLs.
    private static func resolved(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "&")) else { return text }
        return [("&#38;", "&"), ("&#x26;", "&"), ("&#61;", "="), ("&#39;", "'"), ("&quot;", "\""), ("&amp;", "&")]
            .reduce(text) { $0.replacing($1.0, with: $1.1) }
    }
}

/// A name or value as `application/x-www-form-urlencoded` has it.
func formEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var output: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            output.append(byte)
        case 0x20: output.append(UInt8(ascii: "+"))
        default: output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: output, as: UTF8.self)
}
