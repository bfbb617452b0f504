import Attribution
import DeliveryModel

/// Finds links in HTML and in plain text and puts others in their places.
enum LinkRewriter {
    /// HTML with its `href`s of `<a>` and `<area>` rewritten; `data-track="off"` leaves one as it is.
    static func html(_ html: [UInt8], _ rewrite: (String) -> String?) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(html.count + html.count / 2)
        var copied = 0
        var index = 0
        while let start = html[index...].firstIndex(of: UInt8(ascii: "<")) {
            if html[start...].starts(with: Self.commentStart) {
                index = Self.end(of: Self.commentEnd, in: html, from: start + 4)
                continue
            }
            guard let tag = HTMLTag(html, at: start) else {
                index = start + 1
                continue
            }
            index = tag.end
            guard tag.isLink, !tag.isUntracked, let range = tag.href else { continue }
            let url = HTMLText.decoded(String(decoding: html[range], as: UTF8.self))
            guard let replacement = rewrite(url) else { continue }
            output += html[copied..<range.lowerBound]
            output += Self.attribute(replacement)
            copied = range.upperBound
        }
        return output + html[copied...]
    }

    /// Puts `snippet` before the end of the body, or at the end.
    static func appending(_ snippet: [UInt8], to html: [UInt8]) -> [UInt8] {
        let marker = Array("</body".utf8)
        var index = html.count - marker.count
        while index >= 0 {
            if html[index..<index + marker.count].elementsEqual(marker, by: { $0 | 0x20 == $1 || $0 == $1 }) {
                return html[..<index] + snippet + html[index...]
            }
            index -= 1
        }
        return html + snippet
    }

    /// Plain text with its `http` and `https` URLs rewritten.
    static func text(_ text: [UInt8], _ rewrite: (String) -> String?) -> [UInt8] {
        var output: [UInt8] = []
        var copied = 0
        var index = 0
        while let start = text[index...].firstIndex(of: UInt8(ascii: "h")) {
            index = start + 1
            guard text[start...].starts(with: Self.secure) || text[start...].starts(with: Self.plain) else { continue }
            var end = start
            while end < text.count, text[end] > 0x20, text[end] < 0x7F, !Self.ends.contains(text[end]) { end += 1 }
            // What ends a sentence does not belong to the link.
            while end > start, Self.trailing.contains(text[end - 1]) { end -= 1 }
            index = max(end, index)
            guard let replacement = rewrite(String(decoding: text[start..<end], as: UTF8.self)) else { continue }
            output += text[copied..<start]
            output += replacement.utf8
            copied = end
        }
        return copied == 0 ? text : output + text[copied...]
    }

    private static let commentStart = Array("<!--".utf8)
    private static let commentEnd = Array("-->".utf8)
    private static let secure = Array("https://".utf8)
    private static let plain = Array("http://".utf8)
    private static let ends = Set("<>\"'".utf8)
    private static let trailing = Set(".,;:!?)]".utf8)

    /// For an attribute in double or single quotes.
    static func attribute(_ url: String) -> [UInt8] {
        var output: [UInt8] = []
        for byte in url.utf8 {
            switch byte {
            case UInt8(ascii: "&"): output += "&amp;".utf8
            case UInt8(ascii: "\""): output += "&quot;".utf8
            case UInt8(ascii: "'"): output += "&#39;".utf8
            case UInt8(ascii: "<"): output += "&lt;".utf8
            case UInt8(ascii: ">"): output += "&gt;".utf8
            default: output.append(byte)
            }
        }
        return output
    }

    private static func end(of marker: [UInt8], in html: [UInt8], from start: Int) -> Int {
        var index = min(start, html.count)
        while let found = html[index...].firstIndex(of: marker[0]) {
            if html[found...].starts(with: marker) { return found + marker.count }
            index = found + 1
        }
        return html.count
    }
}

/// A start tag, as far as links go (HTML Living Standard §13.2.5).
private struct HTMLTag {
    let isLink: Bool
    private(set) var isUntracked = false
    /// The value's place; nil where there is none in quotes.
    private(set) var href: Range<Int>?
    /// Behind the tag.
    private(set) var end: Int

    init?(_ html: [UInt8], at start: Int) {
        var index = start + 1
        let nameStart = index
        while index < html.count, html[index].isASCIIAlphanumeric { index += 1 }
        guard index > nameStart else { return nil }
        let name = String(decoding: html[nameStart..<index], as: UTF8.self).lowercased()
        self.isLink = name == "a" || name == "area"
        self.end = html.count
        while index < html.count {
            while index < html.count, Self.isSpace(html[index]) || html[index] == UInt8(ascii: "/") { index += 1 }
            guard index < html.count else { return }
            if html[index] == UInt8(ascii: ">") {
                self.end = index + 1
                return
            }
            let attributeStart = index
            while index < html.count, !Self.isSpace(html[index]), html[index] != UInt8(ascii: "="),
                html[index] != UInt8(ascii: ">")
            { index += 1 }
            let attribute = html[attributeStart..<index]
            while index < html.count, Self.isSpace(html[index]) { index += 1 }
            guard index < html.count, html[index] == UInt8(ascii: "=") else {
                if index == attributeStart { index += 1 }
                continue
            }
            index += 1
            while index < html.count, Self.isSpace(html[index]) { index += 1 }
            guard index < html.count else { return }
            let quote = html[index]
            let range: Range<Int>
            let isQuoted = quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'")
            if isQuoted {
                let close = html[(index + 1)...].firstIndex(of: quote) ?? html.count
                range = index + 1..<close
                index = min(close + 1, html.count)
            } else {
                let valueStart = index
                while index < html.count, !Self.isSpace(html[index]), html[index] != UInt8(ascii: ">") { index += 1 }
                range = valueStart..<index
            }
            switch String(decoding: attribute, as: UTF8.self).lowercased() {
            case "href" where isQuoted && self.href == nil: self.href = range
            case "data-track": self.isUntracked = html[range].elementsEqual("off".utf8)
            default: break
            }
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0C || byte == 0x0D
    }
}
