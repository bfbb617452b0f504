/// What one process counts until it is written down: messages that providers accepted, and receipts that they brought.
import DeliveryModel
import ThreadBridge

package final class FeedbackTally: Sendable {
    private let counts = Protected<[String: FeedbackCount]>([:])

    package init() {}

    package func accepted(_ provider: String) {
        self.counts.withLock { $0[provider, default: FeedbackCount(provider: provider)].accepted += 1 }
    }

    package func heard(_ provider: String) {
        self.counts.withLock { $0[provider, default: FeedbackCount(provider: provider)].receipts += 1 }
    }

    /// All that was counted since the last time.
    func take() -> [FeedbackCount] {
        self.counts.withLock { counts in
            defer { counts = [:] }
            return Array(counts.values)
        }
    }

    /// What could not be written down counts again.
    func putBack(_ taken: [FeedbackCount]) {
        self.counts.withLock { counts in
            for count in taken {
                counts[count.provider, default: FeedbackCount(provider: count.provider)].accepted += count.accepted
                counts[count.provider]?.receipts += count.receipts
            }
        }
    }
}
