// What passes between callers and the queue of a connection: the request on the way in, the answer on the way out.
import NIOCore

/// What a caller is told: one reply, one for each command of a pipeline, or why there is none.
enum Answer: Sendable {
    case one(RedisValue)
    case many([RedisValue])
    case failed(RedisError)
}

/// A caller who is to be resumed, once the lock has been left.
struct Resumption: Sendable {
    let caller: CheckedContinuation<Answer, Never>
    let answer: Answer

    func perform() { self.caller.resume(returning: self.answer) }
}

/// A line that could not be had or was lost.
struct Loss: Sendable {
    let error: RedisError
    let told: [Resumption]
    let failuresInRow: Int
    /// Whether there was a connection, or no attempt at one, before this.
    let isFirst: Bool
}

/// What one call asks for.
enum Request: Sendable {
    case one(RedisCommand)
    case many([RedisCommand])

    var commandCount: Int {
        switch self {
        case .one: 1
        case .many(let commands): commands.count
        }
    }

    var byteCount: Int {
        switch self {
        case .one(let command): command.byteCount
        case .many(let commands): commands.reduce(0) { $0 + $1.byteCount }
        }
    }

    func write(to buffer: inout ByteBuffer) {
        switch self {
        case .one(let command): command.write(to: &buffer)
        case .many(let commands): for command in commands { command.write(to: &buffer) }
        }
    }
}
