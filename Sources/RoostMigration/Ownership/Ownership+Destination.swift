extension Ownership {
    /// The receiver's end: hands the mark on once, or never.
    struct Destination: Sendable, Hashable {
        /// How far the move is.
        enum Stage: Sendable, Hashable {
            /// The stream comes, and is loaded but for its mark.
            case loading
            /// Everything up to a length but the mark is loaded.
            case prepared(UInt64)
            /// The mark may have been handed on.
            case handing(UInt64)
            /// The destination has the guest.
            case started
            /// The mark was not handed on and never will be.
            case refused
            /// The mark may have been handed on, and nobody can tell.
            case unknown
        }

        /// What happens to the receiver.
        enum Event: Sendable, Hashable {
            /// The relay says that the stream is whole at a length; all of that but the mark is
            /// loaded, and both ends have the same memory.
            case loaded(UInt64)
            /// More of the stream came than was said to be whole.
            case more
            /// The other end said something.
            case heard(Message)
            /// The destination said that it has the guest, or the file has its name.
            case arrived
            /// The destination said that it could not load the guest: it does not run it.
            case rejected
            /// The destination ended its connection without a word.
            case destinationClosed
            /// The connection to the other end is gone.
            case linkLost
            /// The move is cancelled, cannot go on, or the relay did not come back.
            case fail
        }

        private(set) var stage = Stage.loading

        /// Begins a move.
        init() {}

        /// Goes on with a move whose receiver was killed: its destination lost the stream.
        ///
        /// - Parameter step: The last step that its journal has.
        init(after step: Step) {
            switch step {
            case .handing: stage = .unknown
            case .atDestination: stage = .started
            case .began, .releasing, .released, .committing, .atSource, .standsAtSource,
                .keptAtSource, .refused:
                stage = .refused
            }
        }

        /// What a receiver that was killed has to do first.
        ///
        /// - Parameter step: The last step that its journal has.
        /// - Returns: What to do, in order.
        static func resume(after step: Step) -> [Action] {
            step == .began ? [.record(.refused, length: 0)] : []
        }

        /// Whether the move is over at this end.
        var isOver: Bool {
            switch stage {
            case .started, .refused, .unknown: true
            case .loading, .prepared, .handing: false
            }
        }

        /// Whether the mark may have been handed on.
        var isHandingOn: Bool {
            if case .handing = stage { true } else { false }
        }

        /// Where the guest is.
        var place: Place {
            switch stage {
            case .loading, .prepared, .refused: .source
            case .handing, .unknown: .notKnown
            case .started: .destination
            }
        }

        /// Takes an event.
        ///
        /// - Returns: What to do, in order.
        mutating func take(_ event: Event) -> [Action] {
            switch event {
            case .loaded(let byteCount):
                switch stage {
                case .loading, .prepared:
                    stage = .prepared(byteCount)
                    return [.send(.prepared(byteCount))]
                case .handing, .started, .refused, .unknown:
                    return []
                }
            case .more:
                guard case .prepared = stage else { return [] }
                stage = .loading
                return []
            case .heard(let message):
                return hear(message)
            case .arrived:
                guard case .handing(let byteCount) = stage else { return refuse() }
                stage = .started
                return [
                    .record(.atDestination, length: byteCount), .send(.started), .closeDestination,
                ]
            case .rejected:
                guard case .handing = stage else { return refuse() }
                return end()
            case .destinationClosed:
                guard case .handing = stage else { return refuse() }
                stage = .unknown
                return [.send(.unknown), .closeDestination]
            case .linkLost:
                // Whoever comes back is answered; who waits for that says when it is over.
                return stage == .loading ? refuse() : []
            case .fail:
                return refuse()
            }
        }

        private mutating func hear(_ message: Message) -> [Action] {
            switch (message, stage) {
            case (.commit(let byteCount), .prepared(let held)) where byteCount == held:
                stage = .handing(byteCount)
                return [.record(.handing, length: byteCount), .handOn]
            case (.commit, .handing):
                return []
            case (.commit, .started):
                return [.send(.started)]
            case (.commit, .refused):
                return [.send(.refused)]
            case (.commit, .unknown):
                return [.send(.unknown)]
            case (.end, _):
                return []
            default:
                return refuse()
            }
        }

        /// What to tell a relay that connects again.
        var standing: Message? {
            switch stage {
            case .loading, .handing: nil
            case .prepared(let byteCount): .prepared(byteCount)
            case .started: .started
            case .refused: .refused
            case .unknown: .unknown
            }
        }

        private mutating func refuse() -> [Action] {
            switch stage {
            case .loading, .prepared: end()
            case .handing, .started, .refused, .unknown: []
            }
        }

        private mutating func end() -> [Action] {
            stage = .refused
            return [.record(.refused, length: 0), .closeDestination, .send(.refused)]
        }
    }
}
