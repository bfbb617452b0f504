// What libcurl's codes mean to a caller.
//
// The code says what happened; whether the server may have acted is decided apart, by what was written.
import CCurl

extension HTTPFailure {
    /// - Parameter text: libcurl's own words, without line breaks; not used where it could quote the request.
    static func of(_ code: CURLcode, mayHaveActed: Bool, text: String) -> HTTPFailure {
        var kind = Self.kind(code)
        // libcurl uses the same code for a scheme that it cannot speak and for an answer that is not HTTP.
        if kind == .invalidRequest, mayHaveActed { kind = .protocolError }
        // The connection that the request was written to is gone, and no new one could be made for a repetition.
        if mayHaveActed, kind == .resolve || kind == .connect || kind == .tls { kind = .connectionLost }
        let general = unsafe curl_easy_strerror(code).map { unsafe String(cString: $0) } ?? "unknown"
        let quotes = kind == .invalidRequest || kind == .protocolError || text.isEmpty
        let detail = quotes ? general : text
        return HTTPFailure(kind, mayHaveActed: mayHaveActed, detail: "\(detail) (curl \(code.rawValue))")
    }

    private static func kind(_ code: CURLcode) -> Code {
        switch code {
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_LOGIN_DENIED:
            .invalidRequest
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            .resolve
        case CURLE_COULDNT_CONNECT, CURLE_PROXY:
            .connect
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ENGINE_NOTFOUND,
            CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT, CURLE_USE_SSL_FAILED:
            .tls
        case CURLE_OPERATION_TIMEDOUT:
            .timeout
        case CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_HTTP2,
            CURLE_HTTP2_STREAM, CURLE_SSL_SHUTDOWN_FAILED, CURLE_SEND_FAIL_REWIND:
            .connectionLost
        case CURLE_FILESIZE_EXCEEDED:
            .responseTooLarge
        case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT, CURLE_NO_CONNECTION_AVAILABLE:
            .unavailable
        default:
            .protocolError
        }
    }
}
