// What the people and machines behind the simulated addresses are like, as numbers.
//
// As JSON, an object of numbers, every member optional; what is left out stays as it was:
//
//     {"seed": 7, "open": 0.4, "click": 0.2, "gateway": 0.15, "time_scale": 3600}

package import DeliveryModel

/// Shares of kinds of mailboxes, rates of what people do, and how long they take; by default nobody does anything.
package struct PeopleDials: Sendable, Hashable {
    /// The same seed, recipients and messages: the same acts.
    package var seed = 1.0

    // Mailboxes. What is left of 1 reads mails with a program of its own. The share of a recipient's kind is decided once.

    /// Behind a security gateway that visits all links as soon as a mail is delivered.
    package var gateway = 0.0
    /// Apple Mail Privacy Protection: the pixel is fetched whether or not anybody opens.
    package var applePrivacy = 0.0
    /// Images come through the mailbox provider's proxy, when the mail is opened.
    package var imageProxy = 0.0
    /// Of text messages: something shows a preview of the link.
    package var preview = 0.0

    // What people do, as probabilities for each message.

    package var open = 0.0
    /// Of those who opened; of a text message or a push message, which nobody sees opened, of those who read it.
    package var click = 0.0
    /// Of those who clicked.
    package var conversion = 0.0
    /// Of those who opened.
    package var unsubscribe = 0.0
    /// Of those who unsubscribe: by the button of the mailbox (RFC 8058) and not by the page.
    package var oneClick = 0.5
    /// Of those who opened.
    package var complaint = 0.0
    /// Of those who got a text message: they answer STOP.
    package var stop = 0.0

    // What becomes of a message behind the provider's back.

    /// Share of the recipients that are not there: always the same ones.
    package var hardBounce = 0.0
    /// The mailbox is full; the phone is off until the message expires.
    package var softBounce = 0.0
    /// Taken for spam.
    package var block = 0.0

    // Time.

    /// Median of a log-normal delay; seconds.
    package var openMedian = 7_200.0
    /// Median of a log-normal delay behind the opening; seconds.
    package var clickMedian = 25.0
    /// So many seconds pass in one: all delays, those of machines too, are divided by it.
    package var timeScale = 1.0

    /// Nobody does anything.
    package init() {}

    /// People who do all there is to do, an hour in a minute: fast enough to watch, and people are still slower than
    /// machines.
    package static var lively: PeopleDials {
        var dials = PeopleDials()
        dials.gateway = 0.15
        dials.applePrivacy = 0.3
        dials.imageProxy = 0.3
        dials.preview = 0.25
        dials.open = 0.4
        dials.click = 0.2
        dials.conversion = 0.15
        dials.unsubscribe = 0.02
        dials.complaint = 0.003
        dials.stop = 0.01
        dials.hardBounce = 0.01
        dials.softBounce = 0.01
        dials.block = 0.003
        dials.timeScale = 60
        return dials
    }

    private typealias Dial = (name: String, path: any WritableKeyPath<PeopleDials, Double> & Sendable, max: Double)

    private static let dials: [Dial] = [
        ("seed", \.seed, 9_007_199_254_740_991), ("gateway", \.gateway, 1), ("apple_privacy", \.applePrivacy, 1),
        ("image_proxy", \.imageProxy, 1), ("preview", \.preview, 1), ("open", \.open, 1), ("click", \.click, 1),
        ("conversion", \.conversion, 1), ("unsubscribe", \.unsubscribe, 1), ("one_click", \.oneClick, 1),
        ("complaint", \.complaint, 1), ("stop", \.stop, 1), ("hard_bounce", \.hardBounce, 1),
        ("soft_bounce", \.softBounce, 1), ("block", \.block, 1), ("open_median_s", \.openMedian, 2_592_000),
        ("click_median_s", \.clickMedian, 2_592_000), ("time_scale", \.timeScale, 10_000_000),
    ]

    /// These dials with those that `json` names set anew.
    ///
    /// - Throws: ``SimulatorError`` with a sentence that names the member that is wrong.
    package func changed(by json: JSONValue) throws(SimulatorError) -> PeopleDials {
        guard let object = json.object else { throw SimulatorError("people must be an object of numbers") }
        var changed = self
        for member in object.members {
            guard let dial = Self.dials.first(where: { $0.name == member.name }) else {
                let names = Self.dials.map(\.name).joined(separator: ", ")
                throw SimulatorError("people has no member \"\(member.name)\": \(names)")
            }
            guard let number = member.value.double, (0...dial.max).contains(number) else {
                throw SimulatorError("people.\(dial.name) must be a number from 0 to \(dial.max)")
            }
            changed[keyPath: dial.path] = number
        }
        guard changed.gateway + changed.applePrivacy + changed.imageProxy <= 1.000_001 else {
            throw SimulatorError("gateway, apple_privacy and image_proxy are shares of one whole")
        }
        guard changed.hardBounce + changed.softBounce + changed.block <= 1.000_001 else {
            throw SimulatorError("hard_bounce, soft_bounce and block are shares of one whole")
        }
        guard changed.timeScale > 0 else { throw SimulatorError("people.time_scale must be more than 0") }
        return changed
    }

    /// All dials, in the form that ``changed(by:)`` takes.
    package var json: JSONValue {
        .object(JSONObject(Self.dials.map { .init(name: $0.name, value: .number(self[keyPath: $0.path])) }))
    }
}
