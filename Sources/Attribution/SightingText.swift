package import DeliveryModel

/// A sighting as an entry's text: one JSON object, with short names, since there are many of them.
package enum SightingText {
    package static func write(_ sighting: Sighting, into text: inout JSONWriter) {
        text.object { object in
            object.member("d", sighting.decision)
            object.member("n", sighting.attempt)
            object.member("k", sighting.kind.rawValue)
            object.member("l", sighting.link)
            if sighting.isHidden { object.member("h", true) }
            if sighting.method != .get { object.member("m", sighting.method.rawValue) }
            object.member("t", sighting.at.milliseconds)
            object.member("u", sighting.userAgent)
            object.member("w", sighting.network)
        }
    }

    /// Nil when it is none.
    package static func read(_ value: JSONValue) -> Sighting? {
        guard let object = value.object, let decision = object["d"]?.string,
            case .integer(let attempt)? = object["n"], (1...255).contains(attempt),
            let kind = object["k"]?.string.flatMap({ Sighting.Kind(rawValue: $0) }),
            case .integer(let at)? = object["t"]
        else { return nil }
        var link: Int?
        if case .integer(let place)? = object["l"], (0...255).contains(place) { link = Int(place) }
        return Sighting(
            decision: decision, attempt: Int(attempt), kind: kind, link: link, isHidden: object["h"] == .bool(true),
            method: object["m"]?.string.flatMap { Sighting.Method(rawValue: $0) } ?? .get,
            at: Timestamp(milliseconds: at), userAgent: object["u"]?.string ?? "", network: object["w"]?.string ?? "")
    }
}
