// Owns one `CURL *` and everything that a transfer on it points to: body, header list, error text, answer.
//
// libcurl copies strings, but neither bodies nor header lists: they stay here until ``EasyHandle/clear()``, which
// comes after the handle has left its multi handle. Handles are used again; connections belong to the multi
// handle, so that nothing of one request is left for the next.
import CCurl
import Glibc

@safe final class EasyHandle {
    /// A body beyond this is not worth keeping the memory for.
    private static let keptBodyBytesMax = 64 * 1024

    let raw: UnsafeMutableRawPointer
    var answer = AnswerCollector(bodyBytesMax: 0)
    /// When the transfer's time is over.
    var deadline = ContinuousClock.now
    private let usesEnvironmentProxy: Bool
    /// Whether the bundle of authorities that libcurl was built for is there to be read.
    private let hasSystemBundle: Bool
    private let errorText: UnsafeMutableBufferPointer<CChar>
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var body: UnsafeMutableBufferPointer<UInt8>
    private var transfer: Transfer?
    /// Set at the start of a second attempt, when libcurl may have forgotten what the first one wrote.
    private var hasWrittenBefore = false
    private var repeatWasRefused = false
    private var addressWasRefused = false

    /// Returns nil when there is no memory.
    init?(usesEnvironmentProxy: Bool) {
        guard let raw = unsafe curl_easy_init() else { return nil }
        unsafe self.raw = raw
        self.usesEnvironmentProxy = usesEnvironmentProxy
        var bundle: UnsafePointer<CChar>?
        let code = unsafe ccurl_getinfo_string(raw, CURLINFO_CAINFO, &bundle)
        self.hasSystemBundle = unsafe code == CURLE_OK && bundle.map { unsafe access($0, R_OK) == 0 } ?? false
        unsafe self.errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe self.body = .allocate(capacity: 1)
    }

    deinit {
        unsafe curl_easy_cleanup(self.raw)
        unsafe curl_slist_free_all(self.headerList)
        unsafe self.errorText.deallocate()
        unsafe self.body.deallocate()
    }

    /// The object that set itself as the private pointer of `easy` in ``prepare(_:)``.
    static func owner(of easy: UnsafeMutableRawPointer) -> EasyHandle {
        var context: UnsafeMutableRawPointer?
        let code = unsafe ccurl_getinfo_pointer(easy, CURLINFO_PRIVATE, &context)
        guard code == CURLE_OK, let context = unsafe context else { preconditionFailure("a handle without owner") }
        return unsafe Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue()
    }

    /// Makes a new or cleared handle ready to be added to a multi handle. Returns false when there is no memory.
    func prepare(_ transfer: Transfer) -> Bool {
        let request = transfer.request
        self.transfer = transfer
        self.answer = AnswerCollector(bodyBytesMax: request.responseBytesMax)
        self.hasWrittenBefore = false
        self.repeatWasRefused = false
        self.addressWasRefused = false
        unsafe self.errorText.initialize(repeating: 0)
        self.setCallbacks()
        self.setPolicy()
        self.setLimits(request)
        self.setTrust(request)
        if !request.allowsPrivateAddresses { self.keepOutOfPrivateNetworks() }
        guard self.setHeaders(request) else {
            _ = self.clear()
            return false
        }
        self.set(CURLOPT_URL, request.url)
        self.setMethodAndBody(request)
        return true
    }

    /// Lets go of the transfer and of what it pointed to. The handle must have left its multi handle.
    func clear() -> Transfer? {
        let transfer = self.transfer
        self.transfer = nil
        self.answer = AnswerCollector(bodyBytesMax: 0)
        unsafe curl_easy_reset(self.raw)
        unsafe curl_slist_free_all(self.headerList)
        unsafe self.headerList = nil
        if unsafe self.body.count > Self.keptBodyBytesMax {
            unsafe self.body.deallocate()
            unsafe self.body = .allocate(capacity: 1)
        }
        return transfer
    }
}

// MARK: - What came of it

extension EasyHandle {
    /// The outcome of a transfer that libcurl ended with `code`.
    func result(_ code: CURLcode) -> Result<HTTPResponse, HTTPFailure> {
        let status = self.info(CURLINFO_RESPONSE_CODE) ?? 0
        if code == CURLE_OK, status > 0 {
            return .success(
                HTTPResponse(status: status, headers: self.answer.headers(), body: self.answer.body))
        }
        let mayHaveActed = self.mayHaveActed
        if let overflow = self.answer.overflow {
            return .failure(HTTPFailure(.responseTooLarge, mayHaveActed: mayHaveActed, detail: overflow.detail))
        }
        if self.addressWasRefused, !mayHaveActed {
            let detail = "The host's address is not in the public internet."
            return .failure(HTTPFailure(.forbiddenAddress, mayHaveActed: false, detail: detail))
        }
        if code == CURLE_ABORTED_BY_CALLBACK {
            let failure: HTTPFailure =
                self.repeatWasRefused
                ? HTTPFailure(
                    .connectionLost, mayHaveActed: true,
                    detail: "The connection ended before an answer, and the request may not be repeated.")
                : .cancelled(mayHaveActed: mayHaveActed)
            return .failure(failure)
        }
        return .failure(.of(code, mayHaveActed: mayHaveActed, text: self.readErrorText()))
    }

    /// False only when not a byte of the request was handed to a connection.
    var mayHaveActed: Bool {
        guard let transfer = self.transfer, transfer.hasBegun else { return false }
        return self.hasWrittenBefore || self.hasWritten
    }

    /// Whether the transfer has, or had, a connection to be written to.
    var hasBegun: Bool { self.transfer?.hasBegun ?? false }

    /// How many connections were made for the transfer; 0 when one was used again.
    var connectionsMade: Int { self.info(CURLINFO_NUM_CONNECTS) ?? 0 }

    private var hasWritten: Bool {
        self.info(CURLINFO_REQUEST_SIZE).map { $0 > 0 } ?? true
    }

    /// Called with a connection at hand, right before the request is written. Returns false to stop instead.
    ///
    /// libcurl repeats a request of any method by itself when a kept connection ends without an answer. Who sends
    /// messages to people may not: the server may have read the request before the connection went away.
    private func mayWrite(to address: UnsafePointer<CChar>?) -> Bool {
        guard let transfer = self.transfer else { return false }
        if !transfer.request.allowsPrivateAddresses {
            guard let address = unsafe address, unsafe PublicAddress.contains(text: String(cString: address)) else {
                self.addressWasRefused = true
                return false
            }
        }
        guard transfer.begin() else { return false }
        if self.hasWritten { self.hasWrittenBefore = true }
        guard self.hasWrittenBefore, !transfer.isIdempotent else { return true }
        self.repeatWasRefused = true
        return false
    }

    private func info(_ name: CURLINFO) -> Int? {
        var value = 0
        return unsafe ccurl_getinfo_long(self.raw, name, &value) == CURLE_OK ? value : nil
    }

    /// libcurl's own words, printable and short: servers have a hand in some of them.
    private func readErrorText() -> String {
        var text: [UInt8] = []
        for index in unsafe self.errorText.indices {
            let byte = unsafe UInt8(bitPattern: self.errorText[index])
            if byte == 0 { break }
            text.append(byte >= 0x20 && byte < 0x7F ? byte : UInt8(ascii: "?"))
        }
        return String(decoding: text, as: UTF8.self)
    }
}

// MARK: - Options

extension EasyHandle {
    private func setCallbacks() {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe self.set(CURLOPT_PRIVATE, pointer: context)
        unsafe self.set(CURLOPT_ERRORBUFFER, pointer: UnsafeMutableRawPointer(self.errorText.baseAddress))
        unsafe self.set(CURLOPT_HEADERDATA, pointer: context)
        unsafe self.set(CURLOPT_WRITEDATA, pointer: context)
        unsafe self.set(CURLOPT_PREREQDATA, pointer: context)
        Self.check(
            unsafe ccurl_setopt_write(self.raw, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
                guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
                let handle = unsafe Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue()
                let line = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)
                return unsafe handle.answer.takeHeader(line) ? size * count : 0
            }, CURLOPT_HEADERFUNCTION)
        Self.check(
            unsafe ccurl_setopt_write(self.raw, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
                guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
                let handle = unsafe Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue()
                let part = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)
                return unsafe handle.answer.takeBody(part) ? size * count : 0
            }, CURLOPT_WRITEFUNCTION)
        Self.check(
            unsafe ccurl_setopt_prereq(self.raw, CURLOPT_PREREQFUNCTION) { context, address, _, _, _ in
                guard let context = unsafe context else { return Int32(CURL_PREREQFUNC_ABORT) }
                let handle = unsafe Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue()
                return Int32(unsafe handle.mayWrite(to: address) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT)
            }, CURLOPT_PREREQFUNCTION)
    }

    /// Sees to it that no socket is opened to an address that is not in the public internet.
    private func keepOutOfPrivateNetworks() {
        unsafe self.set(CURLOPT_OPENSOCKETDATA, pointer: Unmanaged.passUnretained(self).toOpaque())
        Self.check(
            unsafe ccurl_setopt_opensocket(self.raw, CURLOPT_OPENSOCKETFUNCTION) { context, _, address in
                guard let address = unsafe address, let context = unsafe context else { return CURL_SOCKET_BAD }
                var bytes = [UInt8](repeating: 0, count: 16)
                let count = unsafe ccurl_address(address, &bytes)
                guard PublicAddress.contains(Array(bytes.prefix(Int(count)))) else {
                    let handle = unsafe Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue()
                    handle.addressWasRefused = true
                    return CURL_SOCKET_BAD
                }
                return unsafe ccurl_socket(address)
            }, CURLOPT_OPENSOCKETFUNCTION)
    }

    /// What is the same for all requests.
    private func setPolicy() {
        self.set(CURLOPT_NOSIGNAL, 1)
        // A slow name server must not hold the thread up when a transfer is dropped.
        self.set(CURLOPT_QUICK_EXIT, 1)
        self.set(CURLOPT_PROTOCOLS_STR, "http,https")
        self.set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        self.set(CURLOPT_FOLLOWLOCATION, 0)
        self.set(CURLOPT_NETRC, 0)
        self.set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
        self.set(CURLOPT_TCP_KEEPALIVE, 1)
        self.set(CURLOPT_USERAGENT, "martlet")
        // The empty string keeps the environment's proxies out.
        if !self.usesEnvironmentProxy { self.set(CURLOPT_PROXY, "") }
    }

    private func setLimits(_ request: HTTPRequest) {
        self.set(CURLOPT_TIMEOUT_MS, min(request.timeoutMilliseconds, Int(Int32.max)))
        self.set(CURLOPT_CONNECTTIMEOUT_MS, min(request.connectTimeoutMilliseconds, Int(Int32.max)))
        if request.prefersHTTP2 {
            self.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
            self.set(CURLOPT_PIPEWAIT, 1)
        } else {
            self.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        }
    }

    private func setTrust(_ request: HTTPRequest) {
        self.set(CURLOPT_SSL_VERIFYPEER, 1)
        self.set(CURLOPT_SSL_VERIFYHOST, 2)
        self.set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let file = request.trustFile { self.set(CURLOPT_CAINFO, file) }
        // The system's folder would be trusted besides a file of the caller's, and keeps libcurl from reading a
        // bundle once for all connections instead of once for each.
        if request.trustFile != nil || self.hasSystemBundle { self.set(CURLOPT_CAPATH, nil) }
    }

    private func setHeaders(_ request: HTTPRequest) -> Bool {
        var hasContentType = false
        for header in request.headers {
            let value = header.value.utf8.drop { $0 == 0x20 || $0 == 0x09 }
            // libcurl takes `Name:` for a wish to leave the header out, and `Name;` for an empty one.
            let line = value.isEmpty ? "\(header.name);" : "\(header.name): \(Substring(value))"
            guard self.appendHeader(line) else { return false }
            if header.name.utf8.count == 12, header.name.lowercased() == "content-type" { hasContentType = true }
        }
        guard self.appendHeader("Expect:"), hasContentType || self.appendHeader("Content-Type:") else { return false }
        let code = unsafe ccurl_setopt_list(self.raw, CURLOPT_HTTPHEADER, self.headerList)
        Self.check(code, CURLOPT_HTTPHEADER)
        return true
    }

    private func appendHeader(_ line: String) -> Bool {
        guard let list = unsafe curl_slist_append(self.headerList, line) else { return false }
        unsafe self.headerList = list
        return true
    }

    private func setMethodAndBody(_ request: HTTPRequest) {
        switch request.method {
        case "GET" where request.body.isEmpty:
            self.set(CURLOPT_HTTPGET, 1)
        case "HEAD":
            self.set(CURLOPT_NOBODY, 1)
        case "POST":
            self.setBody(request.body)
        case "PUT", "PATCH":
            // Also without a body these say so, by `Content-Length: 0` (RFC 9110 section 8.6).
            self.setBody(request.body)
            self.set(CURLOPT_CUSTOMREQUEST, request.method)
        default:
            if !request.body.isEmpty { self.setBody(request.body) }
            self.set(CURLOPT_CUSTOMREQUEST, request.method)
        }
    }

    /// Copies the body to where it stays put; an array may move.
    private func setBody(_ bytes: [UInt8]) {
        if unsafe self.body.count < bytes.count {
            unsafe self.body.deallocate()
            unsafe self.body = .allocate(capacity: bytes.count)
        }
        _ = unsafe self.body.update(fromContentsOf: bytes)
        self.set(CURLOPT_POST, 1)
        Self.check(
            unsafe ccurl_setopt_offset(self.raw, CURLOPT_POSTFIELDSIZE_LARGE, bytes.count), CURLOPT_POSTFIELDSIZE_LARGE)
        unsafe self.set(CURLOPT_POSTFIELDS, pointer: UnsafeMutableRawPointer(self.body.baseAddress))
    }

    private func set(_ option: CURLoption, _ value: Int) {
        Self.check(unsafe ccurl_setopt_long(self.raw, option, value), option)
    }

    private func set(_ option: CURLoption, _ value: String?) {
        Self.check(unsafe ccurl_setopt_string(self.raw, option, value), option)
    }

    private func set(_ option: CURLoption, pointer: UnsafeMutableRawPointer?) {
        Self.check(unsafe ccurl_setopt_pointer(self.raw, option, pointer), option)
    }

    /// All options are known to the libcurl that we are built for, and all values have been checked.
    private static func check(_ code: CURLcode, _ option: CURLoption) {
        precondition(code == CURLE_OK, "curl_easy_setopt \(option.rawValue): \(code.rawValue)")
    }
}
