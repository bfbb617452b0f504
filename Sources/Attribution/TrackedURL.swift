/// URLs of tracked messages: `<base>/o/<token>`, `<base>/c/<token>?u=<where it leads>`, `<base>/u/<token>`.
///
/// Where a link leads stands in the link, for everybody to see, and the token is good for that place alone: nothing has
/// to be looked up to follow it, and nobody can make the tracking host lead elsewhere.
package enum TrackedURL {
    private static let hexadecimal = [UInt8]("0123456789ABCDEF".utf8)
    private static let unreserved: [Bool] = {
        var table = [Bool](repeating: false, count: 256)
        for byte in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:".utf8 {
            table[Int(byte)] = true
        }
        return table
    }()
    /// Longer ones are not rewritten: mailboxes cut them.
    package static let targetMax = 2000

    /// Whether a URL can be a destination: printable ASCII with a scheme that leads a browser or an app somewhere.
    package static func isTarget(_ url: some Collection<UInt8>) -> Bool {
        guard (4...self.targetMax).contains(url.count), url.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return false }
        let scheme = url.prefix { $0 != UInt8(ascii: ":") }.map { $0 | 0x20 }
        guard scheme.count < url.count, let first = scheme.first,
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first)
        else { return false }
        let rest = url.dropFirst(scheme.count + 1)
        let isWeb = scheme.elementsEqual("https".utf8) || scheme.elementsEqual("http".utf8)
        guard isWeb ? rest.starts(with: "//".utf8) && rest.count > 2 : !rest.isEmpty else { return false }
        return !self.refused.contains(String(decoding: scheme, as: UTF8.self))
    }

    /// Schemes that are no places, or that run something.
    private static let refused: Set<String> = [
        "javascript", "data", "vbscript", "file", "blob", "about", "mailto", "tel", "sms", "cid",
    ]

    /// `<base>/c/<token>?u=<url>`.
    package static func click(base: String, token: String, url: String) -> String {
        var output = Array("\(base)/c/\(token)?u=".utf8)
        for byte in url.utf8 {
            if self.unreserved[Int(byte)] {
                output.append(byte)
            } else {
                output += [
                    UInt8(ascii: "%"), self.hexadecimal[Int(byte >> 4)], self.hexadecimal[Int(byte & 15)],
                ]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Where a link leads: its query's `u`, decoded; nil where there is none, or none that could be ours.
    package static func target(inQuery query: some Collection<UInt8>) -> [UInt8]? {
        for parameter in query.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: true) {
            guard parameter.starts(with: [UInt8(ascii: "u"), UInt8(ascii: "=")]) else { continue }
            var output: [UInt8] = []
            output.reserveCapacity(parameter.count)
            var rest = parameter.dropFirst(2)
            while let byte = rest.popFirst() {
                guard byte == UInt8(ascii: "%") else {
                    output.append(byte)
                    continue
                }
                guard let high = rest.popFirst().flatMap(self.digit), let low = rest.popFirst().flatMap(self.digit)
                else {
                    return nil
                }
                output.append(high << 4 | low)
            }
            return self.isTarget(output) ? output : nil
        }
        return nil
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Codes of short links: ten characters, 60 bits of an HMAC, so that nobody guesses one.
package enum ShortCode {
    package static let length = 10
}
