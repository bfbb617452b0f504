// Decisions that leave out what is stored of their user.
import DeliveryModel
import Pipeline
import Testing
import ThreadBridge

@Suite struct ProfileTests {
    private final class Store: ProfileLedger {
        let asked = Protected(0)
        func profile(of user: String) async throws(LedgerError) -> User? {
            self.asked.withLock { $0 += 1 }
            return user == "u-1" ? User(id: "u-1", timezone: "Asia/Tokyo", email: "stored@example.com") : nil
        }
        func store(_ profile: User) async throws(LedgerError) {}
    }

    private func fleet(_ store: Store, needsZones: Bool = false) -> (TestFleet, ScriptedProvider) {
        let clock = VirtualClock()
        let provider = ScriptedProvider(.email, clock: clock)
        return (TestFleet([provider], clock: clock, profiles: Profiles(store, needsZones: needsZones)), provider)
    }

    private func bare(_ id: String, user: String = "u-1", timing: Timing = .now) -> Decision {
        let whole = decision(id, user: user, timing: timing)
        var user = whole.user
        user.email = nil
        return whole.with(user: user)
    }

    @Test func whatIsLeftOutIsTakenFromTheProfile() async throws {
        let store = Store()
        let (fleet, provider) = self.fleet(store)
        fleet.append(self.bare("now"))
        // 09:00 in Tokyo is the start of the virtual time, midnight by UTC.
        fleet.append(self.bare("local", timing: .local(minuteOfDay: 10 * 60)))
        try await fleet.runToTheEnd()
        #expect(provider.sent.map(\.email) == ["stored@example.com", "stored@example.com"])
        let sent = Dictionary(uniqueKeysWithValues: provider.sent.map { ($0.key, $0.at) })
        #expect(sent["now/0"] == VirtualClock.start)
        let wait = (sent["local/0"] ?? VirtualClock.start) - VirtualClock.start
        #expect(wait.count >= 3_600_000 && wait.count < 3_610_000, "\(wait)")
    }

    @Test func whatIsGivenWinsAndNobodyIsAskedForNothing() async throws {
        let store = Store()
        let (fleet, provider) = self.fleet(store)
        fleet.append(decision("given"))
        try await fleet.runToTheEnd()
        #expect(provider.sent.map(\.email) == ["ada@example.com"])
        #expect(store.asked.current == 0)
        let (careful, _) = self.fleet(store, needsZones: true)
        careful.append(decision("zone"))
        careful.append(decision("transactional", class: .transactional))
        try await careful.runToTheEnd()
        #expect(store.asked.current == 1, "the quiet hours need a zone")
    }
}
