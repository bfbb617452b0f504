/// What a POST to `/u/{token}` asks for: from the page's buttons, or from a mailbox by RFC 8058.
package enum UnsubscribeChoice: Sendable, Equatable {
    /// No more about what the message was about: the first button, and one-click unsubscribing.
    case topic
    case all
    /// The ids of the topics that are wanted, and no others.
    case topics(Set<String>)

    /// How many bytes of a body are looked at, and how many topics can be in it.
    package static let bytesMax = 16 * 1024
    private static let topicsMax = 200

    /// Reads the body of a form (`application/x-www-form-urlencoded`).
    ///
    /// Whatever names no choice is ``topic``: somebody pressed a button, a mailbox perhaps, which may say so as
    /// multipart/form-data too (RFC 8058, section 3.1).
    package init(form body: some Sequence<UInt8>) {
        var choice: String?
        var topics: Set<String> = []
        for field in Array(body.prefix(Self.bytesMax)).split(separator: UInt8(ascii: "&")) {
            let parts = field.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let value = Self.decoded(parts[1]) else { continue }
            switch Self.decoded(parts[0]) {
            case "choice": choice = choice ?? value
            case "topic": if topics.count < Self.topicsMax { topics.insert(value) }
            default: break
            }
        }
        switch choice {
        case "all": self = .all
        case "topics": self = .topics(topics)
        default: self = .topic
        }
    }

    /// Nil for what is not UTF-8 or not escaped well.
    private static func decoded(_ bytes: ArraySlice<UInt8>) -> String? {
        var result: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): result.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst()?.hexadecimal, let low = rest.popFirst()?.hexadecimal else {
                    return nil
                }
                result.append(high << 4 | low)
            default: result.append(byte)
            }
        }
        return String(validating: result, as: UTF8.self)
    }
}

extension UInt8 {
    fileprivate var hexadecimal: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
