/// The parts of an `smtp` provider's file that are about what stands in a mail's header and where it may go.

import SettingsFile
import Yams

extension EmailConfiguration {
    private static let selectorsMax = 8

    /// `dkim`: a list of domain, selector and key.
    static func selectors(_ root: YAMLSection, from: EmailAddress) -> [DKIMSigner.Selector] {
        var selectors: [DKIMSigner.Selector] = []
        let sections = root.sections("dkim", required: false)
        if sections.count > self.selectorsMax { root.report("dkim", "at most \(self.selectorsMax) are possible") }
        for section in sections.prefix(self.selectorsMax) {
            let domain = self.domain(section, "domain")
            let selector = self.domain(section, "selector", example: "m1")
            let secret = section.secret("key", required: true, singleLine: false)
            section.finish()
            guard let secret else { continue }
            do throws(DKIMKeyProblem) {
                let key = try DKIMKey(parsing: secret)
                if let weakness = key.weakness { section.warn(self.keySource(section), weakness) }
                guard let domain, let selector else { continue }
                if selectors.contains(where: { $0.domain == domain && $0.name == selector }) {
                    section.report("selector", "\(selector)._domainkey.\(domain) is given twice: keep one")
                }
                selectors.append(DKIMSigner.Selector(domain: domain, name: selector, key: key))
            } catch {
                section.report(self.keySource(section), error.detail)
            }
        }
        let isAligned = selectors.contains { from.domain == $0.domain || from.domain.hasSuffix(".\($0.domain)") }
        if !selectors.isEmpty, !isAligned {
            root.warn(
                "dkim", "no signature is of \(from.domain), the domain of `from.address`: DMARC counts none of them")
        }
        return selectors
    }

    private static func keySource(_ section: YAMLSection) -> String {
        ["key_env", "key_file"].first { section.has($0) } ?? "key_file_env"
    }

    /// A domain, or a part of one, in ASCII and lower case.
    private static func domain(_ section: YAMLSection, _ key: String, example: String = "example.com") -> String? {
        guard let text = section.overridable(key, required: true) else { return nil }
        guard let checked = EmailAddress("x@\(text)"), !checked.needsSMTPUTF8, !text.hasPrefix("[") else {
            section.report(section.source(of: key), "a name such as \(example) is expected")
            return nil
        }
        return checked.domain
    }

    /// `list` and `feedback_id`.
    static func listHeaders(_ root: YAMLSection) -> ListHeaders {
        var headers = ListHeaders()
        let section = root.section("list")
        if let text = section.overridable("unsubscribe_mailto") {
            let mailto = text.hasPrefix("mailto:") ? String(text.dropFirst("mailto:".count)) : text
            if ListHeaders.isMailto(mailto) {
                headers.unsubscribeMailto = mailto
            } else {
                section.report(
                    section.source(of: "unsubscribe_mailto"),
                    "an address is expected, such as leave@example.com?subject={{decision.id}}; "
                        + "{{decision.id}} and {{campaign}} are known")
            }
        }
        if section.has("id_domain") {
            headers.listDomain = self.domain(section, "id_domain", example: "news.example.com")
        }
        section.finish()
        if let sender = root.string("feedback_id") {
            // Gmail asks for 5 to 15 characters that stay the same.
            if (5...15).contains(sender.utf8.count), ListHeaders.label(sender) == sender {
                headers.feedbackSender = sender
            } else {
                root.report("feedback_id", "5 to 15 lower-case letters, digits and hyphens are expected")
            }
        }
        return headers
    }

    /// `return_path`: the domain whose mail comes back to us, and the secret that its addresses are signed with.
    static func returnPath(_ root: YAMLSection, provider: String, _ messageIDDomain: String) -> ReturnPath? {
        guard root.has("return_path") else { return nil }
        let section = root.section("return_path")
        let domain = self.domain(section, "domain", example: "bounces.example.com")
        let secret = section.secret("key", required: true)
        section.finish()
        guard let domain, let secret else { return nil }
        guard secret.utf8.count >= ReturnPath.secretBytesMin else {
            section.report(
                self.keySource(section),
                "the secret has fewer than \(ReturnPath.secretBytesMin) characters: make one by `openssl rand -hex 16`")
            return nil
        }
        return ReturnPath(
            domain: domain, provider: provider, messageIDDomain: messageIDDomain, secret: Array(secret.utf8))
    }

    /// `domains`: limits by the domain of the recipient.
    static func domainLimits(_ root: YAMLSection) -> DomainLimits? {
        let section = root.section("domains")
        var limits: [String: Int] = [:]
        for (key, _, _) in section.entries() {
            let name = key.lowercased()
            let plain = name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
            guard name == "*" || EmailAddress("x@\(plain)").map({ $0.domain == plain }) == true else {
                section.report(key, "a domain in ASCII is expected: example.com, *.example.com, or * for all others")
                continue
            }
            let limit = section.section(key)
            limits[name] = limit.integer("concurrency", in: 1...10_000, default: 20)
            limit.finish()
        }
        return limits.isEmpty ? nil : DomainLimits(concurrency: limits)
    }
}
