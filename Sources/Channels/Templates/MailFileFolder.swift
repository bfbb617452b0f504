/// The folder `files` of a template: what its mails show and attach, read when something names it.

import Foundation
import SettingsFile

struct MailFileFolder {
    private static let attachmentsMax = 20

    private let path: String
    /// What the files read so far have together.
    private var bytes = 0
    private var contents: [String: [UInt8]] = [:]

    init(path: String) {
        self.path = path
    }

    /// What `email.yaml` lists under `attachments`: `file`, and where they are to differ `name` and `type`.
    mutating func attachments(listedIn yaml: String) throws(ConfigurationProblem) -> [MailFile] {
        let source = YAMLFile(path: yaml, environment: [:])
        var files: [MailFile] = []
        if let root = source.root() {
            let sections = root.sections("attachments", required: true)
            if sections.count > Self.attachmentsMax {
                root.report("attachments", "at most \(Self.attachmentsMax) files can be attached")
            }
            for section in sections.prefix(Self.attachmentsMax) {
                let file = section.string("file", required: true)
                let name = section.string("name")
                let type = section.string("type")
                section.finish()
                if let name, !(1...120).contains(name.utf8.count) || name.utf8.contains(where: \.isASCIIControl) {
                    section.report("name", "a name of 1 to 120 bytes without line breaks is expected")
                }
                if let type, !MailFile.isMediaType(type) {
                    section.report("type", "a media type such as application/pdf is expected")
                }
                guard let file else { continue }
                let content = try self.read(file, namedIn: yaml)
                files.append(
                    MailFile(name: name ?? file, type: type ?? MailFile.mediaType(of: file), content: content))
            }
            root.finish()
        }
        if let problem = source.problems.first { throw problem }
        return files
    }

    /// A file that HTML shows as `cid:<name>`.
    mutating func image(_ name: String, of html: String) throws(ConfigurationProblem) -> MailFile {
        MailFile(name: name, type: MailFile.mediaType(of: name), content: try self.read(name, namedIn: html))
    }

    private mutating func read(_ name: String, namedIn source: String) throws(ConfigurationProblem) -> [UInt8] {
        if let known = self.contents[name] { return known }
        guard MailFile.isFileName(name) else {
            throw ConfigurationProblem(
                file: source,
                detail: "`\(name.prefix(64))` cannot be the name of a file here: letters, digits, `-`, `_`, `.`")
        }
        guard let content = FileManager.default.contents(atPath: "\(self.path)/\(name)") else {
            throw ConfigurationProblem(
                file: source, detail: "`\(name)` is not in the folder \(self.path): put it there")
        }
        self.bytes += content.count
        guard self.bytes <= TemplateLibrary.attachedBytesMax else {
            throw ConfigurationProblem(
                file: source,
                detail: "its files have more than \(TemplateLibrary.attachedBytesMax) bytes together: make them smaller"
            )
        }
        let bytes = [UInt8](content)
        self.contents[name] = bytes
        return bytes
    }
}
