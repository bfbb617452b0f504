// Rewards on their way into streams that lose things.
import Attribution
import DeliveryModel
import Logging
import Pipeline
import Telemetry
import Testing
import ThreadBridge

@Suite struct RewardPublisherTests {
    private func publisher(_ ledger: FakeRewardLedger, _ streams: FakeRewardStreams) -> RewardPublisher {
        RewardPublisher(
            ledger: ledger, streams: streams, shards: 2, entriesMax: 1000, holder: "a", clock: VirtualClock(),
            meters: FleetMeters(MetricsRegistry()), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test func eachRewardIsAppendedOnceInOrder() async {
        let ledger = FakeRewardLedger(1...1000)
        let streams = FakeRewardStreams()
        let publisher = self.publisher(ledger, streams)
        #expect(await publisher.publish())
        #expect(streams.entries(0) == Array(1...1000))
        #expect(ledger.reached[0]?.transaction == 1000)
        // Another process goes on from there.
        ledger.give(1001...1010)
        #expect(await self.publisher(ledger, streams).publish())
        #expect(streams.entries(0) == Array(1...1010))
    }

    @Test func aStreamThatIsGoneGetsTheLastHourAgainAndThenWhatComes() async {
        let ledger = FakeRewardLedger(1...1000)
        ledger.oldest = 600
        let streams = FakeRewardStreams()
        let publisher = self.publisher(ledger, streams)
        #expect(await publisher.publish())
        streams.lose(0, keeping: 0)
        ledger.give(1001...1001)
        #expect(await publisher.publish())
        #expect(streams.entries(0) == Array(601...1001))
        ledger.give(1002...1002)
        #expect(await publisher.publish())
        #expect(streams.entries(0).last == 1002)
    }

    @Test func aStreamThatLostItsEndGetsItBack() async {
        let ledger = FakeRewardLedger(1...100)
        let streams = FakeRewardStreams()
        let publisher = self.publisher(ledger, streams)
        #expect(await publisher.publish())
        streams.lose(0, keeping: 70)
        ledger.give(101...103)
        #expect(await publisher.publish())
        #expect(streams.entries(0) == Array(1...103))
    }

    @Test func whoHasNotTheLeaseAppendsNothing() async {
        let ledger = FakeRewardLedger(1...10)
        ledger.isHeldByAnother = true
        let streams = FakeRewardStreams()
        #expect(await !self.publisher(ledger, streams).publish())
        #expect(streams.entries(0).isEmpty)
    }
}

/// Rewards of shard 0, numbered by their transactions.
private final class FakeRewardLedger: RewardLedger {
    private struct State {
        var rewards: [UInt64]
        var reached: [Int: RewardPosition] = [:]
        var oldest: UInt64 = 0
        var isHeldByAnother = false
    }

    private let state: Protected<State>

    init(_ rewards: ClosedRange<UInt64>) { self.state = Protected(State(rewards: Array(rewards))) }

    var reached: [Int: RewardPosition] { self.state.withLock { $0.reached } }
    /// The newest that is more than an hour old.
    var oldest: UInt64 {
        get { self.state.withLock { $0.oldest } }
        set { self.state.withLock { $0.oldest = newValue } }
    }
    var isHeldByAnother: Bool {
        get { self.state.withLock { $0.isHeldByAnother } }
        set { self.state.withLock { $0.isHeldByAnother = newValue } }
    }

    func give(_ rewards: ClosedRange<UInt64>) { self.state.withLock { $0.rewards += Array(rewards) } }

    func sight(_ sightings: [SourcedSighting]) async throws(LedgerError) -> Int { 0 }

    func giveRewards(
        limit: Int, rule: @escaping @Sendable (RewardFacts) -> RewardRuling
    ) async throws(LedgerError) -> RewardsGiven { RewardsGiven() }

    func hold(_ name: String, as holder: String, seconds: Int) async throws(LedgerError) -> Bool {
        !self.isHeldByAnother
    }

    func rewardPositions() async throws(LedgerError) -> [RewardPosition] { Array(self.reached.values) }

    func rewardPosition(inShard shard: Int, before age: Milliseconds) async throws(LedgerError) -> RewardPosition {
        RewardPosition(shard: shard, transaction: self.oldest, place: self.oldest == 0 ? 0 : 1)
    }

    func isRewardOrderLost() async throws(LedgerError) -> Bool { false }

    func rewards(after positions: [RewardPosition], limit: Int) async throws(LedgerError) -> [RecordedReward] {
        let start = positions.first { $0.shard == 0 }?.transaction ?? 0
        return self.state.withLock { state in
            state.rewards.filter { $0 > start }.prefix(limit).map {
                RecordedReward(position: RewardPosition(shard: 0, transaction: $0, place: 1), body: [])
            }
        }
    }

    func reached(_ positions: [RewardPosition]) async throws(LedgerError) {
        self.state.withLock { state in
            for position in positions { state.reached[position.shard] = position }
        }
    }
}

/// As publish.lua does it.
private final class FakeRewardStreams: RewardStreams {
    private let streams = Protected<[Int: [RewardPosition]]>([:])

    func entries(_ shard: Int) -> [UInt64] { self.streams.withLock { $0[shard, default: []].map(\.transaction) } }

    func lose(_ shard: Int, keeping count: Int) {
        self.streams.withLock { $0[shard] = Array($0[shard, default: []].prefix(count)) }
    }

    func append(
        _ rewards: [RecordedReward], after: [Int: RewardPosition]
    ) async throws(QueueError) -> [RewardPosition] {
        self.streams.withLock { streams in
            var behind: [RewardPosition] = []
            for (shard, mine) in Dictionary(grouping: rewards, by: \.position.shard) {
                let last = streams[shard]?.last ?? RewardPosition(shard: shard)
                if let expected = after[shard], last < expected {
                    behind.append(last)
                    continue
                }
                for reward in mine where (streams[shard]?.last).map({ $0 < reward.position }) ?? true {
                    streams[shard, default: []].append(reward.position)
                }
            }
            return behind
        }
    }

    func backlog() async throws(QueueError) -> [(length: Int, unread: Int?)] { [] }
}
