import Attribution
import DeliveryModel
import Foundation
import ThreadBridge

/// Sightings in a file, a line of JSON each: appended at its end, read from its beginning, removed when all was read.
final class SpillFile: Sendable {
    private struct State {
        /// How far it was read and passed on.
        var start: UInt64 = 0
        var length: UInt64 = 0
        /// Whether this process has written: what an earlier one left may end in the middle of a line.
        var hasWritten = false
    }

    /// 64 MiB: some 300,000 sightings.
    static let bytesMaxDefault: UInt64 = 64 << 20

    private let path: String
    private let bytesMax: UInt64
    private let state: Protected<State>

    init(path: String, bytesMax: UInt64 = bytesMaxDefault) {
        self.path = path
        self.bytesMax = bytesMax
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let length = (attributes?[.size] as? NSNumber)?.uint64Value ?? 0
        self.state = Protected(State(start: 0, length: length))
    }

    var isEmpty: Bool { self.state.withLock { $0.start >= $0.length } }

    /// False when it is full, or cannot be written.
    func append(_ sightings: [Sighting], isDurable: Bool) -> Bool {
        var text: [UInt8] = []
        for sighting in sightings {
            var writer = JSONWriter()
            SightingText.write(sighting, into: &writer)
            text += writer.bytes + [UInt8(ascii: "\n")]
        }
        return self.state.withLock { state in
            let text = state.hasWritten || state.length == 0 ? text : [UInt8(ascii: "\n")] + text
            guard state.length + UInt64(text.count) <= self.bytesMax, let file = self.open() else { return false }
            defer { try? file.close() }
            do {
                try file.seek(toOffset: state.length)
                try file.write(contentsOf: Data(text))
                if isDurable { try file.synchronize() }
            } catch {
                // Half a line would spoil the next one.
                try? file.truncate(atOffset: state.length)
                return false
            }
            state.hasWritten = true
            state.length += UInt64(text.count)
            return true
        }
    }

    /// The first that were not passed on, and where they end; nil when there are none.
    func next(_ count: Int) -> (sightings: [Sighting], end: UInt64)? {
        self.state.withLock { state in
            guard state.start < state.length, let file = FileHandle(forReadingAtPath: self.path) else { return nil }
            defer { try? file.close() }
            // What cannot be read now is tried again: it is still there.
            guard (try? file.seek(toOffset: state.start)) != nil, let data = try? file.read(upToCount: 1 << 20) else {
                return nil
            }
            guard let last = data.lastIndex(of: UInt8(ascii: "\n")) else {
                // A line that was cut off when the process died.
                state.start = state.length
                return nil
            }
            var sightings: [Sighting] = []
            var end = state.start
            for line in data[data.startIndex...last].split(
                separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false
            )
            .dropLast() {
                guard sightings.count < count else { break }
                end += UInt64(line.count) + 1
                if let sighting = (try? JSONValue.parse(Array(line))).flatMap(SightingText.read) {
                    sightings.append(sighting)
                }
            }
            return (sightings, end)
        }
    }

    func done(upTo end: UInt64) {
        self.state.withLock { state in
            state.start = max(state.start, end)
            guard state.start >= state.length else { return }
            try? FileManager.default.removeItem(atPath: self.path)
            state = State()
        }
    }

    private func open() -> FileHandle? {
        if !FileManager.default.fileExists(atPath: self.path) {
            let folder = (self.path as NSString).deletingLastPathComponent
            try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            guard
                FileManager.default.createFile(
                    atPath: self.path, contents: nil, attributes: [.posixPermissions: 0o600])
            else { return nil }
            // The file's name is to be there after a power cut, too.
            if let directory = FileHandle(forReadingAtPath: folder) {
                try? directory.synchronize()
                try? directory.close()
            }
        }
        return FileHandle(forWritingAtPath: self.path)
    }
}
