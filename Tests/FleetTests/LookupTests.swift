// A message whose receipt never comes: the program asks its provider, and the end is known after all.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Lookups {}
}

extension FleetTests.Lookups {
    @Test func aReceiptThatNeverCameIsAskedForOnceByAnyOfTwoWorkers() async throws {
        let world = try await Stage.shared.world()
        let workers = [
            try await world.start("worker", name: "worker-1"), try await world.start("worker", name: "worker-2"),
        ]
        try await world.append(
            Wish.texts("t", 5) + [Wish("lost", phone: "+15550120003"), Wish("far", phone: "+15550120004")])
        try await world.settles(7)
        // Nearly as old as a message whose receipt is missed: the rest of it passes by itself.
        _ = try await world.query(
            "UPDATE attempts SET closed_at = now() - interval '9 minutes 57 seconds' WHERE channel = 'sms'")
        try await eventually("the provider was asked for all of them") {
            try await world.count("SELECT count(*) FROM events WHERE kind = 'receipt'") == 7
        }

        #expect(try await world.count("SELECT count(*) FROM settlements WHERE state = 'delivered'") == 5)
        #expect(try await world.state(of: "lost") == "failed")
        #expect(try await world.state(of: "far") == "sent")
        let story = try await world.martlet("explain", "lost").out
        #expect(story.contains("receipt for attempt 1: failed (sms.undelivered)"), "\(story)")
        var asked = 0
        for worker in workers {
            let metrics = try await Web.get(worker.ops + "/metrics").body
            for line in metrics.split(separator: "\n") where line.hasPrefix("martlet_lookups_total{") {
                asked += Int(line.split(separator: " ").last ?? "") ?? 0
            }
        }
        #expect(asked == 7)
        for worker in workers { #expect(try await worker.program.terminate() == 0) }
    }
}
