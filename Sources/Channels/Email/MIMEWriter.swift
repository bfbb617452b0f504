/// The body of a mail: one part, or several between boundaries (RFC 2046 §5.1, RFC 2387).

import Crypto

enum MIMEWriter {
    private indirect enum Entity {
        case body([UInt8], type: String)
        case file(MailFile, contentID: String?)
        /// `mark` keeps the boundary from being that of an entity around it.
        case multipart(String, mark: String, [Entity])
    }

    /// Appends the content with its own header fields and the empty line; ends with CRLF.
    ///
    /// `seed` is hexadecimal, and goes into each boundary: another one is made when a text holds it.
    static func append(_ content: MailContent, seed: [UInt8], to output: inout [UInt8]) {
        let entity = self.entity(of: content)
        let start = output.count
        var seed = seed
        while true {
            let mayHold = self.append(entity, seed: seed, to: &output)
            if output.last != 10 { output.append(contentsOf: [13, 10]) }
            let texts = mayHold ? [content.text, content.html].compactMap(\.self) : []
            guard texts.contains(where: { $0.firstRange(of: seed, from: 0) != nil }) else { return }
            output.removeLast(output.count - start)
            var next: [UInt8] = []
            appendHexadecimal(SHA256.hash(data: seed).prefix(16), to: &next)
            seed = next
        }
    }

    private static func entity(of content: MailContent) -> Entity {
        var parts: [Entity] = []
        if let text = content.text { parts.append(.body(text, type: "text/plain")) }
        if let html = content.html {
            let body = Entity.body(html, type: "text/html")
            let images = content.inline.map { Entity.file($0.file, contentID: $0.id) }
            parts.append(
                images.isEmpty ? body : .multipart("related;\r\n type=\"text/html\"", mark: "r", [body] + images))
        }
        let shown = parts.count == 1 ? parts[0] : .multipart("alternative", mark: "", parts)
        guard !content.attachments.isEmpty else { return shown }
        return .multipart("mixed", mark: "m", [shown] + content.attachments.map { .file($0, contentID: nil) })
    }

    /// Returns whether a line of a text may be a boundary.
    private static func append(_ entity: Entity, seed: [UInt8], to output: inout [UInt8]) -> Bool {
        switch entity {
        case .body(let text, let type):
            output.append(contentsOf: "Content-Type: ".utf8)
            output.append(contentsOf: type.utf8)
            output.append(contentsOf: "; charset=utf-8\r\nContent-Transfer-Encoding: ".utf8)
            return TransferEncoding.append(text, to: &output).mayHoldBoundary
        case .file(let file, let contentID):
            file.append(contentID: contentID, to: &output)
            return false
        case .multipart(let kind, let mark, let parts):
            // `=_` cannot occur in quoted-printable (RFC 2045 §6.7 recommends it), nor in Base64.
            let boundary = Array("=_\(mark)".utf8) + seed
            output.append(contentsOf: "Content-Type: multipart/".utf8)
            output.append(contentsOf: kind.utf8)
            output.append(contentsOf: ";\r\n boundary=\"".utf8)
            output.append(contentsOf: boundary)
            output.append(contentsOf: "\"\r\n\r\n".utf8)
            var mayHold = false
            for part in parts {
                output.append(contentsOf: "--".utf8)
                output.append(contentsOf: boundary)
                output.append(contentsOf: [13, 10])
                if self.append(part, seed: seed, to: &output) { mayHold = true }
                output.append(contentsOf: [13, 10])
            }
            output.append(contentsOf: "--".utf8)
            output.append(contentsOf: boundary)
            output.append(contentsOf: "--\r\n".utf8)
            return mayHold
        }
    }
}
