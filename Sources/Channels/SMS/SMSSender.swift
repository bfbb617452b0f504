/// Who a text message is from: a number, a short code, or a name of at most eleven characters.
import SMPPTransport

enum SMSSender: Sendable, Equatable {
    /// E.164, with its plus sign.
    case number(String)
    /// Three to eight digits.
    case shortCode(String)
    /// TS 23.040 §9.1.2.5: eleven characters of the 7-bit alphabet; here those that providers take.
    case name(String)

    init?(_ text: String) {
        if let number = PhoneNumber(text) {
            self = .number(number.text)
        } else if (3...8).contains(text.utf8.count), text.utf8.allSatisfy(\.isASCIIDigit) {
            self = .shortCode(text)
        } else if (1...11).contains(text.utf8.count), text.utf8.contains(where: \.isASCIILetter),
            text.utf8.allSatisfy({ $0.isASCIIAlphanumeric || " &-._+!".utf8.contains($0) })
        {
            self = .name(text)
        } else {
            return nil
        }
    }

    /// §5.2.5 and §5.2.6 of SMPP 3.4: international and E.164, network specific, alphanumeric.
    var address: SMPPAddress {
        switch self {
        case .number(let text): SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: String(text.dropFirst()))
        case .shortCode(let text): SMPPAddress(typeOfNumber: 3, numberingPlan: 0, text: text)
        case .name(let text): SMPPAddress(typeOfNumber: 5, numberingPlan: 0, text: text)
        }
    }
}
