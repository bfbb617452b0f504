// The way from tasks to a thread: a queue with a limit, so that a slow thread slows its callers down
// instead of filling the memory.
//
// The thread takes everything that is there at once: batches grow by themselves while it is busy.

/// A bounded queue from any task to one thread.
package final class Inbox<Item: Sendable>: Sendable {
    /// Why an item was not taken in: there is no room, or the thread is on its way out.
    package enum Rejection: Error { case full, closed }

    private struct State {
        var items: [Item] = []
        var isClosed = false
    }

    private let state = Protected(State())
    private let capacity: Int

    /// Makes an empty inbox.
    ///
    /// - Parameter capacity: The most items that may lie in it, 1 or more.
    package init(capacity: Int) {
        precondition(capacity > 0, "an inbox holds at least one item")
        self.capacity = capacity
    }

    /// How many items lie in it now. For metrics: it may have changed before you look at it.
    package var count: Int { self.state.withLock { $0.items.count } }

    /// Adds an item at the end and wakes the thread. Never blocks.
    ///
    /// - Throws: ``Rejection``; the item was then not taken.
    package func put(_ item: Item) throws(Rejection) {
        try self.state.withLock { (state: inout sending State) throws(Rejection) in
            guard !state.isClosed else { throw .closed }
            guard state.items.count < self.capacity else { throw .full }
            state.items.append(item)
        }
        self.state.signal()
    }

    /// Takes nothing in from now on. What lies in it can still be taken; then ``takeAll()`` returns nil.
    package func close() {
        self.state.withLock { $0.isClosed = true }
        // The end is for everybody: should two threads read one inbox by mistake, neither hangs.
        self.state.wakeAll()
    }

    /// Blocks the calling thread until there is something to do. Returns nil once closed and empty.
    package func takeAll() -> [Item]? {
        self.state.wait { state -> [Item]?? in
            if !state.items.isEmpty {
                let items = state.items
                state.items = []
                return .some(items)
            }
            return state.isClosed ? .some(nil) : nil
        }
    }

    /// Takes what is there. Never blocks.
    package func drain() -> (items: [Item], isClosed: Bool) {
        self.state.withLock { state in
            let items = state.items
            state.items = []
            return (items, state.isClosed)
        }
    }
}
