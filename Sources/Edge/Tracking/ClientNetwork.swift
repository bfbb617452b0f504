import NIOCore

/// Where a request came from, cut so that it names a network and no person.
package struct ClientNetwork: Sendable {
    private let trusted: [AddressRange]

    /// - Parameter trusted: Proxies whose word on where a request came from is believed, besides those on this machine.
    package init(trusted: [AddressRange] = []) {
        self.trusted = trusted
    }

    /// `192.0.2.0/24` or `2001:db8::/48`; empty where nothing is known.
    ///
    /// - Parameters:
    ///   - peer: The address at the other end of the connection.
    ///   - forwarded: `X-Forwarded-For`; the last address that is no trusted proxy's is taken.
    func text(peer: [UInt8]?, forwarded: some StringProtocol) -> String {
        guard let peer else { return "" }
        guard self.isTrusted(peer), !forwarded.isEmpty else { return Self.cut(peer) }
        for part in forwarded.split(separator: ",").reversed() {
            guard
                let address = IPText.bytes(
                    part.trimmingPrefix { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" })
            else { break }
            if !self.isTrusted(address) { return Self.cut(address) }
        }
        return Self.cut(peer)
    }

    private func isTrusted(_ address: [UInt8]) -> Bool {
        Self.isLoopback(address) || self.trusted.contains { $0.contains(address) }
    }

    private static func isLoopback(_ address: [UInt8]) -> Bool {
        address.count == 4 ? address[0] == 127 : address.dropLast().allSatisfy { $0 == 0 } && address.last == 1
    }

    private static func cut(_ address: [UInt8]) -> String {
        if address.count == 4 { return "\(address[0]).\(address[1]).\(address[2]).0/24" }
        guard address.count == 16 else { return "" }
        func group(_ index: Int) -> String {
            String(UInt16(address[index]) << 8 | UInt16(address[index + 1]), radix: 16)
        }
        return "\(group(0)):\(group(2)):\(group(4))::/48"
    }
}

/// Addresses that share their first bits (RFC 4632, RFC 4291 §2.3).
package struct AddressRange: Sendable, Equatable {
    private let address: [UInt8]
    private let bits: Int

    /// `10.0.0.0/8`, `2001:db8::/32`, or one address; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, let address = IPText.bytes(first) else { return nil }
        let bits = parts.count == 2 ? Int(parts[1]) : address.count * 8
        guard let bits, (0...address.count * 8).contains(bits) else { return nil }
        self.address = address
        self.bits = bits
    }

    func contains(_ other: [UInt8]) -> Bool {
        guard other.count == self.address.count else { return false }
        for (index, (mine, its)) in zip(self.address, other).enumerated() {
            let left = self.bits - index * 8
            if left <= 0 { return true }
            let mask: UInt8 = left >= 8 ? 0xFF : ~(0xFF >> UInt8(left))
            if (mine ^ its) & mask != 0 { return false }
        }
        return true
    }
}

/// Addresses as text and as bytes.
enum IPText {
    /// Four or sixteen bytes; an IPv4 address within IPv6 comes out as what it is.
    static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        if let quick = self.v4(text.utf8) { return quick }
        // The system says what is one, and writes it in one way.
        guard text.utf8.count <= 45, let address = try? SocketAddress(ipAddress: String(text), port: 0) else {
            return nil
        }
        return address.ipAddress.flatMap(self.v6)
    }

    static func bytes(_ address: SocketAddress) -> [UInt8]? {
        address.ipAddress.flatMap { self.v4($0.utf8) ?? self.v6($0) }
    }

    private static func v6(_ text: String) -> [UInt8]? {
        // `::ffff:192.0.2.1`
        if let colon = text.lastIndex(of: ":"), let mapped = self.v4(text[text.index(after: colon)...].utf8) {
            return mapped
        }
        let halves = text.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false).map { half in
            half.split(separator: ":").flatMap { group -> [UInt8] in
                let number = UInt16(group, radix: 16) ?? 0
                return [UInt8(number >> 8), UInt8(number & 0xFF)]
            }
        }
        let length = halves.reduce(0) { $0 + $1.count }
        guard let first = halves.first, length <= 16, halves.count == 2 || length == 16 else { return nil }
        return first + [UInt8](repeating: 0, count: 16 - length) + (halves.count == 2 ? halves[1] : [])
    }

    private static func v4(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var output: [UInt8] = []
        var number = 0
        var digits = 0
        for byte in text {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                number = number * 10 + Int(byte - UInt8(ascii: "0"))
                digits += 1
                if number > 255 || digits > 3 { return nil }
            case UInt8(ascii: "."):
                guard digits > 0, output.count < 3 else { return nil }
                output.append(UInt8(number))
                (number, digits) = (0, 0)
            default: return nil
            }
        }
        guard digits > 0, output.count == 3 else { return nil }
        return output + [UInt8(number)]
    }
}
