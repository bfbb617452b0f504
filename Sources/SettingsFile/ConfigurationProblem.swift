/// What is wrong with a settings file, for the person who can mend it.

/// One problem in one file. Never holds a secret.
package struct ConfigurationProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// Path of the file, as the folder was given.
    package var file: String
    /// Counted from 1; nil when the problem is the file as a whole.
    package var line: Int?
    /// The key it is about, as a path such as `limits.concurrency`; nil when there is none.
    package var key: String?
    /// One sentence that says what to mend.
    package var detail: String

    package init(file: String, line: Int? = nil, key: String? = nil, detail: String) {
        self.file = file
        self.line = line
        self.key = key
        self.detail = detail
    }

    /// `file:line: key: detail`, as compilers write it.
    package var description: String {
        let place = self.line.map { "\(self.file):\($0)" } ?? self.file
        return self.key.map { "\(place): \($0): \(self.detail)" } ?? "\(place): \(self.detail)"
    }
}
