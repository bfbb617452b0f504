/// Small tests on bytes that several adapters share.

extension UInt8 {
    var isASCIIDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }

    var isASCIILetter: Bool { (self | 0x20) >= UInt8(ascii: "a") && (self | 0x20) <= UInt8(ascii: "z") }

    var isASCIIAlphanumeric: Bool { self.isASCIILetter || self.isASCIIDigit }

    /// C0 controls and DEL.
    var isASCIIControl: Bool { self < 0x20 || self == 0x7F }

    /// `high` and `low` half as upper-case hexadecimal digits.
    var hexDigits: (high: UInt8, low: UInt8) { ((self >> 4).hexDigit, (self & 15).hexDigit) }

    private var hexDigit: UInt8 { self < 10 ? self + UInt8(ascii: "0") : self - 10 + UInt8(ascii: "A") }
}

/// Appends `value` with at least `width` digits.
func appendDecimal(_ value: Int, width: Int = 1, to output: inout [UInt8]) {
    let digits = String(value)
    for _ in 0..<max(0, width - digits.utf8.count) { output.append(UInt8(ascii: "0")) }
    output.append(contentsOf: digits.utf8)
}

/// Lower-case hexadecimal digits of `bytes`.
func appendHexadecimal(_ bytes: some Sequence<UInt8>, to output: inout [UInt8]) {
    for byte in bytes {
        let (high, low) = byte.hexDigits
        output.append(high.isASCIILetter ? high | 0x20 : high)
        output.append(low.isASCIILetter ? low | 0x20 : low)
    }
}
