// Independent clients for the simulators: curl, Python, h2load; and a fleet for one test.
//
// No thread waits for a client: the simulators' handlers need the threads that tests run on.

import Foundation
import Simulators
import Testing

/// All suites lie in this one, one test after the other: each has servers of its own, and Foundation's `Process` reads past
/// its buffer of open files when there are very many of them, which ends the process now and then.
@Suite(.serialized) enum SimulatorsTests {}

/// What a program printed, and how it ended.
struct ProgramResult: Sendable {
    let status: Int32
    let output: String
    let errors: String
}

/// Runs a program to its end.
func run(_ command: [String], input: String = "") async throws -> ProgramResult {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-client-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = ["input", "output", "errors"].map { folder.appendingPathComponent($0) }
    for file in files { try Data().write(to: file) }
    try Data(input.utf8).write(to: files[0])
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        process.terminationHandler = { _ in continuation.resume() }
        do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    return ProgramResult(
        status: process.terminationStatus, output: String(decoding: try Data(contentsOf: files[1]), as: UTF8.self),
        errors: String(decoding: try Data(contentsOf: files[2]), as: UTF8.self))
}

/// An answer as curl saw it.
struct CurlAnswer: Sendable {
    /// curl's own exit code; 0 when an answer came.
    let exitCode: Int32
    /// 0 when none came.
    let status: Int
    let httpVersion: String
    let seconds: Double
    let headers: [String: String]
    let body: String

    var json: JSONTree { JSONTree(text: self.body) }
}

/// A parsed JSON value; what is not there is empty, so that an expectation fails instead of the test.
struct JSONTree: @unchecked Sendable {
    private let value: Any?

    init(text: String) {
        self.value = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    }

    private init(_ value: Any?) { self.value = value }

    subscript(name: String) -> JSONTree { JSONTree((self.value as? [String: Any])?[name]) }
    subscript(index: Int) -> JSONTree {
        guard let list = self.value as? [Any], list.indices.contains(index) else { return JSONTree(nil) }
        return JSONTree(list[index])
    }
    var text: String? { self.value as? String }
    var number: Int? { (self.value as? NSNumber)?.intValue }
    var count: Int? { (self.value as? [Any])?.count }
    var isNull: Bool { self.value is NSNull }
}

/// Calls curl; `trust` makes it check the server's certificate.
func curl(
    _ url: String, trust: String? = nil, _ options: [String] = [], version: String = "--http2", body: String? = nil
) async throws -> CurlAnswer {
    var command = ["curl", "-sS", "--noproxy", "*", "--max-time", "60", version, "-D", "/dev/stderr"]
    if let trust { command += ["--cacert", trust] }
    if body != nil { command += ["--data-binary", "@-"] }
    command += ["-w", "\\n%{http_code} %{http_version} %{time_total}"]
    let result = try await run(command + options + [url], input: body ?? "")
    let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
    let words = lines.last?.split(separator: " ").map(String.init) ?? []
    var headers: [String: String] = [:]
    for line in result.errors.split(separator: "\r\n") {
        guard let colon = line.firstIndex(of: ":") else { continue }
        headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    return CurlAnswer(
        exitCode: result.status, status: words.first.flatMap { Int($0) } ?? 0,
        httpVersion: words.dropFirst().first ?? "", seconds: words.last.flatMap { Double($0) } ?? 0, headers: headers,
        body: lines.dropLast().joined(separator: "\n"))
}

/// Runs a Python program with the packages of the tests' virtual environment.
func python(_ program: String, _ arguments: [String]) async throws -> ProgramResult {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    let environment = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"] ?? root + "/.deploy/venv"
    let interpreter = environment + "/bin/python"
    try #require(
        FileManager.default.isExecutableFile(atPath: interpreter),
        "no Python environment at \(environment): deploy/test makes it, or set MARTLET_TEST_VENV")
    return try await run([interpreter, "-"] + arguments, input: program)
}

/// Starts a fleet in a folder of its own, and stops it behind `body`.
func withFleet(
    _ change: (inout SimulatorFleetSettings) -> Void = { _ in }, _ body: (SimulatorFleet) async throws -> Void
) async throws {
    try await withFolder { folder in
        var settings = SimulatorFleetSettings(folder: folder)
        settings.stallMilliseconds = 300
        change(&settings)
        let fleet = try await SimulatorFleet.start(settings)
        do {
            try await body(fleet)
        } catch {
            await fleet.stop()
            throw error
        }
        await fleet.stop()
    }
}

/// A folder that already has the certificates: to make them anew for each test would take most of the time.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let files = FileManager.default
    let folder = files.temporaryDirectory.appendingPathComponent("martlet-simulators-\(UUID().uuidString)").path
    let known = files.temporaryDirectory.appendingPathComponent("martlet-simulators-certificates").path
    _ = try SimulatedCertificates.prepare(in: known)
    try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? files.removeItem(atPath: folder) }
    try files.copyItem(atPath: known + "/certificates", toPath: folder + "/certificates")
    try await body(folder)
}

extension SimulatorFleet {
    var trust: String { self.certificates.trustFile }

    /// Posts a form to the messages of the SMS account.
    func postSMS(
        _ form: [String: String], _ options: [String] = [], user: String? = nil, version: String = "--http2"
    ) async throws -> CurlAnswer {
        let account = self.environment["TWILIO_ACCOUNT_SID"] ?? ""
        let user = user ?? "\(account):\(self.environment["TWILIO_AUTH_TOKEN"] ?? "")"
        let fields = form.flatMap { ["--data-urlencode", "\($0.key)=\($0.value)"] }
        return try await curl(
            "\(self.sms.url)/2010-04-01/Accounts/\(account)/Messages.json", trust: self.trust,
            ["-u", user] + fields + options, version: version)
    }

    /// Posts to the message endpoint of the push project.
    func postPush(_ body: String, token: String, project: String = "martlet-simulated") async throws -> CurlAnswer {
        let headers = ["-H", "Authorization: Bearer \(token)", "-H", "Content-Type: application/json"]
        return try await curl(
            "\(self.push.url)/v1/projects/\(project)/messages:send", trust: self.trust, headers, body: body)
    }

    func postAssertion(_ assertion: String, grant: String = jwtBearer) async throws -> CurlAnswer {
        try await curl(
            self.push.tokenURI, trust: self.trust,
            ["--data-urlencode", "grant_type=\(grant)", "--data-urlencode", "assertion=\(assertion)"])
    }

    /// An access token got in the regular way.
    func accessToken() async throws -> String {
        let assertion = try await self.assertion()
        let answer = try await self.postAssertion(assertion)
        return try #require(answer.json["access_token"].text, "\(answer.body)")
    }

    /// An assertion made by PyJWT; `changes` is a JSON object of claims to replace, null removes one.
    func assertion(changes: String = "{}", algorithm: String = "RS256", otherKey: Bool = false) async throws -> String {
        let account = try #require(self.environment["MARTLET_FCM_CREDENTIALS_FILE"])
        let result = try await python(assertionProgram, [account, changes, algorithm, otherKey ? "other" : "own"])
        #expect(result.status == 0, "\(result.errors)")
        return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

let jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

private let assertionProgram = """
    import json, sys, time, jwt
    from cryptography.hazmat.primitives.asymmetric import rsa
    account = json.load(open(sys.argv[1]))
    now = int(time.time())
    claims = {"iss": account["client_email"], "aud": account["token_uri"], "iat": now, "exp": now + 3600,
              "scope": "https://www.googleapis.com/auth/firebase.messaging"}
    for name, value in json.loads(sys.argv[2]).items():
        if value is None: claims.pop(name)
        elif name in ("iat", "exp"): claims[name] = now + value
        else: claims[name] = value
    key = account["private_key"]
    if sys.argv[4] == "other": key = rsa.generate_private_key(65537, 2048)
    if sys.argv[3] == "HS256": key = "a shared secret of at least thirty-two bytes"
    print(jwt.encode(claims, key, algorithm=sys.argv[3], headers={"kid": account["private_key_id"]}))
    """
