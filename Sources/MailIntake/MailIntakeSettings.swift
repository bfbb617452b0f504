/// The section `mail` of the settings: where mails that come back are taken.

import NIOCore
package import SettingsFile
import Yams

package struct MailIntakeSettings: Sendable {
    package var server: MailServerSettings
    /// Where complaints come to, beside the signed return paths.
    package var addresses: [String]

    /// Nil when the section has no port: then none is taken. Whatever is wrong is noted in the file.
    package init?(reading section: YAMLSection) {
        defer { section.finish() }
        var server = MailServerSettings()
        server.host = section.string("address") ?? server.host
        server.hostName = section.string("name") ?? server.hostName
        server.port = section.integer("port", in: 1...65_535, default: 0)
        server.connectionsMax = section.integer("connections", in: 1...10_000, default: server.connectionsMax)
        server.limits.mailOctetsMax = section.integer(
            "mail_bytes", in: 65_536...104_857_600, default: server.limits.mailOctetsMax)
        let isName =
            (1...253).contains(server.hostName.utf8.count) && server.hostName.utf8.allSatisfy { $0 > 32 && $0 < 127 }
        if !isName { section.report("name", "a host name such as bounces.example.com is expected") }
        let list = section.node("feedback_addresses")
        let texts = list.map { $0.sequence.map { $0.map { $0.scalar?.string } } ?? [$0.scalar?.string] } ?? []
        if !texts.allSatisfy({ $0?.contains("@") == true }) {
            section.report("feedback_addresses", "a list of addresses such as fbl@example.com is expected")
        }
        guard server.port > 0 else {
            if section.has("address") || list != nil { section.report("port", "this key is missing: add it") }
            return nil
        }
        self.server = server
        self.addresses = texts.compactMap(\.self)
    }
}
