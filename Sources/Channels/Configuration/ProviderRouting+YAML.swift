/// The `routing` of a provider's file: when it is chosen, and how fast it may be used.

import DeliveryModel
import SettingsFile
import Yams

extension ProviderRouting {
    /// Whatever is wrong is noted in the file; the values are then not to be used.
    init(reading section: YAMLSection) {
        self.init(
            priority: section.integer("priority", in: 0...9, default: 0),
            cost: section.double("cost", in: 0...1_000_000, default: 0),
            weight: section.double("weight", in: 0...1_000_000, default: 1))
        for name in section.texts("classes").sorted() {
            guard let messageClass = MessageClass(rawValue: name) else {
                section.report("classes", "marketing, transactional or a list of both is expected")
                continue
            }
            self.classes.insert(messageClass)
        }
        self.prefixes = section.texts("prefixes").sorted()
        if !self.prefixes.allSatisfy(Self.isPrefix) {
            section.report("prefixes", "the beginnings of numbers are expected, in quotes, such as \"+48\"")
        }
        self.domains = section.texts("domains").sorted()
        if !self.domains.allSatisfy(Self.isPattern) {
            section.report("domains", "domains such as example.com or \"*.example.com\" are expected, in lower case")
        }
        if section.has("rate") { self.rate = SendRate(reading: section.section("rate")) }
        let recipients = section.section("recipient_domains")
        for (pattern, _, _) in recipients.entries() {
            if !Self.isPattern(pattern) {
                recipients.report(pattern, "a domain such as example.com, \"*.example.com\" or \"*\" is expected")
            }
            let rate = SendRate(reading: recipients.section(pattern))
            self.domainRates.append(DomainRate(pattern: pattern, rate: rate))
        }
        // The most exact one counts, wherever it stands in the file.
        self.domainRates.sort { Self.exactness($0.pattern) > Self.exactness($1.pattern) }
        if section.has("warm_up") { self.warmUp = WarmUp(reading: section.section("warm_up")) }
        section.finish()
    }

    private static func exactness(_ pattern: String) -> Int {
        if pattern == "*" { return 0 }
        return pattern.utf8.count + (pattern.hasPrefix("*.") ? 0 : 1000)
    }

    private static func isPrefix(_ text: String) -> Bool {
        text.hasPrefix("+") && (2...16).contains(text.utf8.count) && text.utf8.dropFirst().allSatisfy(\.isASCIIDigit)
    }

    private static func isPattern(_ text: String) -> Bool {
        if text == "*" { return true }
        let domain = text.hasPrefix("*.") ? text.dropFirst(2) : text[...]
        return (1...253).contains(domain.utf8.count) && !domain.hasPrefix(".") && !domain.hasSuffix(".")
            && domain.utf8.allSatisfy {
                $0.isASCIIDigit || ($0.isASCIILetter && $0 >= 0x60) || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: ".")
            }
    }
}

extension SendRate {
    init(reading section: YAMLSection) {
        let perSecond = section.double("per_second", in: 0.0001...1_000_000, default: 1, required: true)
        let burst = section.integer("burst", in: 1...1_000_000, default: max(1, Int(perSecond)))
        section.finish()
        self.init(perSecond: perSecond, burst: burst)
    }
}

extension WarmUp {
    init?(reading section: YAMLSection) {
        defer { section.finish() }
        let day = section.string("start", required: true)
        let daily = (section.node("daily")?.sequence.map { Array($0) } ?? []).map { $0.int ?? 0 }
        guard !daily.isEmpty, daily.count <= 366, daily.allSatisfy({ (1...100_000_000).contains($0) }) else {
            section.report("daily", "a list of whole numbers is expected: the most messages of each day")
            return nil
        }
        guard let day else { return nil }
        guard let start = Timestamp(rfc3339: "\(day)T00:00:00Z") else {
            section.report("start", "a day such as 2026-12-01 is expected")
            return nil
        }
        self.init(start: start, daily: daily)
    }
}

extension YAMLSection {
    /// A number with or without a fraction.
    func double(
        _ key: String, in range: ClosedRange<Double>, default fallback: Double, required: Bool = false
    ) -> Double {
        guard let node = self.node(key) else {
            if required { self.report(key, "this key is missing: add it") }
            return fallback
        }
        guard node.tag == Tag(.int) || node.tag == Tag(.float), let value = node.float, range.contains(value) else {
            self.report(key, "a number from \(range.lowerBound) to \(range.upperBound) is expected")
            return fallback
        }
        return value
    }
}
