import DeliveryModel

/// A reward as a line of Vowpal Wabbit's dsjson (https://github.com/VowpalWabbit/vowpal_wabbit/wiki/DSJSON), for
/// `vw --cb_adf --dsjson` and kin.
///
/// The features of the context are in the namespace `context`, those of each arm in `arm`; `--quadratic ca` crosses them.
enum VowpalWabbitLine {
    /// The line with its line feed; nil where no choice was made (``Reward/choice``).
    static func bytes(_ reward: Reward) -> [UInt8]? {
        guard let choice = reward.choice else { return nil }
        // The chosen one first, as VW lists actions in the order in which it would play them.
        let order = [choice.chosen] + choice.arms.indices.filter { $0 != choice.chosen }
        var writer = JSONWriter(reserving: 512)
        writer.object { line in
            // Minus zero is a number that readers need not be troubled with.
            line.member("_label_cost", reward.reward == 0 ? 0 : -reward.reward)
            line.member("_label_probability", choice.probability)
            line.member("_label_Action", choice.chosen + 1)
            line.member("_labelIndex", choice.chosen)
            // Nothing is known of what came of it: neither success nor failure is to be learned.
            if reward.maturity == .censored { line.member("_skipLearn", true) }
            line.member("Timestamp", reward.decidedAt)
            line.member("Version", "1")
            line.member("EventId", reward.decision)
            line.array("a") { list in
                for index in order { list.element(index + 1) }
            }
            line.object("c") { item in
                item.object("context") { Self.features(reward.context, into: &$0) }
                item.array("_multi") { list in
                    for arm in choice.arms {
                        list.object { $0.object("arm") { $0.member("id", arm.id) } }
                    }
                }
            }
            line.array("p") { list in
                for index in order {
                    list.element(index == choice.chosen ? choice.probability : choice.arms[index].probability)
                }
            }
            line.object("VWState") { $0.member("m", reward.armPolicy ?? "N/A") }
        }
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    /// Names that begin with an underscore are VW's own, and it would pass over them: they get an `x` in front.
    private static func features(_ context: JSONObject, into object: inout JSONWriter) {
        for member in context.members {
            guard member.value.isFeature else { continue }
            object.member(member.name.hasPrefix("_") ? "x\(member.name)" : member.name, member.value)
        }
    }
}

extension JSONValue {
    /// A number, a text or a truth value: what the contract allows in a context.
    var isFeature: Bool {
        switch self {
        case .bool, .integer, .number, .string: true
        case .null, .array, .object: false
        }
    }
}
