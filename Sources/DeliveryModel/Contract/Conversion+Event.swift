/// A conversion as an event of the ledger.
extension Conversion {
    package var event: RecipientEvent {
        var detail = JSONObject()
        detail["value"] = .number(self.value)
        let target: RecipientEvent.Target
        switch self.target {
        case .decision(let id):
            target = .decision(id: id)
        case .user(let id, let goal):
            target = .user(id: id)
            detail["goal"] = .string(goal)
        }
        return RecipientEvent(
            key: "conversion/\(self.id)", target: target, kind: .conversion, at: self.at, detail: detail)
    }

    package var missing: Rejection {
        switch self.target {
        case .decision:
            Rejection(.conversionDecision, pointer: "/decision", detail: "No decision with this id was accepted.")
        case .user:
            Rejection(
                .conversionUser, pointer: "/user",
                detail:
                    "No message that was sent to this user, and whose window is open, precedes it: name the decision instead."
            )
        }
    }
}
