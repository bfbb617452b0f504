/// Why a text is not JSON as RFC 8259 has it, and where.
package struct JSONSyntaxError: Error, Sendable, Hashable {
    /// What kind of mistake it is; the raw value is the stable code that producers see.
    package enum Code: String, Sendable, CaseIterable {
        /// Something stands where the grammar of RFC 8259 does not allow it.
        case syntax = "json.syntax"
        /// The text is not UTF-8, or an escape names half a surrogate pair.
        case utf8 = "json.utf8"
        /// Arrays and objects are nested too deeply.
        case depth = "json.depth"
        /// An object has two members of one name.
        case duplicateMember = "json.duplicate_member"
        /// A number is too large for a 64-bit floating-point number.
        case number = "json.number"
        /// The text ends before its value does.
        case truncated = "json.truncated"
    }

    package let code: Code
    /// Counted in bytes from 0.
    package let offset: Int
    /// Counted from 1; lines end with a line feed.
    package let line: Int
    /// Counted in bytes from 1.
    package let column: Int
    /// RFC 6901 pointer to the innermost value that was being read.
    package private(set) var pointer: String
    /// What is wrong, without quoting the text: it may hold addresses.
    package let problem: String

    init(_ code: Code, at offset: Int, of bytes: [UInt8], _ problem: String, pointer: String = "") {
        let before = bytes.prefix(offset)
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        self.code = code
        self.offset = offset
        self.line = 1 + before.count { $0 == UInt8(ascii: "\n") }
        self.column = 1 + before.count - lineStart
        self.pointer = pointer
        self.problem = problem
    }

    /// The same error, seen from the value that holds the member or element `token`.
    func within(_ token: String) -> JSONSyntaxError {
        var copy = self
        copy.pointer = JSONPointer.appending(token, to: "") + self.pointer
        return copy
    }

    /// The error as a producer is told it.
    package var rejection: Rejection {
        Rejection(
            code: self.code.rawValue, pointer: self.pointer,
            detail: "\(self.problem) (line \(self.line), column \(self.column), byte \(self.offset)).")
    }
}

/// RFC 6901 JSON pointers, as text.
package enum JSONPointer {
    /// The pointer to the member or element `token` of what `pointer` points to.
    package static func appending(_ token: String, to pointer: String) -> String {
        guard token.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else {
            return "\(pointer)/\(token)"
        }
        var escaped: [UInt8] = []
        for byte in token.utf8 {
            switch byte {
            case UInt8(ascii: "~"): escaped += [byte, UInt8(ascii: "0")]
            case UInt8(ascii: "/"): escaped += [UInt8(ascii: "~"), UInt8(ascii: "1")]
            default: escaped.append(byte)
            }
        }
        return "\(pointer)/\(String(decoding: escaped, as: UTF8.self))"
    }
}
