import DeliveryModel
import Glibc

/// The machine's own clock.
struct SystemClock: WallClock {
    func now() -> Timestamp {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_REALTIME, &time) == 0 else { return Timestamp(milliseconds: 0) }
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Sleeps for the time that is left by the wall clock, measured by the steady one: a step of the wall
    /// clock shortens or lengthens no sleep.
    func sleep(until deadline: Timestamp) async throws {
        let left = deadline.since(self.now()).count
        guard left > 0 else { return try Task.checkCancellation() }
        try await Task.sleep(for: .milliseconds(left))
    }
}
