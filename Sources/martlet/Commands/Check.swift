import ArgumentParser
import Attribution
import Channels
import Foundation
import MailIntake
import SettingsFile

/// Says what is wrong before anything starts.
struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks settings, providers and templates; names file, line and key of each problem.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        var problems: [String] = []
        let settings: Settings
        do {
            settings = try self.common.settings()
        } catch let error as SettingsError {
            for problem in error.problems { note("\(problem)") }
            throw ExitCode(1)
        }
        do throws(ChannelConfigurationError) {
            let configuration = try ChannelConfiguration.load(
                providersFolder: settings.providersFolder, environment: settings.environment)
            for warning in configuration.warnings { note("warning: \(warning)") }
            let names = configuration.providerNames
            print("providers: \(names.isEmpty ? "none is enabled" : names.joined(separator: ", "))")
            for record in configuration.dkimRecords { print("to be in the DNS: \(record)") }
        } catch {
            problems += error.problems.map { "\($0)" }
        }
        let templates = TemplateLibrary(folder: settings.templatesFolder)
        problems += templates.problems.map { "\($0)" }
        if settings.mail != nil {
            do throws(BounceRulesError) {
                _ = try BounceRules(path: settings.bouncesFile)
            } catch {
                problems += error.problems.map { "\($0)" }
            }
        }
        if settings.feedback.links != nil {
            do throws(MachineListsError) {
                _ = try MachineLists(path: settings.feedback.machinesFile)
            } catch {
                problems += error.problems.map { "\($0)" }
            }
        }
        for problem in problems { note(problem) }
        guard problems.isEmpty else { throw ExitCode(1) }
        print("everything is in order")
    }
}
