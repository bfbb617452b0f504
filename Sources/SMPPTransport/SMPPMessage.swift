/// The bodies of `submit_sm` and `deliver_sm` (§4.4, §4.6), which are the same, and the optional parameters (§5.3).
package import NIOCore

/// Tags of optional parameters that are looked at.
package enum SMPPTag {
    package static let userMessageReference: UInt16 = 0x0204
    package static let sarReference: UInt16 = 0x020C
    package static let messagePayload: UInt16 = 0x0424
    package static let messageState: UInt16 = 0x0427
    package static let networkErrorCode: UInt16 = 0x0423
    package static let receiptedMessageID: UInt16 = 0x001E
}

/// A short message on its way to or from a phone.
package struct SMPPMessage: Sendable, Equatable {
    package var serviceType = ""
    package var source: SMPPAddress
    package var destination: SMPPAddress
    /// §5.2.12: 0x40 says that the text begins with a user data header, 0x04 that it is a receipt.
    package var esmClass: UInt8 = 0
    package var protocolID: UInt8 = 0
    package var priority: UInt8 = 0
    package var schedule = ""
    /// §7.1.1, such as `000000003000000R` for half an hour; empty for the centre's own.
    package var validity = ""
    /// §5.2.17: 1 asks for a receipt at the end.
    package var registeredDelivery: UInt8 = 0
    package var dataCoding: UInt8 = 0
    /// The text, without its user data header only if there is none.
    package var text: [UInt8]
    /// Whether the text goes out as the optional parameter `message_payload`.
    package var isPayload = false
    package var parameters: [UInt16: [UInt8]] = [:]

    /// The most bytes of `short_message`; more go into `message_payload`.
    package static let shortMessageBytesMax = 254

    package init(source: SMPPAddress, destination: SMPPAddress, text: [UInt8]) {
        self.source = source
        self.destination = destination
        self.text = text
    }

    /// - Throws: ``SMPPFlaw`` when the body ends early or has a text where a length does not fit.
    package init(reading body: ByteBuffer) throws(SMPPFlaw) {
        var body = body
        guard let serviceType = body.readCString(max: 5), let source = Self.address(&body),
            let destination = Self.address(&body), let esmClass = body.readInteger(as: UInt8.self),
            let protocolID = body.readInteger(as: UInt8.self), let priority = body.readInteger(as: UInt8.self),
            let schedule = body.readCString(max: 16), let validity = body.readCString(max: 16),
            let registeredDelivery = body.readInteger(as: UInt8.self), body.readInteger(as: UInt8.self) != nil,
            let dataCoding = body.readInteger(as: UInt8.self), body.readInteger(as: UInt8.self) != nil,
            let length = body.readInteger(as: UInt8.self), let text = body.readBytes(length: Int(length))
        else { throw SMPPFlaw("a message that ends early") }
        self.init(source: source, destination: destination, text: text)
        self.serviceType = serviceType
        self.esmClass = esmClass
        self.protocolID = protocolID
        self.priority = priority
        self.schedule = schedule
        self.validity = validity
        self.registeredDelivery = registeredDelivery
        self.dataCoding = dataCoding
        self.parameters = SMPPParameters.read(&body)
        if let payload = self.parameters.removeValue(forKey: SMPPTag.messagePayload) {
            self.text = payload
            self.isPayload = true
        }
    }

    package func write(to body: inout ByteBuffer) {
        body.writeCString(self.serviceType, max: 5)
        Self.write(self.source, to: &body)
        Self.write(self.destination, to: &body)
        body.writeInteger(self.esmClass)
        body.writeInteger(self.protocolID)
        body.writeInteger(self.priority)
        body.writeCString(self.schedule, max: 16)
        body.writeCString(self.validity, max: 16)
        body.writeInteger(self.registeredDelivery)
        body.writeInteger(UInt8(0))
        body.writeInteger(self.dataCoding)
        body.writeInteger(UInt8(0))
        let goesAsPayload = self.isPayload || self.text.count > Self.shortMessageBytesMax
        body.writeInteger(UInt8(clamping: goesAsPayload ? 0 : self.text.count))
        if !goesAsPayload { body.writeBytes(self.text) }
        for (tag, value) in self.parameters.sorted(by: { $0.key < $1.key }) {
            SMPPParameters.write(tag, value, to: &body)
        }
        if goesAsPayload { SMPPParameters.write(SMPPTag.messagePayload, self.text, to: &body) }
    }

    private static func address(_ body: inout ByteBuffer) -> SMPPAddress? {
        guard let typeOfNumber = body.readInteger(as: UInt8.self), let plan = body.readInteger(as: UInt8.self),
            // 20 by the specification; some centres write longer names.
            let text = body.readCString(max: 64)
        else { return nil }
        return SMPPAddress(typeOfNumber: typeOfNumber, numberingPlan: plan, text: text)
    }

    private static func write(_ address: SMPPAddress, to body: inout ByteBuffer) {
        body.writeInteger(address.typeOfNumber)
        body.writeInteger(address.numberingPlan)
        body.writeCString(address.text, max: 20)
    }
}

/// Optional parameters: tag, length, value (§3.2.4).
package enum SMPPParameters {
    /// Reads up to the first one that is cut off; of two with one tag the last counts.
    package static func read(_ body: inout ByteBuffer) -> [UInt16: [UInt8]] {
        var parameters: [UInt16: [UInt8]] = [:]
        while let tag = body.readInteger(as: UInt16.self), let length = body.readInteger(as: UInt16.self),
            let value = body.readBytes(length: Int(length))
        {
            parameters[tag] = value
        }
        return parameters
    }

    package static func write(_ tag: UInt16, _ value: [UInt8], to body: inout ByteBuffer) {
        body.writeInteger(tag)
        body.writeInteger(UInt16(clamping: value.count))
        body.writeBytes(value.prefix(Int(UInt16.max)))
    }
}
