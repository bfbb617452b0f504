// What Twilio checks of a message before it takes it.

/// A message request that was found correct.
struct SMSDraft: Sendable {
    /// In Unicode scalars.
    static let bodyMax = 1600

    let to: String
    let from: String?
    let messagingServiceSID: String?
    let body: String
    let statusCallback: String?

    init(_ form: FormFields) throws(SMSRefusal) {
        guard let to = form["To"] else { throw .toMissing }
        guard Self.isE164(to) else { throw .invalidTo(to) }
        self.messagingServiceSID = form["MessagingServiceSid"]
        self.from = form["From"]
        if let service = self.messagingServiceSID {
            guard Self.isServiceSID(service) else { throw .unknownService(service) }
        } else {
            guard let from = self.from else { throw .fromMissing }
            guard Self.isSender(from) else { throw .invalidFrom(from) }
        }
        guard let body = form["Body"] else { throw .bodyMissing }
        guard body.unicodeScalars.count <= Self.bodyMax else { throw .bodyTooLong }
        if let callback = form["StatusCallback"] {
            guard Self.isWebAddress(callback) else { throw .invalidCallback(callback) }
        }
        self.to = to
        self.body = body
        self.statusCallback = form["StatusCallback"]
    }

    /// ITU-T E.164: `+`, then up to 15 digits that do not begin with 0.
    static func isE164(_ number: String) -> Bool {
        let digits = number.utf8.dropFirst()
        return number.utf8.first == UInt8(ascii: "+") && (7...15).contains(digits.count)
            && digits.first != UInt8(ascii: "0") && digits.allSatisfy { Self.isDigit($0) }
    }

    /// A number, a short code of 3…8 digits, or an alphanumeric sender of up to 11 characters with a letter.
    static func isSender(_ sender: String) -> Bool {
        if Self.isE164(sender) { return true }
        if sender.utf8.allSatisfy(Self.isDigit) { return (3...8).contains(sender.utf8.count) }
        let isAllowed = sender.utf8.allSatisfy {
            Self.isDigit($0) || Self.isLetter($0) || " +-_&".utf8.contains($0)
        }
        return sender.utf8.count <= 11 && isAllowed && sender.utf8.contains(where: Self.isLetter)
    }

    static func isServiceSID(_ sid: String) -> Bool {
        sid.utf8.count == 34 && sid.hasPrefix("MG")
            && sid.utf8.dropFirst(2).allSatisfy {
                Self.isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    private static func isWebAddress(_ text: String) -> Bool {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return isPlain && (text.hasPrefix("https://") && text.count > 8 || text.hasPrefix("http://") && text.count > 7)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    // MARK: Segments

    /// How many messages on the air a text becomes (3GPP TS 23.038 alphabets, 23.040 concatenation).
    static func segments(_ text: String) -> Int {
        var septets = 0
        for scalar in text.unicodeScalars {
            if Self.basic.contains(scalar) {
                septets += 1
            } else if Self.extended.contains(scalar) {
                septets += 2
            } else {
                let units = text.utf16.count
                return units <= 70 ? 1 : (units + 66) / 67
            }
        }
        return septets <= 160 ? 1 : (septets + 152) / 153
    }

    private static let basic = Set(
        ("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
            + "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà").unicodeScalars)
    private static let extended = Set("^{}\\[~]|€\u{0C}".unicodeScalars)
}

/// Why a message is not taken: Twilio's code, HTTP status and sentence.
struct SMSRefusal: Error, Sendable, Hashable {
    let code: Int
    let status: Int
    let message: String

    private init(_ code: Int, _ message: String, status: Int = 400) {
        self.code = code
        self.status = status
        self.message = message
    }

    static let toMissing = SMSRefusal(21604, "A 'To' phone number is required.")
    static let fromMissing = SMSRefusal(21603, "A 'From' phone number is required.")
    static let bodyMissing = SMSRefusal(21602, "Message body is required.")
    static let bodyTooLong = SMSRefusal(21617, "The concatenated message body exceeds the 1600 character limit")
    static let unsubscribed = SMSRefusal(21610, "Attempt to send to unsubscribed recipient")

    static func invalidTo(_ number: String) -> SMSRefusal {
        SMSRefusal(21211, "The 'To' number \(number) is not a valid phone number.")
    }

    static func invalidFrom(_ sender: String) -> SMSRefusal {
        SMSRefusal(
            21212, "The 'From' number \(sender) is not a valid phone number, shortcode, or alphanumeric sender ID.")
    }

    static func notMobile(_ number: String) -> SMSRefusal {
        SMSRefusal(21614, "'To' number is not a valid mobile number: \(number)")
    }

    static func invalidCallback(_ url: String) -> SMSRefusal {
        SMSRefusal(21609, "The 'StatusCallback' URL \(url) is not a valid URL.")
    }

    static func unknownService(_ sid: String) -> SMSRefusal {
        SMSRefusal(21701, "The Messaging Service \(sid) does not exist.")
    }
}
