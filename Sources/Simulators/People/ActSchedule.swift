// What is to be done, by the time at which it is due: a binary heap.

/// A planned act and the message that it is about.
struct DueAct: Sendable {
    /// Unix time in milliseconds.
    var due: Int64
    /// Those that are due in the same millisecond come in the order in which they were planned.
    var order = 0
    /// From 1, the same however often it is tried.
    var number = 0
    let act: PlannedAct
    let letter: Letter
    /// What the same person does about it afterwards, in order: nobody clicks before they have opened, however fast
    /// time passes.
    var following: ArraySlice<PlannedAct> = []
    /// How often it was tried before.
    var attempts = 0

    fileprivate func isBefore(_ other: DueAct) -> Bool { (self.due, self.order) < (other.due, other.order) }
}

struct ActSchedule: Sendable {
    private var heap: [DueAct] = []
    private var added = 0

    var count: Int { self.heap.count }

    mutating func add(_ act: DueAct) {
        var act = act
        self.added += 1
        act.order = self.added
        if act.number == 0 { act.number = self.added }
        self.heap.append(act)
        var child = self.heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard self.heap[child].isBefore(self.heap[parent]) else { return }
            self.heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest act, if it is due at `now`.
    mutating func take(at now: Int64) -> DueAct? {
        guard let first = self.heap.first, first.due <= now, let last = self.heap.popLast() else { return nil }
        guard !self.heap.isEmpty else { return first }
        self.heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < self.heap.count && self.heap[child].isBefore(self.heap[least]) { least = child }
            guard least != parent else { return first }
            self.heap.swapAt(parent, least)
            parent = least
        }
    }
}
