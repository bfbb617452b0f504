/// A person has said that they want no more: their consent is withdrawn, for the topic of the message or for everything
/// on its channel.
package import Attribution
package import DeliveryModel

package struct ObjectionDesk: Sendable {
    let recipients: any RecipientLedger
    let admission: any AdmissionLedger
    let topics: [String: String]

    /// - Parameter topics: What campaigns are about, by their names.
    package init(
        recipients: any RecipientLedger, admission: any AdmissionLedger, topics: [String: String]
    ) {
        self.recipients = recipients
        self.admission = admission
        self.topics = topics
    }

    private struct Wish: Hashable {
        let decision: String
        let attempt: Int
        let kind: Sighting.Kind
    }

    /// Carries out the wishes among them, each once however often it was said. Repeating is safe.
    func take(_ sightings: [Sighting]) async throws(LedgerError) {
        var heard: Set<Wish> = []
        for sighting in sightings where sighting.method == .post {
            let wish = Wish(decision: sighting.decision, attempt: sighting.attempt, kind: sighting.kind)
            if heard.insert(wish).inserted { try await self.take(sighting) }
        }
    }

    private func take(_ sighting: Sighting) async throws(LedgerError) {
        guard sighting.kind == .unsubscribe || sighting.kind == .unsubscribeAll, sighting.method == .post,
            let recipient = try await self.recipients.recipient(
                decision: sighting.decision, attempt: sighting.attempt)
        else { return }
        let topic = sighting.kind == .unsubscribeAll ? nil : self.topics[recipient.campaign]
        try await self.admission.record(
            Consent(
                person: recipient.userID, channel: recipient.channel, topic: topic, isGranted: false,
                source: "unsubscribe"))
    }
}
