/// Something of the simulators' own machinery that did not work: a port in use, openssl missing, a bad setting.
package struct SimulatorError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A sentence for the person who started the simulators; never holds secrets.
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
