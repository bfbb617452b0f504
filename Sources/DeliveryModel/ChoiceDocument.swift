/// A choice as JSON: `martlet.choice/1`, as the ledger keeps it.
package enum ChoiceDocument {
    package static let schema = "martlet.choice/1"

    package static func json(_ choice: MadeChoice) -> [UInt8] {
        var writer = JSONWriter(reserving: 1024)
        writer.object { object in
            object.member("schema", Self.schema)
            object.member("made_at", choice.madeAt)
            if let arm = choice.arm {
                object.object("arm") { item in
                    Self.write(arm.draw, into: &item)
                    item.member("chosen", arm.chosen)
                    item.array("candidates") { list in
                        for candidate in arm.candidates {
                            list.array { pair in
                                pair.element(candidate.id)
                                pair.element(candidate.probability)
                            }
                        }
                    }
                    item.member("inputs", .object(arm.inputs))
                }
            }
            if let slot = choice.slot {
                object.object("slot") { item in
                    Self.write(slot.draw, into: &item)
                    item.member("zone", slot.zone)
                    item.member("zone_source", slot.zoneSource)
                    item.member("first", slot.first)
                    item.array("starts") { list in for start in slot.starts { list.element(start) } }
                    item.array("hours") { list in for hour in slot.hours { list.element(hour) } }
                    item.member("chosen", slot.chosen)
                    item.member("due_at", slot.dueAt)
                    item.object("removed") { counts in
                        for (reason, count) in slot.removed.sorted(by: { $0.key < $1.key }) {
                            counts.member(reason, count)
                        }
                    }
                    item.member("inputs", .object(slot.inputs))
                }
            }
        }
        return writer.bytes
    }

    /// Nil for anything that ``json(_:)`` did not write. Members that are not known are ignored.
    package static func decode(_ bytes: [UInt8]) -> MadeChoice? {
        guard let root = (try? JSONValue.parse(bytes))?.object, root["schema"]?.string == self.schema,
            let madeAt = root["made_at"]?.string.flatMap(Timestamp.init(rfc3339:))
        else { return nil }
        var choice = MadeChoice(madeAt: madeAt)
        if let item = root["arm"]?.object {
            guard let arm = self.arm(item) else { return nil }
            choice.arm = arm
        }
        if let item = root["slot"]?.object {
            guard let slot = self.slot(item) else { return nil }
            choice.slot = slot
        }
        return choice
    }

    private static func write(_ draw: MadeChoice.Draw, into item: inout JSONWriter) {
        item.member("policy", draw.policy)
        item.member("snapshot", draw.snapshot)
        item.member("seed", String(draw.seed, radix: 16))
        item.member("propensity", draw.propensity)
        item.member("cohort", draw.isCohort)
        item.member("digest", String(draw.digest, radix: 16))
        if !draw.notes.isEmpty { item.array("notes") { list in for note in draw.notes { list.element(note) } } }
    }

    private static func draw(_ item: JSONObject) -> MadeChoice.Draw? {
        guard let policy = item["policy"]?.string, let seed = item["seed"]?.string.flatMap({ UInt64($0, radix: 16) }),
            let propensity = item["propensity"]?.double, propensity > 0, propensity <= 1,
            let digest = item["digest"]?.string.flatMap({ UInt64($0, radix: 16) })
        else { return nil }
        return MadeChoice.Draw(
            policy: policy, snapshot: item["snapshot"]?.wholeNumber, seed: seed, propensity: propensity,
            isCohort: item["cohort"] == .bool(true), digest: digest,
            notes: item["notes"]?.array?.compactMap(\.string) ?? [])
    }

    private static func arm(_ item: JSONObject) -> MadeChoice.OfArm? {
        guard let draw = self.draw(item), let chosen = item["chosen"]?.string else { return nil }
        let candidates = (item["candidates"]?.array ?? []).compactMap { pair -> MadeChoice.Candidate? in
            guard let pair = pair.array, pair.count == 2, let id = pair[0].string, let probability = pair[1].double
            else { return nil }
            return MadeChoice.Candidate(id: id, probability: probability)
        }
        return MadeChoice.OfArm(
            draw: draw, chosen: chosen, candidates: candidates, inputs: item["inputs"]?.object ?? JSONObject())
    }

    private static func slot(_ item: JSONObject) -> MadeChoice.OfSlot? {
        let starts = (item["starts"]?.array ?? []).compactMap(\.wholeNumber)
        let hours = (item["hours"]?.array ?? []).compactMap(\.wholeNumber).filter((0..<168).contains)
        guard let draw = self.draw(item), let zone = item["zone"]?.string,
            let first = item["first"]?.string.flatMap(Timestamp.init(rfc3339:)),
            let dueAt = item["due_at"]?.string.flatMap(Timestamp.init(rfc3339:)),
            let chosen = item["chosen"]?.wholeNumber, hours.indices.contains(chosen), starts.count == hours.count
        else { return nil }
        var removed: [String: Int] = [:]
        for member in item["removed"]?.object?.members ?? [] { removed[member.name] = member.value.wholeNumber }
        return MadeChoice.OfSlot(
            draw: draw, zone: zone, zoneSource: item["zone_source"]?.string ?? "", first: first, starts: starts,
            hours: hours, chosen: chosen, dueAt: dueAt, removed: removed,
            inputs: item["inputs"]?.object ?? JSONObject())
    }
}

extension JSONValue {
    fileprivate var wholeNumber: Int? {
        guard case .integer(let value) = self else { return nil }
        return Int(exactly: value)
    }
}
