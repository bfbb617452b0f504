/// Signs many mails with DKIM, the way that a provider does it; `run` beside this file compares with `openssl speed`.
///
///     dkim-bench KEY_FILE MAILS CONCURRENCY BYTES
///
/// The mails are composed beforehand; each is then sent into nowhere, as often as it takes. Without a key file (`-`)
/// nothing is signed. Prints one line of JSON: how many a second, and what CPU each took.
import Channels
import CurlTransport
import DeliveryModel
import Foundation
import NIOCore
import SMTPTransport

@main
struct DKIMBench {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let numbers = arguments.dropFirst().compactMap { Int($0) }
        guard arguments.count == 4, numbers.count == 3 else {
            FileHandle.standardError.write(Data("usage: dkim-bench KEY_FILE MAILS CONCURRENCY BYTES\n".utf8))
            exit(2)
        }
        let (mails, concurrency) = (numbers[0], numbers[1])
        let message = try Self.message(key: arguments[0] == "-" ? nil : arguments[0], bytes: numbers[2])
        guard await message.send().verdict == .accepted else { exit(1) }
        let begin = ContinuousClock.now
        let cpuBegin = clock()
        await withTaskGroup { tasks in
            for sender in 0..<concurrency {
                let share = mails / concurrency + (sender < mails % concurrency ? 1 : 0)
                tasks.addTask { for _ in 0..<share { _ = await message.send() } }
            }
        }
        let cpu = Double(clock() - cpuBegin) / Double(CLOCKS_PER_SEC)
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        print(#"{"rate": \#(Double(mails) / seconds), "us": \#(cpu / Double(mails) * 1e6), "bytes": \#(message.size)}"#)
    }

    private static func message(key: String?, bytes: Int) throws -> any PreparedMessage {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("dkim-bench-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["providers", "templates/bench"] {
            try FileManager.default.createDirectory(
                at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        let provider = """
            kind: smtp
            endpoint: smtp+plaintext://127.0.0.1:25
            from: {address: hello@example.com, name: Larch & Loom}

            """
        let signatures = key.map { "dkim:\n  - {domain: example.com, selector: s1, key_file: \"\($0)\"}\n" }
        try Data((provider + (signatures ?? "")).utf8).write(to: folder.appendingPathComponent("providers/smtp.yaml"))
        let line = "Wool, oak and linen: what the workshop made this week, for you to look at first.\n"
        let text = String(repeating: line, count: bytes / line.utf8.count + 1)
        try Data("This week in the workshop".utf8).write(
            to: folder.appendingPathComponent("templates/bench/subject.txt"))
        try Data(text.utf8).write(to: folder.appendingPathComponent("templates/bench/email.txt"))
        let catalog = try ChannelCatalog.load(
            providersFolder: folder.path + "/providers", templatesFolder: folder.path + "/templates",
            environment: [:], http: Nowhere(), clock: Nowhere(), mail: { _ in Nowhere() })
        guard let provider = catalog.providers.first else { exit(1) }
        let step = Step(channel: .email, template: "bench")
        let user = User(id: "u-1", email: "someone@example.org")
        let decision = Decision(
            id: "d-1", user: user, campaign: "workshop", messageClass: .marketing, choice: .plan([step]))
        return try provider.compose(
            CompositionRequest(decision: decision, step: step, stepIndex: 0, now: Nowhere().now()))
    }
}

/// Takes every mail at once; no time goes by.
private struct Nowhere: HTTPExchanging, MailSending, WallClock {
    func perform(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPResponse {
        throw HTTPFailure(.unavailable, mayHaveActed: false, detail: "nothing is sent here")
    }

    func send(
        _ envelope: SMTPEnvelope, message: ByteBuffer, while mayBegin: @escaping @Sendable () -> Bool
    ) async -> [SMTPResult] { [.accepted(SMTPReply(code: 250, enhancedCode: nil, text: "ok"))] }

    func now() -> Timestamp { Timestamp(milliseconds: 1_795_288_800_000) }
    func sleep(until deadline: Timestamp) async throws {}
}
