import DeliveryModel
import Foundation
import Testing

@Suite struct DecisionDecodingTests {
    private func decode(_ text: String) throws -> Decision { try Decision.decode(Array(text.utf8)) }

    private func rejections(_ text: String) -> DecisionRejections? {
        #expect(throws: DecisionRejections.self) { try self.decode(text) }
    }

    @Test func everyFieldArrivesWhereItBelongs() throws {
        let decision = try self.decode(Samples.full)
        let items: JSONValue = [["name": "Żółw", "price": 1]]
        #expect(
            decision
                == Decision(
                    id: "01JD3V6W2Q9X",
                    user: User(
                        id: "u-42", timezone: "Europe/Warsaw", locale: "pl-PL", email: "ada@example.com",
                        phone: "+48600100200",
                        push: [
                            .apns(token: "00ff10aa", topic: "com.example.app"), .fcm(token: "abc:DEF_1-2"),
                            .webpush(
                                endpoint: "https://push.example.com/v1/abc?x=1", p256dh: Samples.p256dh,
                                auth: Samples.auth),
                        ]),
                    campaign: "cart-rescue", messageClass: .marketing, priority: 3,
                    notBefore: Timestamp(milliseconds: 1_795_284_000_000),
                    expiresAt: Timestamp(milliseconds: 1_795_370_400_000),
                    timing: .local(minuteOfDay: 570),
                    choice: .plan([
                        Step(channel: .sms, template: "cart-rescue", until: .click, within: .seconds(21_600)),
                        Step(channel: .push, template: "cart-rescue-reminder"),
                    ]),
                    context: try #require(
                        (["cart_value": 120.5, "visits_24h": 3, "tier": "gold", "member": true] as JSONValue).object),
                    propensity: 0.31, data: try #require((["first_name": "Ada", "items": items] as JSONValue).object),
                    reward: RewardRule(
                        open: 0.05, click: 0.3, conversion: 1.5, unsubscribe: -1, complaint: -3,
                        window: .seconds(172_800)),
                    supersedes: "cart-rescue:u-42", trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    }

    @Test func armsArrive() throws {
        let decision = try self.decode(Samples.arms)
        #expect(
            decision.choice
                == .arms([
                    Arm(id: "sms-10", plan: [Step(channel: .sms, template: "a")], cost: 0.04),
                    Arm(
                        id: "email-10",
                        plan: [
                            Step(channel: .email, template: "b", until: .open, within: .seconds(86_400)),
                            Step(channel: .push, template: "c"),
                        ], cost: 0),
                ]))
        #expect(decision.timing == .optimize)
    }

    @Test func whatIsLeftOutHasItsDefault() throws {
        #expect(
            try self.decode(Samples.least)
                == Decision(
                    id: "d-1", user: User(id: "u-1"), campaign: "welcome", messageClass: .transactional, priority: 5,
                    notBefore: nil, expiresAt: nil, timing: .now,
                    choice: .plan([Step(channel: .email, template: "welcome")]),
                    context: JSONObject(), propensity: nil, data: JSONObject(),
                    reward: RewardRule(
                        open: 0, click: 0, conversion: 1, unsubscribe: 0, complaint: 0, window: .seconds(259_200)),
                    supersedes: nil, trace: nil))
    }

    @Test(arguments: [
        "/priority", "/not_before", "/expires_at", "/timing", "/context", "/propensity", "/data", "/reward",
        "/supersedes", "/trace",
        "/user/timezone", "/user/locale", "/user/email", "/user/phone", "/user/push", "/reward/open", "/reward/click",
        "/reward/conversion", "/reward/unsubscribe", "/reward/complaint", "/reward/window", "/arms", "/x-note",
    ])
    func nullMeansTheSameAsLeavingItOut(pointer: String) throws {
        let full = try JSONValue.parse(Array(Samples.full.utf8))
        let without = try Decision.decode(full.replacing(pointer, with: nil))
        #expect(try Decision.decode(full.replacing(pointer, with: .null)) == without)
    }

    @Test(arguments: [
        ("/priority", "9.0"), ("/priority", "0"), ("/propensity", "1"), ("/propensity", "1e-300"),
        ("/campaign", "\"Été 🎉\""),
        ("/user/email", "\"żółw@przykład.example\""), ("/user/email", "\"o'neil+x_y@sub.example.org\""),
        ("/user/timezone", "\"UTC\""),
        ("/user/timezone", "\"America/Argentina/Buenos_Aires\""), ("/user/timezone", "\"Etc/GMT+5\""),
        ("/user/locale", "\"zh-Hant-TW\""),
        ("/user/push", "[]"), ("/data", "{}"), ("/reward", "{}"), ("/timing", "{\"mode\":\"now\",\"at\":null}"),
        ("/plan/1", "{\"channel\":\"sms\",\"template\":\"t\",\"until\":\"delivered\",\"within\":\"P366D\",\"x-y\":1}"),
        ("/user/x-crm", "{\"a\":[null]}"), ("/expires_at", "\"9999-12-31T23:59:59Z\""),
        ("/not_before", "\"2016-12-31T23:59:60Z\""),
    ])
    func unusualButRightValuesAreTaken(pointer: String, json: String) throws {
        let value = try JSONValue.parse(Array(json.utf8))
        let text = try JSONValue.parse(Array(Samples.full.utf8)).replacing(pointer, with: value).encoded()
        #expect(throws: Never.self) { try Decision.decode(text) }
    }

    @Test(arguments: WrongDecision.all)
    func eachMistakeHasItsCodeAndItsPlace(wrong: WrongDecision) throws {
        let text = try wrong.text
        let error = try #require(throws: DecisionRejections.self) { try Decision.decode(text) }
        #expect(error.first.code == wrong.code.rawValue)
        #expect(error.first.pointer == wrong.pointer)
        #expect(error.first.detail.hasSuffix(".") || error.first.detail.hasSuffix("?"))
        #expect(error.others.isEmpty, "one mistake is one problem: \(error.others)")
    }

    @Test func theTableCoversEveryRuleOfADecision() {
        let covered = Set(WrongDecision.all.map(\.code))
        let elsewhere: Set<RejectionCode> = [
            .jsonSyntax, .jsonUTF8, .jsonDepth, .jsonDuplicateMember, .jsonNumber, .jsonTruncated, .entryField,
            .entryPoison,
            .tooLarge, .duplicate,
            .conversionTarget, .conversionGoal, .conversionValue, .conversionDecision, .conversionUser,
        ]
        #expect(Set(RejectionCode.allCases).subtracting(covered).subtracting(elsewhere) == [])
        #expect(covered.isDisjoint(with: elsewhere))
        #expect(WrongDecision.all.count >= 100)
    }

    @Test func errorsOfTheTextKeepTheirCodes() throws {
        for code in JSONSyntaxError.Code.allCases { #expect(RejectionCode(rawValue: code.rawValue) != nil) }
        #expect(self.rejections("{\"schema\":")?.first.code == "json.truncated")
        #expect(
            self.rejections("{\"id\":1,\"id\":1}")?.first
                == Rejection(
                    .jsonDuplicateMember, pointer: "/id",
                    detail: "The object has two members of this name (line 1, column 9, byte 8)."))
    }

    @Test func sixtyFourKibibytesAreTheLimit() throws {
        let space = 65_536 - Samples.least.utf8.count
        let largest = Samples.least + String(repeating: " ", count: space)
        #expect(throws: Never.self) { try self.decode(largest) }
        let error = self.rejections(largest + " ")
        #expect(error?.first.code == "decision.too_large")
        #expect(error?.first.pointer == "")
    }

    @Test(arguments: [
        ("/expire_at", "expires_at"), ("/expiresAt", "expires_at"), ("/NOT_BEFORE", "not_before"),
        ("/campain", "campaign"),
        ("/user/e-mail", "email"), ("/user/time_zone", "timezone"), ("/plan/0/chanel", "channel"),
        ("/reward/windwo", "window"),
    ])
    func misspeltFieldsAreNamedWithWhatWasMeant(pointer: String, meant: String) throws {
        let text = try JSONValue.parse(Array(Samples.full.utf8)).replacing(pointer, with: "x").encoded()
        let error = #expect(throws: DecisionRejections.self) { try Decision.decode(text) }
        #expect(error?.first.pointer == pointer)
        #expect(error?.first.detail.contains("did you mean \"\(meant)\"?") == true)
    }

    @Test func aMisspeltRequiredFieldIsReportedOnce() {
        let error = self.rejections(Samples.least.replacing("\"campaign\"", with: "\"campain\""))
        #expect(error?.all.map(\.code) == ["field.unknown"])
    }

    @Test func aFieldAtTheWrongLevelIsSentHome() {
        let error = self.rejections(Samples.least.replacing("\"plan\"", with: "\"email\":\"a@example.com\",\"plan\""))
        #expect(error?.first.detail == "There is no field \"email\" here; it belongs into \"user\".")
    }

    @Test func severalProblemsAreToldAtOnceUpToEight() {
        let fields = #""id":"d-9","user":{"id":"u","phone":"1"},"campaign":"","class":"x","plan":[{}]"#
        let three = #"{"schema":"martlet.decision/1",\#(fields)}"#
        #expect(
            self.rejections(three)?.all.map(\.pointer)
                == ["/user/phone", "/campaign", "/class", "/plan/0/channel", "/plan/0/template"])
        #expect(self.rejections(three)?.id == "d-9")
        let many = "{" + (0..<50).map { "\"zzz\($0)\":1" }.joined(separator: ",") + "}"
        #expect(self.rejections(many)?.all.count == 8)
        #expect(self.rejections(many)?.id == nil)
    }

    @Test func noRejectionQuotesAnAddress() throws {
        let text = Samples.full.replacing("ada@example.com", with: "secret person@example.com").replacing(
            "+48600100200", with: "0048600100200")
        let error = try #require(self.rejections(text))
        #expect(error.all.count == 2)
        #expect(error.all.allSatisfy { !$0.detail.contains("secret") && !$0.detail.contains("0048") })
    }

    @Test(arguments: [Samples.full, Samples.least, Samples.arms])
    func aDecisionSurvivesBeingWrittenAndReadAgain(text: String) throws {
        let decision = try self.decode(text)
        #expect(try Decision.decode(decision.encoded()) == decision)
    }

    @Test func mutationsNeverTrapAndAreReadAgainTheSameWhenTaken() throws {
        let sources = [Samples.full, Samples.least, Samples.arms].map { Array($0.utf8) }
        let known = Set(RejectionCode.allCases.map(\.rawValue))
        var taken = 0
        for seed in UInt64(1)...6000 {
            var generator = SeededGenerator(seed: seed)
            let text = mutated(sources[Int(seed % 3)], using: &generator)
            do {
                let decision = try Decision.decode(text)
                taken += 1
                #expect(try Decision.decode(decision.encoded()) == decision, "seed \(seed)")
            } catch {
                #expect(error.all.allSatisfy { known.contains($0.code) && !$0.detail.isEmpty }, "seed \(seed)")
                #expect(error.all.count <= 8, "seed \(seed)")
            }
        }
        #expect(taken > 100)
    }

    @Test func everyTruncationIsATruncation() {
        let bytes = Array(Samples.full.utf8)
        for length in 0..<bytes.count {
            let error = #expect(throws: DecisionRejections.self) { try Decision.decode(Array(bytes.prefix(length))) }
            // Cut within the ż of a name, the text is no longer UTF-8.
            #expect(["json.truncated", "json.utf8"].contains(error?.first.code ?? ""), "length \(length)")
        }
    }

    @Test func randomValuesInEveryFieldGiveACode() throws {
        let full = try JSONValue.parse(Array(Samples.full.utf8))
        let places = Self.places(in: full, at: "")
        for seed in UInt64(1)...4000 {
            var generator = SeededGenerator(seed: seed)
            let place = places.randomElement(using: &generator) ?? ""
            let text = full.replacing(place, with: .random(depth: 3, using: &generator)).encoded()
            do {
                _ = try Decision.decode(text)
            } catch {
                let isThere = error.first.pointer.hasPrefix(place) || place.hasPrefix(error.first.pointer)
                #expect(
                    isThere || ["time.order", "choice.both"].contains(error.first.code), "seed \(seed): \(error.first)")
            }
        }
    }

    private static func places(in value: JSONValue, at pointer: String) -> [String] {
        switch value {
        case .object(let object):
            [pointer] + object.members.flatMap { places(in: $0.value, at: "\(pointer)/\($0.name)") }
        case .array(let elements):
            [pointer] + elements.enumerated().flatMap { places(in: $0.element, at: "\(pointer)/\($0.offset)") }
        default: [pointer]
        }
    }
}

@Suite struct ConversionTests {
    private func decode(_ text: String) throws -> Conversion { try Conversion.decode(Array(text.utf8)) }

    @Test func bothKindsAreReadAndWritten() throws {
        let one = try self.decode(
            #"{"schema":"martlet.conversion/1","id":"c-1","decision":"d-1","value":12.5,"at":"1970-01-01T00:00:01Z"}"#)
        #expect(
            one == Conversion(id: "c-1", target: .decision(id: "d-1"), value: 12.5, at: Timestamp(milliseconds: 1000)))
        let two = try self.decode(#"{"schema":"martlet.conversion/1","id":"c-2","user":"u-1","goal":"purchase"}"#)
        #expect(two == Conversion(id: "c-2", target: .user(id: "u-1", goal: "purchase"), value: 1, at: nil))
        for conversion in [one, two] { #expect(try Conversion.decode(conversion.encoded()) == conversion) }
    }

    @Test(arguments: [
        (#""id":"c""#, "conversion.target", ""), (#""id":"c","user":"u""#, "conversion.target", ""),
        (#""id":"c","decision":"d","user":"u","goal":"g""#, "conversion.target", ""),
        (#""decision":"d""#, "field.missing", "/id"),
        (#""id":"c","user":"u","goal":"""#, "conversion.goal", "/goal"),
        (#""id":"c","decision":"d","value":1e10"#, "conversion.value", "/value"),
        (#""id":"c","decision":"d","at":"now""#, "time.format", "/at"),
        (#""id":"c","decison":"d""#, "field.unknown", "/decison"),
        (#""id":"c","decision":"d d""#, "id.format", "/decision"),
    ])
    func mistakesHaveTheirCodes(fields: String, code: String, pointer: String) {
        let error = #expect(throws: DecisionRejections.self) {
            try self.decode("{\"schema\":\"martlet.conversion/1\",\(fields)}")
        }
        #expect(error?.first.code == code)
        #expect(error?.first.pointer == pointer)
    }
}
