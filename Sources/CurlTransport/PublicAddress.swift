// Which addresses are in the public internet, for requests whose URL comes from outside.
//
// The name is not what counts but the address that it leads to, and that is looked at twice: before a connection is
// opened, so that not even a SYN goes out, and right before the request is written, since it may be written to a
// connection that another request has opened.
import CCurl
import Glibc

enum PublicAddress {
    /// Whether `bytes` (4 or 16, in network order) is the address of a host in the public internet.
    ///
    /// Private, shared, loopback, link-local, documentation, benchmark, multicast and reserved addresses are not (the
    /// registries of RFC 6890), nor is an IPv6 address that stands for such an IPv4 one.
    static func contains(_ bytes: [UInt8]) -> Bool {
        switch bytes.count {
        case 4: return self.isPublicV4(bytes[...])
        case 16: return self.isPublicV6(bytes)
        default: return false
        }
    }

    /// The same for an address as text, with a zone or without.
    static func contains(text: String) -> Bool {
        let text = String(text.prefix { $0 != "%" })
        var bytes = [UInt8](repeating: 0, count: 16)
        if unsafe inet_pton(AF_INET6, text, &bytes) == 1 { return self.contains(bytes) }
        guard unsafe inet_pton(AF_INET, text, &bytes) == 1 else { return false }
        return self.contains(Array(bytes.prefix(4)))
    }

    private static func isPublicV4(_ bytes: ArraySlice<UInt8>) -> Bool {
        let parts = Array(bytes)
        guard parts.count == 4 else { return false }
        switch (parts[0], parts[1], parts[2]) {
        case (0, _, _), (10, _, _), (127, _, _), (224..., _, _), (100, 64...127, _), (169, 254, _), (172, 16...31, _),
            (192, 168, _), (192, 0, 0), (192, 0, 2), (192, 88, 99), (198, 18...19, _), (198, 51, 100), (203, 0, 113):
            return false
        default:
            return true
        }
    }

    private static func isPublicV6(_ bytes: [UInt8]) -> Bool {
        // ::ffff:0:0/96 and 64:ff9b::/96 stand for IPv4 addresses, and so does 2002::/16.
        let zeros = [UInt8](repeating: 0, count: 10)
        if Array(bytes.prefix(10)) == zeros, bytes[10] == 0xFF, bytes[11] == 0xFF {
            return self.isPublicV4(bytes[12...])
        }
        if Array(bytes.prefix(12)) == [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0] {
            return self.isPublicV4(bytes[12...])
        }
        if bytes[0] == 0x20, bytes[1] == 0x02 { return self.isPublicV4(bytes[2..<6]) }
        // Global unicast is 2000::/3; 2001::/23 is for protocols, 2001:db8::/32 and 3fff::/20 for documents.
        guard bytes[0] & 0xE0 == 0x20 else { return false }
        if bytes[0] == 0x20, bytes[1] == 0x01 {
            return bytes[2] >= 0x02 && !(bytes[2] == 0x0D && bytes[3] == 0xB8)
        }
        return !(bytes[0] == 0x3F && bytes[1] == 0xFF && bytes[2] & 0xF0 == 0)
    }
}
