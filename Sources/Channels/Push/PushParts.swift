/// What the three ways to push have in common: names of messages, how long they live, and JSON laid over JSON.

import Crypto
import CurlTransport
import DeliveryModel
import Foundation

enum PushName {
    /// 32 hexadecimal characters, which APNs, a push service and Android's drawer all take as a message's name: the
    /// same for each attempt, so that on the device a repeat takes the place of the first.
    static func of(_ key: String) -> String {
        var digits: [UInt8] = []
        appendHexadecimal(SHA256.hash(data: Data(key.utf8)).prefix(16), to: &digits)
        return String(decoding: digits, as: UTF8.self)
    }

    /// A UUID made of a name (RFC 9562 §5.8, version 8): the same for the same key.
    static func uuid(_ key: String) -> String {
        var bytes = Array(SHA256.hash(data: Data(key.utf8)).prefix(16))
        bytes[6] = bytes[6] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        var text: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append(UInt8(ascii: "-")) }
            appendHexadecimal([byte], to: &text)
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension PushContent {
    /// The shorter of what the template says and what is left of the decision; nil when neither says anything.
    func lifetimeSeconds(_ lifetime: Milliseconds?) -> Int64? {
        let limit = PushTemplate.timeToLiveSecondsMax
        let rest = lifetime.map { min(max($0.count / 1000, 0), limit) }
        guard let ours = self.timeToLiveSeconds else { return rest }
        return min(ours, rest ?? limit)
    }
}

extension JSONObject {
    /// This object with the members of `other` put over its own; objects are merged, all else is replaced.
    func overlaid(with other: JSONObject) -> JSONObject {
        var result = self
        for member in other.members {
            if case .object(let inner) = member.value, case .object(let own)? = result[member.name] {
                result[member.name] = .object(own.overlaid(with: inner))
            } else {
                result[member.name] = member.value
            }
        }
        return result
    }
}

/// What each HTTP request of a push provider has in common.
struct PushRequestSettings: Sendable {
    /// The most that is rendered from one text of a template.
    static let renderedBytesMax = 64 * 1024

    var trustFile: String?
    var timeouts: HTTPTimeouts

    func request(url: String, headers: [HTTPHeader], body: [UInt8]) -> HTTPRequest {
        HTTPRequest(
            method: "POST", url: url, headers: headers, body: body,
            timeoutMilliseconds: self.timeouts.totalMilliseconds,
            connectTimeoutMilliseconds: self.timeouts.connectMilliseconds, prefersHTTP2: true,
            trustFile: self.trustFile)
    }
}
