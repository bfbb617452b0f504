package import Attribution
package import SettingsFile

/// Everything that is wrong with `channels/machines.yaml`.
package struct MachineListsError: Error, Sendable, CustomStringConvertible {
    package var problems: [ConfigurationProblem]

    package var description: String { self.problems.map(\.description).joined(separator: "\n") }
}

extension MachineLists {
    private static let entriesMax = 1000

    /// Reads the file.
    ///
    /// - Throws: ``MachineListsError`` with all problems.
    package init(path: String) throws(MachineListsError) {
        let file = YAMLFile(path: path, environment: [:])
        var agents: [Agent] = []
        var networks: [Network] = []
        if let root = file.root() {
            agents = Self.entries(root, "agents").compactMap(Self.agent)
            networks = Self.entries(root, "networks").compactMap(Self.network)
            root.finish()
        }
        guard file.problems.isEmpty else { throw MachineListsError(problems: file.problems) }
        self.init(agents: agents, networks: networks)
    }

    private static func entries(_ root: YAMLSection, _ key: String) -> ArraySlice<YAMLSection> {
        let entries = root.sections(key, required: true)
        if entries.count > self.entriesMax { root.report(key, "at most \(self.entriesMax) are possible") }
        return entries.prefix(self.entriesMax)
    }

    private static func agent(_ entry: YAMLSection) -> Agent? {
        let (name, kind) = self.identity(entry)
        let equals = entry.texts("equals").sorted()
        let contains = entry.texts("contains").sorted()
        if equals.isEmpty, contains.isEmpty { entry.report("name", "an entry needs `equals` or `contains`") }
        if contains.contains(where: { $0.utf8.count < 3 }) {
            entry.report("contains", "a piece of less than three letters is in too many user agents")
        }
        if kind == .dataCentre { entry.report("kind", "user agents do not say so: this is for networks") }
        entry.finish()
        guard let name, let kind else { return nil }
        return Agent(name: name, kind: kind, equals: equals, contains: contains)
    }

    private static func network(_ entry: YAMLSection) -> Network? {
        let (name, kind) = self.identity(entry)
        var blocks: [NetworkBlock] = []
        for text in entry.texts("blocks").sorted() {
            if let block = NetworkBlock(text) {
                blocks.append(block)
            } else {
                entry.report(
                    "blocks",
                    "`\(text.prefix(50))` is no network such as 192.0.2.0/24 or 2001:db8::/32, or is smaller than what is "
                        + "kept of an address: 24 bits of IPv4, 48 of IPv6")
            }
        }
        if blocks.isEmpty { entry.report("blocks", "a network at least is expected") }
        if kind == .client { entry.report("kind", "networks do not say so: this is for user agents") }
        entry.finish()
        guard let name, let kind else { return nil }
        return Network(name: name, kind: kind, blocks: blocks)
    }

    private static func identity(_ entry: YAMLSection) -> (name: String?, kind: Kind?) {
        let name = entry.string("name", required: true)
        let kind = entry.choice("kind", Kind.self, default: nil)
        if let name, !(1...40).contains(name.utf8.count) || !name.utf8.allSatisfy(Self.isNamed) {
            entry.report("name", "a name has 1 to 40 of a-z, 0-9, _ and dots")
        }
        return (name, kind)
    }

    private static func isNamed(_ byte: UInt8) -> Bool {
        (97...122).contains(byte) || (48...57).contains(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }
}
