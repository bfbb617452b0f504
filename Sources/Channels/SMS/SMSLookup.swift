/// Asks an HTTP provider what became of a message, as `lookup` in its file says.
package import DeliveryModel
import CurlTransport

package struct SMSLookup: ReceiptSource {
    package let name: String
    package let policy: LookupPolicy

    let format: SMSRequestFormat
    let table: ReceiptTable
    let transport: any HTTPExchanging

    package func look(up messageID: String, now: Timestamp) async -> LookupAnswer {
        do throws(HTTPFailure) {
            let request = self.format.request(RequestValues(messageID: messageID))
            return self.answer(try await self.transport.perform(request), about: messageID, now: now)
        } catch {
            return .away(reason: error.code.rawValue)
        }
    }

    func answer(_ response: HTTPResponse, about messageID: String, now: Timestamp) -> LookupAnswer {
        let reason = "http.\(response.status)"
        switch response.status {
        case 200...299:
            let reading = self.table.read(response.body, provider: self.name, asked: messageID)
            if !reading.receipts.isEmpty { return .told(reading.receipts) }
            return reading.unreadable == 0 ? .unknown : .unreadable(reason: "http.unreadable")
        case 404, 410: return .unknown
        case 401, 403: return .refused(reason: reason)
        case 429: return .busy(retryAfter: HTTPAnswer.retryAfter(response, now: now))
        case 408, 500...599:
            if let wait = HTTPAnswer.retryAfter(response, now: now) { return .busy(retryAfter: wait) }
            return .away(reason: reason)
        default: return .unreadable(reason: reason)
        }
    }
}
