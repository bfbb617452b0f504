/// A configured way out on a channel, seen through the adapter that speaks its protocol.
///
/// Two phases, so that the attempt can be recorded between them: ``compose(_:)`` makes the bytes and
/// touches nothing outside; ``PreparedMessage/send(while:)`` puts them on the wire.
package protocol Provider: Sendable {
    /// The provider's name in `channels/providers`, such as `twilio-eu`.
    var name: String { get }
    var channel: ChannelKind { get }
    /// The most messages in flight at once, over the whole process.
    var concurrency: Int { get }
    var routing: ProviderRouting { get }

    /// Looks whether the provider is there and lets us in. Sends no message.
    func check() async -> ProviderCheck

    /// Turns one step of a decision into a message for this provider.
    ///
    /// - Throws: ``CompositionRefusal`` when it cannot be composed and never will.
    func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage

    /// Whether it can reach this device; asked of providers of push only.
    func takes(_ target: PushTarget) -> Bool

    /// Which devices a push message of `template` goes to; asked of providers of push only.
    func devicePolicy(_ template: String, locale: String?) -> DevicePolicy
}

extension Provider {
    package func takes(_ target: PushTarget) -> Bool { true }

    package func devicePolicy(_ template: String, locale: String?) -> DevicePolicy { .untilAccepted }
}

extension Provider {
    /// As good as any other, and as fast as it answers.
    package var routing: ProviderRouting { ProviderRouting() }

    package func check() async -> ProviderCheck { .unchecked("nothing to look at") }
}

/// What is to be composed.
package struct CompositionRequest: Sendable {
    package var decision: Decision
    package var step: Step
    /// Position of `step` in the plan, from 0.
    package var stepIndex: Int
    package var now: Timestamp
    /// The device that it goes to, on push; nil leaves the choice to the provider.
    package var target: PushTarget?
    /// The number that the attempt will have, from 1; nil when it is not known.
    package var attempt: Int?

    package init(
        decision: Decision, step: Step, stepIndex: Int, now: Timestamp, target: PushTarget? = nil, attempt: Int? = nil
    ) {
        self.decision = decision
        self.step = step
        self.stepIndex = stepIndex
        self.now = now
        self.target = target
        self.attempt = attempt
    }

    /// Identifies this message at every provider and over every attempt: the same step of the same
    /// decision always has the same key.
    package var idempotencyKey: String { "\(self.decision.id)/\(self.stepIndex)" }
}

/// A message that is ready to go out.
package protocol PreparedMessage: Sendable {
    /// The normalised address it goes to, for suppression; never logged.
    var address: String { get }
    /// Bytes of the message on the wire.
    var size: Int { get }

    /// Sends it and says what came of it. Takes no longer than the provider's time limits; never throws.
    ///
    /// When the task is cancelled, a message that has not begun is given back as deferred; one that is on the wire is
    /// finished, since its answer is worth more than a quick end.
    ///
    /// - Parameter mayGo: Asked last before the first byte, however long the message waited for a connection. On false
    ///   it is given back as deferred.
    func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome
}

extension PreparedMessage {
    /// Sends it whatever has happened meanwhile.
    package func send() async -> Outcome { await self.send { true } }
}

/// Why a message cannot be composed.
package struct CompositionRefusal: Error, Sendable, Equatable {
    package enum Code: String, Sendable, CaseIterable {
        case addressMissing = "address.missing"
        case addressInvalid = "address.invalid"
        case templateUnknown = "template.unknown"
        case templateInvalid = "template.invalid"
        case variableMissing = "template.variable_missing"
        case messageTooLarge = "message.too_large"
    }

    package var code: Code
    /// A sentence that says what to mend; no address, no value of a variable.
    package var detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }
}
