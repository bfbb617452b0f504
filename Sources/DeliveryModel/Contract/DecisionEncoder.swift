// From `Decision` back to the text of `martlet.decision/1`. Fields that have their default are left out.

extension Decision {
    /// The decision as compact JSON that `decode` reads back to an equal value.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter(reserving: 1024)
        writer.object { writer in
            writer.member("schema", Self.schema)
            writer.member("id", self.id)
            writer.object("user") { self.user.write(to: &$0) }
            writer.member("campaign", self.campaign)
            writer.member("class", self.messageClass.rawValue)
            writer.member("priority", self.priority)
            writer.member("not_before", self.notBefore)
            writer.member("expires_at", self.expiresAt)
            self.timing.write(to: &writer)
            switch self.choice {
            case .plan(let steps): Step.write(steps, to: &writer)
            case .arms(let arms): writer.array("arms") { Arm.write(arms, to: &$0) }
            }
            if !self.context.isEmpty { writer.member("context", .object(self.context)) }
            writer.member("propensity", self.propensity)
            if !self.data.isEmpty { writer.member("data", .object(self.data)) }
            self.reward.write(to: &writer)
            writer.member("supersedes", self.supersedes)
            writer.member("trace", self.trace)
        }
        return writer.bytes
    }
}

extension User {
    func write(to writer: inout JSONWriter) {
        writer.member("id", self.id)
        writer.member("timezone", self.timezone)
        writer.member("locale", self.locale)
        writer.member("email", self.email)
        writer.member("phone", self.phone)
        guard !self.push.isEmpty else { return }
        writer.array("push") { writer in
            for target in self.push { writer.object { target.write(to: &$0) } }
        }
    }
}

extension PushTarget {
    fileprivate func write(to writer: inout JSONWriter) {
        switch self {
        case .apns(let token, let topic):
            writer.member("platform", "apns")
            writer.member("token", token)
            writer.member("topic", topic)
        case .fcm(let token):
            writer.member("platform", "fcm")
            writer.member("token", token)
        case .webpush(let endpoint, let p256dh, let auth):
            writer.member("platform", "webpush")
            writer.member("endpoint", endpoint)
            writer.object("keys") { writer in
                writer.member("p256dh", p256dh)
                writer.member("auth", auth)
            }
        }
    }
}

extension Timing {
    fileprivate func write(to writer: inout JSONWriter) {
        switch self {
        case .now: break
        case .optimize: writer.object("timing") { $0.member("mode", "optimize") }
        case .local(let minute):
            let digits = [minute / 600, minute / 60 % 10, minute % 60 / 10, minute % 10].map { String($0) }
            writer.object("timing") { writer in
                writer.member("mode", "local")
                writer.member("at", digits[..<2].joined() + ":" + digits[2...].joined())
            }
        }
    }
}

extension Step {
    fileprivate static func write(_ steps: [Step], to writer: inout JSONWriter) {
        writer.array("plan") { writer in
            for step in steps {
                writer.object { writer in
                    writer.member("channel", step.channel.rawValue)
                    writer.member("template", step.template)
                    writer.member("until", step.until?.rawValue)
                    writer.member("within", step.within?.iso8601)
                }
            }
        }
    }
}

extension Arm {
    fileprivate static func write(_ arms: [Arm], to writer: inout JSONWriter) {
        for arm in arms {
            writer.object { writer in
                writer.member("id", arm.id)
                Step.write(arm.plan, to: &writer)
                writer.member("cost", arm.cost)
            }
        }
    }
}

extension RewardRule {
    fileprivate func write(to writer: inout JSONWriter) {
        guard self != RewardRule() else { return }
        writer.object("reward") { writer in
            writer.member("open", self.open)
            writer.member("click", self.click)
            writer.member("conversion", self.conversion)
            writer.member("unsubscribe", self.unsubscribe)
            writer.member("complaint", self.complaint)
            writer.member("window", self.window.iso8601)
        }
    }
}
