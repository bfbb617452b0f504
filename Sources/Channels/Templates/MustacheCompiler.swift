/// From the source of a Mustache text to its nodes.
///
/// One pass from tag to tag. A tag that stands alone on its line takes the line with it, as the
/// specification asks for sections, comments, partials and delimiters. Partials are compiled into their
/// place, so that rendering looks nothing up and a partial that includes itself is found at load.

/// A syntax error in a template.
struct MustacheProblem: Error, Sendable, Equatable {
    var file: String
    var line: Int
    /// One sentence that says what to mend.
    var detail: String
}

/// Source of a partial: its file for messages, and its text.
struct MustachePartial: Sendable {
    var file: String
    var source: [UInt8]
}

extension MustacheText {
    /// Compiles `source`, which must be UTF-8.
    ///
    /// `line` is the line of `file` in which `source` begins; `partials` gives the partial of a name, or nil when
    /// there is none.
    init(
        compiling source: [UInt8], file: String, line: Int = 1, escaping: MustacheEscaping,
        partials: (String) -> MustachePartial? = { _ in nil }
    ) throws(MustacheProblem) {
        var compiler = MustacheCompiler(source: source, file: file, line: line, escaping: escaping, depth: 0)
        self.init(file: file, nodes: try compiler.compile(partials))
    }
}

private struct MustacheCompiler {
    private static let partialDepthMax = 16
    private static let sectionDepthMax = 64

    private struct OpenSection {
        var name: MustacheName
        var isInverted: Bool
        var line: Int
        var before: [MustacheText.Node]
    }

    private enum Tag {
        case variable(String, MustacheEscaping)
        case section(String, isInverted: Bool)
        case close(String)
        case comment
        case partial(String)
        case delimiters(opening: [UInt8], closing: [UInt8])

        var mayStandAlone: Bool {
            if case .variable = self { false } else { true }
        }
    }

    private let source: [UInt8]
    private let file: String
    private let escaping: MustacheEscaping
    private let depth: Int
    private var opening = Array("{{".utf8)
    private var closing = Array("}}".utf8)
    private var line: Int
    private var nodes: [MustacheText.Node] = []
    private var openSections: [OpenSection] = []

    init(source: [UInt8], file: String, line: Int, escaping: MustacheEscaping, depth: Int) {
        self.source = source
        self.line = line
        self.file = file
        self.escaping = escaping
        self.depth = depth
    }

    mutating func compile(_ partials: (String) -> MustachePartial?) throws(MustacheProblem) -> [MustacheText.Node] {
        var textStart = 0
        while let open = self.source.firstRange(of: self.opening, from: textStart) {
            self.line += self.newlines(textStart..<open.lowerBound)
            let (tag, tagEnd) = try self.readTag(at: open)
            let tagLine = self.line
            let alone = tag.mayStandAlone ? self.lineAround(open.lowerBound..<tagEnd, from: textStart) : nil
            self.addLiteral(textStart..<(alone?.lowerBound ?? open.lowerBound))
            let indentation = alone.map { Array(self.source[$0.lowerBound..<open.lowerBound]) } ?? []
            try self.add(tag, line: tagLine, indentation: indentation, partials)
            textStart = alone?.upperBound ?? tagEnd
            self.line += self.newlines(open.lowerBound..<textStart)
        }
        self.addLiteral(textStart..<self.source.count)
        if let section = self.openSections.last {
            throw self.problem(section.line, "section `\(section.name.text)` is never closed")
        }
        return self.nodes
    }

    private mutating func add(
        _ tag: Tag, line: Int, indentation: [UInt8], _ partials: (String) -> MustachePartial?
    ) throws(MustacheProblem) {
        switch tag {
        case .variable(let name, let escaping):
            self.nodes.append(.variable(try self.name(name, line), escaping, line: line))
        case .section(let name, let isInverted):
            guard self.openSections.count < Self.sectionDepthMax else {
                throw self.problem(line, "more than \(Self.sectionDepthMax) sections inside one another")
            }
            let section = OpenSection(
                name: try self.name(name, line), isInverted: isInverted, line: line, before: self.nodes)
            self.openSections.append(section)
            self.nodes = []
        case .close(let name):
            guard let section = self.openSections.popLast() else {
                throw self.problem(line, "`\(name)` is closed but was never opened")
            }
            guard section.name.text == name else {
                throw self.problem(
                    line, "`\(name)` is closed where `\(section.name.text)`, opened in line \(section.line), must be")
            }
            let inner = self.nodes
            self.nodes = section.before
            self.nodes.append(section.isInverted ? .inverted(section.name, inner) : .section(section.name, inner))
        case .comment: break
        case .partial(let name): try self.addPartial(name, line: line, indentation: indentation, partials)
        case .delimiters(let opening, let closing):
            self.opening = opening
            self.closing = closing
        }
    }

    private mutating func addPartial(
        _ name: String, line: Int, indentation: [UInt8], _ partials: (String) -> MustachePartial?
    ) throws(MustacheProblem) {
        guard let partial = partials(name) else {
            throw self.problem(line, "there is no partial `\(name)`: add the file `_\(name).mustache`")
        }
        guard self.depth < Self.partialDepthMax else {
            throw self.problem(line, "partial `\(name)` includes itself, or partials are nested too deeply")
        }
        var inner = MustacheCompiler(
            source: partial.source.indented(by: indentation), file: partial.file, line: 1,
            escaping: self.escaping, depth: self.depth + 1)
        self.nodes.append(.partial(file: partial.file, try inner.compile(partials)))
    }

    private mutating func addLiteral(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        self.nodes.append(.literal(Array(self.source[range])))
    }

    private func readTag(at open: Range<Int>) throws(MustacheProblem) -> (Tag, end: Int) {
        let start = open.upperBound
        let sigil = start < self.source.count ? self.source[start] : 0
        let isTriple = sigil == UInt8(ascii: "{")
        let isDelimiters = sigil == UInt8(ascii: "=")
        var end = self.closing
        if isTriple { end.insert(UInt8(ascii: "}"), at: 0) }
        if isDelimiters { end.insert(UInt8(ascii: "="), at: 0) }
        let hasSigil = [UInt8]("#^/!>&{=<$%*@".utf8).contains(sigil)
        let contentStart = hasSigil ? start + 1 : start
        guard let close = self.source.firstRange(of: end, from: contentStart) else {
            throw self.problem(self.line, "a tag is never closed")
        }
        let content = String(decoding: self.source[contentStart..<close.lowerBound], as: UTF8.self)
        let words = content.split { $0 == " " || $0 == "\t" || $0.isNewline }.map(String.init)
        let word = words.count == 1 ? words[0] : nil
        guard let tag = self.tag(hasSigil ? sigil : 0, word: word, words: words) else {
            throw self.problem(self.line, "`\(content.prefix(40))` is not a tag: one name without spaces is expected")
        }
        return (tag, close.upperBound)
    }

    private func tag(_ sigil: UInt8, word: String?, words: [String]) -> Tag? {
        switch sigil {
        case UInt8(ascii: "!"): return .comment
        case UInt8(ascii: "="):
            guard words.count == 2, words.allSatisfy({ !$0.contains("=") }) else { return nil }
            return .delimiters(opening: Array(words[0].utf8), closing: Array(words[1].utf8))
        default: break
        }
        guard let word else { return nil }
        return switch sigil {
        case 0: .variable(word, self.escaping)
        case UInt8(ascii: "&"), UInt8(ascii: "{"): .variable(word, .none)
        case UInt8(ascii: "#"): .section(word, isInverted: false)
        case UInt8(ascii: "^"): .section(word, isInverted: true)
        case UInt8(ascii: "/"): .close(word)
        case UInt8(ascii: ">"): .partial(word)
        default: nil
        }
    }

    private func name(_ text: String, _ line: Int) throws(MustacheProblem) -> MustacheName {
        if text == "." { return MustacheName(parts: []) }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let isClean = parts.allSatisfy { part in
            !part.isEmpty && !part.utf8.contains { [UInt8]("{}()#^/&<>=!\"'".utf8).contains($0) }
        }
        guard isClean else { throw self.problem(line, "`\(text.prefix(40))` is not a name such as `first_name`") }
        return MustacheName(parts: parts)
    }

    /// The whole line, its end included, if there is nothing but blanks around the tag.
    private func lineAround(_ tag: Range<Int>, from textStart: Int) -> Range<Int>? {
        var start = tag.lowerBound
        while start > textStart, self.source[start - 1].isBlank { start -= 1 }
        guard start == 0 || self.source[start - 1] == UInt8(ascii: "\n") else { return nil }
        var end = tag.upperBound
        while end < self.source.count, self.source[end].isBlank { end += 1 }
        if end == self.source.count { return start..<end }
        if self.source[end] == UInt8(ascii: "\n") { return start..<(end + 1) }
        guard end + 1 < self.source.count, self.source[end] == 13, self.source[end + 1] == 10 else { return nil }
        return start..<(end + 2)
    }

    private func newlines(_ range: Range<Int>) -> Int {
        self.source[range].count { $0 == UInt8(ascii: "\n") }
    }

    private func problem(_ line: Int, _ detail: String) -> MustacheProblem {
        MustacheProblem(file: self.file, line: line, detail: detail)
    }
}

extension UInt8 {
    fileprivate var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
}

extension [UInt8] {
    /// The first occurrence of `pattern` (not empty) at or behind `start`.
    func firstRange(of pattern: [UInt8], from start: Int) -> Range<Int>? {
        guard let first = pattern.first, self.count >= pattern.count, start >= 0 else { return nil }
        var index = start
        let last = self.count - pattern.count
        while index <= last {
            if self[index] == first, self[index..<(index + pattern.count)].elementsEqual(pattern) {
                return index..<(index + pattern.count)
            }
            index += 1
        }
        return nil
    }

    /// Each line with `indentation` before it.
    fileprivate func indented(by indentation: [UInt8]) -> [UInt8] {
        guard !indentation.isEmpty else { return self }
        var result: [UInt8] = []
        var isLineStart = true
        for byte in self {
            if isLineStart { result.append(contentsOf: indentation) }
            result.append(byte)
            isLineStart = byte == UInt8(ascii: "\n")
        }
        return result
    }
}
