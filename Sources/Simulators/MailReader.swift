// Reads a mail far enough to show it: the subject, and the first text and the first HTML part (RFC 2045, 2046, 2047).
//
// It reads what strangers may send, so it goes no deeper than a few levels and gives up on what it does not know;
// the control API has the headers as they came.

import Foundation

struct MailReader: Sendable {
    private static let depthMax = 5
    private static let partsMax = 50
    private static let lineEnd = Array("\r\n".utf8)

    let subject: String
    let from: String?
    private(set) var text: String?
    private(set) var html: String?

    init(_ mail: ReceivedMail) {
        self.subject = Self.decodedWords(mail.header("Subject") ?? "")
        self.from = mail.header("From").map(Self.decodedWords)
        self.read(mail.content[...], depth: 0)
    }

    private mutating func read(_ entity: ArraySlice<UInt8>, depth: Int) {
        guard depth <= Self.depthMax else { return }
        let (headers, body) = Self.split(entity)
        let type = headers["content-type"] ?? "text/plain"
        let kind = type.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
        if kind.hasPrefix("multipart/"), let boundary = Self.parameter("boundary", of: type) {
            for part in Self.parts(of: body, boundary: boundary) { self.read(part, depth: depth + 1) }
            return
        }
        guard kind == "text/plain" && self.text == nil || kind == "text/html" && self.html == nil else { return }
        let encoding = headers["content-transfer-encoding"]?.trimmingCharacters(in: .whitespaces).lowercased()
        let bytes = Self.decoded(body, encoding: encoding ?? "7bit")
        let isLatin = Self.parameter("charset", of: type)?.lowercased() == "iso-8859-1"
        let content = isLatin ? Self.latin(bytes) : String(decoding: bytes, as: UTF8.self)
        if kind == "text/html" { self.html = content } else { self.text = content }
    }

    /// The unfolded headers by name in lower case, the first of a name only; and the body.
    private static func split(_ entity: ArraySlice<UInt8>) -> ([String: String], ArraySlice<UInt8>) {
        var headers: [String: String] = [:]
        var name: String?
        var position = entity.startIndex
        while position < entity.endIndex {
            let end = Self.find(Self.lineEnd, in: entity[position...]) ?? entity.endIndex
            let line = String(decoding: entity[position..<end], as: UTF8.self)
            position = min(end + 2, entity.endIndex)
            if line.isEmpty { break }
            if line.first == " " || line.first == "\t" {
                if let name { headers[name]? += line }
                continue
            }
            guard let colon = line.firstIndex(of: ":") else { continue }
            let key = line[..<colon].lowercased()
            name = headers[key] == nil ? key : nil
            if let name { headers[name] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces) }
        }
        return (headers, entity[position...])
    }

    private static func parts(of body: ArraySlice<UInt8>, boundary: String) -> [ArraySlice<UInt8>] {
        let delimiter = Array("--\(boundary)".utf8)
        var parts: [ArraySlice<UInt8>] = []
        var start: Int?
        var position = body.startIndex
        while position < body.endIndex, parts.count < Self.partsMax {
            let end = Self.find(Self.lineEnd, in: body[position...]) ?? body.endIndex
            if body[position..<end].starts(with: delimiter) {
                if let start { parts.append(body[start..<max(start, position - 2)]) }
                if body[position..<end].dropFirst(delimiter.count).starts(with: Array("--".utf8)) { return parts }
                start = min(end + 2, body.endIndex)
            }
            position = min(end + 2, body.endIndex)
        }
        if let start, parts.count < Self.partsMax { parts.append(body[start...]) }
        return parts
    }

    private static func find(_ needle: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        guard let first = needle.first else { return nil }
        var position = bytes.startIndex
        while let found = bytes[position...].firstIndex(of: first) {
            if bytes[found...].starts(with: needle) { return found }
            position = found + 1
        }
        return nil
    }

    private static func parameter(_ name: String, of header: String) -> String? {
        for part in header.split(separator: ";").dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, let key = pair.first, let value = pair.last,
                key.trimmingCharacters(in: .whitespaces).lowercased() == name
            else { continue }
            let trimmed = value.trimmingCharacters(in: CharacterSet(charactersIn: " \t\""))
            return trimmed.isEmpty ? nil : trimmed
        }
        return nil
    }

    private static func decoded(_ body: ArraySlice<UInt8>, encoding: String) -> [UInt8] {
        switch encoding {
        case "base64": Array(Data(base64Encoded: Data(body), options: .ignoreUnknownCharacters) ?? Data())
        case "quoted-printable": Self.unquoted(body, underscoreIsSpace: false)
        default: Array(body)
        }
    }

    private static func unquoted(_ bytes: some Sequence<UInt8>, underscoreIsSpace: Bool) -> [UInt8] {
        var result: [UInt8] = []
        var pending: [UInt8] = []
        for byte in bytes {
            if !pending.isEmpty {
                pending.append(byte)
                guard pending.count == 3 else { continue }
                if let value = UInt8(String(decoding: pending.dropFirst(), as: UTF8.self), radix: 16) {
                    result.append(value)
                } else if !pending.dropFirst().elementsEqual(Self.lineEnd) {
                    result += pending
                }
                pending.removeAll()
            } else if byte == UInt8(ascii: "=") {
                pending.append(byte)
            } else {
                result.append(underscoreIsSpace && byte == UInt8(ascii: "_") ? 0x20 : byte)
            }
        }
        return result
    }

    private static func latin(_ bytes: [UInt8]) -> String {
        var text = ""
        for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
        return text
    }

    /// A header's encoded words (RFC 2047) made readable; blanks between two of them vanish.
    private static func decodedWords(_ header: String) -> String {
        var result = ""
        var wasEncoded = false
        for word in header.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r\n" }) {
            let fields = word.split(separator: "?", omittingEmptySubsequences: false)
            guard fields.count == 5, fields[0] == "=", fields[4] == "=" else {
                result += (result.isEmpty ? "" : " ") + word
                wasEncoded = false
                continue
            }
            let isBase64 = fields[2].lowercased() == "b"
            let bytes =
                isBase64
                ? Array(Data(base64Encoded: String(fields[3])) ?? Data())
                : Self.unquoted(fields[3].utf8, underscoreIsSpace: true)
            if !wasEncoded, !result.isEmpty { result += " " }
            result +=
                fields[1].lowercased() == "iso-8859-1" ? Self.latin(bytes) : String(decoding: bytes, as: UTF8.self)
            wasEncoded = true
        }
        return result
    }
}
