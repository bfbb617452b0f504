/// Snapshots and what is done with them, as texts for a person and as JSON for a program.
import DeliveryModel

enum ModelText {
    struct Overview {
        let standing: ModelStanding
        let snapshots: [ModelSnapshot]
        let changes: [RecordedModelChange]
    }

    // MARK: Texts

    static func of(_ overview: Overview) -> String {
        let standing = overview.standing
        guard !overview.snapshots.isEmpty else { return "\(self.noneYet(standing.kind).description)." }
        var blocks = [self.headline(standing)]
        blocks.append(
            TextTable.of(
                [["number", "", "made", "trained until", "drift", "calibration error", "reward rate", "bytes"]]
                    + overview.snapshots.map { self.row($0, standing) }))
        if !overview.changes.isEmpty {
            blocks.append(
                TextTable.of([["changed", "by", "what", "before", "after", "reason"]] + overview.changes.map(self.row)))
        }
        return blocks.joined(separator: "\n\n")
    }

    static func of(
        _ snapshot: ModelSnapshot, before: ModelSnapshot?, _ standing: ModelStanding, _ body: ModelBody
    ) -> String {
        var lines = ["\(snapshot.kind.rawValue) snapshot \(snapshot.number): \(self.state(snapshot, standing))", ""]
        lines.append("  made      \(snapshot.madeAt.rfc3339) by \(snapshot.madeBy)")
        lines.append("  trained   \(snapshot.trainedFrom.rfc3339) to \(snapshot.trainedTo.rfc3339)")
        lines.append("  size      \(snapshot.size) bytes\(self.remark(body))")
        lines.append("  sha-256   \(self.hex(snapshot.digest))")
        let names = Set(snapshot.metrics.keys).union(before?.metrics.keys ?? [:].keys).sorted()
        guard !names.isEmpty else { return lines.joined(separator: "\n") }
        let heading = ["metric", "\(snapshot.number)"] + (before.map { ["\($0.number)", "difference"] } ?? [])
        let rows = names.map { name in
            let values = [snapshot.metrics[name], before?.metrics[name]]
            guard before != nil else { return [name, self.number(values[0])] }
            return [name, self.number(values[0]), self.number(values[1]), self.difference(values[0], values[1])]
        }
        lines += ["", TextTable.of([heading] + rows)]
        if let before { lines += ["", "  \(self.change(snapshot, before))"] }
        return lines.joined(separator: "\n")
    }

    /// What a change did, and how to take it back.
    static func done(_ change: ModelChange, _ before: ModelStanding, _ after: ModelStanding) -> String {
        let kind = after.kind.rawValue
        let active = after.active.map { "snapshot \($0)" } ?? "no snapshot"
        func back(_ commands: String?...) -> String {
            let commands = commands.compactMap { $0.map { "`martlet model \($0)`" } }
            return commands.isEmpty ? "" : "\nTo take it back: \(commands.joined(separator: ", then "))."
        }
        let former = before.active.map { "promote \(kind) \($0)" }
        let shadow = before.shadow == after.shadow ? nil : before.shadow.map { "shadow \(kind) \($0)" }
        switch change {
        case .rollback:
            return "\(kind) went back from \(self.name(before.active)) to \(active); new ones are made and not used."
                + back(former, before.isFrozen ? nil : "unfreeze \(kind)")
        case .promote:
            return "\(kind) uses \(active) instead of \(self.name(before.active))"
                + (after.isFrozen ? "; it is frozen and stays at it." : ", until the next one is made.")
                + back(former, shadow)
        case .freeze:
            return "\(kind) stays at \(active); new ones are made and not used." + back("unfreeze \(kind)")
        case .unfreeze:
            return "\(kind) is no longer frozen: the next snapshot comes into use; until then it is \(active)."
                + back("freeze \(kind)")
        case .shadow(let number?):
            return
                "\(kind) asks snapshot \(number) beside \(active). `martlet model promote \(kind)` brings it into use."
                + back(before.shadow.map { "shadow \(kind) \($0)" } ?? "shadow \(kind) off")
        case .shadow(nil):
            return "\(kind) asks no snapshot besides." + back(before.shadow.map { "shadow \(kind) \($0)" })
        }
    }

    static func unchanged(_ change: ModelChange, _ standing: ModelStanding) -> String {
        let kind = standing.kind.rawValue
        switch change {
        case .freeze: return "\(kind) was frozen already."
        case .unfreeze: return "\(kind) was not frozen."
        case .shadow(nil): return "\(kind) asked no snapshot besides."
        case .shadow(let number?): return "\(kind) asks snapshot \(number) besides already."
        case .promote, .rollback: return "\(kind) uses \(self.name(standing.active)) already."
        }
    }

    static func noneYet(_ kind: ModelKind) -> CommandError {
        CommandError("there is no \(kind.rawValue) snapshot yet: a worker or scheduler makes the first one")
    }

    static func refusal(_ refusal: ModelChangeRefusal, _ standing: ModelStanding) -> CommandError {
        let kind = standing.kind.rawValue
        guard let newest = standing.newest?.number else { return self.noneYet(standing.kind) }
        return switch refusal {
        case .noSuchSnapshot(let number):
            CommandError("there is no \(kind) snapshot \(number); the newest is \(newest)")
        case .unusable(let number):
            CommandError(
                "\(kind) snapshot \(number) cannot be used: its body is kept no more, or is not what was written")
        case .notOlder(let number):
            CommandError(
                "\(kind) snapshot \(number) is not older than \(self.name(standing.active)), which is in use: "
                    + "`martlet model promote \(kind) \(number)` brings it into use")
        case .nothingBefore: CommandError("there is no \(kind) snapshot to go back to")
        case .noShadow:
            CommandError("\(kind) has no shadow: name a snapshot, such as `martlet model promote \(kind) \(newest)`")
        }
    }

    private static func headline(_ standing: ModelStanding) -> String {
        var text = "\(standing.kind.rawValue): \(self.name(standing.active)) is in use"
        if standing.isFrozen { text += ", frozen" }
        if let shadow = standing.shadow { text += ", snapshot \(shadow) is its shadow" }
        return text + "."
    }

    private static func row(_ snapshot: ModelSnapshot, _ standing: ModelStanding) -> [String] {
        let metrics = snapshot.metrics
        return [
            "\(snapshot.number)", self.mark(snapshot, standing), snapshot.madeAt.rfc3339, snapshot.trainedTo.rfc3339,
            self.number(metrics[ModelMetric.drift]), self.number(metrics[ModelMetric.calibrationError]),
            self.number(metrics[ModelMetric.rewardRate]), snapshot.isKept ? "\(snapshot.size)" : "-",
        ]
    }

    private static func row(_ change: RecordedModelChange) -> [String] {
        [
            change.at.rfc3339, change.by, change.what, change.before.map { "\($0)" } ?? "-",
            change.after.map { "\($0)" } ?? "-", change.reason,
        ]
    }

    private static func mark(_ snapshot: ModelSnapshot, _ standing: ModelStanding) -> String {
        if snapshot.number == standing.active { return "in use" }
        if snapshot.number == standing.shadow { return "shadow" }
        return snapshot.isCandidate ? "candidate" : ""
    }

    private static func state(_ snapshot: ModelSnapshot, _ standing: ModelStanding) -> String {
        let mark = self.mark(snapshot, standing)
        return mark.isEmpty ? "not in use" : mark
    }

    private static func remark(_ body: ModelBody) -> String {
        switch body {
        case .whole: ""
        case .damaged: "; what is kept is not what was written"
        case .gone, .unknown: "; kept no more"
        }
    }

    private static func change(_ snapshot: ModelSnapshot, _ before: ModelSnapshot) -> String {
        if snapshot.digest == before.digest { return "The same as \(before.number), byte for byte." }
        let bytes = snapshot.size - before.size
        let seconds = snapshot.madeAt.since(before.madeAt).count / 1000
        return "Made \(seconds) s after \(before.number); \(bytes < 0 ? "" : "+")\(bytes) bytes."
    }

    private static func name(_ number: Int?) -> String { number.map { "snapshot \($0)" } ?? "no snapshot" }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func difference(_ value: Double?, _ before: Double?) -> String {
        guard let value, let before else { return "-" }
        return (value < before ? "" : "+") + self.number(value - before)
    }

    /// Four digits are enough to look at; JSON has all.
    private static func number(_ value: Double?) -> String {
        guard let value else { return "-" }
        let rounded = (value * 10_000).rounded() / 10_000
        return rounded == 0 && value != 0 ? "\(value)" : "\(rounded)"
    }

    // MARK: JSON

    static func json(_ overviews: [Overview]) -> String {
        var writer = JSONWriter()
        writer.object { object in
            object.member("schema", "martlet.models/1")
            object.array("kinds") { list in
                for overview in overviews {
                    list.object { kind in
                        self.write(overview.standing, into: &kind)
                        kind.array("snapshots") { list in
                            for snapshot in overview.snapshots { list.object { self.write(snapshot, into: &$0) } }
                        }
                        kind.array("changes") { list in
                            for change in overview.changes { list.object { self.write(change, into: &$0) } }
                        }
                    }
                }
            }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    static func json(
        _ snapshot: ModelSnapshot, before: ModelSnapshot?, _ standing: ModelStanding, _ body: ModelBody
    ) -> String {
        var writer = JSONWriter()
        writer.object { object in
            object.member("schema", "martlet.model/1")
            object.member("kind", snapshot.kind.rawValue)
            object.member("state", self.state(snapshot, standing))
            object.member("damaged", body == .damaged)
            self.write(snapshot, into: &object)
            if let before { object.object("before") { self.write(before, into: &$0) } }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    static func json(_ standing: ModelStanding) -> String {
        var writer = JSONWriter()
        writer.object { object in
            object.member("schema", "martlet.model_standing/1")
            self.write(standing, into: &object)
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func write(_ standing: ModelStanding, into object: inout JSONWriter) {
        object.member("kind", standing.kind.rawValue)
        object.member("active", standing.active)
        object.member("shadow", standing.shadow)
        object.member("frozen", standing.isFrozen)
        object.member("newest", standing.newest?.number)
        object.member("changed_at", standing.changedAt)
        object.member("changed_by", standing.changedBy)
    }

    private static func write(_ snapshot: ModelSnapshot, into object: inout JSONWriter) {
        object.member("number", snapshot.number)
        object.member("made_at", snapshot.madeAt)
        object.member("made_by", snapshot.madeBy)
        object.member("trained_from", snapshot.trainedFrom)
        object.member("trained_to", snapshot.trainedTo)
        object.member("candidate", snapshot.isCandidate)
        object.member("bytes", snapshot.size)
        object.member("kept", snapshot.isKept)
        object.member("sha256", self.hex(snapshot.digest))
        object.object("metrics") { metrics in
            for (name, value) in snapshot.metrics.sorted(by: { $0.key < $1.key }) { metrics.member(name, value) }
        }
    }

    private static func write(_ change: RecordedModelChange, into object: inout JSONWriter) {
        object.member("at", change.at)
        object.member("by", change.by)
        object.member("what", change.what)
        object.member("before", change.before)
        object.member("after", change.after)
        object.member("reason", change.reason)
    }
}
