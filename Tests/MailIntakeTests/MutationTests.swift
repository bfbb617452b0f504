/// The parsers against what no server would write: seeded mutations of the corpus.

import DeliveryModel
import Foundation
import Testing

@testable import MailIntake

@Suite(.timeLimit(.minutes(5))) struct MutationTests {
    /// A few seconds without optimisation; `MARTLET_FUZZ_ROUNDS=1000000` for those who have the time.
    private static let rounds = ProcessInfo.processInfo.environment["MARTLET_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 20_000
    private static let tokens: [[UInt8]] = [
        "\r\n", "\n", "\r\n\r\n", "--", "--b\r\n", "--b--\r\n", "Content-Type: multipart/report; boundary=b\r\n",
        "Content-Type: message/rfc822\r\n\r\n", "Content-Transfer-Encoding: base64\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n", "=", "=\r\n", "=ZZ", "\"", ";", ":", "<", ">", "@", "\0",
        "é",
        "Action: failed\r\n", "Status: 5.1.1\r\n", "Feedback-Type: abuse\r\n", "5.999.999", "boundary=\"\"", " ", "\t",
    ].map { Array($0.utf8) }

    private static func mutated(_ mail: [UInt8], with other: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var mail = mail
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            let at = Int.random(in: 0...mail.count, using: &generator)
            let end = min(mail.count, at + Int.random(in: 0...40, using: &generator))
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: mail.removeSubrange(at..<end)
            case 1:
                mail.insert(contentsOf: Self.tokens[Int.random(in: 0..<Self.tokens.count, using: &generator)], at: at)
            case 2 where at < mail.count: mail[at] = UInt8.random(in: 0...255, using: &generator)
            case 3: mail.insert(contentsOf: mail[at..<end], at: at)
            case 4:
                let from = Int.random(in: 0...other.count, using: &generator)
                mail.insert(contentsOf: other[from..<min(other.count, from + 60)], at: at)
            default: mail.removeLast(min(mail.count, Int.random(in: 0...80, using: &generator)))
            }
        }
        return mail
    }

    /// What holds for every mail, understood or not.
    private static func check(_ mail: [UInt8]) -> String? {
        let entity = MIMEEntity(reading: mail)
        var count = 0
        func walk(_ entity: MIMEEntity, depth: Int) {
            count += 1
            if depth > MIMEEntity.depthMax { count = .max / 2 }
            for part in entity.parts { walk(part, depth: depth + 1) }
        }
        walk(entity, depth: 0)
        guard count <= MIMEEntity.partsMax + 1 else { return "more parts than there may be" }
        switch MailReportReader.read(entity, hasNullSender: true) {
        case .delivery(let status):
            if let code = status.status, code.wholeMatch(of: /[245]\.\d{1,3}\.\d{1,3}/) == nil { return "code \(code)" }
        case .complaint(let complaint):
            if complaint.type.utf8.count > 40 { return "type \(complaint.type)" }
        case .reply, .unreadable: break
        }
        return nil
    }

    @Test func `no mail makes the parsers fail, and what they find is well formed`() async throws {
        let mails = try Corpus.names.map { try Corpus.mail($0) }
        let rounds = Self.rounds
        let workers = max(1, ProcessInfo.processInfo.activeProcessorCount)
        await withTaskGroup(of: String?.self) { group in
            for worker in 0..<workers {
                group.addTask {
                    let seed = UInt64(5965 + worker)
                    var generator = SeededGenerator(seed: seed)
                    for round in 0..<(rounds / workers) {
                        if round % 50 == 0 { await Task.yield() }
                        // Mutants of mutants now and then: they wander farther off.
                        var mail = mails[round % mails.count]
                        for _ in 0...(round % 4 == 0 ? 3 : 0) {
                            let other = mails[Int.random(in: 0..<mails.count, using: &generator)]
                            mail = Self.mutated(mail, with: other, &generator)
                        }
                        if let flaw = Self.check(mail) { return "seed \(seed), round \(round): \(flaw)" }
                    }
                    return nil
                }
            }
            for await flaw in group { if let flaw { Issue.record("\(flaw)") } }
        }
    }

    @Test func `the desk takes every mutant without a receipt about anybody else`() async throws {
        let seed: UInt64 = 3464
        var generator = SeededGenerator(seed: seed)
        let ledger = MemoryReceipts()
        let desk = try desk(ledger)
        let mails = try Corpus.names.map { try Corpus.mail($0) }
        for round in 0..<2000 {
            let mail = Self.mutated(mails[round % mails.count], with: mails[0], &generator)
            _ = await desk.take(IncomingMail(sender: "", recipients: [Corpus.address], content: mail))
        }
        #expect(ledger.receipts.allSatisfy { $0.subject == Corpus.subject }, "seed \(seed)")
        #expect(ledger.receipts.allSatisfy { ($0.detail?.count ?? 0) <= 300 && $0.detail?.contains("@") != true })
    }

    @Test(.timeLimit(.minutes(1))) func `mails that are made to be slow are not`() {
        let deep = (0..<200).map { "Content-Type: multipart/mixed; boundary=b\($0)\r\n\r\n--b\($0)\r\n" }.joined()
        let wide =
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + String(repeating: "--b\r\n\r\nx\r\n", count: 20_000)
        let long = "Content-Type: text/plain\r\n" + String(repeating: "X: y\r\n", count: 50_000)
        let folded = "Subject: x\r\n" + String(repeating: " y\r\n", count: 100_000)
        let groups =
            "Content-Type: message/delivery-status\r\n\r\n" + String(repeating: "Action: failed\r\n\r\n", count: 20_000)
        for mail in [
            deep, wide, long, folded, groups, String(repeating: "a", count: 1_000_000),
            String(repeating: ":", count: 1_000_000),
        ] {
            #expect(Self.check(Array(mail.utf8)) == nil)
        }
    }
}
