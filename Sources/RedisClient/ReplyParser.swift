// RESP from the wire to values. hiredis' reader does the parsing; instead of its `redisReply` objects it calls us
// for each element, so a value is built once and no C object is allocated, copied from and freed.
//
// The bytes come from outside and are trusted in nothing: hiredis 0.14 checks the syntax, the nesting (at most
// seven lists deep) and the ranges of numbers; the size of a reply, which it does not bound, is bounded here.
import CHiredis

/// Parses what one connection receives. Used by one event loop only.
@safe final class ReplyParser {
    private let reader: UnsafeMutablePointer<redisReader>
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let assembly = ReplyAssembly()
    private let replyBytesMax: Int
    /// Bytes fed since the last complete reply: an upper bound of what the unfinished one has cost.
    private var unfinishedBytes = 0

    /// - Parameter replyBytesMax: The largest reply that is accepted, in bytes.
    init(replyBytesMax: Int) {
        self.replyBytesMax = replyBytesMax
        unsafe self.functions = .allocate(capacity: 1)
        unsafe self.functions.initialize(to: assemblyFunctions())
        guard let reader = unsafe redisReaderCreateWithFunctions(self.functions) else {
            preconditionFailure("hiredis has no memory for a reader")
        }
        unsafe self.reader = reader
        unsafe reader.pointee.privdata = Unmanaged.passUnretained(self.assembly).toOpaque()
        // The reader gives its buffer back when it is empty and larger than this; the default would do so each time.
        unsafe reader.pointee.maxbuf = 1 << 20
    }

    deinit {
        unsafe redisReaderFree(self.reader)
        unsafe self.functions.deallocate()
    }

    /// Takes bytes as they come and appends the replies that they complete to `replies`.
    ///
    /// - Throws: ``RedisError`` with code `protocolViolation`; replies completed before stand in `replies`, and
    ///   the parser must not be used again.
    func feed(_ bytes: UnsafeRawBufferPointer, into replies: inout [RedisValue]) throws(RedisError) {
        var rest = unsafe bytes[...]
        // hiredis moves what is left in its buffer after each kilobyte of replies: small helpings keep that cheap.
        while unsafe !rest.isEmpty {
            let helping = unsafe UnsafeRawBufferPointer(rebasing: rest.prefix(65_536))
            unsafe rest = rest.dropFirst(helping.count)
            let start = unsafe helping.baseAddress?.assumingMemoryBound(to: CChar.self)
            guard unsafe redisReaderFeed(self.reader, start, helping.count) == REDIS_OK else { throw self.violation() }
            self.unfinishedBytes += helping.count
            while let reply = try self.next() { replies.append(reply) }
            try self.checkLimits()
        }
    }

    private func next() throws(RedisError) -> RedisValue? {
        guard unsafe redisReaderGetReply(self.reader, nil) == REDIS_OK else { throw self.violation() }
        guard let reply = self.assembly.takeComplete() else { return nil }
        unsafe self.unfinishedBytes = self.reader.pointee.len - self.reader.pointee.pos
        return reply
    }

    private func checkLimits() throws(RedisError) {
        guard self.unfinishedBytes <= self.replyBytesMax else {
            throw RedisError(.protocolViolation, detail: "a reply is larger than \(self.replyBytesMax) bytes")
        }
        // hiredis looks for the end of a line from its beginning each time: an endless line would cost the square.
        // So much may wait only behind the header of a bulk string, and that is short.
        let position = unsafe self.reader.pointee.pos
        let waiting = unsafe self.reader.pointee.len - position
        guard waiting > 65_536, let buffer = unsafe self.reader.pointee.buf else { return }
        let header = unsafe UnsafeRawBufferPointer(start: buffer + position, count: 64)
        var previous: UInt8 = 0
        for index in 0..<64 {
            let byte = unsafe header[index]
            if previous == 0x0d, byte == 0x0a { return }
            previous = byte
        }
        throw RedisError(.protocolViolation, detail: "a line is too long")
    }

    private func violation() -> RedisError {
        // hiredis' text quotes one byte at most, escaped.
        let text = unsafe withUnsafeBytes(of: self.reader.pointee.errstr) { unsafe Array($0.prefix { $0 != 0 }) }
        return RedisError(.protocolViolation, detail: String(decoding: text, as: UTF8.self).oneLine)
    }
}

/// Puts the elements that hiredis reports together to values.
private final class ReplyAssembly {
    private struct List {
        var elements: [RedisValue] = []
        let count: Int
    }

    private var open: [List] = []
    private var complete: RedisValue?

    func takeComplete() -> RedisValue? {
        defer { self.complete = nil }
        return self.complete
    }

    func add(_ value: RedisValue) {
        var value = value
        while var list = self.open.popLast() {
            list.elements.append(value)
            guard list.elements.count == list.count else {
                self.open.append(list)
                return
            }
            value = .array(list.elements)
        }
        self.complete = value
    }

    func beginList(count: Int) {
        guard count > 0 else { return self.add(.array([])) }
        var list = List(count: count)
        // What the server claims is not yet there: memory follows what has come.
        list.elements.reserveCapacity(min(count, 1024))
        self.open.append(list)
    }

    static func of(_ task: UnsafePointer<redisReadTask>?) -> ReplyAssembly? {
        guard let task = unsafe task, let context = unsafe task.pointee.privdata else { return nil }
        return unsafe Unmanaged<ReplyAssembly>.fromOpaque(context).takeUnretainedValue()
    }
}

/// hiredis wants an object for each element and only checks that it is not null: it gets the assembly's address.
private func assemblyFunctions() -> redisReplyObjectFunctions {
    unsafe redisReplyObjectFunctions(
        createString: { task, start, count in
            guard let assembly = unsafe ReplyAssembly.of(task), let task = unsafe task else { return nil }
            let bytes = unsafe UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)
            switch unsafe task.pointee.type {
            case REDIS_REPLY_ERROR: assembly.add(.error(unsafe String(decoding: bytes, as: UTF8.self)))
            case REDIS_REPLY_STATUS: assembly.add(.status(unsafe String(decoding: bytes, as: UTF8.self)))
            default: assembly.add(.bulk(unsafe Array(bytes)))
            }
            return unsafe task.pointee.privdata
        },
        createArray: { task, count in
            guard let assembly = unsafe ReplyAssembly.of(task) else { return nil }
            assembly.beginList(count: Int(count))
            return unsafe task?.pointee.privdata
        },
        createInteger: { task, number in
            guard let assembly = unsafe ReplyAssembly.of(task) else { return nil }
            assembly.add(.integer(number))
            return unsafe task?.pointee.privdata
        },
        createNil: { task in
            guard let assembly = unsafe ReplyAssembly.of(task) else { return nil }
            assembly.add(.null)
            return unsafe task?.pointee.privdata
        },
        freeObject: { _ in }
    )
}
