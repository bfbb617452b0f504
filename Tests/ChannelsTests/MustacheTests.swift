/// The Mustache language, by cases after the specification's own files.

import DeliveryModel
import Testing

@testable import Channels

@Suite struct MustacheTests {
    private func render(
        _ source: String, _ data: JSONObject, escaping: MustacheEscaping = .html, partials: [String: String] = [:]
    ) throws -> String {
        let text = try MustacheText(compiling: Array(source.utf8), file: "t/email.html", escaping: escaping) { name in
            partials[name].map { MustachePartial(file: "_\(name).mustache", source: Array($0.utf8)) }
        }
        return try text.string(TemplateVariables(decision(data, locale: "pl-PL")), limit: 10_000)
    }

    @Test(arguments: [
        ("Hello, {{subject}}!", "Hello, world!"),
        ("{{{html}}}|{{&html}}|{{html}}", "\"&'<>|\"&'<>|&quot;&amp;&#39;&lt;&gt;"),
        ("{{whole}} {{fraction}} {{round}} {{yes}}", "85 1.21 120 true"),
        ("{{a.b.c}} {{ a.b.c }}", "deep deep"),
        ("{{#a}}{{b.c}}{{/a}}", "deep"),
        ("{{#a}}{{#b}}{{c}} {{subject}}{{/b}}{{/a}}", "deep world"),
        ("{{#list}}({{.}}){{/list}}", "(1)(2)(3)"),
        ("{{#people}}{{name}}{{^last}}, {{/last}}{{/people}}", "Ada, Grace"),
        ("{{#lists}}({{#.}}{{.}}{{/.}}){{/lists}}", "(12)(34)"),
        (
            "[{{#no}}x{{/no}}{{#nothing}}x{{/nothing}}{{#none}}x{{/none}}{{#empty}}x{{/empty}}{{#absent.deep}}x{{/absent.deep}}]",
            "[]"
        ),
        ("{{^no}}1{{/no}}{{^nothing}}2{{/nothing}}{{^none}}3{{/none}}{{^absent}}4{{/absent}}{{^yes}}5{{/yes}}", "1234"),
        ("{{#zero}}zero is shown: {{zero}}{{/zero}}", "zero is shown: 0"),
        ("a{{! a comment\nof two lines }}b", "ab"),
        ("{{=<% %>=}}<% subject %> {{subject}} <%={{ }}=%>{{subject}}", "world {{subject}} world"),
        ("{{user.id}} {{user.locale}} {{decision.id}} {{campaign}}", "u-1 pl-PL d-1 spring"),
        ("{{#user}}{{id}}{{/user}}", "u-1"),
        ("no tags } } { {", "no tags } } { {"),
        ("żółć {{subject}} \u{1F426}", "żółć world \u{1F426}"),
    ])
    func `a text is rendered as the specification says`(source: String, expected: String) throws {
        let data: JSONObject = [
            "subject": "world", "html": "\"&'<>", "whole": 85, "fraction": 1.21, "round": 120.0, "yes": true,
            "no": false,
            "nothing": .null, "none": [], "empty": "", "zero": 0, "list": [1, 2, 3], "lists": [[1, 2], [3, 4]],
            "a": ["b": ["c": "deep"]], "people": [["name": "Ada"], ["name": "Grace", "last": true]],
        ]
        #expect(try self.render(source, data) == expected)
    }

    @Test(arguments: [
        ("Begin.\n{{! Comment }}\nEnd.\n", "Begin.\nEnd.\n"),
        ("|\r\n{{! Standalone }}\r\n|", "|\r\n|"),
        ("  {{! alone }}  \n!", "!"),
        ("  12 {{! 34 }}\n", "  12 \n"),
        ("| This Is\n{{#yes}}\n|\n{{/yes}}\n| A Line", "| This Is\n|\n| A Line"),
        (" {{#yes}}\n#{{/yes}}\n/", "#\n/"),
        ("#{{#yes}}\n/\n  {{/yes}}", "#\n/\n"),
        ("{{^no}}\nx\n{{/no}}\ny", "x\ny"),
        ("  {{subject}}\n", "  world\n"),
        ("Begin.\n{{=@ @=}}\nEnd @subject@.", "Begin.\nEnd world."),
    ])
    func `a tag that stands alone takes its line with it`(source: String, expected: String) throws {
        #expect(try self.render(source, ["yes": true, "no": false, "subject": "world"]) == expected)
    }

    @Test func `a partial is put in with its indentation, and escapes as the text around it does`() throws {
        let partials = ["lines": "{{a}}\n|\n", "inner": ">{{a}}<", "outer": "({{> inner}})"]
        let source = "\\\n {{> lines}}\n/"
        #expect(try self.render(source, ["a": "x\ny"], partials: partials) == "\\\n x\ny\n |\n/")
        #expect(try self.render("{{> outer}}", ["a": "<"], partials: partials) == "(>&lt;<)")
        #expect(try self.render("{{> outer}}", ["a": "<"], escaping: .none, partials: partials) == "(><<)")
    }

    @Test(arguments: [
        ("Hello\n{{first_name}}", "first_name", "is missing"),
        ("\n{{{a.b}}}", "a.b", "is missing"),
        ("\n{{&a.none}}", "a.none", "is null"),
        ("\n{{list}}", "list", "is a list or an object"),
        ("{{#a}}\n{{b.c.d}}{{/a}}", "b.c.d", "is missing"),
        ("{{#people}}\n{{name}}{{/people}}", "name", "is missing"),
        ("\n{{.}}", ".", "is a list or an object"),
        ("\n{{user.name}}", "user.name", "is missing"),
    ])
    func `a variable without a value is a refusal that names it and its place`(
        source: String, name: String, why: String
    ) throws {
        let data: JSONObject = ["a": ["none": .null], "list": [1], "people": [["x": 1]]]
        let refusal = try #require(throws: CompositionRefusal.self) { try self.render(source, data) }
        #expect(refusal.code == .variableMissing)
        #expect(refusal.detail.contains("`\(name)` \(why)"), "\(refusal.detail)")
        #expect(refusal.detail.contains("t/email.html, line 2"), "\(refusal.detail)")
    }

    @Test func `a name found in an inner frame hides the outer one`() throws {
        let data: JSONObject = ["a": ["b": JSONValue.object([:])], "b": ["c": "WRONG"]]
        #expect(throws: CompositionRefusal.self) { try self.render("{{#a}}{{b.c}}{{/a}}", data) }
        #expect(try self.render("{{#a}}{{#b.c}}x{{/b.c}}{{/a}}", data) == "")
    }

    @Test func `members of data come before the names of our own, which fill what data lacks`() throws {
        let data: JSONObject = ["campaign": "theirs", "user": ["name": "Ada"]]
        #expect(try self.render("{{campaign}} {{user.name}} {{user.id}}", data) == "theirs Ada u-1")
    }

    @Test func `a miss inside a partial names the partial's file`() throws {
        let refusal = try #require(throws: CompositionRefusal.self) {
            try self.render("{{> foot}}", [:], partials: ["foot": "\n{{shop}}"])
        }
        #expect(refusal.detail.contains("_foot.mustache, line 2"))
    }

    @Test func `a rendering that grows beyond its limit is stopped`() throws {
        let list = JSONValue.array(Array(repeating: .string("0123456789"), count: 2000))
        let refusal = try #require(throws: CompositionRefusal.self) {
            try self.render("{{#list}}{{.}}{{/list}}", ["list": list])
        }
        #expect(refusal.code == .messageTooLarge)
    }

    @Test(arguments: [
        ("a\n{{#open}}", 2, "never closed"), ("{{/close}}", 1, "never opened"),
        ("\n{{#a}}\n{{/b}}", 3, "`b` is closed where `a`"),
        ("\n\n{{name", 3, "never closed"), ("{{two words}}", 1, "not a tag"), ("{{}}", 1, "not a tag"),
        ("{{> nowhere}}", 1, "no partial `nowhere`"), ("{{a..b}}", 1, "not a name"), ("{{$block}}", 1, "not a tag"),
        ("{{> self}}", 2, "includes itself"), ("{{=a=}}", 1, "not a tag"), ("{{{x}}", 1, "never closed"),
    ])
    func `a mistake is reported with its line`(source: String, line: Int, detail: String) throws {
        let problem = try #require(throws: MustacheProblem.self) {
            try self.render(source, [:], partials: ["self": "\n{{> self}}"])
        }
        #expect(problem.line == line)
        #expect(problem.detail.contains(detail), "\(problem.detail)")
    }

    @Test(arguments: [
        (120.0, "120"), (0.05, "0.05"), (-3.5, "-3.5"), (1e20, "100000000000000000000"),
        (1.5e20, "150000000000000000000"),
        (1e-7, "0.0000001"), (-2.5e-8, "-0.000000025"), (123_456_789.25, "123456789.25"), (0, "0"),
    ])
    func `numbers are written without an exponent`(value: Double, expected: String) {
        #expect(plainDecimal(value) == expected)
    }

    @Test func `every finite number reads back as itself`() {
        let seed: UInt64 = 20_261_121
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite else { continue }
            #expect(Double(plainDecimal(value)) == value, "seed \(seed)")
        }
    }
}
