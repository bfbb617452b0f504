/// The servers that `martlet up` starts where none are named, and how other commands find them.
import Foundation
import LocalServers
import Logging

struct PrivateServers {
    private let redis: LocalRedis?
    private let postgres: LocalPostgres?

    /// Starts what the settings name no URL for, under the data folder, and fills in the URLs.
    static func start(for settings: inout Settings, logger: Logger) async throws -> PrivateServers {
        let folder = URL(fileURLWithPath: settings.dataFolder).standardizedFileURL.path
        var redis: LocalRedis?
        var postgres: LocalPostgres?
        if settings.redisURL == nil {
            let server = try await LocalRedis.start(in: folder + "/redis", port: 6390)
            settings.redisURL = server.url
            logger.info(
                "started a private redis-server", metadata: ["port": "\(server.port)", "url.file": "\(server.urlFile)"])
            redis = server
        }
        do {
            if settings.databaseURL == nil {
                let server = try await LocalPostgres.start(in: folder + "/postgres")
                settings.databaseURL = server.url
                try writePrivately(server.url + "\n", to: folder + "/postgres.url")
                logger.info("started a private PostgreSQL", metadata: ["socket.folder": "\(server.socketFolder)"])
                postgres = server
            }
        } catch {
            await redis?.stop()
            throw error
        }
        return PrivateServers(redis: redis, postgres: postgres)
    }

    func stop() async {
        await self.postgres?.stop()
        await self.redis?.stop()
    }

    /// Fills in the URLs of servers that a `martlet up` with the same data folder has started.
    static func find(for settings: inout Settings) {
        func url(in file: String) -> String? {
            let text = try? String(contentsOfFile: settings.dataFolder + "/" + file, encoding: .utf8)
            return text?.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        settings.redisURL = settings.redisURL ?? url(in: "redis/redis.url")
        settings.databaseURL = settings.databaseURL ?? url(in: "postgres.url")
    }
}
