/// Why something from outside cannot be taken as a decision.
package struct Rejection: Error, Sendable, Hashable {
    /// A stable code, such as `json.syntax` or `field.unknown`; docs/contract.md lists them all.
    package var code: String
    /// RFC 6901 JSON pointer to the offending place; empty for the whole document.
    package var pointer: String
    /// One sentence that says what to mend.
    package var detail: String

    package init(code: String, pointer: String, detail: String) {
        self.code = code
        self.pointer = pointer
        self.detail = detail
    }
}
