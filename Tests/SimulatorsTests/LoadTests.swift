import Foundation
import Simulators
import Testing

extension SimulatorsTests {
    @Suite(.timeLimit(.minutes(2)), .serialized)
    struct LoadTests {
        private static let body = "To=%2B48600100200&From=%2B15005550006&Body=Hello"

        private func withBodyFile(_ text: String, _ body: (String) async throws -> Void) async throws {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent(
                "martlet-body-\(UUID().uuidString)")
            try Data(text.utf8).write(to: file)
            defer { try? FileManager.default.removeItem(at: file) }
            try await body(file.path)
        }

        @Test(arguments: [true, false])
        func oneConnectionCarriesAThousandStreams(keepsMessages: Bool) async throws {
            try await withFleet({ $0.keepsMessages = keepsMessages }) { fleet in
                try await self.withBodyFile(Self.body) { file in
                    let account = try #require(fleet.environment["TWILIO_ACCOUNT_SID"])
                    let token = try #require(fleet.environment["TWILIO_AUTH_TOKEN"])
                    let credentials = Data("\(account):\(token)".utf8).base64EncodedString()
                    let result = try await run([
                        "h2load", "-n", "2000", "-c", "1", "-m", "100", "-d", file, "-H",
                        "authorization: Basic \(credentials)",
                        "-H", "content-type: application/x-www-form-urlencoded",
                        "\(fleet.sms.url)/2010-04-01/Accounts/\(account)/Messages.json",
                    ])

                    #expect(result.output.contains("2000 succeeded, 0 failed"), "\(result.output)\(result.errors)")
                    #expect(result.output.contains("status codes: 2000 2xx"), "\(result.output)")
                    #expect(fleet.sms.counts.accepted == 2000)
                    #expect(fleet.sms.messages(limit: 10).count == (keepsMessages ? 10 : 0))
                }
            }
        }

        /// libcurl 7.88 resets streams whose end comes in a frame of its own, and NIO ends connections with many resets.
        @Test func libcurlMultiplexesAThousandRequestsOverOneConnection() async throws {
            try await withFleet { fleet in
                let token = try await fleet.accessToken()
                let url = "\(fleet.push.url)/v1/projects/martlet-simulated/messages:send"
                let one = """
                    url = "\(url)"
                    data = "{\\"message\\":{\\"token\\":\\"device\\"}}"
                    header = "Authorization: Bearer \(token)"
                    write-out = "%{http_code} %{num_connects}\\n"
                    output = "/dev/null"
                    cacert = "\(fleet.trust)"
                    http2
                    """
                let all = Array(repeating: one, count: 1200).joined(separator: "\nnext\n")
                let result = try await run(
                    ["curl", "-sS", "--noproxy", "*", "--parallel", "--parallel-max", "100", "-K", "-"], input: all)
                let lines = result.output.split(separator: "\n").map { $0.split(separator: " ").compactMap { Int($0) } }

                #expect(result.status == 0, "\(result.errors.suffix(500))")
                #expect(lines.count == 1200)
                #expect(lines.allSatisfy { $0.first == 200 })
                #expect(lines.reduce(0) { $0 + ($1.last ?? 0) } == 1)
                #expect(fleet.push.counts.accepted == 1200)
            }
        }
    }
}
