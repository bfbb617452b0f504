/// What a producer reports of a person who did what the message was for.
///
/// The decoded form of `martlet.conversion/1` (docs/contract.md).
package struct Conversion: Sendable, Equatable {
    /// Whose conversion it is.
    package enum Target: Sendable, Equatable {
        /// That of one decision.
        case decision(id: String)
        /// That of whatever was sent to this user; attribution finds the decision.
        case user(id: String, goal: String)
    }

    /// The producer's idempotency key: 1…128 of `[A-Za-z0-9._:-]`.
    package var id: String
    package var target: Target
    /// In the currency of the producer's rewards; 1 when none is given.
    package var value: Double
    /// When it happened; nil stands for the time of arrival.
    package var at: Timestamp?

    package init(id: String, target: Target, value: Double = 1, at: Timestamp? = nil) {
        self.id = id
        self.target = target
        self.value = value
        self.at = at
    }
}

extension Conversion {
    /// The one schema of conversions that this version reads.
    package static let schema = "martlet.conversion/1"

    /// Reads and checks the text of a conversion, by the rules and limits of decisions.
    package static func decode(
        _ bytes: [UInt8], limits: DecisionLimits = DecisionLimits()
    ) throws(DecisionRejections) -> Conversion {
        guard bytes.count <= limits.bytesMax else {
            throw DecisionRejections(
                Rejection(.tooLarge, pointer: "", detail: "A conversion has at most \(limits.bytesMax) bytes."))
        }
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue.parse(bytes)
        } catch {
            throw DecisionRejections(error.rejection)
        }
        return try self.decode(value, limits: limits)
    }

    /// Checks a conversion that is a JSON tree already.
    package static func decode(
        _ value: JSONValue, limits: DecisionLimits = DecisionLimits()
    ) throws(DecisionRejections) -> Conversion {
        var reader = ContractReader(limits: limits)
        let conversion = reader.conversion(value)
        try reader.finish(id: conversion?.id)
        guard let conversion else {
            throw DecisionRejections(
                Rejection(.fieldMissing, pointer: "", detail: "The conversion is incomplete."))
        }
        return conversion
    }

    /// The conversion as compact JSON that `decode` reads back to an equal value.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("schema", Self.schema)
            writer.member("id", self.id)
            switch self.target {
            case .decision(let id): writer.member("decision", id)
            case .user(let id, let goal):
                writer.member("user", id)
                writer.member("goal", goal)
            }
            writer.member("value", self.value)
            writer.member("at", self.at)
        }
        return writer.bytes
    }
}

extension ContractReader {
    fileprivate mutating func conversion(_ value: JSONValue) -> Conversion? {
        guard let root = self.object(value, at: ""), self.schema(Conversion.schema, of: root) else { return nil }
        self.refuseUnknown(
            root, at: "", known: ["schema", "id", "decision", "user", "goal", "value", "at"])
        let id = self.requiredText("id", of: root, at: "", .id)
        let decision = self.text("decision", of: root, at: "", .id)
        let user = self.text("user", of: root, at: "", .userID)
        let goal = self.text("goal", of: root, at: "", .goal)
        let number = self.number("value", of: root, at: "", .conversionValue, demand: Self.amountDemand) {
            Self.isAmount($0)
        }
        let at = self.time("at", of: root, at: "")
        let named = ["decision", "user", "goal"].filter { self.value($0, of: root) != nil }
        guard named == ["decision"] || named == ["user", "goal"] else {
            self.note(.conversionTarget, "", "Give \"decision\" alone, or \"user\" and \"goal\" together.")
            return nil
        }
        self.refuseNUL(value, at: "")
        guard let id else { return nil }
        if let decision {
            return Conversion(id: id, target: .decision(id: decision), value: number ?? 1, at: at)
        }
        guard let user, let goal else { return nil }
        return Conversion(id: id, target: .user(id: user, goal: goal), value: number ?? 1, at: at)
    }
}
