/// From keys that are hashes already to their positions: open addressing, without hashing again. A choice looks up some
/// hundreds of keys.
struct KeyTable: Sendable {
    private var slots: [(key: UInt64, index: Int32)]
    private let mask: Int

    /// Keys at their positions; of equal keys the first one counts.
    init(_ keys: [UInt64]) {
        var capacity = 16
        while capacity < 2 * keys.count { capacity *= 2 }
        self.slots = Array(repeating: (0, -1), count: capacity)
        self.mask = capacity - 1
        for (index, key) in keys.enumerated() {
            var slot = Int(truncatingIfNeeded: key) & self.mask
            while self.slots[slot].index >= 0, self.slots[slot].key != key { slot = (slot + 1) & self.mask }
            if self.slots[slot].index < 0 { self.slots[slot] = (key, Int32(truncatingIfNeeded: index)) }
        }
    }

    subscript(key: UInt64) -> Int? {
        var slot = Int(truncatingIfNeeded: key) & self.mask
        while self.slots[slot].index >= 0 {
            if self.slots[slot].key == key { return Int(self.slots[slot].index) }
            slot = (slot + 1) & self.mask
        }
        return nil
    }
}
