/// Sends many requests through the HTTP transport, or encrypts many messages for browsers; `run` beside this file compares
/// the first with a C loop over libcurl, the second with pywebpush.
///
///     push-bench send URL CA_FILE REQUESTS CONCURRENCY BYTES
///     push-bench encrypt MESSAGES BYTES BROWSERS
///
/// `encrypt` composes whole messages, template and headers included, for BROWSERS subscriptions in turn, on one
/// thread. Prints one line of JSON. Exits with 1 when something is not as it should be.
import Channels
import Crypto
import CurlTransport
import DeliveryModel
import Foundation
import NIOCore
import SMTPTransport

@main
struct PushBench {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let numbers = arguments.compactMap { Int($0) }
        switch (arguments.first, arguments.count, numbers.count) {
        case ("send", 6, 3):
            try await Self.send(
                to: arguments[1], trusting: arguments[2], requests: numbers[0], concurrency: numbers[1],
                bytes: numbers[2])
        case ("encrypt", 4, 3):
            try Self.encrypt(messages: numbers[0], bytes: numbers[1], browsers: max(1, numbers[2]))
        default:
            FileHandle.standardError.write(
                Data(
                    "usage: push-bench send URL CA REQUESTS CONCURRENCY BYTES | encrypt MESSAGES BYTES BROWSERS\n".utf8)
            )
            exit(2)
        }
    }

    private static func send(
        to url: String, trusting file: String, requests: Int, concurrency: Int, bytes: Int
    ) async throws {
        let transport = CurlTransport()
        let request = HTTPRequest(
            method: "POST", url: url,
            headers: [
                HTTPHeader("Content-Type", "application/json"), HTTPHeader("apns-topic", "com.example.app"),
                HTTPHeader("apns-push-type", "alert"),
                HTTPHeader("apns-id", "01234567-89ab-8def-8123-456789abcdef"), HTTPHeader("apns-priority", "10"),
                HTTPHeader("apns-collapse-id", "0123456789abcdef0123456789abcdef"),
                HTTPHeader("Authorization", "bearer x"),
            ], body: [UInt8](repeating: 0x78, count: bytes), prefersHTTP2: true, trustFile: file)
        let begin = ContinuousClock.now
        let answered = await withTaskGroup(of: Int.self) { tasks in
            for sender in 0..<concurrency {
                let share = requests / concurrency + (sender < requests % concurrency ? 1 : 0)
                tasks.addTask {
                    var answered = 0
                    for _ in 0..<share where (try? await transport.perform(request).status) == 200 { answered += 1 }
                    return answered
                }
            }
            return await tasks.reduce(0, +)
        }
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        await transport.shutdown()
        print(#"{"answered": \#(answered), "seconds": \#(seconds), "rate": \#(Double(answered) / seconds)}"#)
        exit(answered == requests ? 0 : 1)
    }

    private static func encrypt(messages: Int, bytes: Int, browsers: Int) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("push-bench-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["providers", "templates/bench"] {
            try FileManager.default.createDirectory(
                at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        try Data("kind: webpush\nprivate_key_env: KEY\nsubject: mailto:a@example.com\n".utf8).write(
            to: folder.appendingPathComponent("providers/webpush.yaml"))
        try Data("{\"body\": \"\(String(repeating: "x", count: bytes))\"}".utf8).write(
            to: folder.appendingPathComponent("templates/bench/push.json"))
        let catalog = try ChannelCatalog.load(
            providersFolder: folder.path + "/providers", templatesFolder: folder.path + "/templates",
            environment: ["KEY": P256.Signing.PrivateKey().pemRepresentation], http: Nowhere(), clock: Nowhere(),
            mail: { _ in NoMail() })
        guard let provider = catalog.providers.first else { exit(1) }
        let requests = (0..<browsers).map { Self.request(browser: $0) }
        for request in requests.prefix(16) { _ = try provider.compose(request) }
        var size = 0
        let begin = clock()
        for number in 0..<messages { size += try provider.compose(requests[number % browsers]).size }
        let seconds = Double(clock() - begin) / Double(CLOCKS_PER_SEC)
        print(
            #"{"messages": \#(messages), "bytes": \#(size / messages), "us": \#(seconds / Double(messages) * 1e6)}"#)
    }

    private static func request(browser: Int) -> CompositionRequest {
        let key = P256.KeyAgreement.PrivateKey().publicKey.x963Representation
        let user = User(
            id: "u",
            push: [
                .webpush(
                    endpoint: "https://push.example.net/\(browser)", p256dh: Self.base64URL(key),
                    auth: Self.base64URL(Data((0..<16).map { _ in UInt8.random(in: 0...255) })))
            ])
        let step = Step(channel: .push, template: "bench")
        let decision = Decision(
            id: "d-\(browser)", user: user, campaign: "c", messageClass: .marketing, choice: .plan([step]))
        return CompositionRequest(decision: decision, step: step, stepIndex: 0, now: Nowhere().now())
    }

    private static func base64URL(_ bytes: Data) -> String {
        bytes.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}

/// Nothing is sent, and no time goes by.
private struct Nowhere: HTTPExchanging, WallClock {
    func perform(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPResponse {
        throw HTTPFailure(.unavailable, mayHaveActed: false, detail: "nothing is sent here")
    }

    func now() -> Timestamp { Timestamp(milliseconds: 1_795_288_800_000) }
    func sleep(until deadline: Timestamp) async throws {}
}

private struct NoMail: MailSending {
    func send(
        _ envelope: SMTPEnvelope, message: ByteBuffer, while mayBegin: @escaping @Sendable () -> Bool
    ) async -> [SMTPResult] { [] }
}
