internal import Logging
internal import RoostHypervisor
internal import Synchronization

extension BlockFrontend {
    /// Connects, and connects again whenever the backend or the hypervisor was lost.
    ///
    /// - Throws: `BlockError` of kind `peer` or `handshake` when the backend breaks the protocol or
    ///   cannot be agreed with: the disk is out of use then. What `attach` throws.
    public func run() async throws {
        while true {
            let end: FrontendSession<Domain>.End
            do {
                end = try await runSession(try await attachUnlessClosed())
            } catch let error as BlockError {
                close(error)
                throw error
            } catch {
                close(BlockError(.closed, "the disk was closed"))
                if state.withLock({ $0.isClosing }) { return }
                // Whoever cancels it knows.
                if !Task.isCancelled { options.logger.error("the disk is out of use: \(error)") }
                throw error
            }
            switch end {
            case .backendGone:
                options.logger.warning("the backend is gone; waiting for another")
            case .hypervisorGone:
                options.logger.warning("the hypervisor is gone; waiting for another")
            case .removed:
                let error = BlockError(.closed, "the disk was taken away from this guest")
                close(error)
                throw error
            case .failed(let error):
                close(error)
                throw error
            case .closed:
                close(BlockError(.closed, "the disk was closed"))
                return
            }
            guard !Task.isCancelled, !state.withLock({ $0.isClosing }) else {
                close(BlockError(.closed, "the disk was closed"))
                return
            }
        }
    }

    private func runSession(
        _ attachment: Attachment
    ) async throws(BlockError) -> FrontendSession<Domain>.End {
        do throws(BlockError) {
            var session = try await FrontendSession(self, attachment)
            return await session.run()
        } catch {
            // It may have gone between the attachment and the session's first look at it.
            guard attachment.domain.isLost else { throw error }
            return .hypervisorGone
        }
    }

    /// Waits for a backend; closing the disk, or cancelling the task, ends the wait.
    private func attachUnlessClosed() async throws -> Attachment {
        let waiting = Task { try await attach() }
        setClose { waiting.cancel() }
        return try await withTaskCancellationHandler {
            try await waiting.value
        } onCancel: {
            waiting.cancel()
        }
    }

    /// Closes the disk: ``run()`` returns, and requests without an answer fail.
    ///
    /// Flush and wait for what has to be kept before.
    public func close() {
        let close = state.withLock {
            $0.isClosing = true
            return $0.close
        }
        close?()
    }
}
