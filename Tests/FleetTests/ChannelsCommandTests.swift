// What an operator sees of providers from the command line.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct ChannelsCommand {}
}

extension FleetTests.ChannelsCommand {
    private static let token = "fcm:fcm1:APA91bAAAAAAAAAAAAAAAAAAAAAA"

    @Test func providersAreListedCheckedAndTriedOut() async throws {
        let world = try await Stage.shared.world()
        for file in ["providers/smpp.yaml"] {
            try FileManager.default.copyItem(
                atPath: "\(Place.repository)/channels/\(file)", toPath: "\(world.folder)/\(file)")
        }
        let smpp = ["MARTLET_SMPP_ENABLED": "true"]

        let list = try await world.martlet("channels", with: smpp)
        #expect(list.code == 0, "\(list.err)")
        for name in ["smtp", "twilio", "smpp", "fcm", "apns", "webpush"] {
            #expect(list.out.contains("  \(name)"), "\(name) is missing in\n\(list.out)")
        }

        let check = try await world.martlet("channels", "check", with: smpp)
        #expect(check.code == 0, "\(check.out)\(check.err)")
        for line in ["smtp  ready: ", "twilio  there: ", "smpp  ready: ", "fcm  ready: ", "webpush  not checked: "] {
            #expect(check.out.contains(line), "\(line) is missing in\n\(check.out)")
        }

        let mail = try await world.martlet(
            "channels", "test", "smtp", "--to", "ada@example.com", "--template", "welcome", "--data",
            #"{"first_name": "Ada"}"#)
        #expect(mail.code == 0 && mail.out.hasPrefix("accepted  smtp."), "\(mail.out)\(mail.err)")
        #expect(try await world.simulators.accepted("smtp") == 1)
        let push = try await world.martlet(
            "channels", "test", "fcm", "--to", Self.token, "--template", "welcome", "--data",
            #"{"first_name": "Ada"}"#)
        #expect(push.code == 0 && push.out.hasPrefix("accepted  fcm.ok"), "\(push.out)\(push.err)")
    }

    @Test func whatIsWrongIsSaidWithWhatToMend() async throws {
        let world = try await Stage.shared.world()
        let away = try await world.martlet("channels", "check", "smtp", with: ["MARTLET_SMTP_PORT": "1"])
        #expect(away.code == 1 && away.out.contains("smtp  failed: "), "\(away.out)\(away.err)")
        let locked = try await world.martlet(
            "channels", "check", "smtp",
            with: [
                "MARTLET_SMTP_AUTHENTICATION": "plain", "MARTLET_SMTP_USER": "ada", "MARTLET_SMTP_PASSWORD": "hunter22",
            ])
        #expect(locked.code == 1 && locked.out.contains("smtp  failed: "), "\(locked.out)\(locked.err)")
        #expect(!(locked.out + locked.err).contains("hunter22"))

        let unknown = try await world.martlet("channels", "check", "pigeon")
        #expect(
            unknown.code != 0 && unknown.err.contains("no provider is called pigeon; enabled are "), "\(unknown.err)")
        let address = try await world.martlet(
            "channels", "test", "smtp", "--to", "nobody", "--template", "welcome")
        #expect(address.code != 0 && address.err.contains("/user/email"), "\(address.err)")
        let variable = try await world.martlet(
            "channels", "test", "smtp", "--to", "ada@example.com", "--template", "welcome")
        #expect(variable.code != 0 && variable.err.contains("first_name"), "\(variable.err)")
        let refused = try await world.martlet(
            "channels", "test", "smtp", "--to", "bounce@example.com", "--template", "welcome", "--data",
            #"{"first_name": "Ada"}"#)
        #expect(refused.code == 1 && refused.out.hasPrefix("rejected  smtp.5"), "\(refused.out)\(refused.err)")
    }
}
