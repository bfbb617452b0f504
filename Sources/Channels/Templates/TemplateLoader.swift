/// Reads a folder of templates from the disk and compiles what it finds.

import SettingsFile
import DeliveryModel
import Foundation

struct TemplateLoader {
    /// Images and attachments of a template.
    private static let filesFolder = "files"

    private let folder: String
    private(set) var templates: [String: MessageTemplate] = [:]
    private(set) var problems: [ConfigurationProblem] = []

    init(folder: String) {
        self.folder = folder
    }

    mutating func load() {
        guard let names = self.entries(of: self.folder) else { return }
        for name in names where !name.hasPrefix("_") && name != "README.md" {
            let path = "\(self.folder)/\(name)"
            guard isFolder(path) else {
                self.problems.append(
                    ConfigurationProblem(
                        file: path, detail: "a template is a folder: put its files into one, or take this away"))
                continue
            }
            self.loadTemplate(name, at: path)
        }
    }

    private mutating func loadTemplate(_ name: String, at path: String) {
        var template = MessageTemplate()
        var folder = MailFileFolder(path: "\(path)/\(Self.filesFolder)")
        for entry in self.entries(of: path) ?? [] {
            let entryPath = "\(path)/\(entry)"
            if entry == Self.filesFolder {
                continue
            } else if !isFolder(entryPath) {
                self.loadFile(entry, of: name, locale: "", into: &template, &folder)
            } else if isLocale(entry) {
                for file in self.entries(of: entryPath) ?? [] {
                    self.loadFile(file, of: name, locale: entry, into: &template, &folder)
                }
            } else {
                self.problems.append(
                    ConfigurationProblem(
                        file: entryPath, detail: "`\(entry)` is not a locale such as `pl` or `pl-PL`: rename the folder"
                    ))
            }
        }
        self.checkCompleteness(&template, at: path)
        self.templates[name] = template
    }

    private mutating func loadFile(
        _ file: String, of name: String, locale: String, into template: inout MessageTemplate,
        _ folder: inout MailFileFolder
    ) {
        guard !file.hasPrefix("_") else { return }
        let path = [self.folder, name, locale, file].filter { !$0.isEmpty }.joined(separator: "/")
        guard let kind = TemplateFileKind(rawValue: file) else {
            let known = TemplateFileKind.allCases.map(\.rawValue).joined(separator: ", ")
            self.problems.append(
                ConfigurationProblem(file: path, detail: "no such template file: rename it to one of \(known)"))
            return
        }
        let shown = [name, locale, file].filter { !$0.isEmpty }.joined(separator: "/")
        do throws(ConfigurationProblem) {
            let source = try readTemplate(path)
            let compiled: TemplateFile
            if kind == .email {
                compiled = .attachments(try folder.attachments(listedIn: path))
            } else {
                let partials = TemplatePartials(folder: self.folder, template: name, locale: locale)
                compiled = try Self.compile(kind, source, file: shown, path: path, partials)
            }
            if kind == .emailHTML {
                for name in InlineImages.references(in: source) where template.images[name] == nil {
                    template.images[name] = try folder.image(name, of: path)
                }
            }
            template.files[locale.lowercased(), default: [:]][kind] = compiled
        } catch {
            self.problems.append(error)
            template.flaw = template.flaw ?? error
        }
    }

    private static func compile(
        _ kind: TemplateFileKind, _ source: [UInt8], file: String, path: String, _ partials: TemplatePartials
    ) throws(ConfigurationProblem) -> TemplateFile {
        do throws(MustacheProblem) {
            if kind == .push { return .push(try PushTemplate(compiling: source, file: file, partials: partials.find)) }
            return .text(
                try MustacheText(compiling: source, file: file, escaping: kind.escaping, partials: partials.find))
        } catch {
            let place = error.file == file ? path : partials.path(of: error.file)
            throw ConfigurationProblem(file: place, line: error.line, detail: error.detail)
        }
    }

    /// A mail needs a subject; a locale may leave it to a more general folder.
    private mutating func checkCompleteness(_ template: inout MessageTemplate, at path: String) {
        guard template.flaw == nil else { return }
        for (locale, files) in template.files.sorted(by: { $0.key < $1.key })
        where files[.emailHTML] != nil || files[.emailText] != nil {
            let lookup = TemplateLookup(name: "", locale: locale, template: template)
            guard lookup.file(.subject) == nil else { continue }
            let place = locale.isEmpty ? path : "\(path)/\(locale)"
            let problem = ConfigurationProblem(file: place, detail: "there is a mail but no subject: add subject.txt")
            self.problems.append(problem)
            template.flaw = problem
            return
        }
    }

    /// Names in a folder in alphabetical order, hidden ones left out.
    private mutating func entries(of path: String) -> [String]? {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }.sorted()
        } catch {
            self.problems.append(ConfigurationProblem(file: path, detail: "the folder cannot be read"))
            return nil
        }
    }
}

/// Where the partials of one file are looked for: beside it, above it, in the folder of all templates.
private struct TemplatePartials {
    let folder: String
    let template: String
    let locale: String

    func find(_ name: String) -> MustachePartial? {
        guard !name.contains("/"), !name.hasPrefix(".") else { return nil }
        for place in [[self.template, self.locale], [self.template], []] {
            let file = (place.filter { !$0.isEmpty } + ["_\(name).mustache"]).joined(separator: "/")
            do throws(ConfigurationProblem) {
                return MustachePartial(file: file, source: try readTemplate("\(self.folder)/\(file)"))
            } catch {
                continue
            }
        }
        return nil
    }

    func path(of file: String) -> String { "\(self.folder)/\(file)" }
}

private func readTemplate(_ path: String) throws(ConfigurationProblem) -> [UInt8] {
    guard let contents = FileManager.default.contents(atPath: path) else {
        throw ConfigurationProblem(file: path, detail: "the file cannot be read")
    }
    guard contents.count <= TemplateLibrary.fileBytesMax else {
        throw ConfigurationProblem(file: path, detail: "the file is larger than \(TemplateLibrary.fileBytesMax) bytes")
    }
    var source = [UInt8](contents)
    if source.starts(with: [0xEF, 0xBB, 0xBF]) { source.removeFirst(3) }
    guard String(validating: source, as: UTF8.self) != nil else {
        throw ConfigurationProblem(file: path, detail: "the file is not UTF-8: save it as UTF-8")
    }
    return source
}

/// Follows links, as folders mounted by Kubernetes need; only a folder can be listed.
private func isFolder(_ path: String) -> Bool {
    do {
        _ = try FileManager.default.contentsOfDirectory(atPath: path)
        return true
    } catch {
        return false
    }
}

/// The shape of a BCP 47 tag: letters, then groups of letters and digits.
private func isLocale(_ name: String) -> Bool {
    let groups = name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard let language = groups.first, (2...3).contains(language.count) else { return false }
    return language.allSatisfy(\.isASCIILetter)
        && groups.dropFirst().allSatisfy { (1...8).contains($0.count) && $0.allSatisfy(\.isASCIIAlphanumeric) }
}
