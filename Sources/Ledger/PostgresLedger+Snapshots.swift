/// Snapshots of what was learned, which of them is in use, and what people changed about that.
package import DeliveryModel
import PostgresClient

extension PostgresLedger: SnapshotLedger {
    package func holdFits(
        of kind: ModelKind, as holder: String, seconds: Int
    ) async throws(LedgerError) -> FitLease? {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.lease, [.text(kind.leaseName), .text(holder), .int4(Int32(clamping: seconds))])
            return rows.isEmpty ? nil : FitLease(holder: holder, epoch: try rows[0, 0].int64)
        }
    }

    package func publish(
        _ model: FittedModel, of kind: ModelKind, asCandidate: Bool, under lease: FitLease, keeping: ModelRetention
    ) async throws(LedgerError) -> ModelSnapshot? {
        let metrics = model.metrics.encodedMetrics()
        return try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.snapshotPublish,
                [
                    .text(kind.rawValue), .text(kind.leaseName), .text(lease.holder), .int8(lease.epoch),
                    .bool(asCandidate), .timestamptz(model.trainedFrom.milliseconds),
                    .timestamptz(model.trainedTo.milliseconds), .text(metrics), .bytes(model.body),
                ])
            guard !rows.isEmpty else { return nil }
            let number = try rows[0, 0].int
            _ = try connection.query(
                Statements.snapshotThin,
                [.text(kind.rawValue), .int4(Int32(clamping: keeping.newest)), .int4(Int32(clamping: keeping.days))])
            return try connection.snapshots(of: kind, before: number + 1, limit: 1).first
        }
    }

    package func standing(of kind: ModelKind) async throws(LedgerError) -> ModelStanding {
        try await self.pool.ledgerRun { connection throws(PostgresError) in try connection.standing(of: kind) }
    }

    package func snapshots(
        of kind: ModelKind, before number: Int?, limit: Int
    ) async throws(LedgerError) -> [ModelSnapshot] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            try connection.snapshots(of: kind, before: number, limit: limit)
        }
    }

    package func snapshot(_ number: Int, of kind: ModelKind) async throws(LedgerError) -> ModelSnapshot? {
        guard number < Int32.max else { return nil }
        let found = try await self.snapshots(of: kind, before: number + 1, limit: 1).first
        return found?.number == number ? found : nil
    }

    package func body(of number: Int, _ kind: ModelKind) async throws(LedgerError) -> ModelBody {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Self.bodyStatement, [.text(kind.rawValue), .int4(Int32(clamping: number))])
            guard !rows.isEmpty else { return .unknown }
            guard let isWhole = try rows[0, 1].orNil?.bool else { return .gone }
            return isWhole ? .whole(try rows[0, 0].byteArray) : .damaged
        }
    }

    package func change(
        _ kind: ModelKind, _ change: ModelChange, by person: String, reason: String
    ) async throws(LedgerError) -> ModelChangeAnswer {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            try connection.transaction { () throws(PostgresError) -> ModelChangeAnswer in
                // One after the other, and none while a snapshot is being published.
                _ = try connection.query(Self.lockStatement, [.text(kind.rawValue)])
                let before = try connection.standing(of: kind)
                let wish: Wish
                switch try Self.wish(change, before, connection) {
                case .refusal(let refusal): return .refused(refusal, before)
                case .wish(let found): wish = found
                }
                guard
                    wish.active != before.active || wish.shadow != before.shadow || wish.isFrozen != before.isFrozen
                else { return .unchanged(before) }
                _ = try connection.query(
                    Statements.modelChange,
                    [
                        .text(kind.rawValue), .int4(wish.active.map { Int32(clamping: $0) }),
                        .int4(wish.shadow.map { Int32(clamping: $0) }), .bool(wish.isFrozen),
                        .text(person.withoutNUL), .text(change.name), .int4(wish.target.map { Int32(clamping: $0) }),
                        .text(reason.withoutNUL),
                    ])
                return .done(before: before, after: try connection.standing(of: kind))
            }
        }
    }

    package func changes(of kind: ModelKind, limit: Int) async throws(LedgerError) -> [RecordedModelChange] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Self.changesStatement, [.text(kind.rawValue), .int4(Int32(clamping: limit))])
            var changes: [RecordedModelChange] = []
            for row in 0..<rows.count {
                changes.append(
                    RecordedModelChange(
                        at: Timestamp(milliseconds: try rows[row, 0].milliseconds), by: try rows[row, 1].text,
                        what: try rows[row, 2].text, before: try rows[row, 3].orNil?.int,
                        after: try rows[row, 4].orNil?.int, reason: try rows[row, 5].text))
            }
            return changes
        }
    }

    private static let bodyStatement = PostgresStatement(
        "snapshot_body",
        "SELECT body, sha256(body) = digest FROM snapshots WHERE kind = $1::text AND number = $2::int4")

    private static let lockStatement = PostgresStatement(
        "model_lock", "SELECT kind FROM model_state WHERE kind = $1::text FOR UPDATE")

    private static let usableStatement = PostgresStatement(
        "snapshot_usable",
        """
        SELECT body IS NOT NULL AND sha256(body) = digest FROM snapshots WHERE kind = $1::text AND number = $2::int4
        """)

    private static let beforeStatement = PostgresStatement(
        "snapshot_before",
        """
        SELECT max(number) FROM snapshots
        WHERE kind = $1::text AND number < $2::int4 AND NOT is_candidate AND body IS NOT NULL
        """)

    private static let changesStatement = PostgresStatement(
        "model_changes",
        """
        SELECT at, by, what, before, after, reason FROM model_changes WHERE kind = $1::text
        ORDER BY at DESC LIMIT $2::int4
        """)
}

/// How a kind is to stand after a change.
private struct Wish {
    var active: Int?
    var shadow: Int?
    var isFrozen: Bool
    /// The snapshot that the change names.
    var target: Int?

    enum Answer {
        case wish(Wish)
        case refusal(ModelChangeRefusal)
    }
}

extension PostgresLedger {
    private static func wish(
        _ change: ModelChange, _ standing: ModelStanding, _ connection: PostgresConnection
    ) throws(PostgresError) -> Wish.Answer {
        var wish = Wish(active: standing.active, shadow: standing.shadow, isFrozen: standing.isFrozen)
        switch change {
        case .freeze: wish.isFrozen = true
        case .unfreeze: wish.isFrozen = false
        case .shadow(let number):
            if let number, let refusal = try self.refusal(number, standing.kind, connection) {
                return .refusal(refusal)
            }
            wish.shadow = number
            wish.target = number
        case .promote(let number):
            guard let number = number ?? standing.shadow else { return .refusal(.noShadow) }
            if let refusal = try self.refusal(number, standing.kind, connection) { return .refusal(refusal) }
            wish.active = number
            wish.target = number
            if wish.shadow == number { wish.shadow = nil }
        case .rollback(let number):
            guard let active = standing.active else { return .refusal(.nothingBefore) }
            let before = number == nil ? try self.before(active, standing.kind, connection) : nil
            guard let number = number ?? before else { return .refusal(.nothingBefore) }
            if let refusal = try self.refusal(number, standing.kind, connection) { return .refusal(refusal) }
            guard number < active else { return .refusal(.notOlder(number)) }
            wish.active = number
            wish.target = number
            wish.isFrozen = true
        }
        return .wish(wish)
    }

    private static func before(
        _ number: Int, _ kind: ModelKind, _ connection: PostgresConnection
    ) throws(PostgresError) -> Int? {
        try connection.query(self.beforeStatement, [.text(kind.rawValue), .int4(Int32(clamping: number))])[0, 0]
            .orNil?.int
    }

    private static func refusal(
        _ number: Int, _ kind: ModelKind, _ connection: PostgresConnection
    ) throws(PostgresError) -> ModelChangeRefusal? {
        let rows = try connection.query(
            self.usableStatement, [.text(kind.rawValue), .int4(Int32(clamping: number))])
        guard !rows.isEmpty else { return .noSuchSnapshot(number) }
        return try rows[0, 0].bool ? nil : .unusable(number)
    }
}

extension PostgresConnection {
    fileprivate func standing(of kind: ModelKind) throws(PostgresError) -> ModelStanding {
        let rows = try self.query(Statements.modelStanding, [.text(kind.rawValue)])
        return ModelStanding(
            kind: kind, active: try rows[0, 0].orNil?.int, shadow: try rows[0, 1].orNil?.int,
            isFrozen: try rows[0, 2].bool,
            changedAt: try (rows[0, 3].orNil?.milliseconds).map(Timestamp.init(milliseconds:)),
            changedBy: try rows[0, 4].orNil?.text,
            newest: try rows[0, 5].isNull ? nil : rows.snapshot(0, from: 5, kind))
    }

    fileprivate func snapshots(
        of kind: ModelKind, before number: Int?, limit: Int
    ) throws(PostgresError) -> [ModelSnapshot] {
        let rows = try self.query(
            Statements.snapshotList,
            [.text(kind.rawValue), .int4(number.map { Int32(clamping: $0) }), .int4(Int32(clamping: limit))])
        var snapshots: [ModelSnapshot] = []
        for row in 0..<rows.count { snapshots.append(try rows.snapshot(row, from: 0, kind)) }
        return snapshots
    }
}

extension PostgresRows {
    fileprivate func snapshot(
        _ row: Int, from column: Int, _ kind: ModelKind
    ) throws(PostgresError) -> ModelSnapshot {
        ModelSnapshot(
            kind: kind, number: try self[row, column].int,
            madeAt: Timestamp(milliseconds: try self[row, column + 1].milliseconds),
            madeBy: try self[row, column + 2].text,
            trainedFrom: Timestamp(milliseconds: try self[row, column + 3].milliseconds),
            trainedTo: Timestamp(milliseconds: try self[row, column + 4].milliseconds),
            isCandidate: try self[row, column + 5].bool,
            metrics: .decodedMetrics(try self[row, column + 6].text), digest: try self[row, column + 7].byteArray,
            size: try self[row, column + 8].int, isKept: try self[row, column + 9].bool)
    }
}

extension ModelKind {
    fileprivate var leaseName: String { "fit." + self.rawValue }
}

extension ModelChange {
    /// As it stands in the record.
    fileprivate var name: String {
        switch self {
        case .rollback: "rollback"
        case .promote: "promote"
        case .freeze: "freeze"
        case .unfreeze: "unfreeze"
        case .shadow(let number): number == nil ? "shadow off" : "shadow"
        }
    }
}

extension [String: Double] {
    /// As a JSON object; what is no finite number is left out.
    fileprivate func encodedMetrics() -> String {
        var writer = JSONWriter()
        writer.object { object in
            for (name, value) in self.sorted(by: { $0.key < $1.key }) where value.isFinite {
                object.member(name.withoutNUL, value)
            }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    fileprivate static func decodedMetrics(_ text: String) -> [String: Double] {
        var metrics: [String: Double] = [:]
        for member in (try? JSONValue.parse(Array(text.utf8)))?.object?.members ?? [] {
            metrics[member.name] = member.value.double
        }
        return metrics
    }
}
