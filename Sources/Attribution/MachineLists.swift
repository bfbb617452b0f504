/// What machines call themselves and where they come from: data, in `channels/machines.yaml`, since both change and
/// programs should not have to for that.

package struct MachineLists: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// What people read and browse with. Machines say so too.
        case client
        /// Fetches pictures at the moment at which a person looks: Gmail's proxy and kin.
        case imageProxy = "image_proxy"
        /// Fetches pictures whether or not a person looks: Apple's Mail Privacy Protection.
        case privacyProxy = "privacy_proxy"
        /// Looks whether links are harmful; scripts and headless browsers too.
        case gateway
        /// Fetches a page to show a preview of it, or ahead of time.
        case prefetcher
        /// Rented computers: people seldom come from there.
        case dataCentre = "data_centre"
    }

    package struct Agent: Sendable, Equatable {
        /// Stable: what ``Judgement/because`` says, such as `proxy.gmail`.
        package var name: String
        package var kind: Kind
        /// Whole user agents, in any case of ASCII letters.
        package var equals: [String]
        /// Pieces of user agents, in any case of ASCII letters; those of less than three bytes match nothing.
        package var contains: [String]

        package init(name: String, kind: Kind, equals: [String] = [], contains: [String] = []) {
            self.name = name
            self.kind = kind
            self.equals = equals
            self.contains = contains
        }
    }

    package struct Network: Sendable, Equatable {
        /// Stable: ``Judgement/because`` says `network.<name>`.
        package var name: String
        package var kind: Kind
        package var blocks: [NetworkBlock]

        package init(name: String, kind: Kind, blocks: [NetworkBlock]) {
            self.name = name
            self.kind = kind
            self.blocks = blocks
        }
    }

    /// A piece of a user agent, and whose it is.
    private struct Piece: Sendable, Equatable {
        let bytes: [UInt8]
        let agent: Int
    }

    private let agents: [Agent]
    private let whole: [[UInt8]: Int]
    /// By their first three bytes: of some 150 pieces nearly none begins at any given place.
    private let pieces: [UInt32: [Piece]]
    /// A bit for each hash of such three bytes, so that most places cost one look.
    private let filter: [UInt64]
    private let networks: [Network]
    private let places: [NetworkBlock: Int]
    /// The lengths of the blocks, the longest first.
    private let lengths: [Int]

    /// - Parameters:
    ///   - agents: The first that matches counts.
    ///   - networks: Where blocks lie within one another the smallest counts; of equal ones, the first.
    package init(agents: [Agent] = [], networks: [Network] = []) {
        self.agents = agents
        var whole: [[UInt8]: Int] = [:]
        var pieces: [UInt32: [Piece]] = [:]
        var filter = Array(repeating: UInt64(0), count: 64)
        for (index, agent) in agents.enumerated() {
            for text in agent.equals.map(asciiLowercased) where whole[text] == nil { whole[text] = index }
            for piece in agent.contains.map(asciiLowercased) where piece.count >= 3 {
                let key = piece.prefix(3).reduce(0) { $0 << 8 | UInt32($1) }
                pieces[key, default: []].append(Piece(bytes: piece, agent: index))
                filter[Self.hash(key) / 64] |= 1 << UInt64(Self.hash(key) % 64)
            }
        }
        (self.whole, self.pieces, self.filter) = (whole, pieces, filter)
        self.networks = networks
        var places: [NetworkBlock: Int] = [:]
        for (index, network) in networks.enumerated() {
            for block in network.blocks where places[block] == nil { places[block] = index }
        }
        self.places = places
        self.lengths = Set(places.keys.map(\.length)).sorted(by: >)
    }

    /// Whose user agent this is; nil for one that is not listed.
    ///
    /// - Complexity: O(bytes), more or less.
    package func agent(_ text: String) -> Agent? {
        let bytes = asciiLowercased(text)
        var first = self.whole[bytes] ?? self.agents.count
        var key: UInt32 = 0
        for (end, byte) in bytes.enumerated() {
            key = (key << 8 | UInt32(byte)) & 0xFF_FFFF
            let hash = Self.hash(key)
            guard end >= 2, self.filter[hash / 64] & 1 << UInt64(hash % 64) != 0 else { continue }
            for piece in self.pieces[key] ?? [] where piece.agent < first {
                if bytes[(end - 2)...].starts(with: piece.bytes) { first = piece.agent }
            }
        }
        return self.agents.indices.contains(first) ? self.agents[first] : nil
    }

    /// From 0 to 4095.
    private static func hash(_ key: UInt32) -> Int { Int((key &* 0x9E37_79B1) >> 20) }

    /// Whose network a sighting's is; nil for one that is not listed, or is no network.
    package func network(_ text: String) -> Network? {
        guard let block = NetworkBlock(text) else { return nil }
        for length in self.lengths where length <= block.length {
            if let index = self.places[block.cut(to: length)], self.networks.indices.contains(index) {
                return self.networks[index]
            }
        }
        return nil
    }
}

private func asciiLowercased(_ text: String) -> [UInt8] {
    text.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
}

/// A network as sightings have it: at most 24 bits of an IPv4 address, or 48 of an IPv6 address.
package struct NetworkBlock: Sendable, Hashable {
    private let isIPv6: Bool
    /// The first bits of the address, at the upper end; zeros behind `length`.
    private let bits: UInt64
    /// How many bits count.
    package let length: Int

    private init(isIPv6: Bool, bits: UInt64, length: Int) {
        self.isIPv6 = isIPv6
        self.bits = bits & ~(UInt64.max >> UInt64(length))
        self.length = length
    }

    /// Reads CIDR notation, such as `66.249.80.0/20` or `2001:db8::/32`.
    ///
    /// - Returns: Nil for anything else, and for networks of more than 24 or 48 bits: of a sighting no more is kept.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].count <= 2, let length = Int(parts[1]), length >= 0 else { return nil }
        if parts[0].utf8.contains(UInt8(ascii: ":")) {
            guard length <= 48, let bits = Self.ipv6(parts[0]) else { return nil }
            self.init(isIPv6: true, bits: bits, length: length)
        } else {
            guard length <= 24, let bits = Self.ipv4(parts[0]) else { return nil }
            self.init(isIPv6: false, bits: bits, length: length)
        }
    }

    /// The block of `length` bits around this one.
    func cut(to length: Int) -> NetworkBlock {
        NetworkBlock(isIPv6: self.isIPv6, bits: self.bits, length: length)
    }

    private static func ipv4(_ text: Substring) -> UInt64? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt64 = 0
        for part in parts {
            guard part.count <= 3, part.utf8.allSatisfy({ (48...57).contains($0) }), let byte = UInt8(part) else {
                return nil
            }
            bits = bits << 8 | UInt64(byte)
        }
        return bits << 32
    }

    /// The first four groups; all are checked.
    private static func ipv6(_ text: Substring) -> UInt64? {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2, let head = Self.groups(halves[0]),
            let tail = Self.groups(halves.dropFirst().first ?? "")
        else { return nil }
        guard halves.count == 2 ? head.count + tail.count <= 7 : head.count == 8 else { return nil }
        let zeros = Array(repeating: UInt64(0), count: 8 - head.count - tail.count)
        return (head + zeros + tail).prefix(4).reduce(0) { $0 << 16 | $1 }
    }

    private static func groups(_ text: Substring) -> [UInt64]? {
        guard !text.isEmpty else { return [] }
        var groups: [UInt64] = []
        for part in text.split(separator: ":", omittingEmptySubsequences: false) {
            guard (1...4).contains(part.count), part.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }),
                let group = UInt64(part, radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups
    }
}
