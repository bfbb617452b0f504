package import DeliveryModel

/// What follows from an outcome. Pure: the same question always has the same answer.
package struct RetryPolicy: Sendable, Equatable {
    /// The ceiling of the first backoff; it doubles with each attempt.
    package var base: Milliseconds
    /// No backoff is longer.
    package var longest: Milliseconds
    /// The most attempts at one step.
    package var attemptsMax: Int

    /// After so many, "slow down" counts as an attempt: nothing goes on for ever.
    private static let pausesMax = 100
    /// No setting makes a backoff longer: 366 days.
    private static let longestEver: Int64 = 366 * 86_400_000

    package init(base: Milliseconds = .seconds(30), longest: Milliseconds = .seconds(3600), attemptsMax: Int = 5) {
        self.base = base
        self.longest = longest
        self.attemptsMax = attemptsMax
    }

    /// What is to be done after an attempt at `step` of `plan`.
    ///
    /// - Parameters:
    ///   - attempt: Number of this attempt at this step, from 1; "slow down" does not count.
    ///   - hasOther: Whether another provider could take it at once, where this one is at fault.
    ///   - pauses: How many attempts before this one were answered "slow down", about.
    ///   - jitter: Uniform in [0, 1), drawn where it is needed: full jitter, so that a crowd of retries does not come
    ///     back as a crowd.
    package func next(
        after outcome: Outcome, attempt: Int, of decision: Decision, plan: [Step], at step: Int, hasSent: Bool,
        hasOther: Bool = false, pauses: Int = 0, now: Timestamp, jitter: @autoclosure () -> Double
    ) -> NextMove {
        switch outcome.verdict {
        case .accepted:
            return self.afterSending(decision, plan: plan, at: step, now: now)
        case .rejected:
            return self.afterFailing(decision, plan: plan, at: step, hasSent: hasSent, now: now, reason: outcome.reason)
        case .unknown where !Self.mayRepeat(decision, plan: plan, at: step):
            return .settle(.unknown, reason: outcome.reason)
        case .deferred where outcome.fault == .pace && pauses < Self.pausesMax:
            // The provider itself is left alone for that time: all that is left is to spread those who come back.
            let asked = max(outcome.retryAfter ?? .seconds(1), .seconds(1))
            let spread = self.backoff(attempt: 1, askedFor: asked, jitter: jitter() / 8)
            return self.rest(until: now.advanced(by: spread), decision, at: step, hasSent: hasSent, outcome.reason)
        case .deferred, .unknown:
            guard attempt < self.attemptsMax else {
                if outcome.verdict == .unknown { return .settle(.unknown, reason: outcome.reason) }
                return self.afterFailing(
                    decision, plan: plan, at: step, hasSent: hasSent, now: now, reason: outcome.reason,
                    mayBeRetried: true)
            }
            // What another provider can take need not wait for this one.
            let pause =
                outcome.verdict == .deferred && hasOther
                ? Milliseconds(0) : self.backoff(attempt: attempt, askedFor: outcome.retryAfter, jitter: jitter())
            return self.rest(until: now.advanced(by: pause), decision, at: step, hasSent: hasSent, outcome.reason)
        }
    }

    private func rest(
        until due: Timestamp, _ decision: Decision, at step: Int, hasSent: Bool, _ reason: String
    ) -> NextMove {
        if let expiry = decision.expiresAt, due >= expiry {
            return .settle(hasSent ? .sent : .expired, reason: "expired.before_retry")
        }
        return .rest(until: due, step: step, reason: reason)
    }

    /// What is to be done when `step` cannot be carried out at all.
    ///
    /// - Parameter mayBeRetried: Whether it may go better later: then a delivery of which nothing was sent is set aside.
    package func afterFailing(
        _ decision: Decision, plan: [Step], at step: Int, hasSent: Bool, now: Timestamp, reason: String,
        state: TerminalState = .failed, mayBeRetried: Bool = false
    ) -> NextMove {
        guard step + 1 < plan.count else {
            if hasSent { return .settle(.sent, reason: reason) }
            return mayBeRetried ? .setAside(reason: reason) : .settle(state, reason: reason)
        }
        return .rest(until: now, step: step + 1, reason: reason)
    }

    /// At least what the provider asked for; otherwise full jitter under a doubling ceiling.
    package func backoff(attempt: Int, askedFor: Milliseconds?, jitter: Double) -> Milliseconds {
        let longest = min(max(self.longest.count, 1), Self.longestEver)
        let base = min(max(self.base.count, 1), longest)
        // Neither number has more than 35 bits.
        let ceiling = min(longest, base << min(max(attempt, 1) - 1, 20))
        // What is not a number compares with nothing.
        let share = jitter > 0 ? min(jitter, 1) : 0
        let asked = min(max(askedFor?.count ?? 0, 0), 24 * 3_600_000)
        return Milliseconds(asked + Int64(Double(ceiling) * share))
    }

    /// What is to be done once a provider has taken the message of `step`.
    package func afterSending(_ decision: Decision, plan: [Step], at step: Int, now: Timestamp) -> NextMove {
        guard step + 1 < plan.count, plan[step].until != nil, let within = plan[step].within else {
            return .settle(.sent, reason: "accepted")
        }
        let due = now.advanced(by: within)
        if let expiry = decision.expiresAt, due >= expiry {
            return .settle(.sent, reason: "accepted.no_time_for_next_step")
        }
        return .rest(until: due, step: step + 1, reason: "goal.waiting")
    }

    /// After an outcome that nobody knows.
    ///
    /// Marketing is never repeated. A transactional email may be, since its Message-ID stays the same, and a push
    /// message, since the repeat takes the place of the first on the device. A text message would simply come twice.
    private static func mayRepeat(_ decision: Decision, plan: [Step], at step: Int) -> Bool {
        guard decision.messageClass == .transactional, plan.indices.contains(step) else { return false }
        switch plan[step].channel {
        case .email, .push: return true
        case .sms: return false
        }
    }
}
