import DeliveryModel

/// A reward as JSON, on one line: `martlet.reward/1`.
package enum RewardDocument {
    package static let schema = "martlet.reward/1"

    package static func json(_ reward: Reward) -> [UInt8] {
        var writer = JSONWriter(reserving: 1024)
        writer.object { object in
            object.member("schema", Self.schema)
            object.member("id", reward.id)
            object.member("decision", reward.decision)
            object.member("user", reward.user)
            object.member("campaign", reward.campaign)
            object.member("revision", reward.revision)
            object.member("state", reward.state.rawValue)
            object.member("maturity", reward.maturity.rawValue)
            object.member("reward", reward.reward)
            object.array("events") { list in
                for event in reward.events { list.object { Self.write(event, into: &$0) } }
            }
            object.object("intended") { Self.write(reward.intended, into: &$0) }
            if let executed = reward.executed {
                object.object("executed") { Self.write(executed, into: &$0) }
            } else {
                object.member("executed", JSONValue.null)
            }
            object.array("diverged") { list in
                for cause in reward.diverged { list.element(cause) }
            }
            object.object("propensity") { item in
                item.member("engine", reward.propensity.engine.orNull)
                item.member("arm", reward.propensity.arm.orNull)
                item.member("slot", reward.propensity.slot.orNull)
                item.member("provider", reward.propensity.provider.orNull)
                item.member("joint", reward.propensity.joint.orNull)
            }
            object.object("candidates") { item in
                item.object("arms") { arms in
                    for arm in reward.arms { arms.member(arm.id, arm.probability) }
                }
                item.member("slots", reward.slots)
            }
            object.member("context", .object(reward.context))
            object.object("policy") { item in
                item.member("arm", reward.armPolicy)
                item.member("slot", reward.slotPolicy)
                item.member("seed", reward.seed.map { String($0, radix: 16) })
            }
            object.member("outcome", reward.outcome.map { .string($0) } ?? .null)
            object.member("decided_at", reward.decidedAt)
            object.member("sent_at", reward.sentAt.map { .string($0.rfc3339) } ?? .null)
            object.member("window_closes_at", reward.windowClosesAt)
        }
        return writer.bytes
    }

    private static func write(_ event: Reward.Event, into object: inout JSONWriter) {
        object.member("type", event.type)
        object.member("at", event.at)
        if let judgement = event.judgement {
            object.member("verdict", judgement.verdict.rawValue)
            object.member("p_human", judgement.humanProbability)
            if !judgement.because.isEmpty {
                object.array("because") { list in
                    for cause in judgement.because { list.element(cause) }
                }
            }
        }
        object.member("value", event.value)
        object.member("credit", event.credit)
    }

    private static func write(_ course: Reward.Course, into object: inout JSONWriter) {
        object.member("arm", course.arm)
        object.member("slot", course.slot)
        object.member("channel", course.channel)
        object.member("provider", course.provider)
        object.member("attempts", course.attempts)
    }
}

extension Double? {
    fileprivate var orNull: JSONValue { self.map { .number($0) } ?? .null }
}
