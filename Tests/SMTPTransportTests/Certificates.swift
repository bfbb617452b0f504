/// Certificates of a private authority, made by openssl once for all tests of a run.
import Foundation
import LocalServers
import Testing

struct Certificates: Sendable {
    let trust: String
    /// For `localhost` and 127.0.0.1.
    let good: (certificate: String, key: String)
    /// Of the same authority, for another host.
    let otherHost: (certificate: String, key: String)

    static let shared = Result { try Certificates() }

    private init() throws {
        let folder = NSTemporaryDirectory() + "smtp-certificates-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        try runToEnd(
            ["openssl", "req", "-x509", "-days", "2", "-subj", "/CN=test authority", "-keyout", "\(folder)/ca.key"]
                + curve + ["-out", "\(folder)/ca.pem", "-addext", "keyUsage=critical,keyCertSign"])
        func make(_ name: String, _ names: String) throws -> (String, String) {
            let path = "\(folder)/\(name)"
            try runToEnd(
                ["openssl", "req", "-new", "-subj", "/CN=\(name)", "-keyout", "\(path).key", "-out", "\(path).csr"]
                    + curve)
            try "subjectAltName=\(names)\n".write(toFile: "\(path).ext", atomically: true, encoding: .utf8)
            try runToEnd([
                "openssl", "x509", "-req", "-in", "\(path).csr", "-CA", "\(folder)/ca.pem", "-CAkey",
                "\(folder)/ca.key", "-CAcreateserial", "-days", "2", "-extfile", "\(path).ext", "-out", "\(path).pem",
            ])
            return ("\(path).pem", "\(path).key")
        }
        self.trust = "\(folder)/ca.pem"
        self.good = try make("localhost", "DNS:localhost,IP:127.0.0.1")
        self.otherHost = try make("other", "DNS:other.example.test")
    }
}
