// Owns one `CURLM *`: the connections of a thread and the transfers that run over them.
import CCurl

/// Whether libcurl is set up for the process; it may be asked from any thread.
let curlIsReady: Bool = ccurl_global_init() == CURLE_OK

@safe struct MultiHandle: ~Copyable {
    private let raw: UnsafeMutableRawPointer

    init(maxHostConnections: Int) {
        guard let raw = unsafe curl_multi_init() else { preconditionFailure("curl_multi_init: out of memory") }
        unsafe self.raw = raw
        self.set(CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX)
        self.set(CURLMOPT_MAX_HOST_CONNECTIONS, maxHostConnections)
        // Beyond this libcurl 7.88 opens a connection for each waiting request, so leave the limit to the server.
        self.set(CURLMOPT_MAX_CONCURRENT_STREAMS, 1000)
        // Idle connections beyond are closed, which costs a handshake; each holds some 50 KiB.
        self.set(CURLMOPT_MAXCONNECTS, max(512, maxHostConnections))
    }

    deinit {
        let code = unsafe ccurl_multi_cleanup(self.raw)
        precondition(code == CURLM_OK, "curl_multi_cleanup: \(code.rawValue)")
    }

    /// For waking the thread from outside; see `TransferQueue`.
    var address: UInt { unsafe UInt(bitPattern: self.raw) }

    func add(_ handle: EasyHandle) {
        let code = unsafe ccurl_multi_add(self.raw, handle.raw)
        precondition(code == CURLM_OK, "curl_multi_add_handle: \(code.rawValue)")
    }

    func remove(_ handle: EasyHandle) {
        let code = unsafe ccurl_multi_remove(self.raw, handle.raw)
        precondition(code == CURLM_OK, "curl_multi_remove_handle: \(code.rawValue)")
    }

    func perform() -> CURLMcode {
        var running: Int32 = 0
        return unsafe ccurl_multi_perform(self.raw, &running)
    }

    /// Sleeps until a socket or a timer is ready, the thread is woken, or the time is over.
    func poll(_ milliseconds: Int32) -> CURLMcode {
        unsafe ccurl_multi_poll(self.raw, milliseconds)
    }

    /// The next transfer that is over, still in the multi handle.
    func nextFinished() -> (EasyHandle, CURLcode)? {
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(self.raw, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE, let easy = unsafe message.pointee.easy_handle else {
                continue
            }
            return (unsafe EasyHandle.owner(of: easy), unsafe ccurl_message_result(message))
        }
        return nil
    }

    private func set(_ option: CURLMoption, _ value: Int) {
        let code = unsafe ccurl_multi_setopt_long(self.raw, option, value)
        precondition(code == CURLM_OK, "curl_multi_setopt \(option.rawValue): \(code.rawValue)")
    }
}
