/// Lets flows take turns: self-clocked fair queueing (Golestani 1994), in memory.
///
/// Each element has a turn, a number: the one after its flow's last, or after the turn that is being served where that
/// is later, so that nobody saves up turns by staying away. The least turn goes first. `Queue/Scripts/offer.lua` and
/// `take.lua` keep the same order in Redis, and are held against this in tests.
package struct FairQueue<Element> {
    fileprivate struct Waiting {
        let element: Element
        let turn: Int
    }

    /// By turn, the least first.
    private var waiting: [Waiting] = []
    /// Where the waiting ones begin in the array: taking the first must not move all others.
    private var start = 0
    /// The last turn of each flow that is ahead of `now`.
    private var turns: [Flow: Int] = [:]
    private var now = 0
    private var sweptCount = 0

    package init() {}

    package var count: Int { self.waiting.count - self.start }

    /// - Complexity: O(waiting) at worst; O(1) while there is one flow.
    package mutating func insert(_ element: Element, of flow: Flow) {
        let turn = max(self.now, self.turns[flow] ?? 0) + flow.cost
        self.turns[flow] = turn
        // Behind those of the same turn: who came first goes first.
        var low = self.start
        var high = self.waiting.count
        while low < high {
            let middle = low + (high - low) / 2
            if self.waiting[middle].turn <= turn { low = middle + 1 } else { high = middle }
        }
        self.waiting.insert(Waiting(element: element, turn: turn), at: low)
        self.forgetPastTurns()
    }

    package mutating func popFirst() -> Element? {
        guard self.start < self.waiting.count else { return nil }
        let first = self.waiting[self.start]
        self.start += 1
        self.now = first.turn
        self.compact()
        return first.element
    }

    /// Takes out the element that leaves before its turn; its turn is lost.
    package mutating func removeFirst(where isIt: (Element) -> Bool) -> Element? {
        guard let index = self.waiting[self.start...].firstIndex(where: { isIt($0.element) }) else { return nil }
        let left = self.waiting.remove(at: index).element
        self.compact()
        return left
    }

    private mutating func compact() {
        if self.start == self.waiting.count {
            // Nobody waits: all begin anew.
            self.waiting.removeAll(keepingCapacity: true)
            (self.start, self.now, self.sweptCount) = (0, 0, 0)
            self.turns.removeAll(keepingCapacity: true)
        } else if self.start >= 256, self.start * 2 > self.waiting.count {
            self.waiting.removeFirst(self.start)
            self.start = 0
        }
    }

    private mutating func forgetPastTurns() {
        guard self.turns.count > self.sweptCount * 2 + 256 else { return }
        let now = self.now
        self.turns = self.turns.filter { $0.value > now }
        self.sweptCount = self.turns.count
    }
}

extension FairQueue: Sendable where Element: Sendable {}
extension FairQueue.Waiting: Sendable where Element: Sendable {}
