/// Loading, looking up and reloading templates, and the templates that are shipped.

import DeliveryModel
import Foundation
import SettingsFile
import Testing

@testable import Channels

@Suite struct TemplateLibraryTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func sms(_ library: TemplateLibrary, _ name: String, _ locale: String?) throws -> String {
        try library.sms(name, locale: locale).string(TemplateVariables(decision([:])), limit: 1000)
    }

    @Test(arguments: [
        ("pl-PL", "PL"), ("pl_PL", "PL"), ("PL-pl", "PL"), ("pl-PL-x1", "PL"), ("pl", "pl"), ("pl-AT", "pl"),
        ("de", "root"), ("plx", "root"), (nil, "root"), ("", "root"), ("-", "root"), ("pl-", "pl"),
    ])
    func `a locale falls back to its language and then to the template's own file`(
        locale: String?, expected: String
    ) throws {
        try self.folder.write("t/sms.txt", "root").write("t/pl/sms.txt", "pl").write("t/pl-PL/sms.txt", "PL")
        let library = TemplateLibrary(folder: self.folder.path)
        #expect(library.problems == [])
        #expect(try self.sms(library, "t", locale) == expected)
    }

    @Test func `each file falls back by itself`() throws {
        try self.folder.write("t/subject.txt", "s").write("t/email.txt", "root").write("t/pl/email.txt", "pl")
        let mail = try TemplateLibrary(folder: self.folder.path).email("t", locale: "pl-PL")
        #expect(mail.subject.file == "t/subject.txt")
        #expect(mail.text?.file == "t/pl/email.txt")
        #expect(mail.html == nil)
    }

    @Test func `a mistake is reported with file and line and spoils only its own template`() throws {
        try self.folder.write("bad/sms.txt", "ok").write("bad/pl/sms.txt", "\n{{#x}}").write("good/sms.txt", "fine")
        let library = TemplateLibrary(folder: self.folder.path)
        let problem = try #require(library.problems.first)
        #expect(library.problems.count == 1)
        #expect(problem.file == "\(self.folder.path)/bad/pl/sms.txt")
        #expect(problem.line == 2)
        let refusal = try #require(throws: CompositionRefusal.self) { try library.sms("bad", locale: "en") }
        #expect(refusal.code == .templateInvalid)
        #expect(try self.sms(library, "good", nil) == "fine")
    }

    @Test func `files and folders that nothing reads are reported`() throws {
        try self.folder.write("t/sms.txt", "x").write("t/emial.html", "x").write("t/polish/sms.txt", "x").write(
            "stray", "x")
        let files = TemplateLibrary(folder: self.folder.path).problems.map {
            String($0.file.dropFirst(self.folder.path.count))
        }
        #expect(files.sorted() == ["/stray", "/t/emial.html", "/t/polish"])
    }

    @Test func `a mail without a subject is reported at load`() throws {
        try self.folder.write("t/email.txt", "x")
        let library = TemplateLibrary(folder: self.folder.path)
        #expect(library.problems.map(\.detail) == ["there is a mail but no subject: add subject.txt"])
        #expect(throws: CompositionRefusal.self) { try library.email("t", locale: nil) }
    }

    @Test func `a file that is not UTF-8 is reported`() throws {
        try self.folder.write("t/sms.txt", "")
        try Data([0x66, 0xFC, 0x72]).write(to: URL(fileURLWithPath: "\(self.folder.path)/t/sms.txt"))
        #expect(
            TemplateLibrary(folder: self.folder.path).problems.map(\.detail) == [
                "the file is not UTF-8: save it as UTF-8"
            ])
    }

    @Test func `what is not there is refused by name`() throws {
        try self.folder.write("t/sms.txt", "x")
        let library = TemplateLibrary(folder: self.folder.path)
        for (name, channel) in [("../t", ChannelKind.sms), ("nowhere", .sms), ("t", .push), ("t", .email)] {
            let refusal = try #require(throws: CompositionRefusal.self) {
                try library.check(name, channel: channel, locale: nil)
            }
            #expect(refusal.code == .templateUnknown)
        }
    }

    @Test func `reload takes what changed and gives the problems back`() throws {
        try self.folder.write("t/sms.txt", "old")
        let library = TemplateLibrary(folder: self.folder.path)
        try self.folder.write("t/sms.txt", "new").write("u/sms.txt", "{{")
        #expect(try self.sms(library, "t", nil) == "old")
        #expect(library.reload().map(\.line) == [1])
        #expect(try self.sms(library, "t", nil) == "new")
        #expect(library.names == ["t", "u"])
    }

    @Test func `partials are looked for beside the file, above it, and in the folder of all templates`() throws {
        try self.folder.write("_foot.mustache", "all").write("t/_foot.mustache", "t").write("t/pl/_foot.mustache", "pl")
        for name in ["t/sms.txt", "t/pl/sms.txt", "t/de/sms.txt", "u/sms.txt"] {
            try self.folder.write(name, "{{> foot}}")
        }
        let library = TemplateLibrary(folder: self.folder.path)
        #expect(try self.sms(library, "t", "pl") == "pl")
        #expect(try self.sms(library, "t", "de") == "t")
        #expect(try self.sms(library, "u", nil) == "all")
    }

    @Test func `no value can break out of a string of push json`() throws {
        try self.folder.write(
            "t/push.json", #"{"title": "{{x}}", "data": {"k": "{{x}}", "n": 3}, "fcm": {"android": {"tag": "{{x}}"}}}"#)
        let evil = #"","admin":true,"x":"\"#
        let content = try TemplateLibrary(folder: self.folder.path).push("t", locale: nil)
            .render(TemplateVariables(decision(["x": .string(evil)])), limit: 1000)
        #expect(content.title == evil)
        let body = try FCMMessage.encode(
            content, token: "t", key: "k/0", lifetime: nil, now: Timestamp(milliseconds: 0))
        let message = try JSONValue.parse(body).object?["message"]?.object
        #expect(message?["notification"] == ["title": .string(evil)])
        #expect(message?["data"] == ["k": .string(evil), "n": "3"])
        #expect(message?["android"]?.object?["tag"] == .string(evil))
    }

    @Test(arguments: [
        ("{\n \"title\": \"x\",\n \"boddy\": \"y\"\n}", 3, "no member `boddy`"),
        ("{\n \"title\": 3\n}", 2, "must be a text"), ("{\n \"title\": \"x\",\n}", 3, ""), ("[]", 1, "one JSON object"),
        ("{}", 1, "needs a `title`"), ("{\"title\": \"x\",\n\"data\": {\n\"k\": []}}", 3, "`data.k` must be"),
        ("{\"title\": \"x\",\n\"body\": \"{{#a}}\"}", 2, "never closed"),
        ("{\"title\": \"x\",\n\"priority\": \"urgent\"}", 2, "high"),
        ("{\"title\": \"x\",\n\"ttl_seconds\": 99999999}", 2, "ttl_seconds"),
        ("{\"title\": \"x\", \"data\": {\n\"google.x\": 1}}", 2, "`data.google.x`"),
    ])
    func `mistakes in push json are reported with their line`(source: String, line: Int, detail: String) throws {
        try self.folder.write("t/push.json", source)
        let problem = try #require(TemplateLibrary(folder: self.folder.path).problems.first)
        #expect(problem.line == line)
        #expect(detail.isEmpty || problem.detail.contains(detail), "\(problem.detail)")
    }

    @Test func `the templates that are shipped load without a problem and render in each locale`() throws {
        let library = TemplateLibrary(folder: Repository.templates)
        #expect(library.problems == [])
        #expect(
            library.names == ["cart-rescue", "cart-rescue-reminder", "flash-sale", "order-confirmation", "welcome"])
        let data: JSONObject = [
            "first_name": "Zoë", "discount": 20, "ends": "Sunday",
            "order": [
                "number": "L-1042", "total": "178.00 zł", "url": "https://shop.example.com/o/1042",
                "lines": [["name": "Blanket", "quantity": 1, "price": "178.00 zł"]],
                "address": ["name": "Zoë", "street": "Długa 1", "postcode": "80-827", "city": "Gdańsk"],
            ],
        ]
        let variables = TemplateVariables(decision(data))
        for name in library.names {
            for locale in ["en", "pl-PL", "de-AT"] {
                if name != "order-confirmation" {
                    let text = try library.sms(name, locale: locale).string(variables, limit: 2000).trimmed
                    #expect(SMSSegments(of: text).count <= 4, "\(name) \(locale)")
                    _ = try library.push(name, locale: locale).render(variables, limit: 4000)
                }
                guard name != "cart-rescue-reminder" else { continue }
                let mail = try library.email(name, locale: locale)
                let html = try #require(try mail.html?.string(variables, limit: 20_000))
                #expect(html.hasSuffix("</html>\n"))
                #expect(html.contains("Larch &amp; Loom"))
                _ = try mail.text?.string(variables, limit: 20_000)
                #expect(try !mail.subject.string(variables, limit: 1000).contains("&amp;"))
            }
        }
    }
}
