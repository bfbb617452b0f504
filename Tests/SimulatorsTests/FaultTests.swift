import DeliveryModel
import Foundation
import Simulators
import Testing

extension SimulatorsTests {
    @Suite(.timeLimit(.minutes(2)))
    struct FaultTests {
        private static let form = ["To": "+48600100200", "From": "+15005550006", "Body": "x"]

        /// Sends `count` messages one after the other; true for each that was taken.
        private func statuses(_ fleet: SimulatorFleet, faults: String, count: Int = 16) async throws -> [Int] {
            let set = try await curl(
                fleet.controlURL + "/simulators/sms/faults", ["-X", "PUT"], version: "--http1.1", body: faults)
            #expect(set.status == 200, "\(set.body)")
            let account = try #require(fleet.environment["TWILIO_ACCOUNT_SID"])
            let token = try #require(fleet.environment["TWILIO_AUTH_TOKEN"])
            let result = try await python(
                sequenceProgram,
                [
                    "\(fleet.sms.url)/2010-04-01/Accounts/\(account)/Messages.json", fleet.trust, account, token,
                    "\(count)",
                ])
            #expect(result.status == 0, "\(result.errors)")
            return result.output.split(separator: " ").compactMap {
                Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
            }
        }

        @Test func oneSeedGivesOneSequenceOfFaults() async throws {
            try await withFleet { fleet in
                let refuse = #""refuse":{"probability":0.5,"status":503}"#
                let first = try await self.statuses(fleet, faults: "{\"seed\":7,\(refuse)}")
                let again = try await self.statuses(fleet, faults: "{\"seed\":7,\(refuse)}")
                let other = try await self.statuses(fleet, faults: "{\"seed\":8,\(refuse)}")
                let delay = #""delay":{"probability":0.9,"uniform_ms":[0,5]}"#
                let delayed = try await self.statuses(fleet, faults: "{\"seed\":7,\(refuse),\(delay)}")

                #expect(first.count == 16)
                #expect(Set(first) == [201, 503])
                #expect(again == first)
                #expect(other != first)
                #expect(delayed == first, "a delay reshuffled the refusals")
            }
        }

        @Test func linesAreCutBeforeOrAfterTheMessageIsTaken() async throws {
            try await withFleet { fleet in
                let before = try await self.statuses(fleet, faults: #"{"cut_before":{"probability":1}}"#, count: 2)
                let takenBefore = fleet.sms.counts.accepted
                let after = try await self.statuses(fleet, faults: #"{"cut_after":{"probability":1}}"#, count: 2)

                #expect(before == [0, 0])
                #expect(takenBefore == 0)
                #expect(after == [0, 0])
                #expect(fleet.sms.counts.accepted == 2)
                #expect(fleet.sms.counts.cut == 4)
            }
        }

        @Test func aRefusalSaysWhenToComeBack() async throws {
            try await withFleet { fleet in
                var faults = SimulatorFaults(seed: 3)
                faults.refuseProbability = 1
                faults.refuseStatus = 429
                faults.retryAfter = 17
                fleet.sms.setFaults(faults)
                fleet.push.setFaults(faults)
                let sms = try await fleet.postSMS(Self.form)
                let push = try await fleet.postPush(#"{"message":{"token":"t"}}"#, token: "any")

                for answer in [sms, push] {
                    #expect(answer.status == 429)
                    #expect(answer.headers["retry-after"] == "17")
                }
                #expect(sms.json["code"].number == 20429)
                #expect(push.json["error"]["status"].text == "RESOURCE_EXHAUSTED")
                #expect(fleet.sms.counts.accepted == 0)
            }
        }

        @Test func answersAreHeldBackAndStalledRequestsEnd() async throws {
            try await withFleet { fleet in
                var faults = SimulatorFaults()
                faults.delay = .fixed(200)
                faults.delayProbability = 1
                fleet.sms.setFaults(faults)
                let late = try await fleet.postSMS(Self.form)
                faults = SimulatorFaults()
                faults.stallProbability = 1
                faults.stallLimit = 200
                fleet.sms.setFaults(faults)
                let stalled = try await fleet.postSMS(Self.form)

                #expect(late.status == 201)
                #expect(late.seconds >= 0.2)
                #expect(stalled.exitCode != 0)
                #expect(stalled.status == 0)
                #expect(stalled.seconds >= 0.2)
                #expect(fleet.sms.counts.accepted == 1)
                #expect(fleet.sms.counts.stalled == 1)
            }
        }

        @Test func stoppingDoesNotWaitForStalledRequests() async throws {
            let clock = ContinuousClock()
            var began = clock.now
            try await withFleet({ $0.stallMilliseconds = 60_000 }) { fleet in
                async let stalled = fleet.postSMS(Self.form.merging(["To": "+15005550999"]) { $1 })
                while fleet.sms.counts.stalled == 0 { await Task.yield() }
                began = clock.now
                await fleet.stop()
                let answer = try await stalled
                #expect(answer.exitCode != 0)
            }

            #expect(clock.now - began < .seconds(20))
        }

        @Test func stoppingDoesNotWaitForConnectionsThatSayNothing() async throws {
            try await withFolder { folder in
                let fleet = try await SimulatorFleet.start(SimulatorFleetSettings(folder: folder))
                let sign = folder + "/connected"
                async let client = python(silentProgram, ["\(fleet.sms.port)", fleet.trust, sign])
                while !FileManager.default.fileExists(atPath: sign) { try await Task.sleep(for: .milliseconds(10)) }
                await fleet.stop()
                let result = try await client

                #expect(result.status == 0, "\(result.errors)")
                #expect(result.output == "closed closed\n")
            }
        }

        @Test func exponentialDelaysHaveTheirMean() async throws {
            let faults = try SimulatorFaults(
                json: [
                    "seed": 5, "delay": ["probability": 1, "exponential_ms": 40],
                    "stall": ["probability": 0.25, "limit_ms": 9],
                ])

            #expect(faults.delay == .exponential(40))
            #expect(try SimulatorFaults(json: faults.json) == faults)
            try await withFleet({ $0.faults.seed = 5 }) { fleet in
                var faults = SimulatorFaults(seed: 5)
                faults.delay = .exponential(40)
                faults.delayProbability = 1
                fleet.sms.setFaults(faults)
                var total = 0.0
                for _ in 0..<10 { total += try await fleet.postSMS(Self.form).seconds }
                #expect(total > 0.1)
            }
        }

        @Test(arguments: [
            (#"{"refuze":{"probability":1}}"#, "refuze"), (#"{"refuse":{"status":503}}"#, "probability"),
            (#"{"refuse":{"probability":2}}"#, "probability"),
            (#"{"refuse":{"probability":1,"status":200}}"#, "status"),
            (#"{"delay":{"probability":1}}"#, "fixed_ms"),
            (#"{"delay":{"probability":1,"uniform_ms":[9,1]}}"#, "uniform_ms"),
            (#"[1]"#, "object"), ("{", "line"),
        ])
        func faultsThatMakeNoSenseAreRefusedByName(json: String, word: String) async throws {
            try await withFleet { fleet in
                let answer = try await curl(
                    fleet.controlURL + "/simulators/sms/faults", ["-X", "PUT"], version: "--http1.1", body: json)

                #expect(answer.status == 400)
                #expect(answer.headers["content-type"] == "application/problem+json")
                #expect(answer.json["detail"].text?.contains(word) == true, "\(answer.body)")
                #expect(fleet.sms.faults == SimulatorFaults())
            }
        }
    }
}

private let sequenceProgram = """
    import sys, httpx
    url, trust, account, token, count = sys.argv[1:]
    message = {"To": "+48600100200", "From": "+15005550006", "Body": "x"}
    statuses = []
    with httpx.Client(verify=trust, trust_env=False, auth=(account, token), timeout=20) as client:
        for _ in range(int(count)):
            try: statuses.append(client.post(url, data=message).status_code)
            except httpx.TransportError: statuses.append(0)
    print(*statuses)
    """

private let silentProgram = """
    import socket, ssl, sys
    port, trust, sign = sys.argv[1:]
    context = ssl.create_default_context(cafile=trust)
    context.set_alpn_protocols(["h2"])
    mute = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
    idle = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
    idle = context.wrap_socket(idle, server_hostname="localhost")
    idle.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    idle.recv(1)
    open(sign, "w").close()
    ends = []
    for line in (mute, idle):
        try:
            while line.recv(4096): pass
            ends.append("closed")
        except ConnectionResetError: ends.append("closed")
        except TimeoutError: ends.append("open")
    print(*ends)
    """
