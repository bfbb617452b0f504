// Long computations beside the pool.
import Foundation
import Testing
import ThreadBridge

@Suite(.timeLimit(.minutes(1))) struct BackgroundThreadTests {
    private struct Place: Equatable {
        let name: String
        let niceness: Int32
    }

    private struct Expected: Error {}

    /// The calling thread as the kernel knows it.
    private static func place() -> Place {
        let name = (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)) ?? ""
        return Place(
            name: name.trimmingCharacters(in: .whitespacesAndNewlines),
            niceness: getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0))
    }

    @Test func itRunsBehindEverythingElseAndComesBackThereFromElsewhere() async throws {
        let here = Self.place()
        let places = try await onBackgroundThread(named: "fit-test", niceness: 7) {
            let first = Self.place()
            await Task.yield()
            try await Task.sleep(for: .milliseconds(1))
            async let child = Self.place()
            return [first, Self.place(), await child]
        }
        #expect(places.allSatisfy { $0.name == "fit-test" && $0.niceness >= max(7, here.niceness) }, "\(places)")
        #expect(Self.place().name != "fit-test")
    }

    @Test func whatItThrowsIsThrownAndCancellingReachesIt() async throws {
        await #expect(throws: Expected.self) {
            try await onBackgroundThread(named: "fit-test") { throw Expected() }
        }
        let task = Task {
            try await onBackgroundThread(named: "fit-test") {
                while !Task.isCancelled { await Task.yield() }
                return "heard"
            }
        }
        task.cancel()
        #expect(try await task.value == "heard")
    }

    @Test func manyAtOnceLeaveNoThreadBehind() async throws {
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 1...50 { group.addTask { try await onBackgroundThread(named: "fit-many") { number } } }
            return try await group.reduce(0, +)
        }
        #expect(sum == 1275)
        let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").map {
            (try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)) ?? ""
        }
        #expect(!names.contains { $0.hasPrefix("fit-many") })
    }
}
