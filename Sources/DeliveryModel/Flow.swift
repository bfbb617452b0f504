/// What takes turns where something is scarce: the decisions of one campaign in one lane.
///
/// Between flows it is fair, within one it goes in order. A lane is a decision's `priority`.
package struct Flow: Sendable, Hashable {
    /// 0 goes first, 9 last.
    package let lane: Int
    package let campaign: String

    /// The lane of those who ask for none.
    package static let middleLane = 5
    private static let lanes = 0...9
    /// A valid campaign has at most 64 characters; whatever is longer will be rejected, and needs no turns of its own.
    private static let campaignBytesMax = 256

    /// A lane that there is not counts as the middle one.
    package init(lane: Int = Flow.middleLane, campaign: String = "") {
        self.lane = Self.lanes.contains(lane) ? lane : Self.middleLane
        self.campaign = campaign
    }

    /// What one turn costs: half as much in each lane before. While all lanes have work, each gets half as many turns
    /// as the one before it, and none gets no turn.
    package var cost: Int { Self.cost(of: self.lane) }

    /// What a turn costs in each lane, the first one first.
    package static let costs = Self.lanes.map(Self.cost)

    private static func cost(of lane: Int) -> Int { 1 << lane }

    /// The flow of a decision whose text nobody has checked; what cannot be found counts as not given.
    ///
    /// One pass that stops at the second of the two members. It judges nothing: decoding does, later.
    package init(ofDecision text: [UInt8]) {
        var scan = FlowScan(bytes: text)
        scan.run()
        let campaign = scan.campaign.flatMap { Self.text(of: text[$0]) } ?? ""
        self.init(lane: scan.lane ?? Self.middleLane, campaign: campaign)
    }

    private static func text(of quoted: ArraySlice<UInt8>) -> String? {
        guard quoted.count <= Self.campaignBytesMax else { return nil }
        // As a producer writes it who escapes all that is not ASCII.
        if quoted.contains(UInt8(ascii: "\\")) { return (try? JSONValue.parse(Array(quoted)))?.string }
        return String(decoding: quoted.dropFirst().dropLast(), as: UTF8.self)
    }
}

extension Decision {
    /// Whose turns it takes.
    package var flow: Flow { Flow(lane: self.priority, campaign: self.campaign) }
}

/// Looks for two members of the outermost object.
private struct FlowScan {
    let bytes: [UInt8]
    /// Where the campaign lies, with its quotes.
    var campaign: Range<Int>?
    var lane: Int?
    private var position = 0

    private static let campaignName = Array("\"campaign\"".utf8)
    private static let laneName = Array("\"priority\"".utf8)

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func run() {
        var depth = 0
        var name: Range<Int>?
        var isValue = false
        while self.position < self.bytes.count {
            let byte = self.bytes[self.position]
            switch byte {
            case UInt8(ascii: "\""):
                let text = self.string()
                guard depth == 1 else { continue }
                guard isValue else {
                    name = text
                    continue
                }
                if self.named(name, Self.campaignName) { self.campaign = text }
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                guard depth == 1, isValue, self.named(name, Self.laneName) else {
                    self.position += 1
                    continue
                }
                self.lane = self.digit()
            case UInt8(ascii: ":"):
                isValue = true
                self.position += 1
                continue
            case UInt8(ascii: ","):
                isValue = false
                self.position += 1
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                self.position += 1
                continue
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                self.position += 1
                continue
            default:
                self.position += 1
                continue
            }
            if self.campaign != nil, self.lane != nil { return }
        }
    }

    private func named(_ name: Range<Int>?, _ expected: [UInt8]) -> Bool {
        guard let name, name.count == expected.count else { return false }
        return self.bytes[name].elementsEqual(expected)
    }

    /// Goes past a string; one without an end reaches to the end of the text.
    private mutating func string() -> Range<Int> {
        let start = self.position
        self.position += 1
        while self.position < self.bytes.count {
            let byte = self.bytes[self.position]
            self.position += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return start..<self.position }
        }
        self.position = self.bytes.count
        return start..<self.position
    }

    /// Goes past a number; nil when it is more than one digit.
    private mutating func digit() -> Int? {
        let first = Int(self.bytes[self.position]) - 0x30
        let start = self.position
        while self.position < self.bytes.count, self.bytes[self.position] > 0x2C, self.bytes[self.position] != 0x7D {
            self.position += 1
        }
        return self.position == start + 1 ? first : nil
    }
}
