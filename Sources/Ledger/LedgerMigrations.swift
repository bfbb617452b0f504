import PostgresClient

/// The steps from an empty database to this program's tables, in order. Never edited once released: a change is a new step.
enum LedgerMigrations {
    static let all = [
        PostgresMigration(
            number: 1, name: "ledger", sql: String(decoding: PackageResources._001_ledger_sql, as: UTF8.self)),
        PostgresMigration(
            number: 2, name: "lapses", sql: String(decoding: PackageResources._002_lapses_sql, as: UTF8.self)),
        PostgresMigration(
            number: 3, name: "supersessions",
            sql: String(decoding: PackageResources._003_supersessions_sql, as: UTF8.self)),
        PostgresMigration(
            number: 4, name: "admission", sql: String(decoding: PackageResources._004_admission_sql, as: UTF8.self)),
        PostgresMigration(
            number: 5, name: "dead letters",
            sql: String(decoding: PackageResources._005_dead_letters_sql, as: UTF8.self)),
        PostgresMigration(
            number: 6, name: "priority", sql: String(decoding: PackageResources._006_priority_sql, as: UTF8.self)),
        PostgresMigration(
            number: 7, name: "receipts", sql: String(decoding: PackageResources._007_receipts_sql, as: UTF8.self)),
        PostgresMigration(
            number: 8, name: "providers", sql: String(decoding: PackageResources._008_providers_sql, as: UTF8.self)),
        PostgresMigration(
            number: 9, name: "devices", sql: String(decoding: PackageResources._009_devices_sql, as: UTF8.self)),
        PostgresMigration(
            number: 10, name: "rewards", sql: String(decoding: PackageResources._010_rewards_sql, as: UTF8.self)),
        PostgresMigration(
            number: 11, name: "mail receipts",
            sql: String(decoding: PackageResources._011_mail_receipts_sql, as: UTF8.self)),
        PostgresMigration(
            number: 12, name: "lookups", sql: String(decoding: PackageResources._012_lookups_sql, as: UTF8.self)),
        PostgresMigration(
            number: 13, name: "choices", sql: String(decoding: PackageResources._013_choices_sql, as: UTF8.self)),
        PostgresMigration(
            number: 14, name: "snapshots", sql: String(decoding: PackageResources._014_snapshots_sql, as: UTF8.self)),
        PostgresMigration(
            number: 15, name: "learning paths",
            sql: String(decoding: PackageResources._015_learning_paths_sql, as: UTF8.self)),
    ]
}
