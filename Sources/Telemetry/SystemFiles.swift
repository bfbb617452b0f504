/// The few calls of the operating system that telemetry needs, behind functions that are safe.
///
/// No Foundation: a log line is one `write`, a file of `/proc` one `read` into an array. This is
/// the only file of the target that handles pointers, each no longer than one call.

import Glibc

enum SystemFiles {
    /// The content of a small file, as far as `limit` bytes; nothing when it cannot be read.
    static func read(_ path: String, limit: Int = 65_536) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: limit)
        var filled = 0
        while filled < limit {
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(descriptor, buffer.baseAddress.map { unsafe $0 + filled }, limit - filled)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(limit - filled)
        return bytes
    }

    /// How many entries a folder has; nothing when it cannot be read.
    static func entryCount(_ path: String) -> Int? {
        guard let folder = unsafe opendir(path) else { return nil }
        defer { unsafe closedir(folder) }
        var count = 0
        while unsafe readdir(folder) != nil { count += 1 }
        return max(count - 2, 0)  // without `.` and `..`
    }

    /// Writes all bytes; says whether that worked.
    ///
    /// Blocks while the reader of a pipe is behind. A descriptor that is set not to block is waited
    /// for, up to a second at a time: then the rest is given up, so that a stuck reader cannot stop
    /// the process for ever.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(
                    descriptor, buffer.baseAddress.map { unsafe $0 + written }, buffer.count - written)
            }
            if count >= 0 {
                written += count
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard unsafe poll(&waiting, 1, 1_000) > 0 else { return false }
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    /// Seconds since 1970 and nanoseconds of the next one, by the wall clock.
    static func wallClock() -> (seconds: Int, nanoseconds: Int) {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return (now.tv_sec, now.tv_nsec)
    }

    /// Kernel ticks in a second, in which `/proc` counts CPU time.
    static var ticksPerSecond: Double {
        Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
    }

    /// Bytes in a page, in which `/proc` counts memory.
    static var bytesPerPage: Double {
        Double(max(sysconf(Int32(_SC_PAGESIZE)), 1))
    }
}
