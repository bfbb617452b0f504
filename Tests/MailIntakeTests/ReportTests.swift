/// Bounces and complaints as servers of many kinds write them, and the receipts they become.

import DeliveryModel
import Foundation
import Testing
import ThreadBridge

@testable import MailIntake

@Suite struct ReportTests {
    private struct Expected: Sendable {
        var mail: String
        var kind: Receipt.Kind
        var reason: String
        var isDead = false
        var detail: String?
        var recipient = Corpus.address
        var sender = ""
        var subject = Corpus.subject
    }

    private static let reports: [Expected] = [
        Expected(
            mail: "postfix-hard", kind: .failed, reason: "bounce.hard", isDead: true,
            detail: "5.1.1 550 5.1.1 <address> Recipient address rejected: User unknown in local recipient table"),
        Expected(
            mail: "postfix-delayed", kind: .delayed, reason: "bounce.network",
            detail: "4.4.1 connect to in.example.org[198.51.100.7]:25: Connection timed out"),
        Expected(mail: "exchange-full", kind: .failed, reason: "bounce.full"),
        Expected(mail: "base64-status", kind: .failed, reason: "bounce.block"),
        Expected(
            mail: "qmail-words", kind: .failed, reason: "bounce.hard", isDead: true,
            detail: "5.1.1 Sorry, no mailbox here by that name. (#5.1.1)"),
        Expected(mail: "exim-words", kind: .failed, reason: "bounce.spam"),
        Expected(mail: "delivered", kind: .delivered, reason: "dsn.delivered"),
        Expected(mail: "utf8-global", kind: .failed, reason: "bounce.inactive", isDead: true),
        Expected(
            mail: "arf-abuse", kind: .complained, reason: "complaint.abuse", recipient: "FBL@example.com",
            sender: "x@y.z"),
        Expected(
            mail: "arf-redacted", kind: .complained, reason: "complaint.fraud", recipient: "fbl@example.com",
            subject: Corpus.byMessageID),
        Expected(
            mail: "long-id", kind: .failed, reason: "bounce.policy", recipient: Corpus.longAddress,
            subject: .attempt(decision: Corpus.longID, number: 3)),
        // Without a return path of ours, the mail that comes with the report tells.
        Expected(
            mail: "postfix-hard", kind: .failed, reason: "bounce.hard", isDead: true, recipient: "fbl@example.com"),
        Expected(
            mail: "exchange-full", kind: .failed, reason: "bounce.full", recipient: "fbl@example.com"),
    ]

    @Test(arguments: reports.indices) func `a report becomes a receipt of the attempt it is about`(index: Int)
        async throws
    {
        let expected = Self.reports[index]
        let ledger = MemoryReceipts()
        let mail = IncomingMail(
            sender: expected.sender, recipients: [expected.recipient], content: try Corpus.mail(expected.mail))
        let desk = try desk(ledger)
        #expect(desk.accepts(expected.recipient))
        #expect(await desk.take(mail) == [.recorded])
        let receipt = try #require(ledger.receipts.first)
        #expect(receipt.subject == expected.subject)
        #expect(receipt.kind == expected.kind)
        #expect(receipt.reason == expected.reason)
        #expect(receipt.isAddressDead == expected.isDead)
        if let detail = expected.detail { #expect(receipt.detail == detail) }
        #expect(receipt.detail?.contains("@") != true)
        // Brought again, with the Received field that this adds, it is known.
        let again = IncomingMail(
            sender: expected.sender, recipients: [expected.recipient],
            content: Array("Received: by somebody else\r\n".utf8) + mail.content)
        #expect(await desk.take(again) == [.known])
        #expect(ledger.receipts.count == 1)
    }

    @Test(arguments: [
        ("holiday", "", MailResult.ignored), ("person", "ada@example.org", .ignored), ("not-spam", "x@y.z", .ignored),
        ("relayed", "", .ignored), ("no-status", "", .unreadable), ("no-words", "", .unreadable),
    ])
    func `what tells nothing is no receipt`(name: String, sender: String, result: MailResult) async throws {
        let ledger = MemoryReceipts()
        let mail = IncomingMail(sender: sender, recipients: [Corpus.address], content: try Corpus.mail(name))
        #expect(await (try desk(ledger)).take(mail) == [result])
        #expect(ledger.receipts.isEmpty)
    }

    @Test func `every mail of the corpus is looked at by a test`() {
        let tested = Set(Self.reports.map(\.mail)).union([
            "holiday", "person", "not-spam", "relayed", "no-status", "no-words",
        ])
        #expect(tested == Set(Corpus.names))
    }

    @Test func `a delay that is told twice is two receipts, a failure told by two servers one`() async throws {
        let ledger = MemoryReceipts()
        let desk = try desk(ledger)
        let text = { (name: String) in String(decoding: try Corpus.mail(name), as: UTF8.self) }
        for (name, changes) in [("postfix-delayed", "20261121220002.7F"), ("postfix-hard", "20261121180002.1A2B3C")] {
            for id in [changes, "another"] {
                let content = Array(try text(name).replacing(changes, with: id).utf8)
                _ = await desk.take(IncomingMail(sender: "", recipients: [Corpus.address], content: content))
            }
        }
        #expect(ledger.receipts.map(\.kind) == [.delayed, .delayed, .failed])
    }

    @Test func `a mail for an address that we did not sign is not for us`() throws {
        let desk = try desk(MemoryReceipts())
        for address in [
            "b@bounces.example.com", "x" + Corpus.address, "ada@bounces.example.com", "fbl@example.org", "",
        ] {
            #expect(!desk.accepts(address))
        }
        #expect(desk.accepts(Corpus.address.uppercased()))
    }

    @Test func `while the ledger is away the sender is asked to come again`() async throws {
        let ledger = MemoryReceipts()
        let counted = Protected<[MailResult]>([])
        let desk = try desk(ledger) { result in counted.withLock { $0.append(result) } }
        let mail = IncomingMail(sender: "", recipients: [Corpus.address], content: try Corpus.mail("postfix-hard"))
        ledger.setAway(true)
        #expect(await desk.take(mail) == [.postponed])
        ledger.setAway(false)
        #expect(await desk.take(mail) == [.recorded])
        let strange = try MailIntakeTests.desk(MemoryReceipts(strangers: ["order-4711"]))
        #expect(await strange.take(mail) == [.unmatched])
        #expect(counted.withLock { $0 } == [.postponed, .recorded])
    }

    @Test func `what cannot be understood is kept, the newest of it`() async throws {
        let folder = try TemporaryFolder()
        let desk = try desk(MemoryReceipts(), unread: UnreadMails(folder: "\(folder.path)/unread", filesMax: 3))
        let mail = { (text: String) in
            IncomingMail(sender: "", recipients: [Corpus.address], content: Array(text.utf8))
        }
        for index in 0..<5 { _ = await desk.take(mail("Subject: \(index)\r\n\r\nnothing to see\r\n")) }
        _ = await desk.take(mail("Subject: 4\r\n\r\nnothing to see\r\n"))
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/unread").sorted()
        #expect(names.count == 3)
        let kept = try names.map { try String(contentsOfFile: "\(folder.path)/unread/\($0)", encoding: .utf8) }
        #expect(
            kept.map { $0.contains("Subject: 2") || $0.contains("Subject: 3") || $0.contains("Subject: 4") } == [
                true, true, true,
            ])
        #expect(kept.allSatisfy { $0.hasPrefix("Return-Path: <>\r\nDelivered-To: b") })
    }
}

@Suite struct BounceRulesTests {
    @Test(
        arguments: [
            ("5.1.1", "user unknown", "hard"), (nil, "550 No such user here", "hard"),
            ("5.0.0", "550 sorry, mailbox unavailable", "hard"), ("5.2.2", nil, "full"),
            ("4.2.2", "over quota", "full"),
            (nil, "552 Mailbox full", "full"), ("5.1.2", nil, "domain"),
            (nil, "Host or domain name not found", "domain"),
            ("5.7.1", "550 5.7.1 blocked using zen.spamhaus.org", "block"),
            ("5.7.1", "Message rejected as spam", "spam"),
            ("5.7.26", "This mail has been blocked because the sender is unauthenticated", "authentication"),
            ("5.7.1", "rejected by policy", "policy"), ("4.4.7", "delivery time expired", "network"),
            ("4.7.0", "421 4.7.0 Too many messages from your IP", "rate"), ("5.3.4", nil, "size"),
            ("4.3.0", nil, "soft"),
            ("5.2.1", "The account is inactive", "inactive"), (nil, nil, "other"), ("5.4.6", nil, "loop"),
            ("abc", "xyz", "other"),
        ] as [(String?, String?, String)])
    func `the shipped rules know codes and words`(code: String?, text: String?, name: String) throws {
        let rules = try BounceRules(path: Repository.bounces)
        let found = rules.classify(code: code, text: text)
        #expect(found.name == name)
        #expect(found.isAddressDead == ["hard", "inactive", "domain"].contains(name))
    }

    @Test(arguments: [
        ("rules: []\notherwise: a", "classes"), ("classes: {a: {}}\nrules: []\notherwise: b", "otherwise"),
        ("classes: {a: {dead: true}}\nrules: []\notherwise: a", "classes.a.dead"),
        ("classes: {a: {}}\nrules: [{class: b, codes: [5.1.1]}]\notherwise: a", "rules[0].class"),
        ("classes: {a: {}}\nrules: [{class: a, codes: [5.1]}]\notherwise: a", "rules[0].codes"),
        ("classes: {a: {}}\nrules: [{class: a}]\notherwise: a", "rules[0].class"),
        ("classes: {A: {}}\nrules: []\notherwise: A", "classes.A"),
    ])
    func `a mistake in the file is named`(yaml: String, key: String) throws {
        let folder = try TemporaryFolder()
        try yaml.write(toFile: "\(folder.path)/bounces.yaml", atomically: true, encoding: .utf8)
        let error = try #require(throws: BounceRulesError.self) {
            try BounceRules(path: "\(folder.path)/bounces.yaml")
        }
        #expect("\(error)".contains(": \(key): "), "\(error)")
    }
}
