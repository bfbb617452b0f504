/// What could not be understood, kept in a folder for a person to look at: the newest files.

import Crypto
import Foundation
import NIOPosix

package struct UnreadFolder: Sendable {
    /// Of one file; the folder has no more than this for each of its files.
    private static let octetsMax = 256 * 1024

    private let folder: String
    private let ending: String
    private let filesMax: Int

    /// The folder is made when it is first needed; with `filesMax` files in it the oldest makes room.
    ///
    /// - Parameter ending: Of the files' names, such as `eml`.
    package init(folder: String, ending: String, filesMax: Int = 1000) {
        self.folder = folder
        self.ending = ending
        self.filesMax = max(1, filesMax)
    }

    /// Keeps `content` behind `head`; the same content again takes its own place.
    ///
    /// - Returns: False when the disk did not take it.
    package func keep(_ content: [UInt8], head: String = "", name: String = "") async -> Bool {
        do {
            try await NIOThreadPool.singleton.runIfActive { try self.write(content, head: head, name: name) }
            return true
        } catch {
            return false
        }
    }

    private func write(_ content: [UInt8], head: String, name: String) throws {
        let files = FileManager.default
        // Whoever reads these may read addresses.
        try files.createDirectory(
            atPath: self.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let digest = SHA256.hash(data: content).prefix(6).map { String($0, radix: 16) }.joined(separator: "-")
        let names = try files.contentsOfDirectory(atPath: self.folder).filter { $0.hasSuffix(".\(self.ending)") }
            .sorted()
        let own = (name.isEmpty ? "" : "_\(name)") + "_\(digest).\(self.ending)"
        guard !names.contains(where: { $0.hasSuffix(own) }) else { return }
        for name in names.dropLast(self.filesMax - 1) { try files.removeItem(atPath: "\(self.folder)/\(name)") }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        let bytes = Data(head.utf8) + Data(content.prefix(Self.octetsMax))
        let path = "\(self.folder)/\(now)\(own)"
        guard files.createFile(atPath: path, contents: bytes, attributes: [.posixPermissions: 0o600]) else {
            throw CocoaError(.fileWriteUnknown)
        }
    }
}
