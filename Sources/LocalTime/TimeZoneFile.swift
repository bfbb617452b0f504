// The reader of TZif files, the compiled form of the time zone database: RFC 8536, and RFC 9636 that follows it.
//
// A file comes from the machine, yet nothing in it is believed: each byte is asked for and may be missing, counts
// are compared with what is there before anything is kept, and the size of all is bounded first.

/// Why a file is not one zone's rules.
package enum TimeZoneFileError: String, Error, Sendable, CaseIterable {
    /// It does not begin as a TZif file does, or its version is none.
    case header
    /// It ends too early.
    case truncated
    /// It is larger than ``TimeZoneRules/fileSizeMax``.
    case tooLarge
    /// A change names an offset that the file does not have, or it has none at all.
    case missingOffset
    /// An offset is not within −25 and +26 hours.
    case offsetRange
    /// Changes are not in the order of time.
    case order
    /// Its times count leap seconds, as those in `right/` do; a `Timestamp` does not.
    case leapSeconds
    /// The last line is not a rule for the years to come.
    case footer
}

extension TimeZoneRules {
    /// The most that a file may have, in bytes. The largest of the database have about 4000.
    package static let fileSizeMax = 65_536

    /// Reads one zone from the content of its file, in any of the versions from 1 on.
    ///
    /// Versions later than 4 are read like 4: so far, each has kept what its predecessors had.
    ///
    /// - Complexity: O(bytes), and some microseconds where the file has a rule for the years to come.
    package init(name: String, file bytes: [UInt8]) throws(TimeZoneFileError) {
        guard bytes.count <= Self.fileSizeMax else { throw .tooLarge }
        var reader = TimeZoneFileReader(bytes: bytes)
        let first = try reader.header()
        guard first.version > 1 else {
            let block = try reader.block(first, timeSize: 4)
            self.init(name: name, firstOffset: block.firstOffset, changes: block.changes, footer: nil)
            return
        }
        // The first block is for old readers, with times of 32 bits: the second says the same, and more.
        try reader.skip(first.blockSize(timeSize: 4))
        let block = try reader.block(reader.header(), timeSize: 8)
        let footer = try FooterRule.parse(reader.footer())
        self.init(name: name, firstOffset: block.firstOffset, changes: block.changes, footer: footer)
    }
}

private struct TimeZoneFileReader {
    let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    struct Header {
        var version: Int
        var universalFlags: Int
        var standardFlags: Int
        var leapSeconds: Int
        var changes: Int
        var offsets: Int
        var nameBytes: Int

        /// The bytes after the header; counts are of 32 bits, so the sum does not overflow.
        func blockSize(timeSize: Int) -> Int {
            self.changes * (timeSize + 1) + self.offsets * 6 + self.nameBytes + self.leapSeconds * (timeSize + 4)
                + self.standardFlags + self.universalFlags
        }
    }

    struct Block {
        var firstOffset: Int32
        var changes: [TimeZoneRules.Change]
    }

    mutating func header() throws(TimeZoneFileError) -> Header {
        guard try self.take(4).elementsEqual("TZif".utf8) else { throw .header }
        let version: Int
        switch try self.integer(1) {
        case 0: version = 1
        case let digit where (Int64(UInt8(ascii: "2"))...Int64(UInt8(ascii: "9"))).contains(digit):
            version = Int(digit) - Int(UInt8(ascii: "0"))
        default: throw .header
        }
        try self.skip(15)
        return Header(
            version: version, universalFlags: try self.count(), standardFlags: try self.count(),
            leapSeconds: try self.count(), changes: try self.count(), offsets: try self.count(),
            nameBytes: try self.count())
    }

    mutating func block(_ header: Header, timeSize: Int) throws(TimeZoneFileError) -> Block {
        let size = header.blockSize(timeSize: timeSize)
        guard size <= self.bytes.count - self.position else { throw .truncated }
        guard header.leapSeconds == 0 else { throw .leapSeconds }
        let end = self.position + size

        var times: [Int64] = []
        times.reserveCapacity(header.changes)
        for _ in 0..<header.changes {
            let time = try self.integer(timeSize)
            if let last = times.last, last >= time { throw .order }
            times.append(time)
        }
        let indices = try self.take(header.changes)
        var offsets: [Int32] = []
        for _ in 0..<header.offsets {
            guard let offset = Int32(exactly: try self.integer(4)), TimeZoneRules.offsetRange.contains(offset) else {
                throw .offsetRange
            }
            offsets.append(offset)
            try self.skip(2)  // whether it is daylight saving time, and its abbreviation
        }
        guard let firstOffset = offsets.first else { throw .missingOffset }
        var changes: [TimeZoneRules.Change] = []
        changes.reserveCapacity(header.changes)
        for (time, index) in zip(times, indices) {
            guard offsets.indices.contains(Int(index)) else { throw .missingOffset }
            changes.append(TimeZoneRules.Change(at: time, offset: offsets[Int(index)]))
        }
        self.position = end
        return Block(firstOffset: firstOffset, changes: changes)
    }

    /// What stands between two line feeds.
    mutating func footer() throws(TimeZoneFileError) -> ArraySlice<UInt8> {
        let lineFeed = UInt8(ascii: "\n")
        guard try self.integer(1) == Int64(lineFeed) else { throw .footer }
        guard let end = self.bytes[self.position...].firstIndex(of: lineFeed) else { throw .truncated }
        return self.bytes[self.position..<end]
    }

    mutating func skip(_ length: Int) throws(TimeZoneFileError) {
        _ = try self.take(length)
    }

    private mutating func take(_ length: Int) throws(TimeZoneFileError) -> ArraySlice<UInt8> {
        guard length <= self.bytes.count - self.position else { throw .truncated }
        defer { self.position += length }
        return self.bytes[self.position..<(self.position + length)]
    }

    /// A signed integer of up to 8 bytes, most significant first.
    private mutating func integer(_ length: Int) throws(TimeZoneFileError) -> Int64 {
        let bytes = try self.take(length)
        var value: Int64 = (bytes.first ?? 0) > 127 ? -1 : 0
        for byte in bytes { value = value << 8 | Int64(byte) }
        return value
    }

    /// A count of 32 bits.
    private mutating func count() throws(TimeZoneFileError) -> Int {
        Int(UInt32(truncatingIfNeeded: try self.integer(4)))
    }
}
