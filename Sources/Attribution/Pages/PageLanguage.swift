/// The languages of the pages that recipients see.
package enum PageLanguage: String, Sendable, CaseIterable {
    case english = "en"
    case german = "de"
    case french = "fr"
    case spanish = "es"
    case polish = "pl"
    case italian = "it"
    case portuguese = "pt"
    case dutch = "nl"

    /// The language of a BCP 47 tag such as `pl-PL`; nil for those that there are no texts in.
    package init?(tag: some StringProtocol) {
        let primary = tag.prefix { $0 != "-" && $0 != "_" }
        self.init(rawValue: primary.lowercased())
    }

    /// The language for a person: that of the decision's user, else what the browser asks for, else English.
    ///
    /// - Parameter acceptLanguage: RFC 9110, section 12.5.4; only its first 16 entries are read.
    package static func best(locale: String?, acceptLanguage: String?) -> PageLanguage {
        if let own = locale.flatMap({ PageLanguage(tag: $0) }) { return own }
        var best = PageLanguage.english
        var highest = 0.0
        for entry in (acceptLanguage ?? "").split(separator: ",", maxSplits: 16).prefix(16) {
            let parts = entry.split(separator: ";")
            guard let tag = parts.first?.filter({ $0 != " " && $0 != "\t" }), let language = PageLanguage(tag: tag)
            else { continue }
            let quality = parts.dropFirst().lazy.compactMap { part -> Double? in
                let text = part.filter { $0 != " " && $0 != "\t" }.lowercased()
                return text.hasPrefix("q=") ? Double(text.dropFirst(2)) ?? 0 : nil
            }.first
            // The first of those that are wanted equally.
            if quality ?? 1 > highest { (best, highest) = (language, quality ?? 1) }
        }
        return best
    }
}
