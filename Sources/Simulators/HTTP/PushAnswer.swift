// The error answers of the push provider: google.rpc.Status with FcmError or BadRequest in its details.
// https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode

import DeliveryModel

/// Why a message is not taken.
struct PushRefusal: Error, Sendable, Hashable {
    let httpStatus: Int
    /// The name of the google.rpc.Code.
    let status: String
    let message: String
    /// The `errorCode` of FcmError, where FCM itself refuses.
    var fcmCode: String?
    /// The field that google.rpc.BadRequest names.
    var field: String?

    private init(_ httpStatus: Int, _ status: String, _ message: String, fcmCode: String? = nil, field: String? = nil) {
        self.httpStatus = httpStatus
        self.status = status
        self.message = message
        self.fcmCode = fcmCode
        self.field = field
    }

    static let unregistered = PushRefusal(404, "NOT_FOUND", "Requested entity was not found.", fcmCode: "UNREGISTERED")
    static let invalidToken = PushRefusal(
        400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token",
        fcmCode: "INVALID_ARGUMENT", field: "message.token")
    static let senderMismatch = PushRefusal(
        403, "PERMISSION_DENIED", "SenderId mismatch", fcmCode: "SENDER_ID_MISMATCH")
    static let quotaExceeded = PushRefusal(
        429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", fcmCode: "QUOTA_EXCEEDED")
    static let unavailable = PushRefusal(
        503, "UNAVAILABLE", "The service is currently unavailable.", fcmCode: "UNAVAILABLE")
    static let internalError = PushRefusal(500, "INTERNAL", "Internal error encountered.", fcmCode: "INTERNAL")
    static let unauthenticated = PushRefusal(
        401, "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
            + "authentication credential.")
    static let notFound = PushRefusal(404, "NOT_FOUND", "The requested URL was not found on this server.")
    static let methodNotAllowed = PushRefusal(405, "UNIMPLEMENTED", "The request method is not allowed here; use POST.")
    static let tooLarge = PushRefusal(413, "INVALID_ARGUMENT", "Request payload size exceeds the limit.")

    static func invalid(_ field: String, _ message: String) -> PushRefusal {
        PushRefusal(400, "INVALID_ARGUMENT", message, fcmCode: "INVALID_ARGUMENT", field: field)
    }

    static func wrongProject(_ project: String) -> PushRefusal {
        PushRefusal(
            403, "PERMISSION_DENIED",
            "Permission 'cloudmessaging.messages.create' denied on resource "
                + "'//cloudresourcemanager.googleapis.com/projects/\(project)' (or it may not exist).")
    }

    static func status(_ status: Int) -> PushRefusal {
        PushRefusal(status, status < 500 ? "FAILED_PRECONDITION" : "UNKNOWN", "The request failed with \(status).")
    }
}

enum PushAnswer {
    static func error(_ refusal: PushRefusal) -> HTTPAnswer {
        var answer = HTTPAnswer.json(refusal.httpStatus) { json in
            json.object("error") { error in
                error.member("code", refusal.httpStatus)
                error.member("message", refusal.message)
                error.member("status", refusal.status)
                guard refusal.fcmCode != nil || refusal.field != nil else { return }
                error.array("details") { details in
                    Self.write(refusal, into: &details)
                }
            }
        }
        answer.errorCode = refusal.fcmCode ?? refusal.status
        switch refusal.httpStatus {
        case 401:
            return answer.with(.authenticate, #"Bearer realm="https://accounts.google.com/", error="invalid_token""#)
        case 405: return answer.with(.allow, "POST")
        default: return answer
        }
    }

    /// The answer for a status that a fault asks for.
    static func injected(_ status: Int) -> HTTPAnswer {
        switch status {
        case 401: Self.error(.unauthenticated)
        case 413: Self.error(.tooLarge)
        case 429: Self.error(.quotaExceeded)
        case 500: Self.error(.internalError)
        case 503: Self.error(.unavailable)
        default: Self.error(.status(status))
        }
    }

    private static func write(_ refusal: PushRefusal, into details: inout JSONWriter) {
        if let code = refusal.fcmCode {
            details.object { detail in
                detail.member("@type", "type.googleapis.com/google.firebase.fcm.v1.FcmError")
                detail.member("errorCode", code)
            }
        }
        if let field = refusal.field {
            details.object { detail in
                detail.member("@type", "type.googleapis.com/google.rpc.BadRequest")
                detail.array("fieldViolations") { violations in
                    violations.object { violation in
                        violation.member("field", field)
                        violation.member("description", refusal.message)
                    }
                }
            }
        }
    }
}
