/// Mails that could not be understood, kept in a folder for a person to look at: the newest ones.

import Crypto
import Foundation
import NIOPosix

package struct UnreadMails: Sendable {
    /// Of one mail; the folder has no more than this for each of its files.
    private static let octetsMax = 256 * 1024

    private let folder: String
    private let filesMax: Int

    /// The folder is made when it is first needed; with `filesMax` mails in it the oldest makes room.
    package init(folder: String, filesMax: Int = 1000) {
        self.folder = folder
        self.filesMax = max(1, filesMax)
    }

    /// Keeps a mail; the same one again takes its own place.
    ///
    /// What the disk does not take is lost: a report is worth less than what comes behind it.
    func keep(_ mail: IncomingMail) async {
        let (folder, filesMax) = (self.folder, self.filesMax)
        try? await NIOThreadPool.singleton.runIfActive {
            try Self.write(mail, to: folder, filesMax: filesMax)
        }
    }

    private static func write(_ mail: IncomingMail, to folder: String, filesMax: Int) throws {
        let files = FileManager.default
        // Whoever reads mails may read addresses.
        try files.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let digest = SHA256.hash(data: mail.content).prefix(6).map { String($0, radix: 16) }.joined(separator: "-")
        let names = try files.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".eml") }.sorted()
        guard !names.contains(where: { $0.hasSuffix("_\(digest).eml") }) else { return }
        for name in names.dropLast(filesMax - 1) { try files.removeItem(atPath: "\(folder)/\(name)") }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        var content = Data("Return-Path: <\(self.clean(mail.sender))>\r\n".utf8)
        for recipient in mail.recipients { content += Data("Delivered-To: \(self.clean(recipient))\r\n".utf8) }
        content += Data(mail.content.prefix(self.octetsMax))
        let path = "\(folder)/\(now)_\(digest).eml"
        guard files.createFile(atPath: path, contents: content, attributes: [.posixPermissions: 0o600]) else {
            throw CocoaError(.fileWriteUnknown)
        }
    }

    private static func clean(_ address: String) -> String {
        String(address.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 })
    }
}
