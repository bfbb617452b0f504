/// A statement with `$1`, `$2`, … for its parameters, prepared once on each connection.
///
/// Make it a `static let`: equal statements share one preparation. The text must not be built from data; values are
/// parameters.
package struct PostgresStatement: Sendable, Hashable {
    /// For people: it stands in front of the server's message when the statement fails. Not sent to the server.
    package let name: String
    /// One statement of SQL.
    package let sql: String

    /// Names a statement.
    package init(_ name: String, _ sql: String) {
        self.name = name
        self.sql = sql
    }

    /// The name is short and nearly always unique: hashing it alone saves hashing the whole text each time.
    package func hash(into hasher: inout Hasher) { hasher.combine(self.name) }
}

/// What a connection knows of the statements that the server has prepared for it.
///
/// The types of the parameters are part of the key, because they were declared to the server.
struct PreparedStatements {
    /// Beyond it everything is forgotten: a caller that builds statements from data must not fill the server's memory.
    static let limit = 256

    private struct Key: Hashable {
        let statement: PostgresStatement
        let types: [UInt32]
    }

    private var names: [Key: String] = [:]
    private var counter = 0

    var count: Int { self.names.count }

    func name(of statement: PostgresStatement, types: [UInt32]) -> String? {
        self.names[Key(statement: statement, types: types)]
    }

    /// A name that this connection has never used.
    mutating func newName() -> String {
        self.counter += 1
        return "martlet_\(self.counter)"
    }

    mutating func remember(_ name: String, of statement: PostgresStatement, types: [UInt32]) {
        self.names[Key(statement: statement, types: types)] = name
    }

    mutating func forgetAll() { self.names.removeAll(keepingCapacity: true) }
}
