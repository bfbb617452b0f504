/// The door for decisions, whichever way they come: decodes, validates, chooses what is left to choose, and makes them
/// the ledger's.
package import DeliveryModel
package import Logging

package final class Intake: DecisionIntake {
    let ledger: any DeliveryLedger
    let queue: any DecisionQueue
    let clock: any WallClock
    /// Into how many shards users are divided.
    package let shards: Int
    let chooser: FleetChooser
    let profiles: Profiles
    let meters: FleetMeters
    let logger: Logger

    package init(
        ledger: any DeliveryLedger, queue: any DecisionQueue, clock: any WallClock, shards: Int,
        chooser: FleetChooser? = nil, profiles: Profiles = Profiles(), meters: FleetMeters, logger: Logger
    ) {
        self.ledger = ledger
        self.queue = queue
        self.clock = clock
        self.shards = shards
        self.chooser = chooser ?? FleetChooser(meters: meters)
        self.profiles = profiles
        self.meters = meters
        self.logger = logger
    }

    /// What a stream entry is.
    enum Examined {
        /// A decision of this shard; with a lease when it is due.
        case arrival(Arrival)
        case elsewhere(shard: Int)
        case rejected([Rejection], id: String?)
    }

    /// What the ledger made of an arrival.
    enum StreamAnswer {
        case accepted(Delivery, OpeningAnswer?)
        /// The same entry was accepted before, by somebody who died.
        case known
        case rejected([Rejection], id: String?)
    }

    /// Looks at a stream entry; nothing is accepted yet.
    func examine(_ body: [UInt8], from lease: Lease, leaseName: String) async throws(LedgerError) -> Examined {
        var decision: Decision
        do throws(DecisionRejections) {
            decision = try Decision.decode(body)
        } catch {
            self.meters.rejected(error.all, source: "redis")
            return .rejected(error.all, id: error.id)
        }
        let shard = Shard.of(userID: decision.user.id, count: self.shards)
        guard shard == lease.shard else {
            self.meters.forwarded()
            return .elsewhere(shard: shard)
        }
        decision = try await self.profiles.complete(decision)
        let (due, choice) = await self.due(decision)
        let isDue = due <= self.clock.now()
        return .arrival(
            Arrival(
                decision: decision, body: body, shard: shard, source: lease.source, dueAt: due,
                lease: isDue ? leaseName : nil, rank: lease.rank, choice: choice))
    }

    /// Makes an arrival from a stream the fleet's own.
    func accept(_ arrival: Arrival) async throws(LedgerError) -> StreamAnswer {
        switch try await self.ledger.accept(arrival) {
        case .accepted(let delivery, let opened):
            self.meters.accepted(source: "redis")
            if let choice = arrival.choice { self.chooser.accepted(arrival.decision, choice) }
            return .accepted(delivery, opened)
        case .known:
            return .known
        case .duplicate(let isSameText):
            self.meters.duplicate(source: "redis")
            let id = arrival.decision.id
            return .rejected([Self.duplicate(id, isSameText)], id: id)
        }
    }

    package func post(_ texts: [[UInt8]], source: String) async throws(LedgerError) -> [PostAnswer] {
        let answers = await withTaskGroup(of: (Int, Result<(PostAnswer, ScheduledWork?), LedgerError>).self) { group in
            for (index, text) in texts.enumerated() {
                group.addTask {
                    do throws(LedgerError) {
                        return (index, .success(try await self.post(text, number: index, source: "\(source)/\(index)")))
                    } catch {
                        return (index, .failure(error))
                    }
                }
            }
            return await group.reduce(into: [Int: Result<(PostAnswer, ScheduledWork?), LedgerError>]()) {
                $0[$1.0] = $1.1
            }
        }
        var results: [PostAnswer] = []
        var work: [ScheduledWork] = []
        var failure: LedgerError?
        for index in texts.indices {
            switch answers[index] {
            case .success((let answer, let item)):
                results.append(answer)
                if let item { work.append(item) }
            case .failure(let error):
                failure = error
            case nil:
                break
            }
        }
        do throws(QueueError) {
            try await self.queue.schedule(work)
        } catch {
            // Accepted is accepted: recovery finds in the ledger what could not be scheduled now.
            self.logger.notice("accepted decisions could not be scheduled yet", metadata: ["detail": "\(error.detail)"])
        }
        if let failure { throw failure }
        return results
    }

    private func post(
        _ text: [UInt8], number: Int, source: String
    ) async throws(LedgerError) -> (answer: PostAnswer, work: ScheduledWork?) {
        var decision: Decision
        do throws(DecisionRejections) {
            decision = try Decision.decode(text)
        } catch {
            self.meters.rejected(error.all, source: "http")
            return (.rejected(error.all, id: error.id), nil)
        }
        decision = try await self.profiles.complete(decision)
        let shard = Shard.of(userID: decision.user.id, count: self.shards)
        let (due, choice) = await self.due(decision)
        let arrival = Arrival(
            decision: decision, body: text, shard: shard, source: source, dueAt: due, lease: nil,
            rank: self.clock.now().milliseconds << 20 | Int64(number), choice: choice)
        let work = ScheduledWork(id: decision.id, shard: shard, dueAt: due, flow: decision.flow)
        switch try await self.ledger.accept(arrival) {
        case .accepted:
            self.meters.accepted(source: "http")
            if let choice { self.chooser.accepted(decision, choice) }
            return (.accepted(id: decision.id), work)
        case .known:
            return (.accepted(id: decision.id), work)
        case .duplicate(let isSameText):
            self.meters.duplicate(source: "http")
            return (.duplicate(id: decision.id, isSameText: isSameText), nil)
        }
    }

    /// Due later only by more than a moment: what is due now is carried out under the lease it came with.
    private func due(_ decision: Decision) async -> (at: Timestamp, choice: MadeChoice?) {
        let chosen = await self.chooser.choose(decision, now: self.clock.now())
        let answer = chosen.due
        if let source = answer.zoneSource, source != .given {
            self.meters.zoneGuessed(source)
            self.logger.info(
                "no usable time zone: one is guessed",
                metadata: [
                    "decision.id": "\(decision.id)", "zone": "\(answer.zone ?? "")", "from": "\(source.rawValue)",
                ])
        }
        return (answer.dueAt, chosen.choice)
    }

    private static func duplicate(_ id: String, _ isSameText: Bool) -> Rejection {
        Rejection(
            .duplicate, pointer: "/id",
            detail: isSameText
                ? "A decision with this id was accepted before, with the same text: nothing is to be done."
                : "A decision with this id was accepted before, with another text: give the new one an id of its own.")
    }
}
