/// Keeps the rates of providers and of recipients' domains, over the whole fleet.
///
/// Tokens are fetched in lots for about a tenth of a second, so that a message seldom waits for a round trip. Whoever
/// keeps the tokens being away, nothing is sent: a rate that is not kept costs a sender's name.
import DeliveryModel
import Logging
import ThreadBridge

final class RateLimiter: Sendable {
    private struct Line {
        var tokens = 0
        /// Tokens that were not used are not saved up.
        var freshUntil = Timestamp(milliseconds: .min)
        var isAsking = false
        var waiting = 0
        /// How many were asked for last: more each time, as long as they are used while they are fresh.
        var lot = 0
        /// When the next one of those who are sent away is to come back.
        var comeback = Timestamp(milliseconds: .min)
    }

    private let lines = Protected<[String: Line]>([:])
    private let tokens: any SendTokens
    private let clock: any WallClock
    private let logger: Logger?

    /// A longer line than this is not waited in.
    private static let patience = 2.0
    /// What was fetched and not used is given up after this time.
    private static let freshness = Milliseconds(1000)
    /// Lines that nobody waits in are forgotten when there are more than this.
    private static let linesMax = 4096

    init(tokens: any SendTokens, clock: any WallClock, logger: Logger?) {
        self.tokens = tokens
        self.clock = clock
        self.logger = logger
    }

    /// Waits for a token of `name`.
    ///
    /// - Returns: nil when it may go now; otherwise when its turn will be, since many are before it. Each is given a moment
    ///   of its own, as far apart as the rate says, so that a crowd does not come back as a crowd.
    func pass(_ name: String, at rate: SendRate) async throws(CancellationError) -> Timestamp? {
        let before = self.lines.withLock { $0[name]?.waiting ?? 0 }
        let expected = Double(before) / max(rate.perSecond, 0.000_001)
        guard expected <= Self.patience else {
            return self.comeback(name, rate, after: Milliseconds(Int64(min(expected, 3600) * 1000)))
        }
        self.lines.withLock { $0[name, default: Line()].waiting += 1 }
        defer { self.lines.withLock { $0[name]?.waiting -= 1 } }
        var wait = Milliseconds(max(1, Int64(expected * 1000)))
        while true {
            switch self.turn(name, rate) {
            case .go: return nil
            case .wait: break
            case .ask(let lot): wait = await self.fetch(name, rate, lot)
            }
            // A slow rate is not waited for in a worker's place.
            guard wait <= Milliseconds(Int64(Self.patience * 1000)) else {
                return self.comeback(name, rate, after: wait)
            }
            if wait > Milliseconds(0) {
                do {
                    try await self.clock.sleep(until: self.clock.now().advanced(by: wait))
                } catch {
                    throw CancellationError()
                }
            }
            wait = Milliseconds(max(1, Int64(1000 / max(rate.perSecond, 1))))
        }
    }

    private func comeback(_ name: String, _ rate: SendRate, after wait: Milliseconds) -> Timestamp {
        let earliest = self.clock.now().advanced(by: wait)
        let gap = Milliseconds(Int64(min(1000 / max(rate.perSecond, 0.000_001), 86_400_000).rounded(.up)))
        return self.lines.withLock { lines in
            var line = lines[name] ?? Line()
            let turn = max(line.comeback, earliest)
            line.comeback = turn.advanced(by: gap)
            lines[name] = line
            return turn
        }
    }

    /// Takes one of a number that is not refilled, such as a day's warm-up; false when it is used up.
    func takeOne(_ name: String, outOf most: Int, life: Milliseconds) async throws(CancellationError) -> Bool {
        while true {
            do throws(QueueError) {
                return try await self.tokens.take(name, outOf: most, life: life, upTo: 1) > 0
            } catch {
                self.say(error)
                do {
                    try await self.clock.sleep(until: self.clock.now().advanced(by: Milliseconds(500)))
                } catch {
                    throw CancellationError()
                }
            }
        }
    }

    /// Nothing is sent meanwhile. The queue says itself, once, that it is away; anything else does not pass by itself.
    private func say(_ error: QueueError) {
        guard error.code == .broken else { return }
        self.logger?.error("a rate cannot be kept: nothing is sent", metadata: ["detail": "\(error.detail)"])
    }

    private enum Turn {
        case go, wait
        case ask(Int)
    }

    private func turn(_ name: String, _ rate: SendRate) -> Turn {
        let now = self.clock.now()
        return self.lines.withLock { lines in
            var line = lines[name] ?? Line()
            defer { lines[name] = line }
            if line.freshUntil < now { line.tokens = 0 }
            guard line.tokens == 0 else {
                line.tokens -= 1
                return .go
            }
            guard !line.isAsking else { return .wait }
            line.isAsking = true
            let most = max(1, min(rate.burst, Int(min(rate.perSecond / 10, 10_000))))
            line.lot = min(most, max(line.freshUntil >= now ? line.lot * 2 : 1, line.waiting, 1))
            return .ask(line.lot)
        }
    }

    /// Fetches a lot; how long to wait when there was none.
    private func fetch(_ name: String, _ rate: SendRate, _ lot: Int) async -> Milliseconds {
        var grant = SendGrant(count: 0, wait: Milliseconds(500))
        do throws(QueueError) {
            grant = try await self.tokens.take(name, at: rate, upTo: lot)
        } catch {
            self.say(error)
        }
        let now = self.clock.now()
        self.lines.withLock { lines in
            if lines.count > Self.linesMax { lines = lines.filter { $0.value.waiting > 0 || $0.value.comeback > now } }
            lines[name, default: Line()].isAsking = false
            lines[name]?.tokens += grant.count
            lines[name]?.freshUntil = now.advanced(by: Self.freshness)
        }
        return grant.count > 0 ? Milliseconds(0) : max(grant.wait, Milliseconds(1))
    }
}
