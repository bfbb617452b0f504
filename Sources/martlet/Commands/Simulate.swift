import ArgumentParser
import Foundation
import LocalServers
import Simulators

/// Providers that are not real: for trying things out, and for load tests.
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Runs simulators of SMTP servers, of SMS providers over HTTP and SMPP, and of FCM, APNs and Web Push.",
        discussion: """
            They speak the whole protocol, over TLS with certificates of a private authority, keep what they receive
            (see the inbox page that is printed), and can be told to be slow, to refuse and to cut the line.
            --env-file writes the variables with which Martlet's provider files reach them: load it with
            `set -a; . FILE; set +a` before `martlet up`.
            """)

    @Option(help: "Where certificates and credentials are kept.")
    var folder = "data/simulators"

    @Option(name: .customLong("env-file"), help: "Write the variables for Martlet to this file (mode 0600).")
    var envFile: String?

    @Option(help: "Port of the inbox page and the control API; 0 for any.")
    var port = 8025

    @Flag(help: "Keep only counts of what is received, for load tests.")
    var countOnly = false

    func run() async throws {
        var settings = SimulatorFleetSettings(folder: self.folder)
        settings.controlPort = LoopbackPort.isFree(self.port) ? self.port : 0
        settings.keepsMessages = !self.countOnly
        let fleet = try await SimulatorFleet.start(settings)
        if let envFile = self.envFile {
            let lines = fleet.environment.sorted { $0.key < $1.key }.map { "\($0.key)='\($0.value)'" }
            try writePrivately(lines.joined(separator: "\n") + "\n", to: envFile)
        }
        note("simulators are ready; inbox and control: \(fleet.controlURL)")
        await TerminationSignal.wait()
        await fleet.stop()
    }
}
