/// What a person sees who follows the link to unsubscribe: pure functions from what is known to HTML.
///
/// Looking at the page changes nothing; only its buttons do, by POST to the page's own address (RFC 8058 forbids more
/// by GET, since machines follow links). No script, nothing loaded from elsewhere, no personal data on it.
import Crypto
import Foundation

package struct UnsubscribePage: Sendable {
    /// What a campaign may be about, as a person can choose it.
    package struct Topic: Sendable, Equatable {
        package var id: String
        /// As people call it; the id where there is no better name.
        package var title: String
        package var isWanted: Bool

        package init(id: String, title: String? = nil, isWanted: Bool) {
            self.id = id
            self.title = title ?? id
            self.isWanted = isWanted
        }
    }

    /// What was done.
    package enum Done: Sendable, Equatable {
        /// No more of one topic: its title.
        case topic(String)
        case all
        case preferences
    }

    /// The headers of every answer under `/u/`. The style is allowed by its hash, and nothing else is.
    package static let headers: [(name: String, value: String)] = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        (
            "Content-Security-Policy",
            "default-src 'none'; style-src 'sha256-\(Self.styleHash)'; form-action 'self'; base-uri 'none'; "
                + "frame-ancestors 'none'"
        ),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Robots-Tag", "noindex, nofollow"),
    ]

    private let language: PageLanguage
    private let texts: PageTexts

    package init(_ language: PageLanguage) {
        self.language = language
        self.texts = PageTexts.of(language)
    }

    /// The page that asks.
    ///
    /// - Parameters:
    ///   - topic: What the message was about, as people call it; nil when its campaign has no topic.
    ///   - topics: All that the person can choose among; empty when that is not known.
    package func asking(topic: String?, topics: [Topic] = []) -> [UInt8] {
        var body = "<h1>\(escaped(self.texts.title))</h1>"
        if let topic {
            body += "<p>\(self.texts.about.filled(with: Self.name(topic)))</p>"
        }
        body += "<form method=\"post\">"
        if let topic {
            body += Self.button("topic", self.texts.stopTopic.filled(with: Self.name(topic)), isFirst: true)
        }
        body += Self.button("all", escaped(self.texts.stopAll), isFirst: topic == nil)
        body += "</form>"
        if !topics.isEmpty {
            body += "<form method=\"post\"><fieldset><legend>\(escaped(self.texts.choose))</legend>"
            for topic in topics {
                let state = topic.isWanted ? " checked" : ""
                body += "<label><input type=\"checkbox\" name=\"topic\" value=\"\(escaped(topic.id))\"\(state)> "
                body += "\(Self.name(topic.title))</label>"
            }
            body += "</fieldset>" + Self.button("topics", escaped(self.texts.save), isFirst: false) + "</form>"
        }
        return self.page(body)
    }

    /// The page that says that it is done.
    package func confirming(_ done: Done) -> [UInt8] {
        let text =
            switch done {
            case .topic(let topic): self.texts.doneTopic.filled(with: Self.name(topic))
            case .all: escaped(self.texts.doneAll)
            case .preferences: escaped(self.texts.saved)
            }
        return self.page("<h1>\(escaped(self.texts.done))</h1><p role=\"status\">\(text)</p>")
    }

    /// The page for a link that is forged, broken or too old: the same for all of these.
    package func gone() -> [UInt8] {
        self.page("<h1>\(escaped(self.texts.gone))</h1><p>\(escaped(self.texts.goneAdvice))</p>")
    }

    // MARK: HTML

    /// Somebody else's words, with a direction of their own.
    private static func name(_ text: String) -> String { "<bdi>\(escaped(text))</bdi>" }

    private static func button(_ choice: String, _ label: String, isFirst: Bool) -> String {
        "<button name=\"choice\" value=\"\(choice)\"\(isFirst ? " class=\"first\"" : "")>\(label)</button>"
    }

    private func page(_ body: String) -> [UInt8] {
        let head = """
            <!doctype html>
            <html lang="\(self.language.rawValue)"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="robots" content="noindex, nofollow">
            <title>\(escaped(self.texts.title))</title><style>\(Self.style)</style></head><body><main>

            """
        return Array("\(head)\(body)</main></body></html>\n".utf8)
    }

    private static let style = """
        :root{color-scheme:light dark;--line:#8884;--card:#8881;--dim:#666;font:16px/1.5 system-ui,sans-serif}
        @media(prefers-color-scheme:dark){:root{--dim:#aaa}}
        body{margin:0}main{max-width:34rem;margin:auto;padding:3rem 1.25rem}
        h1{font-size:1.3rem;margin:0 0 .5rem}p{margin:0 0 1.25rem;color:var(--dim)}
        form{margin:0 0 2rem;padding:1rem;border:1px solid var(--line);border-radius:.6rem;background:var(--card)}
        fieldset{border:0;margin:0 0 .75rem;padding:0}legend{font-weight:600;margin-bottom:.25rem;padding:0}
        label{display:block;padding:.35rem 0}input{width:1.1rem;height:1.1rem;vertical-align:-.15rem}
        button{display:block;width:100%;margin:.4rem 0;padding:.7rem 1rem;border:1px solid #767676;
        border-radius:.4rem;background:transparent;color:inherit;font:inherit;text-align:start;cursor:pointer;
        overflow-wrap:anywhere}
        .first{background:#1f5fbf;border-color:#1f5fbf;color:#fff;font-weight:600}
        :focus-visible{outline:3px solid #7aa7e8;outline-offset:2px}
        """

    private static let styleHash = Data(SHA256.hash(data: Array(Self.style.utf8))).base64EncodedString()
}

extension String {
    /// The text, escaped, with `html` in the place of `%@`.
    fileprivate func filled(with html: String) -> String {
        let parts = self.split(separator: "%@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return parts.map(escaped).joined(separator: html)
    }
}

/// Text as it may stand in an element or in a quoted attribute.
private func escaped(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for character in text.unicodeScalars {
        switch character {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        case "'": result += "&#39;"
        default: result.unicodeScalars.append(character)
        }
    }
    return result
}
