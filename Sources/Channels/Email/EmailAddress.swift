/// Mail addresses: RFC 5321 §4.1.2 `Mailbox`, with RFC 6531's non-ASCII letters.
///
/// Checked byte by byte before an address goes anywhere near a header or a command: a control
/// character, a space or a bracket in the wrong place is refused, so nothing can be injected by it.

struct EmailAddress: Sendable, Equatable {
    /// RFC 5321 §4.5.3.1.3 allows 256 octets with the angle brackets.
    static let octetsMax = 254
    static let localPartOctetsMax = 64

    var localPart: String
    /// In ASCII wherever the conversion is beyond doubt; see ``Punycode``.
    var domain: String

    /// Stands for the sender while a faulty file is read to its end; never used.
    static let placeholder = EmailAddress(localPart: "nobody", domain: "localhost")

    private init(localPart: String, domain: String) {
        self.localPart = localPart
        self.domain = domain
    }

    /// As it goes into headers and the envelope.
    var text: String { "\(self.localPart)@\(self.domain)" }

    /// The same for every way of writing it; what suppression compares.
    var normalised: String { self.text.lowercased() }

    /// Whether only a server that offers SMTPUTF8 (RFC 6531) can take it.
    var needsSMTPUTF8: Bool { !self.text.utf8.allSatisfy { $0 < 0x80 } }

    /// Nil when `text` is not a mailbox.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard (3...Self.octetsMax).contains(bytes.count), let at = bytes.lastIndex(of: UInt8(ascii: "@")) else {
            return nil
        }
        let local = bytes[..<at]
        guard (1...Self.localPartOctetsMax).contains(local.count),
            isDotString(local) || isQuotedString(local), isVisible(local),
            let domain = asciiDomain(bytes[(at + 1)...])
        else { return nil }
        self.localPart = String(decoding: local, as: UTF8.self)
        self.domain = domain
        guard self.text.utf8.count <= Self.octetsMax else { return nil }
    }
}

private func isDotString(_ local: ArraySlice<UInt8>) -> Bool {
    local.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { atom in
        !atom.isEmpty && atom.allSatisfy { $0.isAtomText || $0 >= 0x80 }
    }
}

private func isQuotedString(_ local: ArraySlice<UInt8>) -> Bool {
    guard local.count >= 2, local.first == UInt8(ascii: "\""), local.last == UInt8(ascii: "\"") else { return false }
    var isEscaped = false
    for byte in local.dropFirst().dropLast() {
        if byte.isASCIIControl { return false }
        if isEscaped {
            guard byte < 0x80 else { return false }
            isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
            isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
            return false
        }
    }
    return !isEscaped
}

/// No blanks or controls of Unicode's, which a person could not see.
private func isVisible(_ local: ArraySlice<UInt8>) -> Bool {
    if local.allSatisfy({ $0 < 0x80 }) { return true }
    return String(decoding: local, as: UTF8.self).unicodeScalars.allSatisfy { scalar in
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse: false
        case .spaceSeparator: scalar.isASCII
        default: true
        }
    }
}

/// The domain in ASCII if it can be, in lower case; nil if it is none.
private func asciiDomain(_ bytes: ArraySlice<UInt8>) -> String? {
    if bytes.first == UInt8(ascii: "[") {
        return isAddressLiteral(bytes) ? String(decoding: bytes, as: UTF8.self) : nil
    }
    var labels: [String] = []
    for part in bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
        let label = String(decoding: part, as: UTF8.self).lowercased()
        let ascii = Punycode.asciiLabel(label) ?? label
        guard isLabel(ascii) else { return nil }
        labels.append(ascii)
    }
    let domain = labels.joined(separator: ".")
    return (1...253).contains(domain.utf8.count) ? domain : nil
}

private func isLabel(_ label: String) -> Bool {
    let hyphen = UInt8(ascii: "-")
    guard (1...63).contains(label.utf8.count), label.utf8.first != hyphen, label.utf8.last != hyphen else {
        return false
    }
    return label.unicodeScalars.allSatisfy { scalar in
        guard !scalar.isASCII else { return UInt8(ascii: scalar).isASCIIAlphanumeric || scalar == "-" }
        let properties = scalar.properties
        return properties.isAlphabetic || properties.numericType != nil
            || properties.generalCategory == .nonspacingMark || properties.generalCategory == .spacingMark
    }
}

/// RFC 5321 §4.1.3, by its characters only: the server that is asked to deliver there parses it.
private func isAddressLiteral(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard bytes.last == UInt8(ascii: "]") else { return false }
    let inner = bytes.dropFirst().dropLast()
    let prefix = Array("IPv6:".utf8)
    if inner.starts(with: prefix) {
        let address = inner.dropFirst(prefix.count)
        return (2...45).contains(address.count)
            && address.allSatisfy { $0.isHexadecimal || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") }
    }
    let parts = inner.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count == 4
        && parts.allSatisfy { (1...3).contains($0.count) && Int(String(decoding: $0, as: UTF8.self)) ?? 256 <= 255 }
        && inner.allSatisfy { $0.isASCIIDigit || $0 == UInt8(ascii: ".") }
}

extension UInt8 {
    /// RFC 5322 §3.2.3 `atext`.
    var isAtomText: Bool { self.isASCIIAlphanumeric || atomSpecials.contains(self) }

    fileprivate var isHexadecimal: Bool {
        self.isASCIIDigit || ((self | 0x20) >= UInt8(ascii: "a") && (self | 0x20) <= UInt8(ascii: "f"))
    }
}

private let atomSpecials = [UInt8]("!#$%&'*+-/=?^_`{|}~".utf8)
