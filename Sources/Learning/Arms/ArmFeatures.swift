import DeliveryModel
import Glibc

// What of a decision's context counts for the choice of an arm.
//
// A context comes from outside and changes without a word: features are renamed, turn from numbers into texts, arrive as
// 1e300 or with a million different texts. Nothing of that may stop a choice or poison a model, and all of it should be
// seen: what is not used is named in the notes.

/// A feature as it was read, before a model knows it.
enum RawFeature: Sendable, Hashable {
    case number(name: UInt64, value: Double)
    /// A text or a truth value: the hash of name and text together.
    case token(name: UInt64, token: UInt64)

    /// A number with two significant digits.
    var coarse: RawFeature {
        guard case .number(let name, let value) = self, value != 0 else { return self }
        let size = pow(10, (log10(abs(value)) - 1).rounded(.down))
        let rounded = (value / size).rounded() * size
        return .number(name: name, value: rounded.isFinite ? rounded : value)
    }

    var name: UInt64 {
        switch self {
        case .number(let name, _), .token(let name, _): name
        }
    }
}

/// A feature as a model uses it.
struct Feature: Sendable, Equatable {
    var key: UInt64
    var value: Double
}

package enum ArmFeatures {
    /// At most so many features of a decision are looked at, in the order in which they were written.
    package static let featuresMax = 64
    /// Numbers beyond this are mistakes.
    static let numberMax = 1e12
    /// Longer texts are no categories.
    static let textBytesMax = 256

    /// Reads the context; `note` hears of each member that cannot be used, by name and reason.
    static func read(_ context: JSONObject, note: (_ name: String, _ reason: String) -> Void) -> [RawFeature] {
        var features: [RawFeature] = []
        for (position, member) in context.members.enumerated() {
            guard position < self.featuresMax else {
                note(member.name, "too_many")
                continue
            }
            let name = SplitMix64.seed(of: member.name)
            switch member.value {
            case .integer, .number:
                guard let value = member.value.double, value.isFinite, abs(value) <= self.numberMax else {
                    note(member.name, "out_of_range")
                    continue
                }
                features.append(.number(name: name, value: value))
            case .string(let text):
                guard text.utf8.count <= self.textBytesMax else {
                    note(member.name, "too_long")
                    continue
                }
                features.append(.token(name: name, token: Keys.pair(name, SplitMix64.seed(of: text))))
            case .bool(let truth):
                features.append(.token(name: name, token: Keys.pair(name, truth ? 1 : 2)))
            case .null: continue
            case .array, .object: note(member.name, "not_a_value")
            }
        }
        return features
    }
}

/// What a model knows of features: how numbers are brought to one scale, and which texts count.
struct FeatureScales: Sendable, Equatable {
    struct Scale: Sendable, Equatable {
        /// The median.
        var centre: Double
        /// As far from it as a standard deviation, by the quartiles.
        var spread: Double
    }

    /// By hash of the name.
    var numbers: [UInt64: Scale] = [:]
    /// Tokens that are common enough to count by themselves.
    var tokens: Set<UInt64> = []
    /// Names with texts: another text of such a name counts as "some other".
    var texts: Set<UInt64> = []

    /// Standardised numbers are clipped to ± this.
    static let clip = 5.0

    /// The feature as a model uses it; nil where the model does not know its name, or not as this kind of value.
    func feature(_ raw: RawFeature) -> Feature? {
        switch raw {
        case .number(let name, let value):
            guard let scale = self.numbers[name] else { return nil }
            let standardised = (value - scale.centre) / scale.spread
            return Feature(key: name, value: min(max(standardised, -Self.clip), Self.clip))
        case .token(let name, let token):
            if self.tokens.contains(token) { return Feature(key: token, value: 1) }
            return self.texts.contains(name) ? Feature(key: Keys.pair(name, 3), value: 1) : nil
        }
    }
}

/// Keys of parameters: 64-bit hashes, so that a model needs no names.
enum Keys {
    /// Of what an arm is: the parts that parameters are attached to.
    struct Parts: Sendable, Hashable {
        var campaign: UInt64
        var channel: UInt64
        var template: UInt64
        var arm: UInt64

        /// Arms of one name in different campaigns are different arms.
        init(campaign: String, arm: String, channel: String, template: String) {
            self.campaign = Keys.pair(11, SplitMix64.seed(of: campaign))
            self.channel = Keys.pair(12, SplitMix64.seed(of: channel))
            self.template = Keys.pair(13, SplitMix64.seed(of: template))
            self.arm = Keys.pair(self.campaign, SplitMix64.seed(of: arm))
        }
    }

    static let intercept: UInt64 = 1

    /// A hash of two keys; the order counts.
    static func pair(_ left: UInt64, _ right: UInt64) -> UInt64 {
        var mixed = (left &* 0x9e37_79b9_7f4a_7c15) ^ (right &+ 0x632b_e59b_d9b4_e019)
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// The parameters that speak of an arm in a context, with their groups and values: pooled from what all share to
    /// what is this arm's alone.
    static func each(
        _ parts: Parts, _ features: [Feature], _ body: (_ key: UInt64, _ group: ParameterGroup, _ value: Double) -> Void
    ) {
        body(self.intercept, .intercept, 1)
        body(parts.campaign, .campaign, 1)
        body(parts.channel, .channel, 1)
        body(parts.template, .template, 1)
        body(parts.arm, .arm, 1)
        for feature in features {
            body(feature.key, .feature, feature.value)
            body(self.pair(parts.channel, feature.key), .featureChannel, feature.value)
            body(self.pair(parts.template, feature.key), .featureTemplate, feature.value)
            body(self.pair(parts.arm, feature.key), .featureArm, feature.value)
        }
    }
}

/// Parameters that have a prior in common.
enum ParameterGroup: UInt8, Sendable, CaseIterable {
    case intercept
    case campaign
    case channel
    case template
    case arm
    case feature
    case featureChannel
    case featureTemplate
    case featureArm

    /// How far parameters of the group stray from 0 before anything is known: a factor of e^± this on a rate.
    var deviation: Double {
        switch self {
        case .intercept: 1
        case .campaign: 0.5
        case .channel, .template: 0.3
        case .arm: 0.15
        case .feature, .featureChannel, .featureTemplate: 0.3
        case .featureArm: 0.12
        }
    }
}
