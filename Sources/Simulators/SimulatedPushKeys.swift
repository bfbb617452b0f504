// The keys that stand in for a team's APNs key and a site's VAPID key, the same from start to start.

import Crypto
import Foundation

struct SimulatedPushKeys: Sendable {
    let apns: P256.Signing.PrivateKey
    let vapid: P256.Signing.PrivateKey
    /// PEM, as Apple gives it out.
    let apnsFile: String
    /// base64url, as web-push tools print it.
    let vapidFile: String

    /// What the subscriptions of simulated browsers are made of.
    var seed: [UInt8] { Array(SHA256.hash(data: self.vapid.rawRepresentation)) }

    static func prepare(in folder: String) throws -> SimulatedPushKeys {
        let apnsFile = folder + "/apns.p8"
        let vapidFile = folder + "/vapid.key"
        let knownPEM = try? String(contentsOfFile: apnsFile, encoding: .utf8)
        let apns = knownPEM.flatMap { try? P256.Signing.PrivateKey(pemRepresentation: $0) } ?? P256.Signing.PrivateKey()
        let knownText = try? String(contentsOfFile: vapidFile, encoding: .utf8)
        let knownRaw = knownText.flatMap { base64URLDecoded($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        let vapid =
            knownRaw.flatMap { try? P256.Signing.PrivateKey(rawRepresentation: $0) } ?? P256.Signing.PrivateKey()
        try SimulatedCertificates.writePrivately(Array(apns.pemRepresentation.utf8), to: apnsFile)
        try SimulatedCertificates.writePrivately(Array(base64URLEncoded(vapid.rawRepresentation).utf8), to: vapidFile)
        return SimulatedPushKeys(apns: apns, vapid: vapid, apnsFile: apnsFile, vapidFile: vapidFile)
    }
}
