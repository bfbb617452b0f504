/// The settings about what comes back: `tracking`, `rewards` and `feedback`.
import Channels
import DeliveryModel
import Edge
import Foundation
import Pipeline
import SettingsFile

struct FeedbackSettings: Sendable {
    /// Scheme and host of the edge as people reach it; nil where nothing is tracked.
    var base: String?
    private var untracked: Set<String> = []
    private var hasHiddenLink = false
    var credit = CreditModel.lastTouch
    /// The most rewards that each shard's stream keeps.
    var rewardsMax = 100_000
    /// When a provider counts as quiet.
    var quiet = QuietRule()
    var machinesFile = "channels/machines.yaml"

    /// Nil where nothing is tracked.
    var links: LinkTracker.Settings? {
        self.base.map { LinkTracker.Settings(base: $0, untracked: self.untracked, hasHiddenLink: self.hasHiddenLink) }
    }

    init() {}

    init(_ root: YAMLSection, resolved: (String) -> String) {
        let tracking = root.section("tracking")
        if let url = tracking.string("url") {
            self.base = Self.base(url)
            if self.base == nil { tracking.report("url", Self.demand) }
        }
        self.hasHiddenLink = tracking.bool("hidden_link", default: false)
        for section in tracking.sections("untracked", required: false) {
            if let template = section.string("template", required: true) { self.untracked.insert(template) }
            section.finish()
        }
        tracking.finish()
        let rewards = root.section("rewards")
        self.credit = rewards.choice("credit", CreditModel.self, default: .lastTouch) ?? .lastTouch
        self.rewardsMax = rewards.integer("max_entries", in: 1000...100_000_000, default: self.rewardsMax)
        rewards.finish()
        let feedback = root.section("feedback")
        if let text = feedback.string("quiet_after") {
            if let length = Milliseconds(iso8601: text), length >= .seconds(300), length <= .seconds(86_400) {
                self.quiet.after = length
            } else {
                feedback.report("quiet_after", "a duration from PT5M to P1D is expected")
            }
        }
        feedback.finish()
        self.machinesFile = resolved(self.machinesFile)
    }

    static let demand = "scheme and host of the edge as people reach it are expected, such as https://t.example.com"

    /// `text` as the start of tracked URLs; nil when it is none.
    static func base(_ text: String) -> String? {
        let base = text.hasSuffix("/") ? String(text.dropLast()) : text
        guard base.utf8.count <= 200, base.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
            let url = URL(string: base), url.scheme == "https" || url.scheme == "http", url.host() != nil,
            url.query() == nil, url.fragment() == nil, url.user() == nil, !base.contains("\""), !base.contains("<")
        else { return nil }
        return base
    }
}
