/// `lookup` in the file of an HTTP provider.

import SettingsFile
import CurlTransport
import DeliveryModel

/// How a provider is asked for messages whose receipts never came.
struct LookupConfiguration: Sendable {
    private static let afterRange = Milliseconds.seconds(60)...Milliseconds.seconds(86_400)

    var policy: LookupPolicy
    var format: SMSRequestFormat
    var table: ReceiptTable

    /// Nil when the file has no `lookup`, or it cannot be used; the problems are noted.
    ///
    /// - Parameters:
    ///   - sending: The request that sends messages: what `lookup` leaves out is as there.
    ///   - authentication: Its header.
    ///   - receipts: Whose statuses are meant where `lookup` lists none of its own.
    init?(
        reading root: YAMLSection, _ constants: [String: String], sending: SMSRequestFormat,
        authentication: HTTPHeader?, receipts: ReceiptTable?
    ) {
        guard root.has("lookup") else {
            // Known all the same, so that it is named where keys are listed.
            _ = root.node("lookup")
            return nil
        }
        let section = root.section("lookup")
        defer { section.finish() }
        self.policy = LookupPolicy(
            after: Self.after(section), tries: section.integer("tries", in: 1...10, default: 5),
            perMinute: section.integer("per_minute", in: 1...3000, default: 60))
        self.format = sending
        self.format.method = "GET"
        self.format.headers = []
        self.format.body = RequestText()
        if let endpoint = section.httpEndpoint("endpoint", isRequired: false) { self.format.endpoint = endpoint.text }
        self.format.path = RequestText(
            path: section, constants: constants, holes: RequestText.lookupHoles)
        if self.format.path.isConstant, section.has("path") {
            section.report("path", "the message is not named: write `{{message_id}}` where its id belongs")
        }
        self.format.fixedHeaders = [HTTPHeader("Accept", "application/json")]
        let own =
            section.has("authentication")
            ? SMSConfiguration.authentication(section.section("authentication")) : authentication
        if let own { self.format.fixedHeaders.append(own) }
        let statuses = section.sections("statuses", required: receipts == nil).compactMap(ReceiptRule.init(reading:))
        let each = section.pointer("each")
        let messageID = section.pointer("message_id")
        let error = section.pointer("error")
        if !section.has("status") { section.report("status", "this key is missing: add it") }
        guard let status = section.pointer("status") else { return nil }
        self.table = ReceiptTable(
            format: .json, each: each, messageID: messageID.map { [$0] } ?? [], status: [status],
            error: error.map { [$0] } ?? [],
            rules: statuses.isEmpty ? receipts?.rules ?? [] : statuses)
    }

    private static func after(_ section: YAMLSection) -> Milliseconds {
        guard let text = section.string("after") else { return LookupPolicy().after }
        guard let length = Milliseconds(iso8601: text), Self.afterRange.contains(length) else {
            section.report("after", "a duration from PT1M to P1D is expected")
            return LookupPolicy().after
        }
        return length
    }
}
