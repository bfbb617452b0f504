// Holds tasks back until it is opened.
import ThreadBridge

final class Latch: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [Reply<Void, Never>] = []
    }

    private let state = Protected(State())

    func wait() async {
        let reply = Reply<Void, Never>()
        self.state.withLock { state in
            if state.isOpen { reply.settle(.success(())) } else { state.waiting.append(reply) }
        }
        await reply.value()
    }

    func open() {
        let waiting = self.state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for reply in waiting { reply.settle(.success(())) }
    }
}
