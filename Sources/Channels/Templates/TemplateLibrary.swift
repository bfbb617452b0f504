/// The message templates of `channels/templates`, compiled at load and looked up by name and locale.
///
/// A template is a folder `<name>/[<locale>/]{subject.txt,email.html,email.txt,email.yaml,sms.txt,push.json}`. Each
/// file is looked up by itself: for a user with `pl-PL` first in `pl-PL/`, then in `pl/`, then in the
/// template's own folder. Partials are `_<partial>.mustache` beside the file, above it, or in the
/// folder of all templates. What a mail shows or attaches lies in `<name>/files/`. A file that cannot be compiled makes its template invalid, not the others.

package import SettingsFile
package import DeliveryModel
import ThreadBridge

/// The compiled templates; shared by all providers, replaced as a whole by ``reload()``.
package final class TemplateLibrary: Sendable {
    /// Lengths of one file; a longer one is a mistake.
    static let fileBytesMax = 1024 * 1024
    /// Of all images and attachments of one template; each mail carries its own copy of them.
    static let attachedBytesMax = 5 * 1024 * 1024

    private let folder: String
    private let state: Protected<TemplateShelf>

    /// Loads all templates below `folder`; what is wrong with them is in ``problems``.
    package init(folder: String) {
        self.folder = folder
        self.state = Protected(TemplateShelf(loading: folder))
    }

    /// What is wrong with the templates as they are loaded, in the order of their files.
    package var problems: [ConfigurationProblem] { self.shelf.problems }

    /// The names of the templates, invalid ones included, in alphabetical order.
    package var names: [String] { self.shelf.templates.keys.sorted() }

    /// Reads the folder anew and puts the result in place at once; messages being composed keep the old one.
    ///
    /// - Returns: What is wrong with the templates now.
    @discardableResult
    package func reload() -> [ConfigurationProblem] {
        let loaded = TemplateShelf(loading: self.folder)
        self.state.withLock { $0 = loaded }
        return loaded.problems
    }

    /// Whether a message of `template` for `channel` can be composed in `locale`, for a check of decisions
    /// before they are accepted.
    ///
    /// - Throws: `templateUnknown` or `templateInvalid`.
    package func check(_ template: String, channel: ChannelKind, locale: String?) throws(CompositionRefusal) {
        switch channel {
        case .email: _ = try self.email(template, locale: locale)
        case .sms: _ = try self.sms(template, locale: locale)
        case .push: _ = try self.push(template, locale: locale)
        }
    }

    func email(_ name: String, locale: String?) throws(CompositionRefusal) -> EmailTemplate {
        let lookup = try self.shelf.lookup(name, locale: locale)
        let html = lookup.text(.emailHTML)
        let text = lookup.text(.emailText)
        guard html != nil || text != nil else { throw lookup.missing("email.html or email.txt") }
        guard let subject = lookup.text(.subject) else { throw lookup.missing("subject.txt") }
        var attachments: [MailFile] = []
        if case .attachments(let listed)? = lookup.file(.email) { attachments = listed }
        return EmailTemplate(
            subject: subject, text: text, html: html, images: lookup.template.images, attachments: attachments)
    }

    func sms(_ name: String, locale: String?) throws(CompositionRefusal) -> MustacheText {
        let lookup = try self.shelf.lookup(name, locale: locale)
        guard let text = lookup.text(.sms) else { throw lookup.missing("sms.txt") }
        return text
    }

    func push(_ name: String, locale: String?) throws(CompositionRefusal) -> PushTemplate {
        let lookup = try self.shelf.lookup(name, locale: locale)
        guard case .push(let push)? = lookup.file(.push) else { throw lookup.missing("push.json") }
        return push
    }

    /// Which devices `push.json` of a template is for; the default where there is none that could be sent.
    func devicePolicy(_ name: String, locale: String?) -> DevicePolicy {
        do throws(CompositionRefusal) {
            return try self.push(name, locale: locale).devices
        } catch {
            return .untilAccepted
        }
    }

    private var shelf: TemplateShelf { self.state.withLock { $0 } }
}

/// The texts of one mail.
struct EmailTemplate: Sendable {
    var subject: MustacheText
    var text: MustacheText?
    var html: MustacheText?
    /// What the HTML can show, by name.
    var images: [String: MailFile]
    var attachments: [MailFile]
}

/// The files that a template can have.
enum TemplateFileKind: String, Sendable, CaseIterable {
    case subject = "subject.txt"
    case emailHTML = "email.html"
    case emailText = "email.txt"
    case email = "email.yaml"
    case sms = "sms.txt"
    case push = "push.json"

    var escaping: MustacheEscaping { self == .emailHTML ? .html : .none }
}

/// One file of a template, ready to render.
enum TemplateFile: Sendable {
    case text(MustacheText)
    case push(PushTemplate)
    case attachments([MailFile])
}

/// One template: its files by locale in lower case, "" for those in its own folder.
struct MessageTemplate: Sendable {
    var files: [String: [TemplateFileKind: TemplateFile]] = [:]
    /// What lies in `files/` and is named in `cid:` links, by name.
    var images: [String: MailFile] = [:]
    /// The first problem that makes it unusable.
    var flaw: ConfigurationProblem?
}

/// Finds the files of one template for one locale.
struct TemplateLookup {
    let name: String
    /// In lower case with hyphens; empty when there is none.
    let locale: String
    let template: MessageTemplate

    init(name: String, locale: String?, template: MessageTemplate) {
        self.name = name
        let lower = locale?.lowercased() ?? ""
        self.locale = lower.utf8.contains(UInt8(ascii: "_")) ? lower.replacing("_", with: "-") : lower
        self.template = template
    }

    func file(_ kind: TemplateFileKind) -> TemplateFile? {
        var tag = self.locale
        while !tag.isEmpty {
            if let file = self.template.files[tag]?[kind] { return file }
            guard let dash = tag.lastIndex(of: "-") else { break }
            tag = String(tag[..<dash])
        }
        return self.template.files[""]?[kind]
    }

    func text(_ kind: TemplateFileKind) -> MustacheText? {
        guard case .text(let text)? = self.file(kind) else { return nil }
        return text
    }

    func missing(_ file: String) -> CompositionRefusal {
        let folder = "channels/templates/\(self.name)"
        return CompositionRefusal(.templateUnknown, "template `\(self.name)` has no \(file): add it to \(folder)")
    }
}

/// All templates as they were at one moment.
struct TemplateShelf: Sendable {
    fileprivate(set) var templates: [String: MessageTemplate] = [:]
    fileprivate(set) var problems: [ConfigurationProblem] = []

    init(loading folder: String) {
        var loader = TemplateLoader(folder: folder)
        loader.load()
        self.templates = loader.templates
        self.problems = loader.problems
    }

    func lookup(_ name: String, locale: String?) throws(CompositionRefusal) -> TemplateLookup {
        guard let template = self.templates[name] else {
            throw CompositionRefusal(
                .templateUnknown, "there is no template `\(name.prefix(64))`: add the folder to channels/templates")
        }
        if let flaw = template.flaw {
            throw CompositionRefusal(.templateInvalid, "template `\(name)` cannot be used: \(flaw)")
        }
        return TemplateLookup(name: name, locale: locale, template: template)
    }
}
