import Foundation
import NIOCore
import Testing

@testable import SMPPTransport

/// Units as bytes: what is written is read, and whatever else comes is a flaw and no trap.
@Suite struct PDUTests {
    private func units(_ bytes: [UInt8]) throws(SMPPFlaw) -> [SMPPPDU] {
        var buffer = ByteBuffer(bytes: bytes)
        var units: [SMPPPDU] = []
        while let unit = try SMPPPDU.read(from: &buffer) { units.append(unit) }
        return units
    }

    @Test func aMessageIsReadAsItWasWritten() throws {
        var one = message(String(repeating: "x", count: 160))
        one.esmClass = 0x40
        one.dataCoding = 8
        one.validity = "000001000000000R"
        one.parameters = [SMPPTag.userMessageReference: [1, 2]]
        for isPayload in [false, true] {
            one.isPayload = isPayload
            var body = ByteBuffer()
            one.write(to: &body)
            #expect(try SMPPMessage(reading: body) == one)
        }
    }

    @Test func aTextBeyond254BytesGoesIntoThePayload() throws {
        var body = ByteBuffer()
        message(String(repeating: "x", count: 255)).write(to: &body)
        let read = try SMPPMessage(reading: body)
        #expect(read.isPayload && read.text.count == 255)
    }

    @Test func theExampleOfTheSpecificationIsRead() throws {
        // SMPP 3.4 §3.2.3: bind_transmitter of SMPP3TEST.
        let hex = "0000002F000000020000000000000001534D50503354455354007365637265743038005355424D4954310000010100"
        let unit = try #require(try self.units(bytes(hex)).first)
        #expect(unit.command == .bindTransmitter && unit.sequence == 1 && unit.status == .ok)
        var body = unit.body
        #expect(body.readCString(max: 15) == "SMPP3TEST" && body.readCString(max: 8) == "secret08")
        #expect(body.readCString(max: 12) == "SUBMIT1")
    }

    @Test func unitsAreReadWholeHoweverTheyAreCut() throws {
        var all = ByteBuffer()
        for sequence in 1...5 as ClosedRange<UInt32> {
            var body = ByteBuffer()
            message("part \(sequence)").write(to: &body)
            SMPPPDU(.submit, sequence: sequence, body: body).write(to: &all)
        }
        var buffer = ByteBuffer()
        var seen: [UInt32] = []
        for byte in all.readableBytesView {
            buffer.writeInteger(byte)
            while let unit = try SMPPPDU.read(from: &buffer) { seen.append(unit.sequence) }
        }
        #expect(seen == [1, 2, 3, 4, 5])
    }

    @Test(arguments: [0, 15, 131_073, UInt32.max])
    func aLengthThatNoUnitHasIsAFlaw(_ length: UInt32) {
        var buffer = ByteBuffer(integer: length)
        buffer.writeBytes([UInt8](repeating: 0, count: 64))
        #expect(throws: SMPPFlaw.self) { try SMPPPDU.read(from: &buffer) }
    }

    @Test func aBodyThatEndsEarlyIsAFlaw() {
        var body = ByteBuffer()
        message().write(to: &body)
        for length in 0..<body.readableBytes {
            let cut = body.getSlice(at: 0, length: length) ?? ByteBuffer()
            #expect(throws: SMPPFlaw.self) { try SMPPMessage(reading: cut) }
        }
    }

    /// A hundred thousand units that were damaged by chance, from those of the corpus.
    @Test func nothingThatComesInTraps() throws {
        let folder = "\(Repository.root)/Tests/SMPPTransportTests/Corpus"
        let corpus = try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map {
            try bytes(String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8))
        }
        #expect(corpus.count >= 8)
        var draws = SeededGenerator(seed: 34)
        var units = 0
        var messages = 0
        var receipts = 0
        for _ in 0..<100_000 {
            var input = corpus.randomElement(using: &draws) ?? []
            for _ in 0..<Int.random(in: 0...4, using: &draws) where !input.isEmpty {
                let index = Int.random(in: 0..<input.count, using: &draws)
                switch Int.random(in: 0..<5, using: &draws) {
                case 0: input[index] = UInt8.random(in: 0...255, using: &draws)
                case 1: input[index] ^= 1 << UInt8.random(in: 0..<8, using: &draws)
                case 2: input.remove(at: index)
                case 3: input.insert(UInt8.random(in: 0...255, using: &draws), at: index)
                default: input = Array(input.prefix(index))
                }
            }
            guard let read = try? self.units(input) else { continue }
            for unit in read {
                units += 1
                guard let message = try? SMPPMessage(reading: unit.body) else { continue }
                messages += 1
                if let receipt = SMPPReceipt(message) {
                    receipts += 1
                    #expect(receipt.messageID.utf8.allSatisfy { (0x20..<0x7F).contains($0) })
                }
            }
        }
        #expect(units > 20_000 && messages > 5_000 && receipts > 1_000)
    }
}

/// Hexadecimal digits; what is none is passed over.
func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.split(separator: "\n").filter { !$0.hasPrefix("#") }.joined().compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - digits.count % 2, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
