/// The words with which people stop and start text messages, by language: data, in `channels/keywords.yaml`.
import DeliveryModel
import SettingsFile

package struct Keywords: Sendable, Equatable {
    package enum Word: Sendable, Equatable {
        case stop, start
    }

    private var words: [String: Word] = [:]

    /// None at all.
    package init() {}

    /// What is missing or unreadable is noted in `file`.
    init(reading file: YAMLFile) {
        guard let root = file.root() else { return }
        for (language, _, _) in root.entries() {
            let section = root.section(language)
            for (key, word) in [("stop", Word.stop), ("start", .start)] {
                for text in section.texts(key).sorted() {
                    let plain = Self.plain(text)
                    if plain.isEmpty || self.words[plain, default: word] != word {
                        section.report(key, "`\(text.prefix(40))` is empty, or means the opposite elsewhere")
                    }
                    self.words[plain] = word
                }
            }
            section.finish()
        }
    }

    /// What a message asks for; nil when it is not one of the words and nothing else.
    package func meaning(of text: String) -> Word? {
        guard text.utf8.count <= 128 else { return nil }
        return self.words[Self.plain(text)]
    }

    /// Letters and digits in lower case, with one blank between words: `Stop!` is `stop`.
    private static func plain(_ text: String) -> String {
        // The capital of the Turkish i leaves a dot behind.
        let letters = String(String.UnicodeScalarView(text.lowercased().unicodeScalars.filter { $0 != "\u{0307}" }))
        return letters.split { !($0.isLetter || $0.isNumber) }.joined(separator: " ")
    }
}

extension YAMLSection {
    /// The words in the file that `keywords_file` names; none when it names none.
    func keywords() -> Keywords {
        guard let path = self.filePath("keywords_file") else { return Keywords() }
        let file = YAMLFile(path: path, environment: [:])
        let keywords = Keywords(reading: file)
        for problem in file.problems {
            self.report("keywords_file", "\(path): line \(problem.line ?? 1): \(problem.detail)")
        }
        return keywords
    }
}
