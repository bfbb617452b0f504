import Foundation
import Hummingbird

extension EdgeContext {
    /// A component of the path. The router gives it as it was sent, percent-encoded (RFC 3986, section 2.1).
    func text(_ name: String) throws -> String {
        guard let text = try self.parameters.require(name).removingPercentEncoding else {
            throw HTTPError(.badRequest, message: "the address is not percent-encoded UTF-8")
        }
        return text
    }
}
