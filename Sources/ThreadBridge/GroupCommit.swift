/// Lets many callers act as if alone while the wire sees groups.
///
/// What is submitted while a commit is under way goes into the next one: at low load each item is committed at
/// once, at high load the groups grow by themselves. Where each commit has a price of its own (a flush to disk, a
/// plan to start) a busy lane also lingers for a moment, so that fewer and larger groups do the same work.
package final class GroupCommit<Item: Sendable, Answer: Sendable, Failure: Error>: Sendable {
    /// A lane lingers after groups of at least this size: then others are on their way for certain.
    private static var busyGroup: Int { 8 }

    /// A caller waits for its answer by a bare continuation: this is the hottest wait of the fleet, and nothing but
    /// ``commitGroup(_:)`` ever resumes it, once.
    @safe private struct Member: Sendable {
        let item: Item
        let continuation: UnsafeContinuation<Result<Answer, Failure>, Never>

        func answer(_ result: sending Result<Answer, Failure>) {
            unsafe self.continuation.resume(returning: result)
        }
    }

    private struct State {
        var waiting: [Member] = []
        var underWay = 0
    }

    private let state = Protected(State())
    private let groupMax: Int
    private let lanes: Int
    private let linger: Duration
    private let executor: (any TaskExecutor)?
    private let commit: @Sendable ([Item]) async throws(Failure) -> [Answer]
    private let shortAnswer: Failure
    private let isOneItemsFault: @Sendable (Failure) -> Bool

    /// - Parameters:
    ///   - groupMax: The most items in one commit.
    ///   - lanes: The most commits under way at once.
    ///   - linger: How long a busy lane gathers items before it commits again.
    ///   - executor: Where groups are put together and answered; nil for the system's pool.
    ///   - shortAnswer: What callers get whose item was left without an answer.
    ///   - isOneItemsFault: Whether a failure may be due to a single item; then the group is halved until only
    ///     that one fails.
    ///   - commit: Commits a group and answers in the same order.
    package init(
        groupMax: Int = 512, lanes: Int = 1, linger: Duration = .zero,
        executor: (any TaskExecutor)? = nil, shortAnswer: Failure,
        isOneItemsFault: @escaping @Sendable (Failure) -> Bool = { _ in false },
        commit: @escaping @Sendable ([Item]) async throws(Failure) -> [Answer]
    ) {
        self.groupMax = groupMax
        self.lanes = lanes
        self.linger = linger
        self.executor = executor
        self.shortAnswer = shortAnswer
        self.isOneItemsFault = isOneItemsFault
        self.commit = commit
    }

    /// Returns once the group that `item` fell into is committed.
    ///
    /// Not cancellable: what was submitted is committed, and the caller learns of it.
    package func submit(_ item: Item) async throws(Failure) -> Answer {
        let result = await unsafe withUnsafeContinuation { continuation in
            let member = unsafe Member(item: item, continuation: continuation)
            let isLeader = self.state.withLock { state in
                state.waiting.append(member)
                guard state.underWay < self.lanes else { return false }
                state.underWay += 1
                return true
            }
            if isLeader {
                // A task of its own: the leader's caller waits for its own item only, and its cancellation
                // must not take the group with it.
                Task(executorPreference: self.executor) { await self.commitAllWaiting() }
            }
        }
        return try result.get()
    }

    private func commitAllWaiting() async {
        while let group = self.nextGroup() {
            await self.commitGroup(group)
            if self.linger > .zero, group.count >= Self.busyGroup, group.count < self.groupMax {
                // Nobody cancels this task.
                try? await Task.sleep(for: self.linger)
            }
        }
    }

    private func commitGroup(_ group: ArraySlice<Member>) async {
        do throws(Failure) {
            let answers = try await self.commit(group.map(\.item))
            for (index, member) in group.enumerated() {
                member.answer(index < answers.count ? .success(answers[index]) : .failure(self.shortAnswer))
            }
        } catch {
            guard group.count > 1, self.isOneItemsFault(error) else {
                for member in group { member.answer(.failure(error)) }
                return
            }
            let middle = group.startIndex + group.count / 2
            await self.commitGroup(group[..<middle])
            await self.commitGroup(group[middle...])
        }
    }

    private func nextGroup() -> ArraySlice<Member>? {
        self.state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.underWay -= 1
                return nil
            }
            let group = state.waiting.prefix(self.groupMax)
            state.waiting.removeFirst(group.count)
            return group
        }
    }
}
