/// A server that lives no longer than this process.
///
/// The server runs under a small shell that holds the read end of a pipe; the write end is ours. When we
/// close it, or die in any way (`kill -9` included), the shell reads end of file and stops the server.
/// Nothing is left behind that a person would have to hunt for.
import Foundation
import Glibc
import Synchronization

package final class ChildProcess: Sendable {
    /// The shell's process id; the server is its child.
    package let pid: Int32
    private let lifeline: Int32
    private let end = Ending()

    /// Remembers that the shell was waited for, and that the lifeline was closed: both may be done once only.
    private final class Ending: Sendable {
        let hasEnded = Atomic(false)
        let isReleased = Atomic(false)
    }

    // $1 is the signal, the rest the command. `exec 3<&0` keeps the lifeline; the server must not hold it. The signal is
    // repeated: a server that has only just begun may not listen to it yet, and the shell has taught it to ignore INT.
    private static let script = """
        signal=$1; shift
        exec 3<&0
        "$@" </dev/null 3<&- & server=$!
        { cat <&3 >/dev/null; while kill -s "$signal" "$server" 2>/dev/null; do sleep 1; done; } & watch=$!
        exec 3<&-
        wait "$server"; status=$?
        kill "$watch" 2>/dev/null
        exit "$status"
        """

    /// Starts `command` with its output appended to `log`.
    ///
    /// In a process group of its own, so that Ctrl-C on our terminal does not reach the server before we have
    /// drained; and with no signal blocked: a thread of ours may block some, and the server would inherit it.
    ///
    /// - Parameters:
    ///   - command: The program, by path or by name, and its arguments. Secrets do not belong here.
    ///   - stopSignal: What asks the server to stop cleanly, such as `TERM`.
    ///   - log: A file for standard output and error.
    package init(_ command: [String], stopSignal: String, log: String) throws {
        var ends: [Int32] = [-1, -1]
        // A socket pair, since it can be made close-on-exec in one step: no other child may inherit our end.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw LocalServerError("no socket pair: errno \(errno)")
        }
        let output = unsafe open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        defer {
            close(ends[0])
            close(output)
        }
        guard output >= 0 else {
            close(ends[1])
            throw LocalServerError("cannot write \(log)")
        }
        let arguments = ["/bin/sh", "-c", Self.script, "sh", stopSignal] + command
        guard let pid = Self.spawn(arguments, input: ends[0], output: output) else {
            close(ends[1])
            throw LocalServerError("cannot start \(command.first ?? "")")
        }
        self.pid = pid
        self.lifeline = ends[1]
    }

    deinit {
        self.release()
    }

    package var isRunning: Bool {
        guard !self.end.hasEnded.load(ordering: .acquiring) else { return false }
        var status: Int32 = 0
        guard unsafe waitpid(self.pid, &status, WNOHANG) != 0 else { return true }
        self.end.hasEnded.store(true, ordering: .releasing)
        return false
    }

    /// Asks the server to stop cleanly and waits until it has.
    package func stop() async {
        self.release()
        while self.isRunning {
            // Shielded: leaving a server half stopped would be worse than a slow cancellation.
            await Task { try? await Task.sleep(for: .milliseconds(10)) }.value
        }
    }

    private func release() {
        if !self.end.isReleased.exchange(true, ordering: .acquiringAndReleasing) { close(self.lifeline) }
    }

    /// Whatever this process has open is not the server's: PostgreSQL refuses to start when it finds most of its
    /// descriptors taken, and a socket that a server held by accident would outlive its owner.
    private static func keepDescriptorsToOurselves() {
        let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        for descriptor in open.compactMap({ Int32($0) }) where descriptor > 2 {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
    }

    private static func spawn(_ arguments: [String], input: Int32, output: Int32) -> Int32? {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 2)
        self.keepDescriptorsToOurselves()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        var all = sigset_t()
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        var pid: Int32 = 0
        guard unsafe posix_spawn(&pid, "/bin/sh", &actions, &attributes, pointers, environ) == 0 else { return nil }
        return pid
    }
}

package struct LocalServerError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// Runs a short command to its end and returns what it printed.
///
/// - Throws: ``LocalServerError`` with the output's tail when the command fails.
@discardableResult
package func runToEnd(_ command: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let output = Pipe()
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: readToEnd(output.fileHandleForReading.fileDescriptor), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw LocalServerError("\(command.first ?? "") failed (\(process.terminationStatus)): \(text.suffix(400))")
    }
    return text
}

/// Foundation's own reading ends the process when a signal interrupts it.
private func readToEnd(_ descriptor: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = unsafe part.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return bytes }
        bytes += part[..<count]
    }
}

/// The first of `candidates` that is an executable file, or the program of that name in PATH.
package func findProgram(_ name: String, in folders: [String] = []) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let all = folders + path.split(separator: ":").map(String.init)
    return all.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
}
