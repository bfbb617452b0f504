// A person with several devices, from the decision to Apple, to a browser and to FCM.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Devices {}
}

extension FleetTests.Devices {
    /// What a browser gave out, as `user.push` has it.
    private func browser(_ name: String, of world: World) async throws -> String {
        let url = try await Web.get("\(world.simulators.control)/simulators/webpush").json["url"].text ?? ""
        let trust = world.simulators.environment["MARTLET_WEBPUSH_TRUST_FILE"] ?? ""
        let answer = try await Web.send(
            "GET", "\(url)/subscriptions/\(name)", options: ["--cacert", trust, "--noproxy", "*"])
        #expect(answer.status == 200)
        return #"{"platform":"webpush",\#(answer.body.dropFirst())"#
    }

    private func push(_ id: String, _ devices: [String], template: String = "welcome") -> String {
        #"{"schema":"martlet.decision/1","id":"\#(id)","user":{"id":"u-ada","push":[\#(devices.joined(separator: ","))]},"#
            + #""campaign":"tests","class":"marketing","plan":[{"channel":"push","template":"\#(template)"}],"#
            + #""data":{"first_name":"Łucja"}}"#
    }

    @Test func aMessageGoesFromDeviceToDeviceUntilOneTakesItAndTheDeadOneIsNotTriedAgain() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let dead = #"{"platform":"apns","token":"dead-1","topic":"com.example.app"}"#
        let browser = try await self.browser("ada", of: world)
        let phone = #"{"platform":"fcm","token":"fcm1:APA91bAAAAAAAAAAAAAAAAAAAAAA"}"#
        for (count, id) in ["first", "second"].enumerated() {
            let json = self.push(id, [dead, browser, phone])
            #expect(try await world.martlet("enqueue", input: Array(json.utf8)).code == 0)
            try await world.settles(count + 1)
            #expect(try await world.state(of: id) == "sent")
        }
        let attempts = try await world.query(
            "SELECT decision, provider, verdict, reason FROM attempts ORDER BY opened_at")
        #expect(
            attempts == [
                "first|apns|rejected|apns.unregistered", "first|webpush|accepted|webpush.ok",
                "second|webpush|accepted|webpush.ok",
            ])
        #expect(try await world.query("SELECT reason FROM suppressions") == ["apns.unregistered"])
        #expect(try await world.simulators.accepted("webpush") == 2)
        let read = try await world.simulators.messages("webpush")
        #expect(read.allSatisfy { $0["subject"].text == "Welcome, Łucja" })
        #expect(try await world.simulators.accepted("fcm") == 0)
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aDeviceThatOnlyAnotherPlatformReachesIsAnAddressThatIsMissing() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker", ["MARTLET_APNS_ENABLED": "false"])
        let json = self.push("apple", [#"{"platform":"apns","token":"abc","topic":"com.example.app"}"#])
        #expect(try await world.martlet("enqueue", input: Array(json.utf8)).code == 0)
        try await world.settles(1)
        #expect(try await world.query("SELECT state, reason FROM settlements") == ["failed|address.missing"])
        #expect(try await worker.program.terminate() == 0)
    }
}
