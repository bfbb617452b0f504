/// What the fleet chose for a decision, and all that the choice was made from: enough to make it again, bit for bit.
///
/// On record with the decision itself, in the same commit: a delivery that is taken up again carries out the arm and
/// the slot that were chosen first, whatever has been learned since.
package struct MadeChoice: Sendable, Equatable {
    /// How one choice was drawn.
    package struct Draw: Sendable, Equatable {
        /// Name and snapshot of the policy, such as `rhythm@v203`.
        package var policy: String
        /// The number of the snapshot; nil where the policy needs none.
        package var snapshot: Int?
        package var seed: UInt64
        /// The probability with which this was drawn, in (0, 1].
        package var propensity: Double
        /// Whether the person is one of the always-random cohort.
        package var isCohort: Bool
        /// Of the probabilities of all candidates, by ``digest(of:)``.
        package var digest: UInt64
        /// What was missing or odd, in words.
        package var notes: [String]

        package init(
            policy: String, snapshot: Int?, seed: UInt64, propensity: Double, isCohort: Bool = false, digest: UInt64,
            notes: [String] = []
        ) {
            self.policy = policy
            self.snapshot = snapshot
            self.seed = seed
            self.propensity = propensity
            self.isCohort = isCohort
            self.digest = digest
            self.notes = notes
        }

        /// FNV-1a over the bits of the probabilities, in order: equal only if every bit is.
        package static func digest(of probabilities: [Double]) -> UInt64 {
            var digest: UInt64 = 0xcbf2_9ce4_8422_2325
            for probability in probabilities {
                var bits = probability.bitPattern
                for _ in 0..<8 {
                    digest = (digest ^ (bits & 0xff)) &* 0x100_0000_01b3
                    bits >>= 8
                }
            }
            return digest
        }
    }

    package struct Candidate: Sendable, Equatable {
        package var id: String
        package var probability: Double

        package init(id: String, probability: Double) {
            self.id = id
            self.probability = probability
        }
    }

    package struct OfArm: Sendable, Equatable {
        package var draw: Draw
        package var chosen: String
        package var candidates: [Candidate]
        /// What else it was made from, as the policy keeps it.
        package var inputs: JSONObject

        package init(draw: Draw, chosen: String, candidates: [Candidate], inputs: JSONObject = JSONObject()) {
            self.draw = draw
            self.chosen = chosen
            self.candidates = candidates
            self.inputs = inputs
        }
    }

    package struct OfSlot: Sendable, Equatable {
        package var draw: Draw
        /// IANA name of the zone in which hours are counted.
        package var zone: String
        /// Where the zone comes from: `given`, or how it was guessed.
        package var zoneSource: String
        /// When the first candidate begins.
        package var first: Timestamp
        /// When each candidate begins, in seconds after ``first``; rising.
        package var starts: [Int]
        /// The hour of the week of each, 0 (Monday 00:00) … 167, by the person's clocks.
        package var hours: [Int]
        /// Index of the one that was drawn.
        package var chosen: Int
        /// The moment within it.
        package var dueAt: Timestamp
        /// How many hours of the window were no candidates, by what removed them: `quiet_hours`, `cap`, `capacity` …
        package var removed: [String: Int]
        package var inputs: JSONObject

        package init(
            draw: Draw, zone: String, zoneSource: String, first: Timestamp, starts: [Int], hours: [Int], chosen: Int,
            dueAt: Timestamp, removed: [String: Int] = [:], inputs: JSONObject = JSONObject()
        ) {
            self.draw = draw
            self.zone = zone
            self.zoneSource = zoneSource
            self.first = first
            self.starts = starts
            self.hours = hours
            self.chosen = chosen
            self.dueAt = dueAt
            self.removed = removed
            self.inputs = inputs
        }
    }

    /// When it was chosen.
    package var madeAt: Timestamp
    /// Nil where the engine fixed the plan.
    package var arm: OfArm?
    /// Nil where the decision says when.
    package var slot: OfSlot?

    package init(madeAt: Timestamp, arm: OfArm? = nil, slot: OfSlot? = nil) {
        self.madeAt = madeAt
        self.arm = arm
        self.slot = slot
    }
}
