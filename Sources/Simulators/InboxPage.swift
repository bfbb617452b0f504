// The page for people: what the simulators received, newest first. No script; it loads itself anew every ten seconds.
//
// What came in is somebody else's text: it is escaped wherever it stands, and a mail's HTML is shown in a frame
// that may run nothing, load nothing and know nothing of the page around it.

import DeliveryModel

enum InboxPage {
    private static let entriesMax = 30
    private static let previewMax = 140

    static func answer(_ simulators: [any Inspectable], people: People?) -> HTTPAnswer {
        var page = Self.head
        page += "<nav>"
        for simulator in simulators { page += Self.tile(simulator) }
        page += "</nav>"
        if let people { page += Self.summary(of: people) }
        for simulator in simulators {
            page += "<h2 id=\"\(Self.escaped(simulator.name))\">\(Self.escaped(Self.title(simulator.name)))</h2>"
            let entries = simulator.inbox(limit: Self.entriesMax)
            if entries.isEmpty { page += "<p class=none>Nothing has come in yet.</p>" }
            for entry in entries { page += Self.row(entry) }
        }
        page += "</main></html>\n"
        return HTTPAnswer(status: 200, body: Array(page.utf8), contentType: "text/html; charset=utf-8")
            .with(
                .contentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'")
    }

    /// Text as it may stand in an element or in a quoted attribute.
    static func escaped(_ text: String) -> String {
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

    private static func title(_ name: String) -> String {
        switch name {
        case "smtp": "Mail (STARTTLS)"
        case "smtps": "Mail (implicit TLS)"
        case "sms": "Text messages"
        case "fcm": "Push"
        default: name
        }
    }

    private static func tile(_ simulator: any Inspectable) -> String {
        let counts = simulator.counts
        let name = Self.escaped(simulator.name)
        return """
            <a class=tile href="#\(name)"><b>\(counts.accepted)</b> \(Self.escaped(Self.title(simulator.name)))
            <small>\(counts.requests) requests · \(counts.refused) refused · \(counts.repeats) repeats
            · \(counts.cut) cut · \(counts.stalled) stalled</small><code>\(Self.escaped(simulator.url))</code></a>
            """
    }

    /// What people and machines did, by actor.
    private static func summary(of people: People) -> String {
        let totals = people.totals
        let rows = people.counts.rows
        var table =
            "<h2 id=people>People</h2><p class=none>\(totals.messages) messages · \(totals.waiting) acts to come"
        table += " · \(people.counts.failures) requests without an answer</p><table>"
        for actor in Set(rows.map(\.actor)).sorted() {
            let acts = rows.filter { $0.actor == actor }.map { "<b>\($0.count)</b> \(Self.spoken($0.act))" }
            table += "<tr><td>\(Self.spoken(actor))<td>\(acts.joined(separator: " · "))"
        }
        return table + "</table>"
    }

    private static func spoken(_ name: String) -> String { Self.escaped(name.replacing("_", with: " ")) }

    private static func row(_ entry: InboxEntry) -> String {
        let preview = String(
            entry.text.split(whereSeparator: \.isWhitespace).joined(separator: " ").prefix(Self.previewMax))
        let subject = entry.subject.isEmpty ? preview : entry.subject
        var row = "<details><summary><time>\(Self.escaped(Self.clock(entry.receivedAt)))</time>"
        row += "<span class=to>\(Self.escaped(entry.to))</span><span class=subject>\(Self.escaped(subject))</span>"
        if !entry.subject.isEmpty { row += "<span class=preview>\(Self.escaped(preview))</span>" }
        row += "</summary><p class=meta>from \(Self.escaped(entry.from)) · \(Self.escaped(entry.id))"
        row += " · \(Self.escaped(entry.receivedAt.rfc3339))</p>"
        if let html = entry.html {
            row += "<iframe sandbox loading=lazy title=\"The mail\" srcdoc=\"\(Self.escaped(html))\"></iframe>"
        }
        if !entry.text.isEmpty { row += "<pre>\(Self.escaped(entry.text))</pre>" }
        return row + "</details>"
    }

    /// Hours, minutes and seconds in UTC.
    private static func clock(_ time: Timestamp) -> String {
        String(time.rfc3339.dropFirst(11).prefix(8))
    }

    private static let head = """
        <!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
        <meta http-equiv=refresh content=10><title>Martlet simulators</title><style>
        :root{color-scheme:light dark;--line:#8884;--dim:#8889;--card:#8881;font:15px/1.5 system-ui,sans-serif}
        body{margin:0}main{max-width:62rem;margin:auto;padding:1.5rem}
        h1{font-size:1.3rem}h2{font-size:1rem;margin:2rem 0 .5rem}
        nav{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:.75rem}
        .tile{padding:.8rem 1rem;border:1px solid var(--line);border-radius:.6rem;background:var(--card);
        color:inherit;text-decoration:none}.tile b{font-size:1.6rem;margin-right:.4rem}
        .tile small,.tile code{display:block;color:var(--dim);font-size:.8rem}
        details{border-top:1px solid var(--line)}details[open]{background:var(--card)}
        summary{display:flex;gap:1rem;padding:.45rem .5rem;cursor:pointer;white-space:nowrap;list-style:none}
        time,.preview,.meta,.none{color:var(--dim)}.to{width:15rem;flex:none;overflow:hidden;text-overflow:ellipsis}
        td{padding:.1rem 1rem .1rem 0}.subject{font-weight:600}.subject,.preview{overflow:hidden;text-overflow:ellipsis}
        .meta{margin:0 .5rem;font-size:.85rem}pre{margin:.5rem;white-space:pre-wrap;overflow-wrap:anywhere}
        iframe{width:calc(100% - 1rem);height:22rem;margin:.5rem;border:1px solid var(--line);border-radius:.4rem;
        background:#fff}
        </style><main><h1>Martlet simulators</h1>
        """
}
