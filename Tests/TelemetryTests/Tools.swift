/// Programs and files that the tests check against.

import Foundation
import Testing

enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: self.root.appending(path: path), encoding: .utf8)
    }
}

struct ToolResult: Sendable {
    let status: Int32
    let output: String
    let errors: String
}

/// Runs a program to its end with `input` on its standard input.
func run(_ program: String, _ arguments: [String], input: [UInt8] = []) throws -> ToolResult {
    let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files instead of pipes: neither side can wait for the other.
    let (input, output, errors) = try (
        file(folder, "in", Data(input)), file(folder, "out", Data()), file(folder, "err", Data())
    )
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardInput = try FileHandle(forReadingFrom: input)
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    process.waitUntilExit()
    return ToolResult(
        status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
        errors: try String(contentsOf: errors, encoding: .utf8))
}

private func file(_ folder: URL, _ name: String, _ content: Data) throws -> URL {
    let url = folder.appending(path: name)
    try content.write(to: url)
    return url
}

/// Runs `promtool`, from the Debian package `prometheus`.
func promtool(_ arguments: String..., input: [UInt8] = []) throws -> ToolResult {
    let program = "/usr/bin/promtool"
    try #require(
        FileManager.default.isExecutableFile(atPath: program),
        "promtool is missing: apt-get install prometheus")
    return try run(program, arguments, input: input)
}

/// Runs `body` with the path of a file that has this content and is gone afterwards.
func withFile<Result>(_ content: String, _ body: (String) throws -> Result) throws -> Result {
    let file = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString).yaml")
    try content.write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    return try body(file.path)
}

/// Runs a Python script in the tests' virtual environment.
func python(_ script: String, input: [UInt8]) throws -> ToolResult {
    let venv =
        ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"].map { URL(filePath: $0) }
        ?? Repository.root.appending(path: ".deploy/venv")
    let program = venv.appending(path: "bin/python3").path
    try #require(
        FileManager.default.isExecutableFile(atPath: program),
        "\(program) is missing: deploy/test makes it (python3 -m venv, pip install prometheus-client)"
    )
    return try run(program, ["-c", script], input: input)
}
