// How the scanner reads numbers and strings.

// MARK: Numbers

extension JSONScanner {
    /// The powers of ten that a `Double` holds exactly.
    private static let powersOfTen: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
        1e19, 1e20, 1e21, 1e22,
    ]

    mutating func number() throws(JSONSyntaxError) -> JSONValue {
        let start = self.position
        let isNegative = self.take(UInt8(ascii: "-"))
        // All digits as one integer, as long as they fit; `scale` counts those behind the point.
        var digits = Digits()
        if self.take(UInt8(ascii: "0")) {
            if let byte = self.peek(), Self.isDigit(byte) { throw self.unexpected("A number has no leading zero") }
        } else {
            try self.digits(into: &digits)
        }
        var isInteger = true
        var scale = 0
        if self.take(UInt8(ascii: ".")) {
            isInteger = false
            let fraction = self.position
            try self.digits(into: &digits)
            scale = self.position - fraction
        }
        var exponent = 0
        if self.take(UInt8(ascii: "e")) || self.take(UInt8(ascii: "E")) {
            isInteger = false
            let isBelow = self.take(UInt8(ascii: "-"))
            if !isBelow { _ = self.take(UInt8(ascii: "+")) }
            var power = Digits()
            try self.digits(into: &power)
            let size = power.isExact ? Int(min(power.value, 1_000_000)) : 1_000_000
            exponent = isBelow ? -size : size
        }
        if isInteger, digits.isExact {
            if let value = Self.signed(digits.value, isNegative) { return .integer(value) }
        }
        // Exact when mantissa and power are: one rounding (Clinger 1990). All else goes the slow way.
        let power = exponent - scale
        if digits.isExact, digits.value <= 1 << 53, power.magnitude <= 22 {
            let mantissa = isNegative ? -Double(digits.value) : Double(digits.value)
            return .number(power < 0 ? mantissa / Self.powersOfTen[-power] : mantissa * Self.powersOfTen[power])
        }
        let text = String(decoding: self.bytes[start..<self.position], as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            throw JSONSyntaxError(
                .number, at: start, of: self.bytes, "The number is too large for a 64-bit floating-point number")
        }
        return .number(value)
    }

    /// Decimal digits read so far, as an integer while they fit one.
    private struct Digits {
        var value: UInt64 = 0
        var isExact = true

        mutating func append(_ digit: UInt8) {
            let (product, isTooLarge) = self.value.multipliedReportingOverflow(by: 10)
            let (sum, isTooLargeNow) = product.addingReportingOverflow(UInt64(digit))
            self.value = sum
            self.isExact = self.isExact && !isTooLarge && !isTooLargeNow
        }
    }

    private mutating func digits(into digits: inout Digits) throws(JSONSyntaxError) {
        let start = self.position
        while let byte = self.peek(), Self.isDigit(byte) {
            digits.append(byte - UInt8(ascii: "0"))
            self.position += 1
        }
        guard self.position > start else {
            throw self.unexpected("A digit is expected here")
        }
    }

    private static func signed(_ magnitude: UInt64, _ isNegative: Bool) -> Int64? {
        guard isNegative else { return Int64(exactly: magnitude) }
        return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }
}

// MARK: Strings

extension JSONScanner {
    /// Reads a string; the position is at its opening quote.
    mutating func string() throws(JSONSyntaxError) -> String {
        self.position += 1
        let start = self.position
        while self.position < self.bytes.count {
            let byte = self.bytes[self.position]
            if byte == UInt8(ascii: "\"") {
                let text = String(decoding: self.bytes[start..<self.position], as: UTF8.self)
                try self.requireValid(upTo: self.position)
                self.position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try self.escapedString(from: start) }
            guard byte >= 0x20 else { throw self.controlCharacter() }
            self.position += 1
        }
        throw self.unterminated()
    }

    /// Reads the rest of a string from its first escape on.
    private mutating func escapedString(from start: Int) throws(JSONSyntaxError) -> String {
        var text = Array(self.bytes[start..<self.position])
        while self.position < self.bytes.count {
            let byte = self.bytes[self.position]
            self.position += 1
            switch byte {
            case UInt8(ascii: "\""):
                try self.requireValid(upTo: self.position)
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                try self.escape(into: &text)
            case 0..<0x20:
                self.position -= 1
                throw self.controlCharacter()
            default:
                text.append(byte)
            }
        }
        throw self.unterminated()
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONSyntaxError) {
        guard let byte = self.peek() else { throw self.unterminated() }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let start = self.position - 1
            self.position += 1
            text.append(contentsOf: try self.unicodeEscape(from: start))
            return
        default:
            throw self.unexpected("This is not an escape of JSON")
        }
        self.position += 1
    }

    /// Reads the digits behind `\u`, and the second half of a surrogate pair where there is one.
    private mutating func unicodeEscape(from start: Int) throws(JSONSyntaxError) -> UTF8.EncodedScalar {
        let first = try self.hexadecimal()
        var code = UInt32(first)
        if UTF16.isLeadSurrogate(first), self.take(UInt8(ascii: "\\")) {
            if self.take(UInt8(ascii: "u")) {
                let second = try self.hexadecimal()
                guard UTF16.isTrailSurrogate(second) else { throw self.loneSurrogate(at: start) }
                code = 0x10000 + (UInt32(first & 0x3FF) << 10) + UInt32(second & 0x3FF)
            }
        }
        guard let scalar = Unicode.Scalar(code), let encoded = UTF8.encode(scalar) else {
            throw self.loneSurrogate(at: start)
        }
        return encoded
    }

    private mutating func hexadecimal() throws(JSONSyntaxError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = self.peek() else { throw self.unterminated() }
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw self.unexpected("Four hexadecimal digits are expected behind \\u")
            }
            value = value << 4 | UInt16(digit)
            self.position += 1
        }
        return value
    }
}
