/// A server that lives no longer than this process.
///
/// The server runs under a small shell that holds the read end of a pipe; the write end is ours. When we
/// close it, or die in any way (`kill -9` included), the shell reads end of file and stops the server.
/// Nothing is left behind that a person would have to hunt for.
import Foundation

package final class ChildProcess: Sendable {
    /// The shell's process id; the server is its child.
    package let pid: Int32
    private let process: Process
    private let lifeline: FileHandle

    /// Starts `command` with its output appended to `log`.
    ///
    /// - Parameters:
    ///   - command: The program, by path or by name, and its arguments. Secrets do not belong here.
    ///   - stopSignal: What asks the server to stop cleanly, such as `TERM`.
    ///   - log: A file for standard output and error.
    package init(_ command: [String], stopSignal: String, log: String) throws {
        // $1 is the signal, the rest the command. `exec 3<&0` keeps the lifeline; the server must not hold it.
        let script = """
            signal=$1; shift
            exec 3<&0
            "$@" </dev/null 3<&- & server=$!
            { cat <&3 >/dev/null; kill -s "$signal" "$server"; } & watch=$!
            exec 3<&-
            wait "$server"; status=$?
            kill "$watch" 2>/dev/null
            exit "$status"
            """
        let pipe = Pipe()
        if !FileManager.default.fileExists(atPath: log) { try writePrivately("", to: log) }
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try output.seekToEnd()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script, "sh", stopSignal] + command
        process.standardInput = pipe
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try? pipe.fileHandleForReading.close()
        self.process = process
        self.pid = process.processIdentifier
        self.lifeline = pipe.fileHandleForWriting
    }

    package var isRunning: Bool { self.process.isRunning }

    /// Asks the server to stop cleanly and waits until it has.
    package func stop() async {
        try? self.lifeline.close()
        while self.process.isRunning {
            // Shielded: leaving a server half stopped would be worse than a slow cancellation.
            await Task { try? await Task.sleep(for: .milliseconds(10)) }.value
        }
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
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: data, as: UTF8.self)
    guard process.terminationStatus == 0 else {
        throw LocalServerError("\(command.first ?? "") failed (\(process.terminationStatus)): \(text.suffix(400))")
    }
    return text
}

/// The first of `candidates` that is an executable file, or the program of that name in PATH.
package func findProgram(_ name: String, in folders: [String] = []) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let all = folders + path.split(separator: ":").map(String.init)
    return all.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
}
