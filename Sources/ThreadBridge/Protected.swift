// A value that tasks and threads share, and the condition on which a thread waits for it to change.
//
// The lock is never held across an `await`: the closures are synchronous. Bodies are short, do no I/O,
// resume no task and take no other lock.
//
// **Waking.** A waiter looks at the value under the lock and sleeps in the same step that gives the lock
// back, so a change made under the lock and followed by ``signal()`` is never missed. `signal()` wakes *one*
// waiter: it is right where one thread waits. Where several wait, or an end must reach all, ``wakeAll()``.
import Glibc

/// A value guarded by a lock.
///
/// `Synchronization.Mutex` would do, but on Linux the thread sanitizer cannot see its futex and
/// reports every guarded access as a race. A `pthread_mutex_t` keeps sanitizer runs silent.
///
/// Sendable is true because `value` is touched between lock and unlock only, and values enter and leave as
/// `sending`, so nothing that is reachable from outside stays inside.
@safe package final class Protected<Value>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    /// Puts `value` under a lock of its own.
    package init(_ value: sending Value) {
        unsafe self.mutex = .allocate(capacity: 1)
        unsafe self.changed = .allocate(capacity: 1)
        self.value = value
        unsafe initialize(mutex: self.mutex, condition: self.changed)
    }

    deinit {
        unsafe check(pthread_cond_destroy(self.changed), "pthread_cond_destroy")
        unsafe check(pthread_mutex_destroy(self.mutex), "pthread_mutex_destroy")
        unsafe self.changed.deallocate()
        unsafe self.mutex.deallocate()
    }

    /// Runs `body` on the value while nobody else can; taking the same lock again inside it is a crash in
    /// debug builds and a deadlock in release builds.
    package func withLock<Result, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        unsafe check(pthread_mutex_lock(self.mutex), "pthread_mutex_lock")
        defer { unsafe check(pthread_mutex_unlock(self.mutex), "pthread_mutex_unlock") }
        return try body(&self.value)
    }

    /// Blocks the calling thread until `body` returns a result.
    ///
    /// For threads only: a task must not block. `body` runs under the lock, first at once and then each time
    /// ``signal()`` or ``wakeAll()`` wakes this thread (and now and then for nothing).
    package func wait<Result>(until body: (inout sending Value) -> sending Result?) -> sending Result {
        unsafe check(pthread_mutex_lock(self.mutex), "pthread_mutex_lock")
        defer { unsafe check(pthread_mutex_unlock(self.mutex), "pthread_mutex_unlock") }
        while true {
            if let result = body(&self.value) { return result }
            unsafe check(pthread_cond_wait(self.changed, self.mutex), "pthread_cond_wait")
        }
    }

    /// Like ``wait(until:)``, but gives up after `limit` and returns nil.
    ///
    /// - Parameter limit: By the monotonic clock, so a step of the wall clock does not matter. Zero or less
    ///   asks `body` once.
    package func wait<Result>(
        upTo limit: Duration, until body: (inout sending Value) -> sending Result?
    ) -> sending Result? {
        var deadline = monotonicTime(after: limit)
        unsafe check(pthread_mutex_lock(self.mutex), "pthread_mutex_lock")
        defer { unsafe check(pthread_mutex_unlock(self.mutex), "pthread_mutex_unlock") }
        while true {
            if let result = body(&self.value) { return result }
            let code = unsafe pthread_cond_timedwait(self.changed, self.mutex, &deadline)
            // Time is up, but the change may have come in the same moment: look once more.
            if code == ETIMEDOUT { return body(&self.value) }
            check(code, "pthread_cond_timedwait")
        }
    }

    /// Wakes one waiting thread. Call it after the change, with or without the lock.
    package func signal() {
        unsafe check(pthread_cond_signal(self.changed), "pthread_cond_signal")
    }

    /// Wakes every waiting thread.
    package func wakeAll() {
        unsafe check(pthread_cond_broadcast(self.changed), "pthread_cond_broadcast")
    }
}

private func initialize(
    mutex: UnsafeMutablePointer<pthread_mutex_t>, condition: UnsafeMutablePointer<pthread_cond_t>
) {
    var mutexKind = pthread_mutexattr_t()
    unsafe check(pthread_mutexattr_init(&mutexKind), "pthread_mutexattr_init")
    // In debug builds a second lock by the same thread is reported; the check costs a little in each lock.
    assert(unsafe pthread_mutexattr_settype(&mutexKind, Int32(PTHREAD_MUTEX_ERRORCHECK)) == 0)
    unsafe check(pthread_mutex_init(mutex, &mutexKind), "pthread_mutex_init")
    unsafe check(pthread_mutexattr_destroy(&mutexKind), "pthread_mutexattr_destroy")

    var conditionKind = pthread_condattr_t()
    unsafe check(pthread_condattr_init(&conditionKind), "pthread_condattr_init")
    unsafe check(pthread_condattr_setclock(&conditionKind, CLOCK_MONOTONIC), "pthread_condattr_setclock")
    unsafe check(pthread_cond_init(condition, &conditionKind), "pthread_cond_init")
    unsafe check(pthread_condattr_destroy(&conditionKind), "pthread_condattr_destroy")
}

/// A year is for ever here, and keeps the sum within `time_t` whatever the caller asked for.
private func monotonicTime(after limit: Duration) -> timespec {
    var now = timespec()
    unsafe check(clock_gettime(CLOCK_MONOTONIC, &now), "clock_gettime")
    let (seconds, attoseconds) = min(max(limit, .zero), .seconds(31_536_000)).components
    let nanoseconds = now.tv_nsec + Int(attoseconds / 1_000_000_000)
    return timespec(
        tv_sec: now.tv_sec + Int(seconds) + nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
}

/// These calls fail only when this module misuses them.
@inline(__always)
private func check(_ code: Int32, _ name: StaticString) {
    precondition(code == 0, "\(name): \(code)")
}
