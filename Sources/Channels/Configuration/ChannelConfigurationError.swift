package import SettingsFile

/// Everything that is wrong with the providers' files, all at once.
package struct ChannelConfigurationError: Error, Sendable, CustomStringConvertible {
    /// In the order of files and lines; at least one.
    package var problems: [ConfigurationProblem]

    package init(problems: [ConfigurationProblem]) {
        self.problems = problems
    }

    /// One problem a line.
    package var description: String {
        self.problems.map(\.description).joined(separator: "\n")
    }
}
