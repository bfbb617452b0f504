/// The status of an answer (§5.1.3), and what the specification calls it.
package struct SMPPStatus: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let ok = SMPPStatus(rawValue: 0x00)
    package static let invalidCommandLength = SMPPStatus(rawValue: 0x02)
    package static let invalidCommand = SMPPStatus(rawValue: 0x03)
    package static let invalidBindStatus = SMPPStatus(rawValue: 0x04)
    package static let alreadyBound = SMPPStatus(rawValue: 0x05)
    package static let systemError = SMPPStatus(rawValue: 0x08)
    package static let invalidSource = SMPPStatus(rawValue: 0x0A)
    package static let invalidDestination = SMPPStatus(rawValue: 0x0B)
    package static let bindFailed = SMPPStatus(rawValue: 0x0D)
    package static let invalidPassword = SMPPStatus(rawValue: 0x0E)
    package static let invalidSystemID = SMPPStatus(rawValue: 0x0F)
    package static let queueFull = SMPPStatus(rawValue: 0x14)
    package static let submitFailed = SMPPStatus(rawValue: 0x45)
    package static let throttled = SMPPStatus(rawValue: 0x58)
    package static let receiverTemporary = SMPPStatus(rawValue: 0x64)
    package static let receiverPermanent = SMPPStatus(rawValue: 0x65)
    package static let receiverRefused = SMPPStatus(rawValue: 0x66)

    /// A word for codes and logs, such as `throttled`; `0x408` for what the specification does not name.
    package var name: String { Self.names[self.rawValue] ?? "0x" + String(self.rawValue, radix: 16) }

    package var description: String { self.name }

    /// The endings of the specification's `ESME_R…`, in lower case.
    private static let names: [UInt32: String] = [
        0x00: "ok", 0x01: "invmsglen", 0x02: "invcmdlen", 0x03: "invcmdid", 0x04: "invbndsts", 0x05: "alybnd",
        0x06: "invprtflg", 0x07: "invregdlvflg", 0x08: "syserr", 0x0A: "invsrcadr", 0x0B: "invdstadr",
        0x0C: "invmsgid", 0x0D: "bindfail", 0x0E: "invpaswd", 0x0F: "invsysid", 0x11: "cancelfail",
        0x13: "replacefail", 0x14: "msgqful", 0x15: "invsertyp", 0x33: "invnumdests", 0x34: "invdlname",
        0x40: "invdestflag", 0x42: "invsubrep", 0x43: "invesmclass", 0x44: "cntsubdl", 0x45: "submitfail",
        0x48: "invsrcton", 0x49: "invsrcnpi", 0x50: "invdstton", 0x51: "invdstnpi", 0x53: "invsystyp",
        0x54: "invrepflag", 0x55: "invnummsgs", 0x58: "throttled", 0x61: "invsched", 0x62: "invexpiry",
        0x63: "invdftmsgid", 0x64: "x_t_appn", 0x65: "x_p_appn", 0x66: "x_r_appn", 0x67: "queryfail",
        0xC0: "invoptparstream", 0xC1: "optparnotallwd", 0xC2: "invparlen", 0xC3: "missingoptparam",
        0xC4: "invoptparamval", 0xFE: "deliveryfailure", 0xFF: "unknownerr",
    ]
}
