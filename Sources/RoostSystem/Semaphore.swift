internal import CRoost
internal import SystemPackage

/// A counting semaphore: one thread hands work to another and sleeps until there is some.
///
/// What a thread wrote before it signals is seen by the thread whose wait that ends, so memory can
/// change hands through it without another lock. About 10 ns when nobody sleeps.
@safe
package final class Semaphore: Sendable {
    // SAFETY (Sendable): sem_t is made to be shared between threads, and the address never changes.
    private nonisolated(unsafe) let state: OpaquePointer

    /// Makes a semaphore that counts zero.
    ///
    /// - Throws: `SystemError` of kind `thread` when there is no memory.
    package init() throws(SystemError) {
        guard let made = unsafe croost_make_semaphore() else {
            throw SystemError(
                .thread, errno: .noMemory, "cannot make a semaphore: out of memory")
        }
        unsafe state = made
    }

    /// Adds one, and wakes a thread that waits.
    package func signal() {
        // SAFETY: the state lives until deinit.
        unsafe croost_signal_semaphore(state)
    }

    /// Sleeps until the count is above zero, and takes one.
    package func wait() {
        // SAFETY: as above.
        unsafe croost_wait_semaphore(state)
    }

    /// Takes one if the count is above zero, without sleeping.
    ///
    /// - Returns: Whether one was taken.
    package func tryWait() -> Bool {
        // SAFETY: as above.
        unsafe croost_try_semaphore(state) == 1
    }

    deinit {
        // SAFETY: nobody refers to the semaphore any more, so nobody waits for it.
        unsafe croost_free_semaphore(state)
    }
}
