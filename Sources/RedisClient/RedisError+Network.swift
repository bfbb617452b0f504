// Network and TLS failures in words for people. The libraries' own texts hold addresses and source files.
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

extension RedisError {
    /// Why a connection could not be opened.
    static func dialling(_ error: any Error) -> RedisError {
        RedisError(.notConnected, detail: Self.words(for: error))
    }

    /// Why an open connection broke.
    static func onLine(_ error: any Error, isGreeting: Bool) -> RedisError {
        RedisError(isGreeting ? .notConnected : .connectionLost, detail: Self.words(for: error))
    }

    private static func words(for error: any Error) -> String {
        switch error {
        case let error as RedisError: return error.detail
        case let error as IOError: return Self.words(forErrno: error.errnoCode)
        case let error as NIOConnectionError:
            guard let first = error.connectionErrors.first else { return "the host's name cannot be resolved" }
            return Self.words(for: first.error)
        case is SocketAddressError: return "the host's name cannot be resolved, or the socket's path is too long"
        case let error as ChannelError:
            if case .connectTimeout = error { return "the host did not answer in time" }
            return "the connection broke"
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            return "TLS: the server's certificate is for another name"
        case let error as NIOSSLError: return Self.words(for: error)
        case let error as BoringSSLError: return Self.words(for: .handshakeFailed(error))
        default: return "the connection broke (\(type(of: error)))"
        }
    }

    private static func words(for error: NIOSSLError) -> String {
        switch error {
        case .uncleanShutdown: return "TLS: the server hung up"
        case .handshakeFailed(let reason):
            let isUntrusted = String(describing: reason).contains("CERTIFICATE_VERIFY_FAILED")
            return isUntrusted ? "TLS: the server's certificate is not trusted" : "TLS: the handshake failed"
        case .unableToValidateCertificate, .noCertificateToValidate:
            return "TLS: the server's certificate is not trusted"
        default: return "TLS failed"
        }
    }

    private static func words(forErrno code: CInt) -> String {
        switch code {
        case ECONNREFUSED: "connection refused"
        case ECONNRESET, EPIPE: "the connection was reset"
        case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH: "the host cannot be reached"
        case ENOENT: "there is no such socket"
        case EACCES, EPERM: "the socket must not be opened by this user"
        default: "the connection broke (errno \(code))"
        }
    }
}
