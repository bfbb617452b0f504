/// A file that goes out with a mail: an image within its HTML (RFC 2392), or an attachment (RFC 2183).

/// Encoded once, when the templates are loaded; mails share the bytes.
struct MailFile: Sendable, Equatable {
    /// RFC 2045 §6.8.
    private static let lineMax = 76

    /// As the reader sees it.
    var name: String
    /// Such as `image/png`; checked by ``isMediaType(_:)``.
    var type: String
    /// In Base64, with CRLF behind each line.
    var encoded: [UInt8]

    init(name: String, type: String, content: [UInt8]) {
        self.name = name
        self.type = type
        var plain: [UInt8] = []
        plain.reserveCapacity(content.count / 3 * 4 + 4)
        appendBase64(content[...], to: &plain)
        var encoded: [UInt8] = []
        encoded.reserveCapacity(plain.count + plain.count / Self.lineMax * 2 + 2)
        var start = 0
        while start < plain.count {
            let end = min(plain.count, start + Self.lineMax)
            encoded.append(contentsOf: plain[start..<end])
            encoded.append(contentsOf: [13, 10])
            start = end
        }
        self.encoded = encoded
    }

    /// Appends the part with its header; `contentID` without angle brackets makes it a part of the HTML.
    func append(contentID: String?, to output: inout [UInt8]) {
        output.append(contentsOf: "Content-Type: \(self.type)\r\nContent-Transfer-Encoding: base64\r\n".utf8)
        if let contentID { output.append(contentsOf: "Content-ID: <\(contentID)>\r\n".utf8) }
        output.append(contentsOf: "Content-Disposition: \(contentID == nil ? "attachment" : "inline");\r\n ".utf8)
        self.appendFileName(to: &output)
        output.append(contentsOf: [13, 10, 13, 10])
        output.append(contentsOf: self.encoded)
    }

    /// RFC 2183 §2.3; a name outside of ASCII by RFC 2231 §4, which every reader of today knows.
    private func appendFileName(to output: inout [UInt8]) {
        if self.name.utf8.allSatisfy({ $0.isFileNameText || $0 == UInt8(ascii: " ") }) {
            output.append(contentsOf: "filename=\"\(self.name)\"".utf8)
            return
        }
        output.append(contentsOf: "filename*=UTF-8''".utf8)
        for byte in self.name.utf8 {
            if byte.isFileNameText {
                output.append(byte)
            } else {
                output.append(contentsOf: [UInt8(ascii: "%"), byte.hexDigits.high, byte.hexDigits.low])
            }
        }
    }

    /// Whether `text` is `type/subtype`, without parameters.
    static func isMediaType(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { part in
                (1...100).contains(part.count)
                    && part.allSatisfy { $0.isASCIIAlphanumeric || [UInt8]("-.+_".utf8).contains($0) }
            }
    }

    /// By the ending of a file's name; `application/octet-stream` for those that are not known.
    static func mediaType(of name: String) -> String {
        let ending = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
        return self.types[ending] ?? "application/octet-stream"
    }

    private static let types = [
        "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
        "svg": "image/svg+xml", "pdf": "application/pdf", "ics": "text/calendar", "csv": "text/csv",
        "txt": "text/plain", "html": "text/html", "json": "application/json", "xml": "application/xml",
        "zip": "application/zip", "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pkpass": "application/vnd.apple.pkpass", "vcf": "text/vcard",
    ]

    /// Whether `name` can be that of a file beside a template: it goes into a Content-ID and never leads elsewhere.
    static func isFileName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && !name.hasPrefix(".") && name.utf8.allSatisfy(\.isFileNameText)
    }
}

extension UInt8 {
    /// What stands for itself in a quoted string, a URL and RFC 2231's `attribute-char` alike.
    var isFileNameText: Bool {
        self.isASCIIAlphanumeric || self == UInt8(ascii: "-") || self == UInt8(ascii: "_") || self == UInt8(ascii: ".")
    }
}

/// Finds what HTML shows of the files beside it.
enum InlineImages {
    private static let scheme = [UInt8]("cid:".utf8)

    /// Each `cid:<name>` of a file that is there becomes `cid:<name>@<domain>`, as RFC 2392 wants a Content-ID to be
    /// unique in the world; other texts stay as they are.
    ///
    /// - Returns: The HTML, and the names that occur in it, each once and in the order of their first occurrence.
    static func resolve(_ html: [UInt8], files: [String: MailFile], domain: String) -> (html: [UInt8], used: [String]) {
        var output: [UInt8] = []
        output.reserveCapacity(html.count + 256)
        var used: [String] = []
        var rest = 0
        while let found = html.firstRange(of: self.scheme, from: rest) {
            let name = self.name(in: html, from: found.upperBound)
            output.append(contentsOf: html[rest..<(found.upperBound + name.utf8.count)])
            rest = found.upperBound + name.utf8.count
            guard files[name] != nil else { continue }
            output.append(contentsOf: "@\(domain)".utf8)
            if !used.contains(name) { used.append(name) }
        }
        output.append(contentsOf: html[rest...])
        return (output, used)
    }

    /// All names after `cid:` in a template's own text, whether there are such files or not.
    static func references(in source: [UInt8]) -> [String] {
        var names: [String] = []
        var rest = 0
        while let found = source.firstRange(of: self.scheme, from: rest) {
            let name = self.name(in: source, from: found.upperBound)
            if !name.isEmpty { names.append(name) }
            rest = found.upperBound
        }
        return names
    }

    private static func name(in html: [UInt8], from start: Int) -> String {
        String(decoding: html[start...].prefix { $0.isFileNameText }, as: UTF8.self)
    }
}
