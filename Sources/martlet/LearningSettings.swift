/// The settings about learning: `learning`.
import DeliveryModel
import Pipeline
import SettingsFile

struct LearningSettings: Sendable {
    var fits = FitRules()
    var choices = ChoiceSettings()

    init() {}

    init(_ root: YAMLSection) {
        let learning = root.section("learning")
        if let text = learning.string("refit_every") {
            if let length = Milliseconds(iso8601: text), length >= .seconds(10), length <= .seconds(86_400) {
                self.fits.every = length
            } else {
                learning.report("refit_every", "a duration from PT10S to P1D is expected")
            }
        }
        if let text = learning.string("drift_max") {
            if let value = Double(text), value > 0, value <= 1000 {
                self.fits.driftMax = value
            } else {
                learning.report("drift_max", "a number above 0, up to 1000, is expected, such as 0.5")
            }
        }
        self.fits.retention.newest = learning.integer(
            "keep_snapshots", in: 2...100_000, default: self.fits.retention.newest)
        self.choices = ChoiceSettings(learning)
        learning.finish()
    }
}
