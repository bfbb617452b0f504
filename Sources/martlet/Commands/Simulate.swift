import ArgumentParser
import DeliveryModel
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

            With --people, somebody reads what is sent: people open, click, unsubscribe, complain and answer STOP, and
            machines look at links before them: security gateways, Apple Mail Privacy Protection, image proxies, link
            previews. --people takes `none`, `lively`, or a file with a JSON object of dials (see
            Sources/Simulators/People/PeopleDials.swift). They visit the links of --tracking-url only. Bounces and
            complaints go to --mail-door, receipts and replies of SMS providers over HTTP to
            --webhooks-url/v1/webhooks/PROVIDER. What was really done is at /people/acts of the control API.
            """)

    @Option(help: "Where certificates and credentials are kept.")
    var folder = "data/simulators"

    @Option(name: .customLong("env-file"), help: "Write the variables for Martlet to this file (mode 0600).")
    var envFile: String?

    @Option(help: "Port of the inbox page and the control API; 0 for any.")
    var port = 8025

    @Flag(help: "Keep only counts of what is received, for load tests.")
    var countOnly = false

    @Option(help: "Who reads what is sent: none, lively, or a JSON file of dials.")
    var people = "none"

    @Option(
        name: .customLong("tracking-url"),
        help: "The origin of the links that people visit, such as https://t.example.com."
    )
    var trackingURL = "http://127.0.0.1:8080"

    @Option(name: .customLong("tracking-via"), help: "Where that origin is really reached, if elsewhere.")
    var trackingVia: String?

    @Option(name: .customLong("mail-door"), help: "HOST:PORT of Martlet's intake of mails that come back.")
    var mailDoor: String?

    @Option(name: .customLong("webhooks-url"), help: "Martlet's edge, for receipts and replies of SMS providers.")
    var webhooksURL: String?

    @Option(name: .customLong("time-scale"), help: "How many seconds of people's time pass in one; overrides the dial.")
    var timeScale: Double?

    @Option(name: .customLong("acts-max"), help: "How many acts of people are kept for /people/acts.")
    var actsMax = 100_000

    func run() async throws {
        var settings = SimulatorFleetSettings(folder: self.folder)
        settings.controlPort = LoopbackPort.isFree(self.port) ? self.port : 0
        settings.keepsMessages = !self.countOnly
        settings.people = try self.peopleSettings()
        let fleet = try await SimulatorFleet.start(settings)
        if let envFile = self.envFile {
            let lines = fleet.environment.sorted { $0.key < $1.key }.map { "\($0.key)='\($0.value)'" }
            try writePrivately(lines.joined(separator: "\n") + "\n", to: envFile)
        }
        note("simulators are ready; inbox and control: \(fleet.controlURL)")
        await TerminationSignal.wait()
        await fleet.stop()
    }

    /// Nil for no people.
    private func peopleSettings() throws -> PeopleSettings? {
        guard self.people != "none" else { return nil }
        var dials = PeopleDials.lively
        if self.people != "lively" {
            guard let text = try? Data(contentsOf: URL(fileURLWithPath: self.people)) else {
                throw ValidationError("--people: \(self.people) cannot be read")
            }
            do {
                dials = try PeopleDials().changed(by: JSONValue.parse(Array(text)))
            } catch let error as JSONSyntaxError {
                throw ValidationError("\(self.people), line \(error.line): \(error.problem)")
            }
        }
        if let timeScale { dials = try dials.changed(by: ["time_scale": .number(timeScale)]) }
        var settings = PeopleSettings(dials: dials)
        settings.trackingURL = self.trackingURL
        settings.trackingVia = self.trackingVia
        settings.webhooksURL = self.webhooksURL
        settings.actsMax = self.actsMax
        if let door = self.mailDoor {
            guard let colon = door.lastIndex(of: ":"), let port = Int(door[door.index(after: colon)...]),
                (1...65_535).contains(port)
            else { throw ValidationError("--mail-door must be HOST:PORT, not \(door)") }
            settings.mailDoor = (String(door[..<colon]), port)
        }
        return settings
    }
}
