// A command as the bytes that go over the wire: RESP arrays of bulk strings, which are binary safe, so no argument
// can end a command early or start another. The only allocation is the one array that holds the encoded arguments.
package import NIOCore

/// What may stand in a command: text, bytes, numbers, and arrays of these (which are written one after the other;
/// only `[UInt8]` is a single argument).
package protocol RedisArgument {
    /// Appends this value to a command.
    func append(to command: inout RedisCommand)
    /// Appends an array of such values to a command.
    static func append(_ values: [Self], to command: inout RedisCommand)
}

/// One command, encoded.
///
/// Not for commands that change what the server sends back: `SUBSCRIBE`, `MONITOR`, `CLIENT REPLY`, `HELLO`, `QUIT`.
/// Their answers would be taken for those of the commands behind them.
package struct RedisCommand: Sendable {
    /// The encoded arguments, the name first; what is missing is the `*count` in front.
    private var body: [UInt8] = []
    private var count = 0

    /// Encodes a command of fixed shape: `RedisCommand("XADD", key, "*", "decision", bytes)`.
    package init(_ name: String, _ arguments: any RedisArgument...) {
        self.body.reserveCapacity(64 + 32 * arguments.count)
        self.append(name)
        for argument in arguments { argument.append(to: &self) }
    }

    /// Starts a command that is going to be long, to be continued with ``append(_:)``.
    ///
    /// - Parameter capacity: The bytes that the arguments will need, roughly.
    package init(_ name: String, capacity: Int) {
        self.body.reserveCapacity(capacity)
        self.append(name)
    }

    /// Adds an argument, or those of an array, at the end.
    package mutating func append(_ argument: some RedisArgument) {
        argument.append(to: &self)
    }

    /// Adds bytes as one argument at the end.
    package mutating func append(bytes: some Collection<UInt8>) {
        self.count += 1
        self.body.append(UInt8(ascii: "$"))
        appendDecimal(UInt64(bytes.count), to: &self.body)
        self.body.append(0x0d)
        self.body.append(0x0a)
        self.body.append(contentsOf: bytes)
        self.body.append(0x0d)
        self.body.append(0x0a)
    }

    /// The bytes that this command takes on the wire, within a few.
    package var byteCount: Int { self.body.count + 16 }

    /// The whole command as it goes over the wire.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(self.byteCount)
        self.appendHeader(to: &bytes)
        bytes.append(contentsOf: self.body)
        return bytes
    }

    /// Appends the whole command to a buffer that is to be written.
    package func write(to buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(ascii: "*"))
        if self.count < 10 {
            buffer.writeInteger(UInt8(ascii: "0") + UInt8(self.count))
        } else {
            var digits: [UInt8] = []
            appendDecimal(UInt64(self.count), to: &digits)
            buffer.writeBytes(digits)
        }
        buffer.writeInteger(UInt16(0x0d0a))
        buffer.writeBytes(self.body)
    }

    /// How many bytes the arguments so far take.
    var bodyByteCount: Int { self.body.count }

    /// The same command under another name and first argument; `head` is what both take here.
    func replacingHead(of head: Int, by name: String, _ first: [UInt8]) -> RedisCommand {
        var command = RedisCommand(name, capacity: first.count + self.body.count + 64)
        command.append(bytes: first)
        command.body.append(contentsOf: self.body.dropFirst(head))
        command.count = self.count
        return command
    }

    private func appendHeader(to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "*"))
        appendDecimal(UInt64(self.count), to: &bytes)
        bytes.append(0x0d)
        bytes.append(0x0a)
    }

    /// Numbers are short: their digits are counted, then written behind the count.
    fileprivate mutating func append(magnitude: UInt64, isNegative: Bool) {
        var digits = 1
        var rest = magnitude
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        self.count += 1
        self.body.append(UInt8(ascii: "$"))
        appendDecimal(UInt64(digits + (isNegative ? 1 : 0)), to: &self.body)
        self.body.append(0x0d)
        self.body.append(0x0a)
        if isNegative { self.body.append(UInt8(ascii: "-")) }
        appendDecimal(magnitude, to: &self.body)
        self.body.append(0x0d)
        self.body.append(0x0a)
    }
}

private func appendDecimal(_ number: UInt64, to bytes: inout [UInt8]) {
    let start = bytes.count
    var rest = number
    repeat {
        bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
        rest /= 10
    } while rest > 0
    bytes[start...].reverse()
}

extension RedisArgument {
    package static func append(_ values: [Self], to command: inout RedisCommand) {
        for value in values { value.append(to: &command) }
    }
}

extension RedisArgument where Self: BinaryInteger {
    package func append(to command: inout RedisCommand) {
        // Wider integers than 64 bits do not conform.
        command.append(magnitude: UInt64(truncatingIfNeeded: self.magnitude), isNegative: self < 0)
    }
}

extension String: RedisArgument {
    package func append(to command: inout RedisCommand) { command.append(bytes: self.utf8) }
}

extension Substring: RedisArgument {
    package func append(to command: inout RedisCommand) { command.append(bytes: self.utf8) }
}

extension ArraySlice: RedisArgument where Element == UInt8 {
    package func append(to command: inout RedisCommand) { command.append(bytes: self) }
}

extension Array: RedisArgument where Element: RedisArgument {
    package func append(to command: inout RedisCommand) { Element.append(self, to: &command) }
}

extension UInt8: RedisArgument {
    /// An array of bytes is one argument, not many numbers.
    package static func append(_ values: [UInt8], to command: inout RedisCommand) { command.append(bytes: values) }
}

extension Int: RedisArgument {}
extension Int32: RedisArgument {}
extension Int64: RedisArgument {}
extension UInt16: RedisArgument {}
extension UInt32: RedisArgument {}
extension UInt64: RedisArgument {}

extension Double: RedisArgument {
    /// The shortest decimal text that gives the same number back; infinities as `inf` and `-inf`.
    package func append(to command: inout RedisCommand) { command.append(bytes: self.description.utf8) }
}
