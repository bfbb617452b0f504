import ArgumentParser
import DeliveryModel
import Foundation
import MartletClient

/// Puts a file of decisions on the streams.
struct Enqueue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Puts decisions on the fleet's streams: one JSON object a line.",
        discussion: """
            Shows progress and rate on a terminal. How far it came is kept in FILE.progress: run the same command
            again after an interruption and it goes on from there. What was sent twice is answered as a duplicate.
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The file; - or nothing for standard input.")
    var file = "-"

    @Option(help: "The most decisions a second; 0 for as fast as it goes.")
    var rate = 0

    @Option(help: "Decisions in one round trip.")
    var batch = 500

    @Flag(help: "Start from the first line, whatever FILE.progress says.")
    var restart = false

    func validate() throws {
        guard self.rate >= 0, (1...10_000).contains(self.batch) else {
            throw ValidationError("--rate must be 0 or more, --batch 1 to 10000")
        }
    }

    func run() async throws {
        var settings = try self.common.settings()
        PrivateServers.find(for: &settings)
        guard let url = settings.redisURL else {
            throw CommandError("set MARTLET_REDIS_URL, or run this beside a `martlet up` with the same data folder")
        }
        let client = try MartletClient(redisURL: url)
        do {
            try await self.send(with: client)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    private func send(with client: MartletClient) async throws {
        let isStandardInput = self.file == "-"
        let path = isStandardInput ? "/dev/stdin" : self.file
        guard let input = FileHandle(forReadingAtPath: path) else { throw CommandError("\(self.file) cannot be read") }
        let progressFile = isStandardInput ? nil : self.file + ".progress"
        var reader = LineReader(input)
        if let progressFile, !self.restart, let offset = Self.offset(in: progressFile) {
            try reader.skip(to: offset)
            note("going on at byte \(offset), where the last run stopped; --restart begins anew")
        }
        let size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
        var progress = Progress(total: isStandardInput ? 0 : size, start: reader.offset)
        var lastLook: ContinuousClock.Instant?
        while let lines = try reader.next(self.batch) {
            try await Self.awaitRoom(client, &lastLook)
            try await Self.patiently { try await client.enqueueUnchecked(lines) }
            if let progressFile {
                try "\(reader.offset)\n".write(toFile: progressFile, atomically: true, encoding: .utf8)
            }
            progress.add(lines.count, offset: reader.offset)
            if self.rate > 0 { try await progress.holdBack(to: self.rate) }
        }
        progress.finish()
        if let progressFile { try? FileManager.default.removeItem(atPath: progressFile) }
    }

    private static func offset(in file: String) -> UInt64? {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
        return UInt64(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Leaves Redis the room that workers need to bring work out of it. Looks about once a second.
    private static func awaitRoom(_ client: MartletClient, _ lastLook: inout ContinuousClock.Instant?) async throws {
        if let lastLook, ContinuousClock.now - lastLook < .seconds(1) { return }
        lastLook = .now
        var hasSaid = false
        while let fullness = try? await client.fullness(), fullness >= QueueStanding.fullnessMax {
            if !hasSaid { note("\nRedis is \(Int(fullness * 100)) % full: waiting until the fleet has made room") }
            hasSaid = true
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Waits for a Redis that is away; sending again is safe.
    private static func patiently<Answer>(_ send: () async throws -> Answer) async throws {
        var hasSaid = false
        while true {
            do {
                _ = try await send()
                return
            } catch MartletError.unavailable(let why) {
                if !hasSaid { note("\nRedis is away (\(why)): waiting for it") }
                hasSaid = true
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }
}

/// Reads lines as bytes; blank ones are passed over.
private struct LineReader {
    private let input: FileHandle
    private var buffer: [UInt8] = []
    private var isAtEnd = false
    /// Where the next line begins.
    private(set) var offset: UInt64 = 0

    init(_ input: FileHandle) {
        self.input = input
    }

    mutating func skip(to offset: UInt64) throws {
        try self.input.seek(toOffset: offset)
        self.offset = offset
    }

    /// Up to `count` lines; nil at the end.
    mutating func next(_ count: Int) throws -> [[UInt8]]? {
        var lines: [[UInt8]] = []
        var start = 0
        while lines.count < count {
            if let end = self.buffer[start...].firstIndex(of: UInt8(ascii: "\n")) {
                Self.append(self.buffer[start..<end], to: &lines)
                start = end + 1
                continue
            }
            guard !self.isAtEnd else {
                Self.append(self.buffer[start...], to: &lines)
                start = self.buffer.count
                break
            }
            self.buffer.removeSubrange(..<start)
            self.offset += UInt64(start)
            start = 0
            let more = try self.input.read(upToCount: 1 << 20) ?? Data()
            self.isAtEnd = more.isEmpty
            self.buffer += more
        }
        self.buffer.removeSubrange(..<start)
        self.offset += UInt64(start)
        return lines.isEmpty ? nil : lines
    }

    private static func append(_ line: ArraySlice<UInt8>, to lines: inout [[UInt8]]) {
        let trimmed = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        if trimmed.contains(where: { $0 != 0x20 && $0 != 0x09 }) { lines.append(Array(trimmed)) }
    }
}

/// A progress bar with rate on a terminal; one closing line otherwise.
private struct Progress {
    private let total: Int
    private let start: UInt64
    private let began = ContinuousClock.now
    private var shown: ContinuousClock.Instant?
    private var count = 0

    init(total: Int, start: UInt64) {
        self.total = total
        self.start = start
    }

    private var seconds: Double {
        let elapsed = ContinuousClock.now - self.began
        return max(0.001, Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18)
    }

    private var perSecond: Int { Int(Double(self.count) / self.seconds) }

    mutating func add(_ count: Int, offset: UInt64) {
        self.count += count
        let now = ContinuousClock.now
        guard isTerminal, self.shown.map({ now - $0 > .milliseconds(100) }) ?? true else { return }
        self.shown = now
        var line = "\r\(self.count) decisions, \(self.perSecond)/s"
        if self.total > 0 {
            let share = min(1, Double(offset) / Double(self.total))
            let filled = Int(share * 30)
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
            line = "\r\(bar) \(Int(share * 100)) %  \(self.count) decisions, \(self.perSecond)/s"
        }
        FileHandle.standardError.write(Data((line + "\u{1b}[K").utf8))
    }

    func holdBack(to rate: Int) async throws {
        let ahead = Double(self.count) / Double(rate) - self.seconds
        if ahead > 0 { try await Task.sleep(for: .milliseconds(Int(ahead * 1000))) }
    }

    func finish() {
        if isTerminal { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) }
        note("enqueued \(self.count) decisions, \(self.perSecond)/s")
    }
}
