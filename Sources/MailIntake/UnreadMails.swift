/// Mails that could not be understood, kept in a folder for a person to look at.

import Channels

package struct UnreadMails: Sendable {
    private let folder: UnreadFolder

    package init(folder: String, filesMax: Int = 1000) {
        self.folder = UnreadFolder(folder: folder, ending: "eml", filesMax: filesMax)
    }

    /// Keeps a mail; the same one again takes its own place.
    ///
    /// What the disk does not take is lost: a report is worth less than what comes behind it.
    func keep(_ mail: IncomingMail) async {
        var head = "Return-Path: <\(Self.clean(mail.sender))>\r\n"
        for recipient in mail.recipients { head += "Delivered-To: \(Self.clean(recipient))\r\n" }
        _ = await self.folder.keep(mail.content, head: head)
    }

    private static func clean(_ address: String) -> String {
        String(address.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 })
    }
}
