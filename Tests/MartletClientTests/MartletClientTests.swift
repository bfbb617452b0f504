import DeliveryModel
import Foundation
import LocalServers
import Logging
import MartletClient
import NIOPosix
import RedisClient
import Testing

/// The producers' library against a real Redis.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct MartletClientTests {
    private static let decision =
        #"{"schema":"martlet.decision/1","id":"c-1","user":{"id":"u-42","email":"ada@example.com"},"campaign":"tests","#
        + #""class":"marketing","plan":[{"channel":"email","template":"welcome"}]}"#

    private func withRedis(_ body: (LocalRedis, RedisConnection) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("client-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let server = try await LocalRedis.start(in: folder, isDurable: false)
        let connection = RedisConnection(
            try RedisEndpoint(url: server.url), group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test"),
            name: "test")
        do {
            try await body(server, connection)
        } catch {
            await connection.shutdown()
            await server.stop()
            throw error
        }
        await connection.shutdown()
        await server.stop()
    }

    /// The field `decision` of the entries of a stream.
    private func entries(_ stream: String, _ connection: RedisConnection) async throws -> [String] {
        let reply = try await connection.send(RedisCommand("XRANGE", stream, "-", "+"))
        return (reply.array ?? []).compactMap { $0.array?.last?.array?.last?.text }
    }

    @Test func aDecisionIsAppendedToItsUsersShardAsItWasWritten() async throws {
        try await self.withRedis { server, connection in
            let client = try MartletClient(redisURL: server.url)
            let receipt = try await client.enqueue(Array(Self.decision.utf8))

            // binascii.crc_hqx(b"u-42", 0) % 16
            #expect(receipt.stream == "martlet:{7}:decisions")
            #expect(try await self.entries(receipt.stream, connection) == [Self.decision])
            await client.shutdown()
        }
    }

    @Test func theFleetsOwnLayoutCounts() async throws {
        try await self.withRedis { server, connection in
            _ = try await connection.send(RedisCommand("HSET", "martlet:layout", "version", "1", "shards", "4"))
            let client = try MartletClient(redisURL: server.url)
            #expect(try await client.enqueue(Array(Self.decision.utf8)).stream == "martlet:{3}:decisions")
            await client.shutdown()
        }
    }

    @Test func aWrongDecisionIsRejectedBeforeItIsSent() async throws {
        try await self.withRedis { server, connection in
            let client = try MartletClient(redisURL: server.url)
            let wrong = Self.decision.replacingOccurrences(of: "ada@example.com", with: "ada at example")
            let error = await #expect(throws: MartletError.self) { try await client.enqueue(Array(wrong.utf8)) }
            guard case .rejected(let code, let pointer, let detail)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(code == "user.email" && pointer == "/user/email" && !detail.isEmpty)
            #expect(try await connection.send(RedisCommand("KEYS", "martlet:*")).array == [])
            await client.shutdown()
        }
    }

    @Test func uncheckedTextsGoToTheirUsersShardsAndRubbishToTheFirst() async throws {
        try await self.withRedis { server, connection in
            let client = try MartletClient(redisURL: server.url)
            let receipts = try await client.enqueueUnchecked([Array(Self.decision.utf8), [0xff, 0x00], []])
            #expect(
                receipts.map(\.stream) == ["martlet:{7}:decisions", "martlet:{0}:decisions", "martlet:{0}:decisions"])
            await client.shutdown()
        }
    }

    @Test func aRedisThatIsAwayIsUnavailableAndComingBackIsEnough() async throws {
        try await self.withRedis { server, _ in
            let client = try MartletClient(redisURL: server.url)
            _ = try await client.enqueue(Array(Self.decision.utf8))
            await server.stop()
            let error = await #expect(throws: MartletError.self) { try await client.enqueue(Array(Self.decision.utf8)) }
            guard case .unavailable? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            await client.shutdown()
        }
    }

    @Test func aWrongURLIsRefusedWithoutItsPassword() throws {
        let error = #expect(throws: MartletError.self) { try MartletClient(redisURL: "http://user:hunter2@localhost") }
        #expect(error.map { "\($0)".contains("hunter2") } == false)
    }
}
