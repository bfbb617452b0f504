import Foundation

/// Runs the scripts of `Checks`: independent implementations, and the examples of the documentation.
enum CheckScript {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The path of a file of the repository.
    static func path(_ file: String) -> String { Self.repository.appending(path: file).path() }

    /// Runs a script with the repository's path as its argument and `input` on standard input.
    ///
    /// - Returns: What it wrote.
    static func run(_ script: String, input: [UInt8] = []) throws -> String {
        let given = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"]
        let environment = given.map { URL(filePath: $0) } ?? Self.repository.appending(path: ".deploy/venv")
        let python = environment.appending(path: "bin/python")
        guard FileManager.default.isExecutableFile(atPath: python.path()) else {
            throw Failure(description: "There is no \(python.path()): run deploy/test, or set MARTLET_TEST_VENV.")
        }
        let file = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
        try Data(input).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = python
        process.arguments = [
            Self.repository.appending(path: "Tests/AttributionTests/Checks/\(script)").path(), Self.repository.path(),
        ]
        process.standardInput = try FileHandle(forReadingFrom: file)
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(script) ended with status \(process.terminationStatus).")
        }
        return String(decoding: data, as: UTF8.self)
    }
}
