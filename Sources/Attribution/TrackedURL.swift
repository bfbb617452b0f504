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
    package static func isTarget(_ url: [UInt8]) -> Bool {
        guard (4...self.targetMax).contains(url.count), url.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return false }
        guard let colon = url.firstIndex(of: UInt8(ascii: ":")), let first = url.first,
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first | 0x20)
        else { return false }
        // Nearly all of them are of the web: no text is made for those.
        if self.isScheme(url, self.https) || self.isScheme(url, self.http) { return url.count > colon + 3 }
        guard url.count > colon + 1 else { return false }
        let scheme = String(decoding: url[..<colon], as: UTF8.self).lowercased()
        return scheme != "http" && scheme != "https" && !self.refused.contains(scheme)
    }

    private static let https = Array("https://".utf8)
    private static let http = Array("http://".utf8)

    private static func isScheme(_ url: [UInt8], _ scheme: [UInt8]) -> Bool {
        guard url.count > scheme.count else { return false }
        for index in scheme.indices where url[index] | 0x20 != scheme[index] | 0x20 { return false }
        return true
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
    package static func target(inQuery query: ArraySlice<UInt8>) -> [UInt8]? {
        for parameter in query.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: true) {
            guard parameter.count > 2, parameter[parameter.startIndex] == UInt8(ascii: "u"),
                parameter[parameter.startIndex + 1] == UInt8(ascii: "=")
            else { continue }
            var output: [UInt8] = []
            output.reserveCapacity(parameter.count)
            var index = parameter.startIndex + 2
            while index < parameter.endIndex {
                guard parameter[index] == UInt8(ascii: "%") else {
                    output.append(parameter[index])
                    index += 1
                    continue
                }
                guard index + 2 < parameter.endIndex, let high = self.digit(parameter[index + 1]),
                    let low = self.digit(parameter[index + 2])
                else { return nil }
                output.append(high << 4 | low)
                index += 3
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
