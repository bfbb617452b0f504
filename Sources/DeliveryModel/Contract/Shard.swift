/// Which of the fixed parts that users are divided into a user belongs to.
///
/// The CRC is the one of Redis Cluster (CRC16-XMODEM: polynomial 0x1021, start 0, nothing reflected), so that
/// a producer in any language has it at hand; Python's is `binascii.crc_hqx(user_id.encode(), 0)`.
package enum Shard {
    /// How many shards a new fleet has when nothing else is said.
    package static let countDefault = 16

    /// The shard of a user.
    ///
    /// - Parameter count: How many shards the fleet has, from 1; less is taken as 1.
    /// - Returns: 0 ..< `count`.
    package static func of(userID: String, count: Int) -> Int {
        Int(self.crc16(userID.utf8)) % max(count, 1)
    }

    static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var crc: UInt16 = 0
        for byte in bytes {
            crc = crc << 8 ^ self.table[Int(crc >> 8 ^ UInt16(byte))]
        }
        return crc
    }

    /// The remainder of each byte, 256 entries: any index made of one byte is inside.
    private static let table: [UInt16] = (0..<256).map { byte in
        var remainder = UInt16(byte) << 8
        for _ in 0..<8 {
            remainder = remainder & 0x8000 == 0 ? remainder << 1 : remainder << 1 ^ 0x1021
        }
        return remainder
    }
}
