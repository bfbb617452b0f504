/// What the kernel knows about this process, under the names that all Prometheus clients use.
///
/// Read from `/proc/self` when a scraper asks, never in between. A number that cannot be read (no
/// `/proc`, a hardened container) is left out.

struct ProcessStatistics: Sendable {
    /// Seconds since 1970; fixed at the start, because the wall clock may be set later.
    private let startTime: Double?

    init() {
        let stat = Self.stat()
        let boot = Self.line(of: "/proc/stat", startingWith: "btime ").flatMap { Double($0) }
        if let boot, let ticks = Self.field(22, of: stat) {
            self.startTime = boot + ticks / SystemFiles.ticksPerSecond
        } else {
            self.startTime = nil
        }
    }

    func publish(to registry: MetricsRegistry) {
        let stat = Self.stat()
        if let user = Self.field(14, of: stat), let system = Self.field(15, of: stat) {
            registry.counter(.processCPU).follow((user + system) / SystemFiles.ticksPerSecond)
        }
        if let threads = Self.field(20, of: stat) {
            registry.gauge(.processThreads).set(threads)
        }
        if let pages = Self.field(24, of: stat) {
            registry.gauge(.processMemory).set(pages * SystemFiles.bytesPerPage)
        }
        if let startTime {
            registry.gauge(.processStart).set(startTime)
        }
        if let open = SystemFiles.entryCount("/proc/self/fd") {
            registry.gauge(.processOpenFiles).set(open - 1)  // the one it was counted with is closed again
        }
        if let limits = Self.line(of: "/proc/self/limits", startingWith: "Max open files"),
            let soft = limits.split(separator: " ").first
        {
            registry.gauge(.processMaxFiles).set(soft == "unlimited" ? .infinity : Double(soft) ?? .nan)
        }
    }

    /// The fields of `/proc/self/stat` after the program's name, which may itself contain spaces.
    private static func stat() -> [Substring] {
        guard let bytes = SystemFiles.read("/proc/self/stat", limit: 4_096) else { return [] }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return [] }
        return text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
    }

    /// A field by its number in proc(5), where the first after the name is 3.
    private static func field(_ number: Int, of fields: [Substring]) -> Double? {
        let index = number - 3
        return fields.indices.contains(index) ? Double(fields[index]) : nil
    }

    /// What follows `start` on the first line that begins with it.
    private static func line(of path: String, startingWith start: String) -> Substring? {
        guard let bytes = SystemFiles.read(path, limit: 256 * 1_024) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix(start) {
            return line.dropFirst(start.count)
        }
        return nil
    }
}
