/// What the tests of this target share: the corpus, providers that sign return paths, and a ledger in memory.

import DeliveryModel
import Foundation
import ThreadBridge

@testable import Channels
@testable import MailIntake

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

enum Repository {
    static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    static let bounces = "\(root)/channels/bounces.yaml"
}

/// The mails of `Corpus`, with return path and Message-ID of a mail of ours filled in, and CRLF line ends.
enum Corpus {
    static let messageID = "00112233445566778899aabbccddeeff@mail.example.com"
    static let subject = Receipt.Subject.attempt(decision: "order-4711", number: 2)
    static let byMessageID = Receipt.Subject.message(provider: "smtp", id: messageID)
    static let returnPath = ReturnPath(
        domain: "bounces.example.com", provider: "smtp", messageIDDomain: "mail.example.com",
        secret: Array("0123456789abcdef".utf8))
    static let paths = ReturnPaths(paths: [returnPath], providers: ["mail.example.com": "smtp"])
    static let address = returnPath.address(decision: "order-4711", attempt: 2, messageID: messageID)

    /// A decision whose id is too long for an address, and the field by which its mail is known.
    static let longID = String(repeating: "long-", count: 25)
    static let longAddress = returnPath.address(decision: longID, attempt: 3, messageID: messageID)
    static let longReference: String = {
        var field: [UInt8] = []
        returnPath.appendReference(decision: longID, attempt: 3, to: &field)
        return String(decoding: field, as: UTF8.self).replacing("\r\n", with: "\n")
    }()

    static let names: [String] = {
        let all = try? FileManager.default.contentsOfDirectory(atPath: "\(Repository.tests)/Corpus")
        return (all ?? []).filter { $0.hasSuffix(".eml") }.map { String($0.dropLast(4)) }.sorted()
    }()

    static func mail(_ name: String) throws -> [UInt8] {
        let text = try String(contentsOfFile: "\(Repository.tests)/Corpus/\(name).eml", encoding: .utf8)
        let filled = text.replacing("@@RP@@", with: self.address).replacing("@@ID@@", with: self.messageID)
            .replacing("@@LONG@@", with: self.longAddress).replacing("@@REF@@\n", with: self.longReference)
        return Array(filled.replacing("\n", with: "\r\n").utf8)
    }
}

/// Keeps receipts as the port demands: each key once.
final class MemoryReceipts: ReceiptLedger {
    private struct State {
        var receipts: [Receipt] = []
        var isAway = false
    }

    private let state = Protected(State())
    /// Decisions that are not known yet.
    private let strangers: Set<String>

    init(strangers: Set<String> = []) {
        self.strangers = strangers
    }

    var receipts: [Receipt] { self.state.withLock { $0.receipts } }

    func setAway(_ isAway: Bool) {
        self.state.withLock { $0.isAway = isAway }
    }

    func record(_ receipt: Receipt) async throws(LedgerError) -> ReceiptAnswer {
        let decision =
            switch receipt.subject {
            case .attempt(let decision, _): decision
            case .message(_, let id): id
            }
        return try self.state.withLock { state throws(LedgerError) in
            guard !state.isAway else { throw LedgerError(.unavailable, "away") }
            guard !self.strangers.contains(decision) else { return .unmatched }
            guard !state.receipts.contains(where: { $0.key == receipt.key }) else { return .known(decision: decision) }
            state.receipts.append(receipt)
            return .recorded(decision: decision)
        }
    }
}

/// A folder that goes away with its owner.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        self.path = NSTemporaryDirectory() + "martlet-mail-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }
}

func desk(
    _ ledger: MemoryReceipts, unread: UnreadMails? = nil, onResult: @escaping @Sendable (MailResult) -> Void = { _ in }
) throws -> ReportDesk {
    ReportDesk(
        ledger: ledger, returnPaths: Corpus.paths, rules: try BounceRules(path: Repository.bounces),
        addresses: ["fbl@example.com"], unread: unread, onResult: onResult)
}
