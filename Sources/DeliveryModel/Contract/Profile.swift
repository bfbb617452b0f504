/// A stored profile: what is known of a user, for decisions that leave it out.
///
/// As JSON it is the `user` of a decision by itself (docs/contract.md).
extension User {
    /// Reads and checks a profile, by the rules and limits of decisions.
    ///
    /// - Parameter id: Whose profile it is; an `id` in the text must be the same.
    package static func decodeProfile(
        _ bytes: [UInt8], id: String, limits: DecisionLimits = DecisionLimits()
    ) throws(DecisionRejections) -> User {
        guard bytes.count <= limits.bytesMax else {
            throw DecisionRejections(
                Rejection(.tooLarge, pointer: "", detail: "A profile has at most \(limits.bytesMax) bytes."))
        }
        var value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue.parse(bytes)
        } catch {
            throw DecisionRejections(error.rejection)
        }
        if case .object(var object) = value {
            if object["id"] == nil { object["id"] = .string(id) }
            value = .object(object)
        }
        var reader = ContractReader(limits: limits)
        let user = reader.user(value)
        do throws(DecisionRejections) {
            try reader.finish(id: id)
        } catch {
            throw error.below("/user")
        }
        guard let user, user.id == id else {
            throw DecisionRejections(
                Rejection(.userID, pointer: "/id", detail: "The profile names another user than the address does."))
        }
        return user
    }

    /// The profile as compact JSON that ``decodeProfile(_:id:limits:)`` reads back to an equal value.
    package func encodedProfile() -> [UInt8] {
        var writer = JSONWriter()
        writer.object { self.write(to: &$0) }
        return writer.bytes
    }

    /// This user, with what was left out taken from the stored profile. What is given wins.
    package func completed(by profile: User) -> User {
        User(
            id: self.id, timezone: self.timezone ?? profile.timezone, locale: self.locale ?? profile.locale,
            email: self.email ?? profile.email, phone: self.phone ?? profile.phone,
            push: self.push.isEmpty ? profile.push : self.push)
    }
}

extension DecisionRejections {
    /// The same, where what lies below `place` is the whole document.
    fileprivate func below(_ place: String) -> DecisionRejections {
        func moved(_ rejection: Rejection) -> Rejection {
            guard rejection.pointer.hasPrefix(place) else { return rejection }
            var moved = rejection
            moved.pointer = String(rejection.pointer.dropFirst(place.count))
            return moved
        }
        return DecisionRejections(moved(self.first), others: self.others.map(moved), id: self.id)
    }
}

/// Who keeps profiles.
package protocol ProfileLedger: Sendable {
    func profile(of user: String) async throws(LedgerError) -> User?
    func store(_ profile: User) async throws(LedgerError)
}
