/// Structured logs: one line for each event on standard error, for machines or for people.
///
///     {"time":"2026-11-21T18:00:00.123Z","level":"info","message":"settled","logger":"martlet.worker",
///      "decision.id":"01JD3V6W2Q9X","attempt":{"number":"2","provider":"smtp-eu"}}
///
/// Metadata keys stand beside the fixed ones, as they are and in alphabetical order; a dictionary
/// becomes an object, an array an array, everything else a string. A key that would repeat a fixed
/// one gets an underscore. What is sensitive is replaced before it is written (Redactor.swift), and
/// control characters never arrive at a terminal or split a line. The line is built outside of any
/// lock; the lock of ``LogOutput`` covers the one `write`.

package import Logging

/// How log lines look.
package enum LogFormat: String, Sendable, CaseIterable {
    /// One JSON object a line.
    case json
    /// `18:00:00.123 info  martlet.worker  settled  decision.id=01JD3V6W2Q9X`, for terminals.
    case text
}

/// A log handler that writes one JSON object a line, or the text format where that was asked for.
///
/// ```swift
/// LoggingSystem.bootstrap { label in
///     JSONLogHandler(label: label, level: .info, format: .json, redactor: redactor)
/// }
/// ```
package struct JSONLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: LogFormat
    private let redactor: Redactor
    private let output: LogOutput

    package init(
        label: String, level: Logger.Level = .info, format: LogFormat = .json, redactor: Redactor,
        output: LogOutput = .standardError, metadataProvider: Logger.MetadataProvider? = nil
    ) {
        self.label = label
        self.logLevel = level
        self.format = format
        self.redactor = redactor
        self.output = output
        self.metadataProvider = metadataProvider
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var metadata = self.metadata
        if let provider = self.metadataProvider {
            metadata.merge(provider.get()) { _, new in new }
        }
        if let own = event.metadata {
            metadata.merge(own) { _, new in new }
        }
        if let error = event.error, metadata["error"] == nil {
            metadata["error"] = .string("\(error)")
        }
        let time = RFC3339Time.now()
        switch self.format {
        case .json: self.output.write(self.json(event, time, metadata))
        case .text: self.output.write(self.text(event, time, metadata))
        }
    }

    private func json(_ event: LogEvent, _ time: RFC3339Time, _ metadata: Logger.Metadata) -> [UInt8] {
        var line = LogLine(redactor: self.redactor)
        line.raw(#"{"time":""#)
        line.raw(time.dateAndTime)
        line.raw(#"","level":""#)
        line.raw(event.level.rawValue)
        line.raw(#"","message":"#)
        line.string(event.message.description)
        line.raw(#","logger":"#)
        line.string(self.label)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line.raw(",")
            line.string(Self.fixedKeys.contains(key) ? key + "_" : key)
            line.raw(":")
            line.value(value, isSensitive: Redactor.isSensitive(key))
        }
        line.raw("}\n")
        return line.bytes
    }

    private func text(_ event: LogEvent, _ time: RFC3339Time, _ metadata: Logger.Metadata) -> [UInt8] {
        var line = LogLine(redactor: self.redactor)
        line.raw(time.time)
        line.raw(" ")
        line.raw(event.level.rawValue)
        line.raw(String(repeating: " ", count: max(1, 9 - event.level.rawValue.utf8.count)))
        line.plain(self.label)
        line.raw("  ")
        line.plain(event.message.description)
        if !metadata.isEmpty { line.raw(" ") }
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line.raw(" ")
            line.plain(key)
            line.raw("=")
            line.word(value, isSensitive: Redactor.isSensitive(key))
        }
        line.raw("\n")
        return line.bytes
    }

    private static let fixedKeys: Set<String> = ["time", "level", "message", "logger"]
}
