/// What INFO says of Redis' memory.
package enum RedisMemory {
    /// Used memory over `maxmemory`, 0…1 and a little more; 0 where there is no limit, or the answer does not say.
    package static func fullness(_ info: RedisValue) -> Double {
        var used: Double?
        var most: Double?
        for line in (info.text ?? "").split(whereSeparator: \.isNewline) {
            if line.hasPrefix("used_memory:") { used = Double(line.dropFirst("used_memory:".count)) }
            if line.hasPrefix("maxmemory:") { most = Double(line.dropFirst("maxmemory:".count)) }
        }
        guard let used, let most, most > 0 else { return 0 }
        return used / most
    }
}
