// All simulators of one machine, started and stopped together, with the control API beside them.
//
// Everything listens on 127.0.0.1 only. Keys, certificates, the service account and the SMS account's token lie in
// one folder, readable by its owner alone, and stay the same from start to start.

import Crypto
import Foundation
import ThreadBridge

/// How a fleet of simulators is set up; port 0 takes a free one.
package struct SimulatorFleetSettings: Sendable {
    /// Made when it is missing; for keys, certificates and accounts.
    package var folder: String
    package var smtpPort = 0
    package var smtpsPort = 0
    package var smsPort = 0
    package var pushPort = 0
    package var smppPort = 0
    package var apnsPort = 0
    package var webPushPort = 0
    package var controlPort = 0
    /// How many messages each simulator keeps for inspection.
    package var messagesMax = 2_000
    /// False counts only, for load.
    package var keepsMessages = true
    /// For SMS and push, until others are set; mail begins without faults and takes the seed.
    package var faults = SimulatorFaults()
    /// How long the magic recipients hang that ask for it; milliseconds.
    package var stallMilliseconds = 30_000.0
    /// When a text message has reached its end, for those who ask for it; milliseconds.
    package var settlesAfterMilliseconds: Int64 = 2_000
    /// How long access tokens for push live, in seconds.
    package var tokenLifetime: Int64 = 3600
    package var project = "martlet-simulated"
    /// Nil: nobody reads what is sent.
    package var people: PeopleSettings?

    package init(folder: String) {
        self.folder = folder
    }
}

/// Running simulators of two SMTP servers, an SMS provider, FCM, APNs and a push service for browsers.
package final class SimulatorFleet: Sendable {
    package let certificates: SimulatedCertificates
    /// Offers STARTTLS.
    package let smtp: SMTPSimulator
    /// Speaks TLS from the first byte.
    package let smtps: SMTPSimulator
    package let sms: SMSSimulator
    package let push: PushSimulator
    /// Over TLS.
    package let smpp: SMPPSimulator
    /// Vonage, MessageBird, Sinch, Infobip.
    package let dialects: [DialectSimulator]
    package let apns: APNsSimulator
    package let webPush: WebPushSimulator
    /// Who reads what is sent.
    let people: People?
    /// Where the inbox page and the control API are.
    package let controlURL: String
    /// The variables with which the shipped provider files reach these simulators. Holds secrets: keep it from logs.
    package let environment: [String: String]

    private let simulators: [any Inspectable]
    private let control: SimulatedHTTPServer

    /// Starts all; on failure none is left running.
    ///
    /// - Throws: ``SimulatorError``, or the system's error when a port is taken.
    package static func start(_ settings: SimulatorFleetSettings) async throws -> SimulatorFleet {
        let certificates = try SimulatedCertificates.prepare(in: settings.folder)
        let accounts = try SimulatedAccounts.prepare(in: settings.folder)
        let people = try settings.people.map { settings throws(SimulatorError) in try People.start(settings) }
        let started = Protected<[any Inspectable]>([])
        do {
            return try await Self.start(settings, certificates, accounts, people) { simulator in
                started.withLock { $0.append(simulator) }
            }
        } catch {
            for simulator in started.withLock({ $0 }) { await simulator.stop() }
            await people?.stop()
            throw error
        }
    }

    private static func start(
        _ settings: SimulatorFleetSettings, _ certificates: SimulatedCertificates, _ accounts: SimulatedAccounts,
        _ people: People?, started: (any Inspectable) -> Void
    ) async throws -> SimulatorFleet {
        var smsSettings = SMSSimulatorSettings(accountSID: accounts.smsSID, authToken: accounts.smsToken)
        smsSettings.port = settings.smsPort
        smsSettings.messagesMax = settings.messagesMax
        smsSettings.keepsMessages = settings.keepsMessages
        smsSettings.stallMilliseconds = settings.stallMilliseconds
        smsSettings.settlesAfterMilliseconds = settings.settlesAfterMilliseconds
        smsSettings.faults = settings.faults
        smsSettings.people = people
        let sms = try await SMSSimulator.start(smsSettings, tls: try certificates.tlsConfiguration())
        started(sms)

        let email = "martlet@\(settings.project).iam.gserviceaccount.com"
        var pushSettings = PushSimulatorSettings(project: settings.project, clientEmail: email)
        pushSettings.port = settings.pushPort
        pushSettings.messagesMax = settings.messagesMax
        pushSettings.keepsMessages = settings.keepsMessages
        pushSettings.stallMilliseconds = settings.stallMilliseconds
        pushSettings.tokenLifetime = settings.tokenLifetime
        pushSettings.faults = settings.faults
        pushSettings.people = people
        let push = try await PushSimulator.start(pushSettings, certificates: certificates)
        started(push)
        let serviceAccount = try certificates.writeServiceAccount(
            project: settings.project, email: email, tokenURI: push.tokenURI)

        let keys = try SimulatedPushKeys.prepare(in: settings.folder)
        let (apns, webPush) = try await Self.startPush(settings, certificates, keys, people, started: started)

        let smtp = try await Self.startMail(
            "smtp", .startTLS, port: settings.smtpPort, settings, certificates, accounts, people)
        started(smtp)
        let smtps = try await Self.startMail(
            "smtps", .implicitTLS, port: settings.smtpsPort, settings, certificates, accounts, people)
        started(smtps)
        var smppSettings = SMPPSimulatorSettings()
        smppSettings.port = settings.smppPort
        smppSettings.password = accounts.mailPassword
        smppSettings.certificateFile = certificates.certificateFile
        smppSettings.keyFile = certificates.keyFile
        smppSettings.messagesMax = settings.messagesMax
        smppSettings.keepsMessages = settings.keepsMessages
        smppSettings.faults.seed = settings.faults.seed
        smppSettings.people = people
        let smpp = SMPPSimulator(settings: smppSettings)
        try await smpp.start()
        started(smpp)
        var dialects: [DialectSimulator] = []
        for dialect in accounts.dialects {
            dialects.append(
                try await DialectSimulator.start(
                    dialect, settings, people: people, tls: try certificates.tlsConfiguration()))
        }
        for dialect in dialects { started(dialect) }
        let simulators: [any Inspectable] =
            [smtp, smtps, sms, push, apns, webPush, smpp] + dialects
        let control = SimulatorControl(simulators, people: people)
        let server = try await SimulatedHTTPServer.start(
            port: settings.controlPort, tls: nil, dice: FaultDice(),
            refuse: { status in SimulatorControl.problem(status, "The request cannot be taken.") },
            note: { _ in }, handle: { request in .answer(control.answer(request)) })
        return SimulatorFleet(
            certificates: certificates, smtp: smtp.simulator, smtps: smtps.simulator, sms: sms, push: push, apns: apns,
            webPush: webPush, smpp: smpp, dialects: dialects, simulators: simulators, people: people, control: server,
            environment: [
                "MARTLET_SMTP_ENABLED": "true",
                "MARTLET_SMTP_HOST": "127.0.0.1",
                "MARTLET_SMTP_PORT": String(smtp.simulator.port),
                "MARTLET_SMTP_TRUST_FILE": certificates.trustFile,
                "MARTLET_SMTP_USER": SimulatedAccounts.mailUser,
                "MARTLET_SMTP_PASSWORD": accounts.mailPassword,
                "MARTLET_TWILIO_ENABLED": "true",
                "MARTLET_TWILIO_URL": sms.url,
                "MARTLET_TWILIO_TRUST_FILE": certificates.trustFile,
                "TWILIO_ACCOUNT_SID": accounts.smsSID,
                "TWILIO_AUTH_TOKEN": accounts.smsToken,
                "MARTLET_SMPP_URL": smpp.url,
                "MARTLET_SMPP_TRUST_FILE": certificates.trustFile,
                "MARTLET_SMPP_SYSTEM_ID": smppSettings.systemID,
                "MARTLET_SMPP_PASSWORD": accounts.mailPassword,
                "MARTLET_FCM_ENABLED": "true",
                "MARTLET_FCM_URL": push.url,
                "MARTLET_FCM_TRUST_FILE": certificates.trustFile,
                "MARTLET_FCM_CREDENTIALS_FILE": serviceAccount,
                "MARTLET_APNS_ENABLED": "true",
                "MARTLET_APNS_URL": apns.url,
                "MARTLET_APNS_TRUST_FILE": certificates.trustFile,
                "MARTLET_APNS_KEY_FILE": keys.apnsFile,
                "MARTLET_APNS_KEY_ID": APNsSimulatorSettings().keyID,
                "MARTLET_APNS_TEAM_ID": APNsSimulatorSettings().teamID,
                "MARTLET_WEBPUSH_ENABLED": "true",
                "MARTLET_WEBPUSH_ALLOW_PRIVATE": "true",
                "MARTLET_WEBPUSH_TRUST_FILE": certificates.trustFile,
                "MARTLET_VAPID_KEY_FILE": keys.vapidFile,
            ].merging(accounts.variables(of: dialects, trust: certificates.trustFile)) { $1 })
    }

    private static func startPush(
        _ settings: SimulatorFleetSettings, _ certificates: SimulatedCertificates, _ keys: SimulatedPushKeys,
        _ people: People?, started: (any Inspectable) -> Void
    ) async throws -> (APNsSimulator, WebPushSimulator) {
        var apnsSettings = APNsSimulatorSettings()
        apnsSettings.port = settings.apnsPort
        apnsSettings.messagesMax = settings.messagesMax
        apnsSettings.keepsMessages = settings.keepsMessages
        apnsSettings.stallMilliseconds = settings.stallMilliseconds
        apnsSettings.faults = settings.faults
        apnsSettings.people = people
        let apns = try await APNsSimulator.start(
            apnsSettings, publicKey: keys.apns.publicKey, certificates: certificates)
        started(apns)
        var webSettings = WebPushSimulatorSettings()
        webSettings.port = settings.webPushPort
        webSettings.messagesMax = settings.messagesMax
        webSettings.keepsMessages = settings.keepsMessages
        webSettings.stallMilliseconds = settings.stallMilliseconds
        webSettings.faults = settings.faults
        webSettings.people = people
        let webPush = try await WebPushSimulator.start(
            webSettings, applicationKey: keys.vapid.publicKey, seed: keys.seed, certificates: certificates)
        started(webPush)
        return (apns, webPush)
    }

    private static func startMail(
        _ name: String, _ security: SMTPSimulatorSettings.Security, port: Int, _ settings: SimulatorFleetSettings,
        _ certificates: SimulatedCertificates, _ accounts: SimulatedAccounts, _ people: People?
    ) async throws -> MailInspection {
        var mail = SMTPSimulatorSettings()
        mail.port = port
        mail.security = security
        mail.certificateFile = certificates.certificateFile
        mail.keyFile = certificates.keyFile
        // Mail is taken without a password too, but a wrong one is refused.
        mail.users = [SimulatedAccounts.mailUser: accounts.mailPassword]
        mail.keepsMail = settings.keepsMessages
        mail.keptMax = settings.messagesMax
        mail.seed = settings.faults.seed
        if let people { mail.onMail = { people.take(.mail($0, provider: name)) } }
        let simulator = SMTPSimulator(settings: mail)
        try await simulator.start()
        return MailInspection(name: name, simulator: simulator)
    }

    private init(
        certificates: SimulatedCertificates, smtp: SMTPSimulator, smtps: SMTPSimulator, sms: SMSSimulator,
        push: PushSimulator, apns: APNsSimulator, webPush: WebPushSimulator, smpp: SMPPSimulator,
        dialects: [DialectSimulator], simulators: [any Inspectable], people: People?, control: SimulatedHTTPServer,
        environment: [String: String]
    ) {
        self.certificates = certificates
        self.smtp = smtp
        self.smtps = smtps
        self.sms = sms
        self.push = push
        self.smpp = smpp
        self.dialects = dialects
        self.apns = apns
        self.webPush = webPush
        self.simulators = simulators
        self.people = people
        self.control = control
        self.controlURL = "http://127.0.0.1:\(control.port)"
        self.environment = environment
    }

    /// Ends all connections; returns when every port is free again.
    package func stop() async {
        await self.control.stop()
        for simulator in self.simulators { await simulator.stop() }
        await self.people?.stop()
    }
}

/// The accounts that clients need, kept in a file.
private struct SimulatedAccounts: Sendable {
    static let mailUser = "martlet"

    let smsSID: String
    let smsToken: String
    let mailPassword: String

    /// All four take the same words for their keys and secrets.
    var dialects: [SMSDialect] {
        [
            .vonage(key: self.smsSID, secret: self.smsToken), .messageBird(key: self.smsToken),
            .sinch(token: self.smsToken, plan: self.smsSID), .infobip(key: self.smsToken),
        ]
    }

    /// None of them is enabled: one provider of text messages is enough to begin with.
    func variables(of dialects: [DialectSimulator], trust: String) -> [String: String] {
        var variables = [
            "VONAGE_API_KEY": self.smsSID, "VONAGE_API_SECRET": self.smsToken, "MESSAGEBIRD_ACCESS_KEY": self.smsToken,
            "SINCH_SERVICE_PLAN_ID": self.smsSID, "SINCH_API_TOKEN": self.smsToken, "INFOBIP_API_KEY": self.smsToken,
        ]
        for dialect in dialects {
            let name = "MARTLET_\(dialect.name.uppercased())"
            variables["\(name)_URL"] = dialect.url
            variables["\(name)_TRUST_FILE"] = trust
        }
        return variables
    }

    static func prepare(in folder: String) throws -> SimulatedAccounts {
        let path = folder + "/accounts"
        if let text = try? String(contentsOfFile: path, encoding: .utf8),
            let known = SimulatedAccounts(lines: text.split(separator: "\n"))
        {
            return known
        }
        var random = SystemRandomNumberGenerator()
        let secrets = (0..<3).map { _ in hexadecimal(random.next(), random.next()) }
        let lines = ["AC" + secrets[0], secrets[1], secrets[2]]
        try SimulatedCertificates.writePrivately(Array(lines.joined(separator: "\n").utf8), to: path)
        guard let accounts = SimulatedAccounts(lines: lines.map { $0[...] }) else {
            throw SimulatorError("cannot make accounts in \(path)")
        }
        return accounts
    }

    private init?(lines: [Substring]) {
        guard lines.count == 3 else { return nil }
        self.smsSID = String(lines[0])
        self.smsToken = String(lines[1])
        self.mailPassword = String(lines[2])
    }
}
