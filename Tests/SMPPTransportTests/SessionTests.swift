import NIOCore
import Testing

@testable import SMPPTransport

/// The dialogue without a socket: what is answered, what is overdue, what is lost.
@Suite struct SessionTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private var settings = SMPPSettings(
        host: "x", port: 1, systemID: "a", password: "b", window: 2, responseTimeoutMilliseconds: 1000,
        enquireMilliseconds: 5000)

    private func bound(_ role: SMPPSession<Int>.Role = .transceiver) -> SMPPSession<Int> {
        var session = SMPPSession<Int>(settings: self.settings, role: role, now: Self.start)
        var output = ByteBuffer()
        session.connected(now: Self.start, into: &output)
        _ = session.received(
            SMPPPDU(SMPPCommand.bindTransceiver.answer, sequence: 1), now: Self.start, into: &output)
        return session
    }

    private func results(_ events: [SMPPSession<Int>.Event]) -> [Int: SMPPResult] {
        var results: [Int: SMPPResult] = [:]
        for case .answered(let token, let result) in events { results[token] = result }
        return results
    }

    @Test func theWindowIsNeverLargerThanAllowed() {
        var session = self.bound()
        var output = ByteBuffer()
        #expect(session.room == 2)
        session.submit(ByteBuffer(), 1, now: Self.start, into: &output)
        session.submit(ByteBuffer(), 2, now: Self.start, into: &output)
        #expect(session.room == 0)
        let events = session.received(
            SMPPPDU(SMPPCommand.submit.answer, sequence: 3, body: ByteBuffer(string: "m2\0")), now: Self.start,
            into: &output)
        #expect(self.results(events) == [2: .accepted(messageID: "m2")])
        #expect(session.room == 1)
        #expect(self.bound(.receiver).room == 0)
    }

    @Test func anAnswerOutOfOrderBelongsToItsOwnNumber() {
        var session = self.bound()
        var output = ByteBuffer()
        session.submit(ByteBuffer(), 1, now: Self.start, into: &output)
        session.submit(ByteBuffer(), 2, now: Self.start, into: &output)
        let second = session.received(
            SMPPPDU(SMPPCommand.submit.answer, status: .throttled, sequence: 3), now: Self.start, into: &output)
        let first = session.received(
            SMPPPDU(.genericNack, status: .systemError, sequence: 2), now: Self.start, into: &output)
        #expect(self.results(second) == [2: .refused(.throttled)])
        #expect(self.results(first) == [1: .refused(.systemError)])
    }

    @Test func aSubmitWithoutAnAnswerIsUnknownAndALateAnswerSaysNothing() {
        var session = self.bound()
        var output = ByteBuffer()
        session.submit(ByteBuffer(), 1, now: Self.start, into: &output)
        #expect(self.results(session.tick(now: Self.start + .milliseconds(999), into: &output)).isEmpty)
        let overdue = self.results(session.tick(now: Self.start + .milliseconds(1000), into: &output))
        #expect(overdue[1]?.isUnknown == true)
        #expect(session.room == 2)
        let late = session.received(
            SMPPPDU(SMPPCommand.submit.answer, sequence: 2), now: Self.start + .seconds(2), into: &output)
        #expect(late.isEmpty)
    }

    @Test func aSilentLineIsAskedAndThenGivenUp() {
        var session = self.bound()
        var output = ByteBuffer()
        #expect(session.tick(now: Self.start + .milliseconds(4999), into: &output).isEmpty && output.readableBytes == 0)
        #expect(session.tick(now: Self.start + .seconds(5), into: &output).isEmpty)
        #expect((try? SMPPPDU.read(from: &output))?.command == .enquireLink)
        let events = session.tick(now: Self.start + .seconds(6), into: &output)
        guard case .close(let failure)? = events.first else {
            Issue.record("the line was kept")
            return
        }
        #expect(failure?.code == .timeout)
    }

    @Test func aRefusedBindEndsTheLine() {
        var session = SMPPSession<Int>(settings: self.settings, role: .transceiver, now: Self.start)
        var output = ByteBuffer()
        session.connected(now: Self.start, into: &output)
        let events = session.received(
            SMPPPDU(SMPPCommand.bindTransceiver.answer, status: .invalidPassword, sequence: 1), now: Self.start,
            into: &output)
        guard case .close(let failure)? = events.first else {
            Issue.record("the line was kept")
            return
        }
        #expect(failure?.code == .bind && failure?.detail.contains("invpaswd") == true)
        #expect(session.phase == .ended)
    }

    @Test func whatIsInTheWindowOfALostLineComesOutOnce() {
        var session = self.bound()
        var output = ByteBuffer()
        session.submit(ByteBuffer(), 1, now: Self.start, into: &output)
        session.submit(ByteBuffer(), 2, now: Self.start, into: &output)
        #expect(session.lost().sorted() == [1, 2])
        #expect(session.lost().isEmpty)
    }

    @Test func aMessageThatCannotBeReadIsAnsweredAndCounted() {
        var session = self.bound()
        var output = ByteBuffer()
        let events = session.received(
            SMPPPDU(.deliver, sequence: 9, body: ByteBuffer(string: "x")), now: Self.start, into: &output)
        guard case .malformed? = events.first else {
            Issue.record("\(events)")
            return
        }
        let answer = try? SMPPPDU.read(from: &output)
        #expect(answer?.sequence == 9 && answer?.status == .receiverPermanent)
        _ = session.received(SMPPPDU(SMPPCommand(rawValue: 0x77), sequence: 10), now: Self.start, into: &output)
        #expect((try? SMPPPDU.read(from: &output))?.command == .genericNack)
    }
}
