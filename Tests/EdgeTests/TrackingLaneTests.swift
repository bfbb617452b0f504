// What the lane in front of the HTTP server answers, byte by byte.
import Attribution
import DeliveryModel
import Foundation
import Logging
import NIOCore
import NIOEmbedded
import Telemetry
import Testing
import ThreadBridge

@testable import Edge

/// Everything of one edge but the network.
private struct Lane {
    static let keys = TrackingKeys([.init(id: 1, secret: Array(0..<32))], newest: 1)

    let queue = RecordedSightings()
    let sink: SightingSink
    let desk: TrackingDesk
    let channel: EmbeddedChannel

    init(peer: String = "203.0.113.77", trusted: [AddressRange] = []) throws {
        let registry = MetricsRegistry()
        self.sink = SightingSink(
            queue: self.queue, folder: "/nonexistent", clock: FixedClock(), metrics: registry,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        self.desk = TrackingDesk(keys: Self.keys, sink: self.sink, clock: FixedClock(), metrics: registry)
        self.channel = EmbeddedChannel()
        self.channel.remoteAddress = try SocketAddress(ipAddress: peer, port: 40_000)
        try self.channel.pipeline.syncOperations.addHandler(
            TrackingLane(desk: self.desk, networks: ClientNetwork(trusted: trusted)))
        self.channel.pipeline.fireChannelActive()
    }

    /// What came back, and what was passed on.
    func send(_ pieces: [String]) throws -> (answer: String, passed: String) {
        for piece in pieces { try self.channel.writeInbound(ByteBuffer(string: piece)) }
        var answer = ""
        while let buffer = try self.channel.readOutbound(as: ByteBuffer.self) {
            answer += String(decoding: buffer.readableBytesView, as: Unicode.ASCII.self)
        }
        var passed = ""
        while let buffer = try self.channel.readInbound(as: ByteBuffer.self) { passed += String(buffer: buffer) }
        return (answer, passed)
    }

    func seen() async throws -> [Sighting] {
        await self.sink.flush()
        return self.queue.all
    }

    static func open(_ decision: String = "d-1") -> String {
        "/o/" + (Self.keys.maker(decision: decision, attempt: 1)?.token(.open) ?? "")
    }

    static func click(_ url: String, decision: String = "d-1") -> String {
        let token = Self.keys.maker(decision: decision, attempt: 1)?.token(.click, link: 2, url: url) ?? ""
        return String(TrackedURL.click(base: "", token: token, url: url))
    }
}

private func request(_ target: String, _ headers: String = "", method: String = "GET") -> String {
    "\(method) \(target) HTTP/1.1\r\nHost: t.example\r\nUser-Agent: Browser/1.0\r\n\(headers)\r\n"
}

@Suite struct TrackingLaneTests {
    @Test func aPixelAndARedirect() async throws {
        let lane = try Lane()
        let url = "https://shop.example.com/basket?a=1&b=%20"
        let (answer, passed) = try lane.send([request(Lane.open()) + request(Lane.click(url))])
        #expect(answer.contains("HTTP/1.1 200 OK\r\n") && answer.contains("GIF89a"))
        #expect(answer.contains("HTTP/1.1 302 Found\r\n") && answer.contains("Location: \(url)\r\n"))
        #expect(passed.isEmpty)
        let seen = try await lane.seen()
        #expect(seen.map(\.kind) == [.open, .click])
        #expect(seen.allSatisfy { $0.network == "203.0.113.0/24" && $0.userAgent == "Browser/1.0" })
        #expect(seen.last?.link == 2)
    }

    /// However the bytes come, the answers are the same.
    @Test func fragmentsMakeNoDifference() throws {
        let text =
            request(Lane.open()) + request(Lane.click("https://a.example/x"), "Connection: keep-alive\r\n")
            + request("/o/forged") + request(Lane.open("d-2"), method: "HEAD")
            + request("/c/forged?u=https://a.example")
        let whole = try Lane().send([text]).answer
        #expect(whole.components(separatedBy: "HTTP/1.1 ").count == 6)
        for size in [1, 2, 3, 7, 64, 200] {
            var pieces: [String] = []
            var rest = text[...]
            while !rest.isEmpty {
                pieces.append(String(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            #expect(try Lane().send(pieces).answer == whole)
        }
    }

    @Test(arguments: [
        "GET /v1/decisions HTTP/1.1\r\nHost: x\r\n\r\n", "POST /o/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1",
        "GET /o/x HTTP/1.0\r\n\r\n", "GET /o/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "\u{16}\u{3}\u{1}",
        "GET /ox HTTP/1.1",
        "GET /o/x HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "GET /o/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /o/x HTTP/1.1\r\nno colon\r\n\r\n",
    ])
    func whatIsNoneOfItsIsPassedOnAsItIs(text: String) throws {
        let lane = try Lane()
        #expect(try lane.send([text]) == ("", text))
        // And so is all that follows on this connection.
        #expect(try lane.send([request(Lane.open())]).passed == request(Lane.open()))
    }

    @Test func anEndlessHeadIsPassedOn() throws {
        let head = "GET /o/x HTTP/1.1\r\nX: " + String(repeating: "y", count: 9000)
        #expect(try Lane().send([head]).passed == head)
    }

    @Test func aForgedTokenLearnsNothing() async throws {
        let lane = try Lane()
        let good = Lane.click("https://shop.example.com/")
        let evil = good.replacing("shop.example.com", with: "evil.example.org")
        let (answer, _) = try lane.send([
            request("/o/AAAA"), request(evil), request("/c/AAAA"), request(good + "&u=https://e.x"),
        ])
        #expect(answer.components(separatedBy: "HTTP/1.1 404").count == 3)
        #expect(answer.components(separatedBy: "GIF89a").count == 2)
        #expect(!answer.contains("evil"))
        #expect(try await lane.seen().map(\.kind) == [.click])
    }

    @Test func aFloodForOneTokenIsOne() async throws {
        let lane = try Lane()
        for _ in 0..<50 { _ = try lane.send([request(Lane.open())]) }
        #expect(try await lane.seen().count == 1)
    }

    @Test func onlyATrustedProxyIsBelieved() async throws {
        for (peer, trusted, header, expected) in [
            ("203.0.113.77", [String](), "198.51.100.1", "203.0.113.0/24"),
            ("127.0.0.1", [], "198.51.100.1", "198.51.100.0/24"),
            ("127.0.0.1", [], "6.6.6.6, 198.51.100.1", "198.51.100.0/24"),
            ("10.1.2.3", ["10.0.0.0/8"], "2001:db8:abcd:12::1, 10.9.9.9", "2001:db8:abcd::/48"),
            ("10.1.2.3", ["10.0.0.0/8"], "rubbish", "10.1.2.0/24"),
            ("::1", [], "::ffff:198.51.100.9", "198.51.100.0/24"),
        ] {
            let lane = try Lane(peer: peer, trusted: trusted.compactMap { AddressRange($0) })
            _ = try lane.send([request(Lane.open(), "X-Forwarded-For: \(header)\r\n")])
            #expect(try await lane.seen().map(\.network) == [expected])
        }
    }

    @Test func whoWantsTheConnectionClosedGetsThat() throws {
        let lane = try Lane()
        let (answer, _) = try lane.send([request(Lane.open(), "Connection: close\r\n")])
        #expect(answer.contains("Connection: close\r\n"))
        #expect(!lane.channel.isActive)
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/33", "::/129", "a.b.c.d", "1.2.3.4/", "/8"])
    func whatIsNoNetworkIsNone(text: String) {
        #expect(AddressRange(text) == nil)
    }
}

@Suite struct SpillTests {
    private func sighting(_ number: Int) -> Sighting {
        Sighting(
            decision: "d-\(number)", attempt: 1, kind: .open, at: Timestamp(milliseconds: Int64(number)),
            userAgent: "ü\n\"")
    }

    @Test func whatRedisCouldNotTakeIsBroughtLaterAlsoByAnotherProcess() async throws {
        let folder = FileManager.default.temporaryDirectory.path() + "martlet-spill-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let queue = RecordedSightings()
        queue.isAway.withLock { $0 = true }
        func sink() -> SightingSink {
            SightingSink(
                queue: queue, folder: folder, clock: FixedClock(), metrics: MetricsRegistry(),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
        let first = sink()
        for number in 0..<10_000 { first.take(self.sighting(number)) }
        await first.flush()
        try await first.keep(self.sighting(10_000))
        #expect(queue.all.isEmpty)

        queue.isAway.withLock { $0 = false }
        let second = sink()
        await second.replay()
        #expect(queue.all == (0...10_000).map(self.sighting))
        await sink().replay()
        #expect(queue.all.count == 10_001)
    }

    @Test func aFullFileLosesTheRestAndNothingElse() throws {
        let folder = FileManager.default.temporaryDirectory.path() + "martlet-spill-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = SpillFile(path: folder + "/x", bytesMax: 500)
        #expect(file.append([self.sighting(1)], isDurable: true))
        #expect(!file.append((0..<100).map(self.sighting), isDurable: false))
        #expect(file.append([self.sighting(2)], isDurable: false))
        #expect(file.next(10)?.sightings == [self.sighting(1), self.sighting(2)])
    }
}

private struct FixedClock: WallClock {
    func now() -> Timestamp { Timestamp(milliseconds: 1_800_000_000_000) }
    func sleep(until deadline: Timestamp) async throws {}
}

private final class RecordedSightings: SightingQueue {
    private let taken = Protected<[Sighting]>([])
    let isAway = Protected(false)

    var all: [Sighting] { self.taken.withLock { $0 } }

    func append(_ sightings: [Sighting]) async throws(QueueError) {
        if self.isAway.withLock({ $0 }) { throw QueueError(.unavailable, "away") }
        self.taken.withLock { $0 += sightings }
    }

    func sightings(limit: Int) async throws(QueueError) -> [QueuedEntry<Sighting>] { [] }
    func forgottenSightings(limit: Int) async throws(QueueError) -> [QueuedEntry<Sighting>] { [] }
    func settle(_ entries: [QueuedEntry<Sighting>]) async throws(QueueError) {}
}
