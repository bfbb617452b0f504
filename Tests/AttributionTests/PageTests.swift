import Attribution
import DeliveryModel
import Testing

@Suite struct PageTests {
    /// Read by Python's HTML parser: tags that fit, no script, nothing from elsewhere, labels, a hash that allows the style.
    @Test func everyPageIsPlainHTML() throws {
        var lines: [UInt8] = []
        let evil = #"<script>alert(1)</script>"'&amp; </title> ż %@"#
        for language in PageLanguage.allCases {
            let page = UnsubscribePage(language)
            let topics: [UnsubscribePage.Topic] = [
                .init(id: "offers", title: "Offers & more", isWanted: true),
                .init(id: #"a"><script>"#, title: evil, isWanted: false),
            ]
            let pages: [(String, [UInt8])] = [
                ("asking", page.asking(topic: evil, topics: topics)), ("asking", page.asking(topic: nil)),
                ("done", page.confirming(.topic(evil))), ("done", page.confirming(.all)),
                ("done", page.confirming(.preferences)), ("gone", page.gone()),
            ]
            for (name, bytes) in pages {
                var writer = JSONWriter()
                writer.object { line in
                    line.member("name", name)
                    line.member("language", language.rawValue)
                    line.member("html", String(decoding: bytes, as: UTF8.self))
                    line.member(
                        "policy", UnsubscribePage.headers.first { $0.name == "Content-Security-Policy" }?.value)
                }
                lines += writer.bytes + [0x0A]
            }
        }
        let report = try CheckScript.run("pages.py", input: lines)
        #expect(report == "48 pages, 8 languages\n")
    }

    @Test func aPageForABrokenLinkTellsNothing() {
        // It depends on the language alone, and is the same each time.
        #expect(UnsubscribePage(.english).gone() == UnsubscribePage(.english).gone())
        let names = Set(UnsubscribePage.headers.map(\.name))
        #expect(names.isSuperset(of: ["Cache-Control", "Referrer-Policy", "X-Robots-Tag", "Content-Security-Policy"]))
    }

    @Test(
        arguments: [
            ("pl-PL", "de", PageLanguage.polish), ("PT_br", nil, .portuguese), (nil, nil, .english),
            ("ja", "ja, fr;q=0.3, nl;q=0.8", .dutch), (nil, "de-AT, en;q=0.9", .german),
            (nil, "es;q=0, it;q=0.1", .italian),
            (nil, "x;q=1;;,,q=,;", .english), (nil, "fr;q=nonsense", .english), (nil, "es;q=0.5,it;q=0.5", .spanish),
        ] as [(String?, String?, PageLanguage)])
    func theLanguageIsThePersonsOwn(_ locale: String?, _ accepted: String?, _ language: PageLanguage) {
        #expect(PageLanguage.best(locale: locale, acceptLanguage: accepted) == language)
    }

    @Test(
        arguments: [
            ("List-Unsubscribe=One-Click", .topic), ("", .topic), ("choice=topic", .topic), ("choice=all", .all),
            ("topic=offers&topic=a%22%3E+x&choice=topics", .topics(["offers", "a\"> x"])),
            ("choice=topics", .topics([])),
            ("choice=topics&topic=%zz&topic=%FF&topic", .topics([])), ("choice=all&choice=topics", .all),
            ("--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--", .topic),
        ] as [(String, UnsubscribeChoice)])
    func aPostSaysWhatIsWanted(_ body: String, _ choice: UnsubscribeChoice) {
        #expect(UnsubscribeChoice(form: body.utf8) == choice)
    }
}
