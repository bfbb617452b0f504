// Where Redis is and how to log in, from a URL. What is wrong with a URL is said in fixed sentences: a URL that was
// cut in the wrong place may show a part of the password, so no error ever repeats any of it.

/// The address of a server and the credentials for it.
///
/// `redis://[user:password@]host[:port][/db]`, `rediss://…[?trust=FILE]` (TLS; the server's certificate is verified
/// against FILE in PEM, or else against the system's authorities), `unix:///path[?db=N]`. User and password are
/// percent-decoded. Printing an endpoint never shows the credentials.
package struct RedisEndpoint: Sendable, Equatable {
    /// How bytes get there.
    package enum Transport: Sendable, Equatable {
        /// TCP in the clear.
        case tcp(host: String, port: Int)
        /// TLS over TCP; `trustFile` holds the authorities in PEM, nil means the system's.
        case tls(host: String, port: Int, trustFile: String?)
        /// A Unix domain socket.
        case unix(path: String)
    }

    /// How bytes get there.
    package let transport: Transport
    /// The database that is selected, 0 or more.
    package let database: Int
    let user: String?
    let password: String?

    /// Makes an endpoint from its parts.
    package init(_ transport: Transport, user: String? = nil, password: String? = nil, database: Int = 0) {
        self.transport = transport
        self.user = user
        self.password = password
        self.database = max(database, 0)
    }

    /// Reads a URL.
    ///
    /// - Throws: ``RedisError`` with code `settings`, whose detail says what is wrong without repeating the URL.
    package init(url: String) throws(RedisError) {
        guard !url.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7f }) else {
            throw .url("it holds a space or a control character")
        }
        var rest = Substring(url)
        let scheme = try Self.takeScheme(&rest)
        guard !rest.contains("#") else { throw .url("a # in it must be written %23") }
        let query = try Self.takeQuery(&rest)
        guard rest.firstIndex(of: "@").map({ !rest[..<$0].contains("/") }) ?? true else {
            throw .url("a / in the user or password must be written %2F")
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var authority = rest[..<slash]
        let path = rest[slash...]
        (self.user, self.password) = try Self.takeCredentials(&authority)

        switch scheme {
        case .unix:
            guard authority.isEmpty, path.count > 1 else { throw .url("write unix:///path/of/the/socket") }
            guard query.trust == nil else { throw .url("trust goes with rediss:// only") }
            guard let socket = Self.decoded(path), socket.utf8.count < 108 else {
                throw .url("the socket's path is too long or badly percent-encoded")
            }
            self.transport = .unix(path: socket)
            self.database = query.database ?? 0
        case .tcp, .tls:
            let (host, port) = try Self.hostAndPort(authority)
            guard scheme == .tls || query.trust == nil else { throw .url("trust goes with rediss:// only") }
            self.transport =
                scheme == .tls ? .tls(host: host, port: port, trustFile: query.trust) : .tcp(host: host, port: port)
            guard query.database == nil else { throw .url("the database goes into the path, as in /1") }
            let number = path.dropFirst()
            self.database = try number.isEmpty ? 0 : Self.database(number)
        }
    }

    private enum Scheme { case tcp, tls, unix }

    private static func takeScheme(_ rest: inout Substring) throws(RedisError) -> Scheme {
        let known: [(String, Scheme)] = [("redis://", .tcp), ("rediss://", .tls), ("unix://", .unix)]
        for (prefix, scheme) in known where rest.prefix(prefix.count).lowercased() == prefix {
            rest = rest.dropFirst(prefix.count)
            return scheme
        }
        throw .url("it must begin with redis://, rediss:// or unix://")
    }

    private static func takeQuery(_ rest: inout Substring) throws(RedisError) -> (trust: String?, database: Int?) {
        guard let mark = rest.firstIndex(of: "?") else { return (nil, nil) }
        let query = rest[rest.index(after: mark)...]
        rest = rest[..<mark]
        guard !query.contains("@") else { throw .url("a ? or @ in the user or password must be percent-encoded") }
        var trust: String?
        var number: Int?
        for setting in query.split(separator: "&") {
            let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            switch (parts.first, parts.count) {
            case ("trust", 2):
                guard let file = Self.decoded(parts[1]), !file.isEmpty else { throw .url("trust must name a file") }
                trust = file
            case ("db", 2): number = try Self.database(parts[1])
            default: throw .url("behind the ? only trust=FILE and db=NUMBER are known")
            }
        }
        return (trust, number)
    }

    private static func takeCredentials(
        _ authority: inout Substring
    ) throws(RedisError) -> (user: String?, password: String?) {
        guard let at = authority.lastIndex(of: "@") else { return (nil, nil) }
        let credentials = authority[..<at]
        authority = authority[authority.index(after: at)...]
        guard let colon = credentials.firstIndex(of: ":") else {
            throw .url("write user:password@ or :password@ in front of the host")
        }
        guard let user = Self.decoded(credentials[..<colon]),
            let password = Self.decoded(credentials[credentials.index(after: colon)...])
        else { throw .url("the user or password is badly percent-encoded") }
        guard !password.isEmpty else { throw .url("the password is empty") }
        return (user.isEmpty ? nil : user, password)
    }

    private static func hostAndPort(_ authority: Substring) throws(RedisError) -> (String, Int) {
        var host = authority
        var digits: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { throw .url("an IPv6 address ends with ]") }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let behind = authority[authority.index(after: end)...]
            guard behind.isEmpty || behind.first == ":" else { throw .url("a colon must part the host and the port") }
            digits = behind.isEmpty ? nil : behind.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            digits = authority[authority.index(after: colon)...]
        }
        guard !host.isEmpty, host.utf8.count <= 253 else { throw .url("the host is missing or too long") }
        guard let digits else { return (String(host), 6379) }
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = Int(digits), (1...65_535).contains(port)
        else {
            throw .url("the port must be a number from 1 to 65535")
        }
        return (String(host), port)
    }

    private static func database(_ text: Substring) throws(RedisError) -> Int {
        guard text.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(text), number <= 1_000_000 else {
            throw .url("the database must be a number, as in /0")
        }
        return number
    }

    /// Percent-decoding (RFC 3986 section 2.1); nil when an escape is broken or the result is no UTF-8.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(Self.hexDigit), let low = rest.popFirst().flatMap(Self.hexDigit)
            else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension RedisEndpoint: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The address without credentials, for people and logs.
    package var description: String {
        let suffix = self.database == 0 ? "" : "/\(self.database)"
        switch self.transport {
        case .tcp(let host, let port): return "redis://\(Self.bracketed(host)):\(port)\(suffix)"
        case .tls(let host, let port, _): return "rediss://\(Self.bracketed(host)):\(port)\(suffix)"
        case .unix(let path): return "unix://\(path)" + (self.database == 0 ? "" : "?db=\(self.database)")
        }
    }

    /// The same as ``description``: `print` and the debugger must not show the password either.
    package var debugDescription: String { self.description }

    /// `dump` must not show the password either.
    package var customMirror: Mirror { Mirror(self, children: ["address": self.description]) }

    private static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}

extension RedisError {
    fileprivate static func url(_ complaint: String) -> RedisError {
        RedisError(.settings, detail: "the Redis URL cannot be read: \(complaint)")
    }
}
