// The larger parts of a decision: the user with the addresses, and what is to be done.

extension ContractReader {
    mutating func user(_ value: JSONValue) -> User? {
        guard let user = self.object(value, at: "/user") else { return nil }
        self.refuseUnknown(user, at: "/user", known: ["id", "timezone", "locale", "email", "phone", "push"])
        let id = self.requiredText("id", of: user, at: "/user", .userID)
        let timezone = self.text("timezone", of: user, at: "/user", .timezone)
        let locale = self.text("locale", of: user, at: "/user", .locale)
        let email = self.text("email", of: user, at: "/user", .email)
        let phone = self.text("phone", of: user, at: "/user", .phone)
        let push = self.value("push", of: user).map { self.pushTargets($0) } ?? []
        guard let id else { return nil }
        return User(id: id, timezone: timezone, locale: locale, email: email, phone: phone, push: push)
    }

    private mutating func pushTargets(_ value: JSONValue) -> [PushTarget] {
        guard let targets = self.array(value, at: "/user/push") else { return [] }
        guard targets.count <= self.limits.pushTargetsMax else {
            self.note(
                .userPushCount, "/user/push",
                "There are \(targets.count) push targets; at most \(self.limits.pushTargetsMax) are allowed.")
            return []
        }
        return targets.enumerated().compactMap { self.pushTarget($0.element, at: "/user/push/\($0.offset)") }
    }

    private enum Platform: String, CaseIterable {
        case apns, fcm, webpush
    }

    private mutating func pushTarget(_ value: JSONValue, at place: String) -> PushTarget? {
        guard let target = self.object(value, at: place) else { return nil }
        guard let name = self.required("platform", of: target, at: place) else { return nil }
        guard let platform: Platform = self.word(name, at: place, "platform", .userPush) else { return nil }
        switch platform {
        case .apns:
            self.refuseUnknown(target, at: place, known: ["platform", "token", "topic"])
            let token = self.requiredText("token", of: target, at: place, .apnsToken)
            let topic = self.requiredText("topic", of: target, at: place, .apnsTopic)
            guard let token, let topic else { return nil }
            return .apns(token: token, topic: topic)
        case .fcm:
            self.refuseUnknown(target, at: place, known: ["platform", "token"])
            guard let token = self.requiredText("token", of: target, at: place, .fcmToken) else { return nil }
            return .fcm(token: token)
        case .webpush:
            self.refuseUnknown(target, at: place, known: ["platform", "endpoint", "keys"])
            let endpoint = self.requiredText("endpoint", of: target, at: place, .endpoint)
            guard let value = self.required("keys", of: target, at: place) else { return nil }
            guard let keys = self.object(value, at: "\(place)/keys") else { return nil }
            self.refuseUnknown(keys, at: "\(place)/keys", known: ["p256dh", "auth"])
            let p256dh = self.requiredText("p256dh", of: keys, at: "\(place)/keys", .p256dh)
            let auth = self.requiredText("auth", of: keys, at: "\(place)/keys", .auth)
            guard let endpoint, let p256dh, let auth else { return nil }
            return .webpush(endpoint: endpoint, p256dh: p256dh, auth: auth)
        }
    }
}

extension ContractReader {
    mutating func choice(of root: JSONObject) -> Choice? {
        let plan = self.value("plan", of: root)
        let arms = self.value("arms", of: root)
        switch (plan, arms) {
        case (let plan?, nil): return .plan(self.plan(plan, at: "/plan"))
        case (nil, let arms?): return .arms(self.arms(arms))
        case (nil, nil):
            self.note(.choiceMissing, "", "Give either \"plan\" or \"arms\": there is nothing to send.")
            return nil
        case (.some, .some):
            self.note(.choiceBoth, "/arms", "Give \"plan\" or \"arms\", not both.")
            return nil
        }
    }

    private mutating func plan(_ value: JSONValue, at place: String) -> [Step] {
        guard let steps = self.array(value, at: place) else { return [] }
        guard (1...self.limits.stepsMax).contains(steps.count) else {
            self.note(.planLength, place, "A plan has 1 to \(self.limits.stepsMax) steps; this one has \(steps.count).")
            return []
        }
        return steps.enumerated().compactMap {
            self.step($0.element, at: "\(place)/\($0.offset)", isLast: $0.offset == steps.count - 1)
        }
    }

    private mutating func step(_ value: JSONValue, at place: String, isLast: Bool) -> Step? {
        guard let step = self.object(value, at: place) else { return nil }
        self.refuseUnknown(step, at: place, known: ["channel", "template", "until", "within"])
        let channel: ChannelKind? = self.required("channel", of: step, at: place).flatMap {
            self.word($0, at: place, "channel", .stepChannel)
        }
        let template = self.requiredText("template", of: step, at: place, .template)
        let goalValue = self.value("until", of: step)
        let goal: Goal? = goalValue.flatMap { self.word($0, at: place, "until", .stepUntil) }
        let within = self.duration("within", of: step, at: place)
        switch (goalValue != nil, self.value("within", of: step) != nil) {
        case (true, true): break
        case (true, false):
            self.note(.stepPair, "\(place)/within", "\"until\" needs \"within\": how long to wait for the goal.")
        case (false, true):
            self.note(.stepPair, "\(place)/until", "\"within\" needs \"until\": the goal to wait for.")
        case (false, false):
            guard !isLast else { break }
            self.note(
                .stepGoalMissing, place,
                "A step with another one behind it needs \"until\" and \"within\", or that one would never run.")
        }
        guard let channel, let template else { return nil }
        return Step(channel: channel, template: template, until: goal, within: within)
    }

    private mutating func arms(_ value: JSONValue) -> [Arm] {
        guard let arms = self.array(value, at: "/arms") else { return [] }
        guard (2...self.limits.armsMax).contains(arms.count) else {
            self.note(.armsCount, "/arms", "There must be 2 to \(self.limits.armsMax) arms; here are \(arms.count).")
            return []
        }
        var known: Set<String> = []
        return arms.enumerated().compactMap { index, value in
            guard let arm = self.arm(value, at: "/arms/\(index)") else { return nil }
            if !known.insert(arm.id).inserted {
                self.note(.armDuplicate, "/arms/\(index)/id", "Another arm of this decision has the same id.")
            }
            return arm
        }
    }

    private mutating func arm(_ value: JSONValue, at place: String) -> Arm? {
        guard let arm = self.object(value, at: place) else { return nil }
        self.refuseUnknown(arm, at: place, known: ["id", "plan", "cost"])
        let id = self.requiredText("id", of: arm, at: place, .armID)
        let plan = self.required("plan", of: arm, at: place).map { self.plan($0, at: "\(place)/plan") }
        let cost = self.number("cost", of: arm, at: place, .armCost, demand: Self.amountDemand) { Self.isAmount($0) }
        guard let id, let plan else { return nil }
        return Arm(id: id, plan: plan, cost: cost ?? 0)
    }
}
