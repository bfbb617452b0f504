import DeliveryModel
import HTTPTypes
import Hummingbird
import Logging

/// A problem, as RFC 9457 writes it: `application/problem+json`.
struct Problem {
    var status: HTTPResponse.Status
    /// Stable: what programs look at.
    var type: String
    var title: String
    /// What to mend.
    var detail: String
    var rejections: [Rejection] = []

    func response(headers: HTTPFields = [:]) -> Response {
        var writer = JSONWriter()
        writer.object { object in
            object.member("type", self.type)
            object.member("title", self.title)
            object.member("status", self.status.code)
            object.member("detail", self.detail)
            if !self.rejections.isEmpty {
                object.array("problems") { list in
                    for rejection in self.rejections { list.object { $0.members(of: rejection) } }
                }
            }
        }
        var headers = headers
        headers[.contentType] = "application/problem+json"
        return Response(
            status: self.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
    }
}

extension Problem {
    /// Answers that something is away, and says so in the log.
    static func unavailable(_ what: String, _ detail: String, _ logger: Logger) -> Response {
        logger.notice("a request could not be served", metadata: ["missing": "\(what)", "detail": "\(detail)"])
        return Problem(
            status: .serviceUnavailable, type: "unavailable", title: "Try again later",
            detail: "Martlet waits for \(what). Nothing of this request was lost that was answered; send it again."
        ).response(headers: [.retryAfter: "1"])
    }
}

extension JSONWriter {
    mutating func members(of rejection: Rejection) {
        self.member("code", rejection.code)
        self.member("pointer", rejection.pointer)
        self.member("detail", rejection.detail)
    }
}

extension Response {
    static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
