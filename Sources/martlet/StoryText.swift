/// The story of a decision in words, for a person who never saw the code.
import DeliveryModel

enum StoryText {
    static func of(_ story: Story) -> String {
        var lines = ["Decision \(story.id): \(self.headline(story))", ""]
        lines.append("  campaign   \(story.campaign) (\(story.messageClass))")
        if let decision = story.decision {
            lines.append("  user       \(decision.user.id)")
            lines.append("  plan       \(self.plan(decision, arm: story.settlement?.arm))")
            if let time = decision.notBefore { lines.append("  not before \(time.rfc3339)") }
            if let time = decision.expiresAt { lines.append("  expires    \(time.rfc3339)") }
        }
        lines.append("  came from  \(story.source), shard \(story.shard)")
        if let choice = story.choice { lines += ChoiceText.lines(choice) }
        lines.append("")
        lines += self.trail(story).sorted { $0.at < $1.at }.map { line in
            "  \(self.clock(line.at))  \(line.text)"
        }
        return lines.joined(separator: "\n")
    }

    static func of(_ rejected: [RejectedEntry], id: String) -> String {
        var lines = ["Decision \(id): rejected, never accepted. Nothing was sent.", ""]
        for entry in rejected {
            lines.append("  \(entry.at)  it came as \(entry.source)")
            for rejection in entry.rejections {
                let place = rejection.pointer.isEmpty ? "the whole document" : rejection.pointer
                lines.append("    \(rejection.code) at \(place)")
                lines.append("      \(rejection.detail)")
            }
        }
        lines.append("")
        lines.append("  Mend it and send it again; the text is kept with the reasons in the shard's rejects stream.")
        return lines.joined(separator: "\n")
    }

    private static func headline(_ story: Story) -> String {
        if let end = story.settlement {
            let state = TerminalState(rawValue: end.state)
            return "\(end.state). \(state.map(self.meaning) ?? "") Reason: \(end.reason)."
        }
        guard let open = story.open else { return "accepted." }
        if let holder = open.heldBy { return "in flight, held by \(holder.split(separator: "/").first ?? "a worker")." }
        return "waiting until \(open.dueAt.rfc3339) for step \(open.step + 1)."
    }

    private static func meaning(_ state: TerminalState) -> String {
        switch state {
        case .delivered: "It reached the person's mailbox or device."
        case .sent: "The provider took the message; no receipt says more."
        case .failed: "No provider took the message, or it did not arrive."
        case .expired: "Its time ran out before it could be sent."
        case .suppressed: "The address must not be used."
        case .capped: "The person had received enough messages."
        case .cancelled: "It was cancelled before it was sent."
        case .superseded: "A newer decision took its place."
        case .refused: "The message could not or must not be made."
        case .unknown: "It may or may not have arrived, and repeating it was not allowed."
        }
    }

    private static func plan(_ decision: Decision, arm: String?) -> String {
        func steps(_ plan: [Step]) -> String {
            plan.map { step in
                let goal = step.until.map { ", then on unless there is a \($0.rawValue) in time" } ?? ""
                return "\(step.channel.rawValue) '\(step.template)'\(goal)"
            }.joined(separator: " → ")
        }
        switch decision.choice {
        case .plan(let plan): return steps(plan)
        case .arms(let arms):
            let chosen = arms.first { $0.id == arm }
            return "one of \(arms.count) arms" + (chosen.map { ", \($0.id) was chosen: \(steps($0.plan))" } ?? "")
        }
    }

    private static func trail(_ story: Story) -> [(at: Timestamp, text: String)] {
        var trail: [(at: Timestamp, text: String)] = [(story.acceptedAt, "accepted: it is in the ledger")]
        for attempt in story.attempts {
            let what = "attempt \(attempt.number): \(attempt.channel) through \(attempt.provider)"
            guard let closedAt = attempt.closedAt else {
                trail.append((attempt.openedAt, "\(what), on the wire"))
                continue
            }
            var text =
                "\(what): \(attempt.verdict ?? "?") (\(attempt.reason ?? "?")) after \(closedAt.since(attempt.openedAt).count) ms"
            if let detail = attempt.detail { text += ", “\(detail)”" }
            if let id = attempt.providerMessageID { text += ", provider's id \(id)" }
            trail.append((closedAt, text))
        }
        for event in story.events { trail.append((event.at, self.event(event))) }
        if let end = story.settlement {
            if let policy = end.policy, let propensity = end.propensity {
                let arm = end.arm.map { "arm \($0)" } ?? "the plan as given"
                trail.append((story.acceptedAt, "chosen: \(arm), probability \(propensity), policy \(policy)"))
            }
            trail.append((end.at, "settled: \(end.state) (\(end.reason))"))
        }
        return trail
    }

    private static func event(_ event: Story.Event) -> String {
        let detail = event.detail.object
        let reason = detail?["reason"]?.string ?? ""
        switch event.kind {
        case "rest":
            let until = detail?["until"]?.string ?? "later"
            let step = (detail?["step"]?.double).map { Int($0) + 1 } ?? 0
            return "rests until \(until), then step \(step) (\(reason))"
        case "not_tried":
            return "not tried (\(reason)): \(detail?["detail"]?.string ?? "")"
        case "late_outcome":
            return "a late answer: \(detail?["verdict"]?.string ?? "?") (\(reason)), after the lease was lost"
        case "supersedes_too_late":
            return "came too late to take the place of \(detail?["decision"]?.string ?? "another"): that one was sent"
        case "delivered": return "delivered, says the provider" + self.lateness(detail)
        case "receipt":
            let words = detail?["detail"]?.string.map { ", “\($0)”" } ?? ""
            return "receipt for attempt \(Int(detail?["attempt"]?.double ?? 0)): "
                + "\(detail?["kind"]?.string ?? "?") (\(reason))\(words)"
        case "open": return "opened" + self.lateness(detail)
        case "click": return "a link was followed" + self.lateness(detail)
        case "conversion": return "a conversion" + self.lateness(detail)
        case "retried":
            return "taken up again by hand, at step \((detail?["step"]?.double).map { Int($0) + 1 } ?? 0)"
        case "discarded":
            return "dropped by hand from what was set aside"
        default:
            return event.kind
        }
    }

    private static func lateness(_ detail: JSONObject?) -> String {
        detail?["too_late"] == nil ? "" : ", while the next message was on the wire"
    }

    /// The time of day with milliseconds; the date is in the acceptance line's neighbourhood.
    private static func clock(_ time: Timestamp) -> String {
        String(time.rfc3339.dropFirst(11).prefix(12))
    }
}
