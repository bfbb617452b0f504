import ArgumentParser
import Foundation
import Logging
import Telemetry

@main
struct Martlet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Carries out next-best-action decisions over email, SMS and push.",
        discussion: """
            Start with `martlet up`: all roles in one process, with servers of its own where none are named.
            Settings come from martlet.yaml (--config) and from environment variables MARTLET_…; docs/operations.md
            lists them all.
            """,
        version: Fleet.version,
        subcommands: [
            Up.self, Worker.self, EdgeRole.self, Scheduler.self, Simulate.self, Check.self, ChannelsCommand.self,
            Enqueue.self, Explain.self,
            Cancel.self, PauseCommand.self, ResumeCommand.self, ConsentCommand.self, Dead.self, Rewards.self,
            TrackingCommand.self, ModelCommand.self, Evaluate.self, Migrate.self, LearnAgentCommand.self, Status.self,
        ])
}

/// What every command takes.
struct CommonOptions: ParsableArguments {
    @Option(name: .long, help: "The settings file.", completion: .file(extensions: ["yaml"]))
    var config: String?

    func settings() throws -> Settings {
        try Settings.load(path: self.config)
    }

    /// Starts logging to standard error, as the settings say.
    func logger(_ settings: Settings) -> Logger {
        let redactor = Redactor()
        LoggingSystem.bootstrap { label in
            JSONLogHandler(label: label, level: settings.logLevel, format: settings.logFormat, redactor: redactor)
        }
        return Logger(label: "martlet")
    }
}

/// Prints to standard error: standard output is for results.
func note(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}
