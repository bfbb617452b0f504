import Glibc

/// Finds and probes TCP ports on 127.0.0.1.
package enum LoopbackPort {
    /// A port that was free a moment ago.
    package static func free() throws -> Int {
        let port = Self.withSocket { socket in
            Self.bind(socket, port: 0) ? Self.boundPort(socket) : nil
        }
        guard let port else { throw LocalServerError("no free TCP port on 127.0.0.1") }
        return port
    }

    /// Whether nothing listens on `port` and it may be bound.
    package static func isFree(_ port: Int) -> Bool {
        Self.withSocket { Self.bind($0, port: port) } ?? false
    }

    /// Whether something accepts connections on `port`.
    package static func answers(_ port: Int) -> Bool {
        Self.withSocket { socket in
            var address = Self.address(port)
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            return unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe connect(socket, $0, size) == 0
                }
            }
        } ?? false
    }

    private static func withSocket<Result>(_ body: (Int32) -> Result?) -> Result? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return body(descriptor)
    }

    private static func address(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private static func bind(_ descriptor: Int32, port: Int) -> Bool {
        var one: Int32 = 1
        guard
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size)) == 0
        else { return false }
        var address = Self.address(port)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.bind(descriptor, $0, size) == 0
            }
        }
    }

    private static func boundPort(_ descriptor: Int32) -> Int? {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &size)
            }
        }
        return code == 0 ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
