// Programs that the tests start: the built `martlet` above all, and the tools that judge it.
//
// A program runs under a small shell that holds the read end of a pipe. The write end is ours: when we drop it, or die
// in any way, the shell reads end of file and kills the program. Nothing outlives the tests.
import Foundation
import LocalServers

/// What a program that has ended left behind.
struct Output: Sendable {
    let code: Int32
    let out: String
    let err: String
}

/// A program that runs beside the tests.
final class Program: Sendable {
    /// Standard output and standard error.
    let log: String
    private let process: Process
    private let lifeline: Pipe
    private let pidFile: String

    private static let script = """
        pidfile=$1; log=$2; shift 2
        exec 3<&0
        "$@" </dev/null >>"$log" 2>&1 3<&- & program=$!
        echo $program >"$pidfile.new" && mv "$pidfile.new" "$pidfile"
        { read -r _ <&3; kill -KILL $program; } 2>/dev/null & watch=$!
        exec 3<&-
        wait $program; status=$?
        kill $watch 2>/dev/null
        exit $status
        """

    /// - Parameter name: Of its log and pid files in `folder`.
    init(_ command: [String], environment: [String: String] = [:], name: String, in folder: String) throws {
        self.log = "\(folder)/\(name).log"
        self.pidFile = "\(folder)/\(name).pid"
        self.process = Process()
        self.lifeline = Pipe()
        try Data().write(to: URL(fileURLWithPath: self.log))
        self.process.executableURL = URL(fileURLWithPath: "/bin/sh")
        self.process.arguments = ["-c", Self.script, "sh", self.pidFile, self.log] + command
        self.process.environment = Self.environment(environment)
        self.process.standardInput = self.lifeline
        self.process.standardError = FileHandle.nullDevice
        unblockSignals()
        try self.process.run()
    }

    deinit {
        try? self.lifeline.fileHandleForWriting.close()
    }

    var isRunning: Bool { self.process.isRunning }

    /// What it wrote so far.
    var text: String {
        (try? Data(contentsOf: URL(fileURLWithPath: self.log))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Waits until `words` are in the log.
    func says(_ words: String, within limit: Duration = .seconds(60)) async throws {
        try await eventually("the log says ‘\(words)’: \(self.text.suffix(1500))", within: limit) {
            if self.text.contains(words) { return true }
            guard self.isRunning else {
                throw Overdue("it has ended, and never said ‘\(words)’: \(self.text.suffix(1500))")
            }
            return false
        }
    }

    func signal(_ number: Int32) async throws {
        try await eventually("there is a process") { FileManager.default.fileExists(atPath: self.pidFile) }
        let text = try String(contentsOfFile: self.pidFile, encoding: .utf8)
        guard let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)), pid > 1 else { return }
        kill(pid, number)
    }

    /// Asks it to end, and returns its exit code.
    func terminate(within limit: Duration = .seconds(40)) async throws -> Int32 {
        try await self.signal(SIGTERM)
        return try await self.end(within: limit)
    }

    /// Kills it as the kernel does when memory is short.
    func killHard() async throws {
        try await self.signal(SIGKILL)
        _ = try await self.end(within: .seconds(10))
    }

    func end(within limit: Duration) async throws -> Int32 {
        try await eventually("it has ended: \(self.text.suffix(600))", within: limit) { !self.process.isRunning }
        return self.process.terminationStatus
    }

    /// Runs a program to its end; after two minutes it is killed.
    static func run(
        _ command: [String], environment: [String: String] = [:], input: [UInt8]? = nil, folder: String? = nil
    ) async throws -> Output {
        let files = FileManager.default
        let scratch = files.temporaryDirectory.appendingPathComponent("run-\(UUID().uuidString)")
        try files.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? files.removeItem(at: scratch) }
        let names = ["in", "out", "err"].map { scratch.appendingPathComponent($0) }
        try Data(input ?? []).write(to: names[0])
        try Data().write(to: names[1])
        try Data().write(to: names[2])
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "-k", "5", "120"] + command
        process.environment = Self.environment(environment)
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        let handles = [
            try FileHandle(forReadingFrom: names[0]), try FileHandle(forWritingTo: names[1]),
            try FileHandle(forWritingTo: names[2]),
        ]
        process.standardInput = handles[0]
        process.standardOutput = handles[1]
        process.standardError = handles[2]
        unblockSignals()
        try process.run()
        // Foundation keeps them, and with them every later child would have fewer descriptors.
        for handle in handles { try handle.close() }
        try await eventually("\(command.first ?? "") has ended", within: .seconds(130)) { !process.isRunning }
        let texts = try names.dropFirst().map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
        return Output(code: process.terminationStatus, out: texts[0], err: texts[1])
    }

    private static func environment(_ given: [String: String]) -> [String: String] {
        var environment = ["LANG": "C.UTF-8"]
        for name in ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
            environment[name] = ProcessInfo.processInfo.environment[name]
        }
        return environment.merging(given) { $1 }
    }
}

/// Where things are that the tests run.
enum Place {
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let checks = repository + "/Tests/FleetTests/Checks"

    /// The program that was built together with these tests.
    static func martlet() throws -> String {
        let bundle = CommandLine.arguments.first { $0.contains(".xctest") }.map {
            String($0[..<($0.range(of: ".xctest")?.lowerBound ?? $0.endIndex)])
        }
        var folders = ["\(repository)/.build/debug"]
        if let bundle { folders.insert(URL(fileURLWithPath: bundle).deletingLastPathComponent().path, at: 0) }
        for folder in folders where FileManager.default.isExecutableFile(atPath: folder + "/martlet") {
            return folder + "/martlet"
        }
        throw Overdue("there is no built martlet beside the tests: swift build --build-tests makes it")
    }

    /// Python with the packages of deploy/test-requirements.txt.
    static func python() throws -> String {
        let venv = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"] ?? repository + "/.deploy/venv"
        guard FileManager.default.isExecutableFile(atPath: venv + "/bin/python") else {
            throw Overdue("there is no Python environment at \(venv): deploy/install --tests makes it")
        }
        return venv + "/bin/python"
    }
}

/// What was waited for did not come, or is not there.
struct Overdue: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Asks every 40 ms until it is so; throws with `what` when time is up.
func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(40), _ isSo: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !isSo() {
        guard ContinuousClock.now < deadline else { throw Overdue("not within \(limit): \(what())") }
        try await Task.sleep(for: .milliseconds(40))
    }
}

/// Lets the programs that this thread starts get signals: the threads that run tasks block them.
private func unblockSignals() {
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
}
