// An OS thread for calls that block: a C library's handle lives on one, and nothing else touches it.
//
// Threads have a name (`top -H`, `ps -L` show it), leave signals to the rest of the process, and are joined
// before their object goes: a forgotten thread would outlive what it works on.
import Glibc

/// A named OS thread that runs one closure and must be joined.
@safe package final class IOThread: Sendable {
    private let id: pthread_t
    private let name: String
    private let isJoined = Protected(false)

    /// Starts the thread. Ends the process if the system has no thread left to give.
    ///
    /// - Parameters:
    ///   - name: At most 15 bytes, which is what Linux keeps.
    ///   - body: Runs on the thread; the thread ends when it returns. It must not hold the last reference to
    ///     this object.
    package init(name: String, body: @escaping @Sendable () -> Void) {
        precondition(name.utf8.count < 16, "Linux keeps 15 bytes of a thread's name")
        let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
        var id = pthread_t()
        let code = withSignalsBlocked {
            unsafe pthread_create(&id, nil, { unsafe runStart($0) }, start.toOpaque())
        }
        precondition(code == 0, "cannot start the thread \(name): pthread_create: \(code)")
        self.id = id
        self.name = name
    }

    deinit {
        precondition(self.isJoined.withLock { $0 }, "the thread \(self.name) was not joined")
    }

    /// Blocks the caller until the thread has ended. To be called once, and not from the thread itself.
    ///
    /// A task should first learn by other means that the thread is about to end, so that this returns at once.
    package func join() {
        let isFirst = self.isJoined.withLock { isJoined in
            defer { isJoined = true }
            return !isJoined
        }
        precondition(isFirst, "the thread \(self.name) is joined once")
        let code = pthread_join(self.id, nil)
        precondition(code == 0, "pthread_join: \(code)")
    }

    /// Whether the caller runs on this thread.
    package var isCurrent: Bool { pthread_equal(self.id, pthread_self()) != 0 }

    /// Ends the process when called on another thread: what is confined to this one would be in danger.
    package func preconditionCurrent(file: StaticString = #fileID, line: UInt = #line) {
        precondition(self.isCurrent, "this belongs on the thread \(self.name)", file: file, line: line)
    }
}

/// What a new thread needs, carried through C's `void *`.
private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }

    /// The name is for people who look; a kernel without /proc is no reason to fail.
    func nameThread() {
        let file = unsafe open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        var name = self.name
        name.withUTF8 { bytes in
            _ = unsafe write(file, bytes.baseAddress, bytes.count)
        }
        close(file)
    }
}

private func runStart(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context = unsafe context else { preconditionFailure("a thread was started without its closure") }
    let start = unsafe Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
    start.nameThread()
    start.body()
    return nil
}

/// A new thread inherits its creator's signal mask, so the mask is set around the creation: no moment is
/// left in which SIGTERM could arrive on the new thread. Faults stay open, so that crashes are reported.
private func withSignalsBlocked<Result>(_ body: () -> Result) -> Result {
    var blocked = sigset_t()
    var former = sigset_t()
    unsafe sigfillset(&blocked)
    for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS] {
        unsafe sigdelset(&blocked, fault)
    }
    let code = unsafe pthread_sigmask(SIG_SETMASK, &blocked, &former)
    precondition(code == 0, "pthread_sigmask: \(code)")
    defer { unsafe pthread_sigmask(SIG_SETMASK, &former, nil) }
    return body()
}
