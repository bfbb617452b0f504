/// The providers' files: what is read from them, and how mistakes are reported.

import CurlTransport
import DeliveryModel
import Foundation
import SMTPTransport
import SettingsFile
import Testing

@testable import Channels

@Suite struct ConfigurationTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    /// `line: key: detail` of each problem, without the file.
    private func problems(_ yaml: String, _ environment: [String: String] = [:]) throws -> [String] {
        try self.folder.write("p.yaml", yaml)
        let error = try #require(throws: ChannelConfigurationError.self) {
            try ChannelConfiguration.load(providersFolder: self.folder.path, environment: environment)
        }
        #expect(error.problems.allSatisfy { $0.file == "\(self.folder.path)/p.yaml" })
        return error.problems.map { String($0.description.dropFirst($0.file.count + 1)) }
    }

    private func load(_ yaml: String, _ environment: [String: String] = [:]) throws -> ProviderConfiguration {
        try self.folder.write("p.yaml", yaml)
        let configuration = try ChannelConfiguration.load(providersFolder: self.folder.path, environment: environment)
        return try #require(configuration.providers.first)
    }

    private static let sms = """
        kind: http-sms
        endpoint: https://sms.example.com/base/
        endpoint_env: SMS_URL
        from: Shop
        variables: {key_env: KEY, plain: x y}
        request:
          path: /v1/{{plain}}/send
          authentication: {method: header, header: X-Key, value_file: secret}
          headers: {Idempotency-Key: "{{idempotency_key}}", X-Sender: "{{from}}"}
          json:
            to: "{{to}}"
            n: 3
            on: true
            deep: [{text: "<{{text}}>", key: "{{key}}"}, null, "7"]
        answers:
          - {status: 2xx, verdict: accepted, reason: sms.ok}
        """

    @Test func `the shipped files are disabled until the environment enables them`() throws {
        let names = { (environment: [String: String]) throws in
            try ChannelConfiguration.load(providersFolder: Repository.providers, environment: environment).providerNames
        }
        #expect(try names([:]) == [])
        #expect(try names(SMSTests.environment) == ["twilio"])
        let smtp = ["MARTLET_SMTP_ENABLED": "1", "MARTLET_SMTP_USER": "u", "MARTLET_SMTP_PASSWORD": "p"]
        #expect(try names(smtp) == ["smtp"])
    }

    @Test func `the shipped mail file gives the settings of its server, and the environment overrides it`() throws {
        var environment = ["MARTLET_SMTP_ENABLED": "yes", "MARTLET_SMTP_USER": "u", "MARTLET_SMTP_PASSWORD": "p:w"]
        let settings = { (environment: [String: String]) throws -> SMTPSettings in
            let all = try ChannelConfiguration.load(providersFolder: Repository.providers, environment: environment)
                .providers
            guard case .email(let mail)? = all.first else { throw SetupError(description: "no mail provider") }
            #expect(mail.sender.text == "bounces@example.com")
            return mail.settings
        }
        let own = try settings(environment)
        #expect(own.host == "smtp.example.com" && own.port == 587 && own.security == .startTLS && own.trustFile == nil)
        guard case .plain("u", "p:w") = own.authentication else {
            Issue.record("authentication is not what the environment says")
            return
        }
        environment["MARTLET_SMTP_URL"] = "smtps://127.0.0.1:2465"
        environment["MARTLET_SMTP_TRUST_FILE"] = "/tmp/ca.pem"
        environment["MARTLET_SMTP_HOST"] = "127.0.0.2"
        environment["MARTLET_SMTP_PORT"] = "2466"
        environment["MARTLET_SMTP_AUTHENTICATION"] = "none"
        let moved = try settings(environment)
        #expect(moved.host == "127.0.0.2" && moved.port == 2466 && moved.security == .implicitTLS)
        guard case .none = moved.authentication else {
            Issue.record("authentication is not what the environment says")
            return
        }
        environment["MARTLET_SMTP_HOST"] = nil
        environment["MARTLET_SMTP_PORT"] = nil
        let other = try settings(environment)
        #expect(other.host == "127.0.0.1" && other.port == 2465 && other.security == .implicitTLS)
        #expect(other.trustFile == "/tmp/ca.pem")
    }

    @Test func `an HTTP provider is described by its file alone`() async throws {
        try self.folder.write("secret", "k3y\n").write("p.yaml", Self.sms)
        let http = FakeHTTP { _ in .success(HTTPResponse(202)) }
        let catalog = try ChannelCatalog.load(
            providersFolder: self.folder.path, templatesFolder: Repository.templates, environment: ["KEY": "q\"k"],
            http: http, clock: ManualClock(), mail: { _ in FakeMail() })
        let provider = try #require(catalog.providers.first)
        #expect(provider.name == "p")
        let message = try provider.compose(
            .example(channel: .sms, template: "flash-sale", data: ["discount": 20, "ends": "\"now\""]))
        #expect(await message.send().reason == "sms.ok")
        let sent = try #require(http.requests.first)
        #expect(sent.url == "https://sms.example.com/base/v1/x%20y/send")
        #expect(sent.headers.contains(HTTPHeader("X-Key", "k3y")))
        #expect(sent.headers.contains(HTTPHeader("X-Sender", "Shop")))
        #expect(sent.headers.contains(HTTPHeader("Idempotency-Key", "01JD3V6W2Q9X/0")))
        let text = "<Larch & Loom: 20 % off all winter blankets until \"now\". https://shop.example.com/winter>"
        let expected: JSONValue = [
            "to": "+48600100200", "n": 3, "on": true, "deep": [["text": .string(text), "key": "q\"k"], .null, "7"],
        ]
        #expect(try JSONValue.parse(sent.body) == expected)
    }

    @Test func `all problems are reported at once, with line, key and what to mend`() throws {
        let found = try self.problems(
            """
            kind: smtp
            endpont: smtp://mail.example.com
            endpoint: https://mail.example.com
            from:
              address: nobody
              nmae: X
            authentication:
              method: plain
              user: u
              password: hunter2
            headers:
              Bcc: x@example.com
              X-Ok: fine
            limits:
              concurrency: many
              connections: 0
            timeouts: 30
            """)
        let places = found.map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
        #expect(
            places == [
                "2: endpont:", "3: endpoint:", "5: from.address:", "6: from.nmae:", "7: authentication.password_env:",
                "10: authentication.password:", "12: headers.Bcc:", "15: limits.concurrency:",
                "16: limits.connections:", "17: timeouts:",
            ], "\(found.joined(separator: "\n"))")
        #expect(!found.joined().contains("hunter2"))
        #expect(found.contains { $0.contains("use `password_env` or `password_file`") })
    }

    @Test(arguments: [
        ("kind: pigeon", "1: kind: `pigeon` is not known here: use one of smtp, http-sms, smpp, fcm, apns, webpush"),
        ("enabled: true", "1: kind: this key is missing: add it"),
        ("kind: smtp\n  bad: indent", "2: this is not YAML: mapping values are not allowed in this context"),
        ("- a", "1: the file must hold keys and values, such as `kind: smtp`"),
        ("kind: smtp\nkind: fcm", "`kind` is given twice: keep one"),
        ("kind: fcm", "service_account_env: a secret is missing"),
        (
            "kind: fcm\nservice_account_env: NOT_SET",
            "2: service_account_env: the environment variable NOT_SET is not set"
        ),
        (
            "kind: fcm\nservice_account_file_env: NOT_SET",
            "2: service_account_file_env: the environment variable it names is not set"
        ),
        ("kind: fcm\nservice_account_file: nowhere.json", "2: service_account_file: the file "),
        ("kind: fcm\nservice_account_env: SOME", "2: service_account_env: the service account is not JSON"),
        ("kind: fcm\nservice_account: {}", "2: service_account: a value of this kind does not belong into the file"),
        ("kind: fcm\nenabled_env: SOME", "2: enabled_env: the environment variable SOME must be true or false"),
    ])
    func `a mistake is reported where it is`(yaml: String, expected: String) throws {
        let found = try self.problems(yaml, ["SOME": "x"])
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    @Test(arguments: [
        (
            "endpoint: https://sms.example.com/base/", "endpoint: http://sms.example.com",
            "2: endpoint: http:// is only allowed"
        ),
        ("endpoint: https://sms.example.com/base/", "endpoint: ftp://x", "2: endpoint: a URL"),
        ("endpoint: https://sms.example.com/base/", "endpoint: https://user:pw@x", "2: endpoint: a URL"),
        ("key_env: KEY", "key_env: NOT_SET", "5: variables.key_env: the environment variable NOT_SET"),
        ("key_env: KEY", "to: x", "5: variables.to: the variable `to`"),
        ("{{text}}", "{{txet}}", "request.json: there is no placeholder `txet`"),
        ("{{text}}", "{{text", "request.json: a placeholder is never closed"),
        ("\"{{from}}\"}", "\"{{text}}\"}", "9: request.headers.X-Sender: `{{text}}` cannot stand in a header"),
        ("X-Sender:", "Content-Length:", "9: request.headers.Content-Length: this header cannot be set"),
        ("path: /v1", "path: v1", "7: request.path: a path that begins"),
        ("method: header", "method: magic", "8: request.authentication.method: `magic`"),
        ("value_file", "value", "8: request.authentication.value: a value of this kind does not belong"),
        ("verdict: accepted", "verdict: delivered", "16: answers[0].verdict: `delivered`"),
        ("verdict: accepted", "verdict: deferred", "15: answers: no answer counts as accepted"),
        ("status: 2xx", "status: 9xx", "16: answers[0].status: a status"),
        ("status: 2xx", "status: 200, field: code", "answers[0].field: a JSON pointer"),
        ("status: 2xx", "status: 200, equals: 1", "answers[0].field: `field` and `equals`"),
        ("reason: sms.ok", "reason: It Works", "answers[0].reason: a code"),
        ("reason: sms.ok", "reason: sms.ok, address_dead: true", "answers[0].address_dead: only a rejected"),
        ("  json:", "  form: {a: b}\n  json:", "request.form: exactly one"),
        ("from: Shop", "from: \"a\\nb\"", "4: from: the text holds a line break"),
        ("from: Shop", "trust_verify: false", "4: trust_verify: there is no such key"),
    ])
    func `a mistake in an HTTP provider's file is reported where it is`(
        part: String, replacement: String, expected: String
    ) throws {
        try self.folder.write("secret", "k3y\n")
        #expect(Self.sms.contains(part))
        let found = try self.problems(Self.sms.replacing(part, with: replacement), ["KEY": "k"])
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    @Test func `without TLS a provider can only be on this machine`() throws {
        try self.folder.write("secret", "k")
        for url in ["http://127.0.0.1:8081", "http://localhost:1", "http://[::1]:8081"] {
            _ = try self.load(Self.sms, ["KEY": "k", "SMS_URL": url])
        }
        for url in [
            "http://10.0.0.1", "http://127.0.0.1.example.com", "http://localhost.example.com", "http://127.example.com",
        ] {
            #expect(
                try self.problems(Self.sms, ["KEY": "k", "SMS_URL": url]).contains {
                    $0.contains("endpoint_env: http://")
                })
        }
        let mail = "kind: smtp\nendpoint: smtp+plaintext://10.0.0.1:25\nfrom: {address: a@example.com}"
        #expect(try self.problems(mail) == ["2: endpoint: smtp+plaintext:// is only allowed to this machine itself"])
        let moved =
            "kind: smtp\nendpoint: smtp+plaintext://127.0.0.1:25\nhost: 10.0.0.1\nfrom: {address: a@example.com}"
        #expect(try self.problems(moved).count == 1)
        let evil = "kind: smtp\nendpoint: smtp://localhost\nhost: a/b@c\nport: 0\nfrom: {address: a@example.com}"
        #expect(try self.problems(evil).map { $0.prefix(8) } == ["3: host:", "4: port:"])
    }

    @Test func `a secret with a line break in it is refused, and not shown`() throws {
        try self.folder.write("secret", "k3y\r\nX-Evil: 1")
        let found = try self.problems(Self.sms, ["KEY": "k"])
        #expect(found.count == 1)
        #expect(found[0].contains("8: request.authentication.value_file: the secret holds a line break"))
        #expect(!found[0].contains("k3y"))
    }

    @Test func `a disabled provider's secrets need not be there`() throws {
        try self.folder.write("p.yaml", "enabled: false\nkind: fcm\nservice_account_env: NOT_SET")
        #expect(try ChannelConfiguration.load(providersFolder: self.folder.path, environment: [:]).providerNames == [])
    }

    @Test func `a folder that is not there and a file that ends in yml are reported`() throws {
        #expect(throws: ChannelConfigurationError.self) {
            try ChannelConfiguration.load(providersFolder: "\(self.folder.path)/nowhere", environment: [:])
        }
        try self.folder.write("p.yml", "kind: fcm")
        #expect(throws: ChannelConfigurationError.self) {
            try ChannelConfiguration.load(providersFolder: self.folder.path, environment: [:])
        }
    }
}
