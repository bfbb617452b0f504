// Lua scripts by digest: the source goes over the wire once for each connection, and again when the server has lost
// it (restart, SCRIPT FLUSH, failover). `NOSCRIPT` means that nothing ran, so asking again is always safe.
import ThreadBridge

/// A Lua script and the name that Redis gives it.
package struct RedisScript: Sendable, Equatable {
    /// The script's text in UTF-8.
    package let source: [UInt8]
    /// The SHA-1 digest of the source, 40 hexadecimal digits.
    package let digest: String

    /// Names a script from its text as bytes, as embedded resources give it.
    package init(source: [UInt8]) {
        self.source = source
        self.digest = sha1Hex(source)
    }

    /// Names a script from its text.
    package init(source: String) {
        self.init(source: Array(source.utf8))
    }
}

/// One run of a script.
package struct RedisScriptCall: Sendable {
    package let script: RedisScript
    fileprivate let byDigest: RedisCommand
    private let headByteCount: Int

    /// Prepares a run; all keys must be in one slot when Redis is a cluster.
    package init<Key: RedisArgument & Sendable>(
        _ script: RedisScript, keys: [Key], arguments: [any RedisArgument & Sendable] = []
    ) {
        self.script = script
        var command = RedisCommand("EVALSHA", capacity: 128 + 48 * (keys.count + arguments.count))
        command.append(script.digest)
        self.headByteCount = command.bodyByteCount
        command.append(keys.count)
        for key in keys { command.append(key) }
        for argument in arguments { argument.append(to: &command) }
        self.byDigest = command
    }

    fileprivate var bySource: RedisCommand {
        self.byDigest.replacingHead(of: self.headByteCount, by: "EVAL", self.script.source)
    }
}

extension RedisConnection {
    /// Runs a script, sending its source only when the server does not have it.
    ///
    /// - Throws: ``RedisError``; code `server` when the script failed.
    package func evaluate<Key: RedisArgument & Sendable>(
        _ script: RedisScript, keys: [Key], arguments: [any RedisArgument & Sendable] = [], timeout: Duration? = nil
    ) async throws(RedisError) -> RedisValue {
        let call = RedisScriptCall(script, keys: keys, arguments: arguments)
        let reply = try await self.sendRaw(call.byDigest, timeout: timeout)
        guard reply.isMissingScript else {
            if let failure = reply.failure { throw failure }
            return reply
        }
        return try await self.send(call.bySource, timeout: timeout)
    }

    /// Runs scripts in one pipelined write and waits for all of them.
    ///
    /// They run in order, with one exception: when the server lost scripts since this connection sent them, those
    /// that it lacks run after the others, in their order.
    ///
    /// - Returns: One reply for each call, in order; Redis errors are values.
    package func evaluateAll(
        _ calls: [RedisScriptCall], timeout: Duration? = nil
    ) async throws(RedisError) -> [RedisValue] {
        var commands: [RedisCommand] = []
        commands.reserveCapacity(calls.count + 4)
        let fresh = self.scriptsNotSent(calls)
        for script in fresh { commands.append(RedisCommand("SCRIPT", "LOAD", script.source)) }
        for call in calls { commands.append(call.byDigest) }
        var replies = try await self.pipeline(commands, timeout: timeout)
        for (script, reply) in zip(fresh, replies) where reply.text == script.digest {
            self.conversation.withLock { _ = $0.knownScripts.insert(script.digest) }
        }
        replies.removeFirst(fresh.count)
        return try await self.repeatMissing(calls, replies, timeout: timeout)
    }

    private func scriptsNotSent(_ calls: [RedisScriptCall]) -> [RedisScript] {
        let known = self.conversation.withLock { $0.knownScripts }
        var seen = known
        return calls.compactMap { seen.insert($0.script.digest).inserted ? $0.script : nil }
    }

    private func repeatMissing(
        _ calls: [RedisScriptCall], _ replies: [RedisValue], timeout: Duration?
    ) async throws(RedisError) -> [RedisValue] {
        let missing = replies.indices.filter { replies[$0].isMissingScript }
        guard !missing.isEmpty else { return replies }
        var sent: Set<String> = []
        // EVAL leaves the script with the server: its source is sent for the first call only.
        let commands = missing.map { index in
            sent.insert(calls[index].script.digest).inserted ? calls[index].bySource : calls[index].byDigest
        }
        let later: [RedisValue]
        do throws(RedisError) {
            later = try await self.pipeline(commands, timeout: timeout)
        } catch {
            // The calls that were not missing have run.
            throw error.forCommand(mayHaveRun: error.mayHaveRun || missing.count < calls.count)
        }
        var all = replies
        for (index, reply) in zip(missing, later) { all[index] = reply }
        return all
    }
}

extension RedisValue {
    fileprivate var isMissingScript: Bool {
        if case .error(let message) = self { message.hasPrefix("NOSCRIPT") } else { false }
    }
}
