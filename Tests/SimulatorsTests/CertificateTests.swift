import Foundation
import Simulators
import Testing

extension SimulatorsTests {
    @Suite(.timeLimit(.minutes(2)))
    struct CertificateTests {
        private func modes(in folder: String) throws -> [String: Int] {
            let files = FileManager.default
            var modes: [String: Int] = [:]
            for name in try #require(files.enumerator(atPath: folder)).compactMap({ $0 as? String }) {
                let attributes = try files.attributesOfItem(atPath: "\(folder)/\(name)")
                modes[name] = (attributes[.posixPermissions] as? NSNumber)?.intValue
            }
            return modes
        }

        @Test func keysAreMadeOnceAndAreTheOwnersAlone() async throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
                "martlet-keys-\(UUID().uuidString)"
            )
            .path
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let first = try SimulatedCertificates.prepare(in: folder)
            let key = try String(contentsOfFile: first.keyFile, encoding: .utf8)
            let again = try SimulatedCertificates.prepare(in: folder)
            let modes = try self.modes(in: folder)

            #expect(try String(contentsOfFile: again.keyFile, encoding: .utf8) == key)
            #expect(modes["certificates"] == 0o700)
            #expect(modes["certificates/server.key"] == 0o600)
            #expect(modes["certificates/service-account.key"] == 0o600)
            #expect(!modes.keys.contains { $0.contains("ca.key") })
            #expect(modes.count == 6, "\(modes.keys.sorted())")
        }

        @Test func theChainHoldsForLocalhostAndTheAddress() async throws {
            try await withFolder { folder in
                let certificates = try SimulatedCertificates.prepare(in: folder)
                for name in [["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"]] {
                    let verified = try await run(
                        [
                            "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile",
                            certificates.trustFile,
                        ]
                            + name
                            + [certificates.certificateFile])
                    #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
                }
                let other = try await run(
                    ["openssl", "verify", "-CAfile", certificates.trustFile, "-verify_hostname", "example.com"]
                        + [certificates.certificateFile])
                #expect(other.status != 0)
            }
        }

        @Test func aSetThatLacksAFileIsMadeAnew() async throws {
            try await withFolder { folder in
                let certificates = try SimulatedCertificates.prepare(in: folder)
                try FileManager.default.removeItem(atPath: certificates.keyFile)
                let again = try SimulatedCertificates.prepare(in: folder)

                #expect(FileManager.default.isReadableFile(atPath: again.keyFile))
                _ = try again.tlsConfiguration()
            }
        }

        @Test func accountsSurviveARestart() async throws {
            try await withFolder { folder in
                let first = try await SimulatorFleet.start(SimulatorFleetSettings(folder: folder))
                await first.stop()
                var settings = SimulatorFleetSettings(folder: folder)
                settings.smsPort = first.sms.port
                let second = try await SimulatorFleet.start(settings)
                await second.stop()

                #expect(second.environment["TWILIO_AUTH_TOKEN"] == first.environment["TWILIO_AUTH_TOKEN"])
                #expect(second.environment["MARTLET_TWILIO_URL"] == first.environment["MARTLET_TWILIO_URL"])
                let modes = try self.modes(in: folder)
                #expect(modes["service-account.json"] == 0o600)
                #expect(modes["accounts"] == 0o600)
            }
        }

        @Test func aClientThatDoesNotTrustTheAuthorityIsNotServed() async throws {
            try await withFleet { fleet in
                let answer = try await curl(fleet.push.tokenURI)

                #expect(answer.exitCode == 60)
            }
        }
    }
}
