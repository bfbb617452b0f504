/// A private PostgreSQL under a folder: reached by a socket that only its owner may open, never by TCP.
///
/// PostgreSQL refuses to run as root, so there it runs as the user `postgres` that Debian's package
/// makes; folders above must let that user through, which is checked and said.
import Foundation

package final class LocalPostgres: Sendable {
    /// A libpq connection string.
    package let url: String
    package let socketFolder: String
    private let child: ChildProcess

    /// Starts the server, making its cluster and the database `martlet` first where they are missing.
    ///
    /// - Parameters:
    ///   - folder: Created if missing; holds the data between runs.
    ///   - isDurable: False turns fsync off, for tests.
    /// - Throws: ``LocalServerError`` when PostgreSQL is missing or does not come up within 60 s.
    package static func start(in folder: String, isDurable: Bool = true) async throws -> LocalPostgres {
        let folders = Self.programFolders()
        guard let initdb = findProgram("initdb", in: folders), let postgres = findProgram("postgres", in: folders),
            let psql = findProgram("psql", in: folders)
        else {
            throw LocalServerError(
                "PostgreSQL is not installed: apt-get install postgresql, or set MARTLET_DATABASE_URL")
        }
        let asOwner = getuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] : []
        let data = folder + "/data"
        // The path of a socket may not exceed 107 bytes.
        let socketFolder = folder.utf8.count < 80 ? folder + "/socket" : "/tmp/martlet-\(Self.hash(folder))"
        let files = FileManager.default
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try files.createDirectory(atPath: socketFolder, withIntermediateDirectories: true)
        if !asOwner.isEmpty { try runToEnd(["chown", "postgres", folder, socketFolder]) }
        try runToEnd(["chmod", "700", folder, socketFolder])
        if !files.fileExists(atPath: data + "/PG_VERSION") {
            do {
                try runToEnd(asOwner + ["test", "-x", folder])
            } catch {
                throw LocalServerError(
                    "the user postgres cannot reach \(folder): choose another data folder (MARTLET_DATA), or chmod o+x its parents"
                )
            }
            let syncing = isDurable ? [] : ["--no-sync"]
            try runToEnd(
                asOwner + [initdb, "-D", data, "-A", "trust", "-U", "martlet", "-E", "UTF8", "--no-locale"] + syncing)
        }
        var command = asOwner + [postgres, "-D", data, "-k", socketFolder, "-c", "listen_addresses="]
        for setting in Self.settings(isDurable: isDurable) { command += ["-c", setting] }
        let log = folder + ".log"
        let probe = ["-h", socketFolder, "-U", "martlet", "-d", "postgres", "-qAtX", "-c"]
        let child = try await Self.startPatiently(command, log: log) {
            (try? runToEnd([psql] + probe + ["select 1"])) != nil
        }
        let known = try runToEnd([psql] + probe + ["select 1 from pg_database where datname = 'martlet'"])
        if known.isEmpty { try runToEnd([psql] + probe + ["create database martlet"]) }
        return LocalPostgres(
            url: "postgresql:///martlet?host=\(socketFolder)&user=martlet", socketFolder: socketFolder, child: child)
    }

    /// Starts the server, again where it ends at once: a predecessor that is about to end holds the folder's lock.
    private static func startPatiently(
        _ command: [String], log: String, isReady: () -> Bool
    ) async throws -> ChildProcess {
        let complaint = "PostgreSQL did not come up; see \(log)"
        var tries = 0
        while true {
            let child = try ChildProcess(command, stopSignal: "INT", log: log)
            do {
                try await waitUntil(within: .seconds(60), complaint, while: child, isReady: isReady)
                return child
            } catch let error as LocalServerError {
                tries += 1
                guard !child.isRunning, tries < 10 else { throw error }
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private init(url: String, socketFolder: String, child: ChildProcess) {
        self.url = url
        self.socketFolder = socketFolder
        self.child = child
    }

    /// Asks the server for a fast shutdown; returns when it has ended.
    package func stop() async {
        await self.child.stop()
    }

    /// Debian keeps each major version's programs apart; the newest wins.
    private static func programFolders() -> [String] {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "\(root)/\($0)/bin" }
    }

    private static func settings(isDurable: Bool) -> [String] {
        var settings = ["max_connections=60", "shared_buffers=128MB", "wal_compression=on", "max_wal_size=2GB"]
        if !isDurable { settings += ["fsync=off", "full_page_writes=off", "synchronous_commit=off"] }
        return settings
    }

    /// FNV-1a: the same folder gives the same short name in every run.
    private static func hash(_ text: String) -> String {
        let value = text.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return String(value, radix: 36)
    }
}
