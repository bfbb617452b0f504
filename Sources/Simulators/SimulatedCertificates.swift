// The keys and certificates that a fleet of simulators needs: a private authority with one server certificate
// for localhost, and the RSA key of a Google service account.
//
// All are made by the openssl program in a folder of their own, which then takes its final name in one step:
// a start that was interrupted, or two at once, leave no half-made set behind. The authority's key is thrown
// away once it has signed: nobody can sign anything else with it. A set is used again until its certificate
// comes near its end.

import CryptoExtras
import DeliveryModel
import Foundation
package import NIOSSL

/// Where the simulators' keys and certificates lie; all files and folders are the owner's alone.
package struct SimulatedCertificates: Sendable {
    /// PEM: what a client must trust to reach the simulators.
    package let trustFile: String
    /// PEM: the server's certificate for `localhost` and `127.0.0.1`.
    package let certificateFile: String
    /// PEM: the server's key.
    package let keyFile: String
    /// PEM, PKCS #8: the key with which the simulated service account signs its assertions.
    package let serviceAccountKeyFile: String

    private let folder: String
    private let publicKeyFile: String

    /// Makes what is missing in `folder`, or finds it made.
    ///
    /// - Throws: ``SimulatorError`` when openssl is missing or refuses.
    package static func prepare(in folder: String) throws -> SimulatedCertificates {
        let files = FileManager.default
        let folder = URL(fileURLWithPath: folder).path
        let certificates = SimulatedCertificates(folder: folder)
        // Folders above stay as open as they are: only this one holds keys.
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder)
        if certificates.areUsable() { return certificates }
        let draft =
            "\(folder)/certificates.\(ProcessInfo.processInfo.processIdentifier).\(UInt32.random(in: 0 ... .max))"
        try files.createDirectory(
            atPath: draft, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { try? files.removeItem(atPath: draft) }
        try Self.make(in: draft)
        if files.fileExists(atPath: certificates.certificatesFolder), !certificates.areUsable() {
            try files.removeItem(atPath: certificates.certificatesFolder)
        }
        do {
            try files.moveItem(atPath: draft, toPath: certificates.certificatesFolder)
        } catch {
            // Another start was faster; its set is as good.
            guard certificates.areUsable() else { throw error }
        }
        return certificates
    }

    private init(folder: String) {
        self.folder = folder
        let certificates = folder + "/certificates"
        self.trustFile = certificates + "/ca.pem"
        self.certificateFile = certificates + "/server.pem"
        self.keyFile = certificates + "/server.key"
        self.serviceAccountKeyFile = certificates + "/service-account.key"
        self.publicKeyFile = certificates + "/service-account.pub"
    }

    /// TLS 1.2 and 1.3 with the server's certificate.
    package func tlsConfiguration() throws -> TLSConfiguration {
        let chain = try NIOSSLCertificate.fromPEMFile(self.certificateFile)
        let key = try NIOSSLPrivateKey(file: self.keyFile, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        return configuration
    }

    /// Writes the service account's JSON as Google hands it out, and returns its path.
    ///
    /// - Parameter tokenURI: Where the account gets its access tokens; also the audience of its assertions.
    package func writeServiceAccount(project: String, email: String, tokenURI: String) throws -> String {
        let key = try String(contentsOfFile: self.serviceAccountKeyFile, encoding: .utf8)
        let account: JSONValue = [
            "type": "service_account", "project_id": .string(project), "private_key_id": .string(Self.keyID),
            "private_key": .string(key), "client_email": .string(email), "client_id": "100000000000000000000",
            "token_uri": .string(tokenURI),
        ]
        let path = self.folder + "/service-account.json"
        try Self.writePrivately(account.encoded(), to: path)
        return path
    }

    /// The `kid` of assertions.
    static let keyID = "73696d756c617465642d6b6579"

    /// What verifies the service account's assertions.
    func serviceAccountPublicKey() throws -> _RSA.Signing.PublicKey {
        try _RSA.Signing.PublicKey(pemRepresentation: String(contentsOfFile: self.publicKeyFile, encoding: .utf8))
    }

    /// Writes a file that only its owner may read; it never lies there half written.
    static func writePrivately(_ bytes: [UInt8], to path: String) throws {
        let files = FileManager.default
        let draft = "\(path).\(UInt32.random(in: 0 ... .max))"
        guard files.createFile(atPath: draft, contents: Data(bytes), attributes: [.posixPermissions: 0o600]) else {
            throw SimulatorError("cannot write \(draft)")
        }
        _ = try? files.removeItem(atPath: path)
        try files.moveItem(atPath: draft, toPath: path)
    }
}

extension SimulatedCertificates {
    /// A year less than the shortest limit that TLS clients put on certificates would trip over.
    private static let validDays = 365
    /// A set that ends within this time is made anew.
    private static let renewalSeconds = 30 * 86_400

    private var certificatesFolder: String { self.folder + "/certificates" }

    private func areUsable() -> Bool {
        let all = [self.trustFile, self.certificateFile, self.keyFile, self.serviceAccountKeyFile, self.publicKeyFile]
        guard all.allSatisfy({ FileManager.default.isReadableFile(atPath: $0) }) else { return false }
        let check = ["x509", "-noout", "-checkend", "\(Self.renewalSeconds)", "-in", self.certificateFile]
        return (try? Self.openssl(check, in: self.folder)) != nil
    }

    private static func make(in folder: String) throws {
        let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]
        let days = ["-days", "\(Self.validDays)", "-sha256"]
        try Self.openssl(curve + ["ca.key"], in: folder)
        try Self.openssl(
            ["req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=Martlet simulators", "-out", "ca.pem"] + days + [
                "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ], in: folder)
        try Self.openssl(curve + ["server.key"], in: folder)
        try Self.openssl(
            ["req", "-new", "-key", "server.key", "-subj", "/CN=localhost", "-out", "server.csr"], in: folder)
        let extensions = """
            basicConstraints=critical,CA:FALSE
            keyUsage=critical,digitalSignature
            extendedKeyUsage=serverAuth
            subjectAltName=DNS:localhost,IP:127.0.0.1
            subjectKeyIdentifier=hash
            authorityKeyIdentifier=keyid
            """
        try Self.writePrivately(Array(extensions.utf8), to: folder + "/server.ext")
        try Self.openssl(
            ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"] + days
                + ["-extfile", "server.ext", "-out", "server.pem"], in: folder)
        try Self.openssl(
            ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "service-account.key"],
            in: folder)
        try Self.openssl(["pkey", "-in", "service-account.key", "-pubout", "-out", "service-account.pub"], in: folder)
        let files = FileManager.default
        for name in try files.contentsOfDirectory(atPath: folder) {
            let path = "\(folder)/\(name)"
            let isNeeded = ["ca.pem", "server.pem", "server.key", "service-account.key", "service-account.pub"]
                .contains(name)
            guard isNeeded else {
                try files.removeItem(atPath: path)
                continue
            }
            try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        }
    }

    /// Runs openssl to its end, in `folder`; no secret is on its command line.
    private static func openssl(_ arguments: [String], in folder: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        // A file, not a pipe: FileHandle traps when reading a pipe is interrupted by a signal.
        let log = "\(folder)/openssl.\(UInt32.random(in: 0 ... .max))"
        try Self.writePrivately([], to: log)
        defer { try? FileManager.default.removeItem(atPath: log) }
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw SimulatorError(
                "openssl \(arguments.first ?? "") failed (\(process.terminationStatus)); is it installed? "
                    + text.suffix(300)
            )
        }
    }
}
