/// A rhythm model as bytes and back.

import DeliveryModel

extension RhythmModel {
    private static let mark = "MRHYTHM\n"
    private static let version: UInt64 = 1
    /// Of logarithms of rates, and of coordinates.
    private static let logRange = -1e3...1e3
    private static let countRange = 0.0...1e15

    package func encode() -> [UInt8] {
        var writer = SnapshotWriter()
        writer.put(self.fittedAt.milliseconds)
        writer.put(self.delay.center)
        writer.put(self.delay.spread)
        writer.put(self.delay.window.count)
        writer.put(self.clickShare)
        writer.put(self.blend)
        writer.put(self.levels)
        Self.put(self.population, to: &writer)
        for row in self.covariance.rows { Self.put(row, to: &writer) }
        writer.put(UInt64(self.segments.count))
        for segment in self.segments {
            writer.put(segment.name)
            Self.put(segment.curve, to: &writer)
            writer.put(segment.totals.exposure)
            writer.put(segment.totals.responses)
            writer.put(segment.totals.lastExposure)
            writer.put(segment.totals.lastResponses)
        }
        writer.put(self.report.users)
        writer.put(self.report.trials)
        writer.put(self.report.responses)
        writer.put(self.report.activity)
        writer.put(self.report.gain)
        writer.put(self.report.drift)
        writer.put(self.report.calibrationError)
        writer.put(self.report.foretold)
        writer.put(self.report.seen)
        return writer.finished(mark: Self.mark, version: Self.version)
    }

    /// - Throws: Where the bytes are not those of a model of this version, or hold what no model can.
    package static func decode(_ bytes: [UInt8]) throws(SnapshotError) -> RhythmModel {
        var reader = try SnapshotReader(bytes, mark: Self.mark, version: Self.version)
        let fittedAt = Timestamp(milliseconds: try reader.signed())
        let center = try reader.number(in: 0...16)
        let spread = try reader.number(in: 0.05...8)
        let window = Milliseconds(try reader.signed())
        guard window.count > 0 else { throw SnapshotError("Its window is not above zero.") }
        var model = RhythmModel(delay: DelayModel(center: center, spread: spread, window: window))
        model.fittedAt = fittedAt
        model.clickShare = try reader.number(in: 0...1)
        model.blend = try reader.numbers(model.blend.count...model.blend.count, in: 0...1)
        guard abs(model.blend.reduce(0, +) - 1) < 1e-6 else { throw SnapshotError("Its weights do not add up to 1.") }
        model.levels = try reader.numbers(model.levels.count...model.levels.count, in: 0.1...10)
        model.population = try Self.coordinates(&reader)
        for lane in 0..<WeekBasis.dimension { model.covariance.rows[lane] = try Self.coordinates(&reader) }
        guard let precision = model.covariance.inverse() else {
            throw SnapshotError("Its covariance is not positive definite.")
        }
        model.precision = precision
        for _ in 0..<(try reader.count(in: 0...RhythmTrainer.segmentsKept)) {
            let name = try reader.text(bytesMax: RhythmFields.segmentBytesMax)
            if let last = model.segments.last, last.name >= name {
                throw SnapshotError("Its segments are out of order.")
            }
            model.segments.append(
                Segment(name: name, curve: try Self.coordinates(&reader), totals: try Self.totals(&reader)))
        }
        model.report = try Self.report(&reader)
        try reader.end()
        return model
    }

    private static func put(_ coordinates: Coordinates, to writer: inout SnapshotWriter) {
        for lane in 0..<WeekBasis.dimension { writer.put(coordinates[lane]) }
    }

    private static func coordinates(_ reader: inout SnapshotReader) throws(SnapshotError) -> Coordinates {
        var result = Coordinates.zero
        for lane in 0..<WeekBasis.dimension { result[lane] = try reader.number(in: Self.logRange) }
        return result
    }

    private static func totals(_ reader: inout SnapshotReader) throws(SnapshotError) -> SegmentTotals {
        let hours = WeekBasis.hours...WeekBasis.hours
        var totals = SegmentTotals()
        totals.exposure = try reader.numbers(hours, in: Self.countRange)
        totals.responses = try reader.numbers(hours, in: Self.countRange)
        totals.lastExposure = try reader.numbers(hours, in: Self.countRange)
        totals.lastResponses = try reader.numbers(hours, in: Self.countRange)
        return totals
    }

    private static func report(_ reader: inout SnapshotReader) throws(SnapshotError) -> Report {
        var report = Report()
        report.users = try reader.number(in: Self.countRange)
        report.trials = try reader.number(in: Self.countRange)
        report.responses = try reader.number(in: Self.countRange)
        report.activity = try reader.number(in: Self.countRange)
        report.gain = try reader.number()
        report.drift = try reader.number()
        report.calibrationError = try reader.number()
        report.foretold = try reader.numbers(0...10, in: Self.countRange)
        report.seen = try reader.numbers(0...10, in: Self.countRange)
        return report
    }
}
