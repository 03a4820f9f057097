extension Ownership {
    /// The relay's end: gives the guest away once, or keeps it.
    struct Source: Sendable, Hashable {
        /// How far the move is.
        enum Stage: Sendable, Hashable {
            /// The stream is sent, or was and nothing has followed from it.
            case sending
            /// The source was told to let go.
            case releasing
            /// The source has let go, and no COMMIT has left.
            case released
            /// COMMIT may have left.
            case committed
            /// Nothing more is done.
            case over
        }

        /// What happens to the relay.
        enum Event: Sendable, Hashable {
            /// The stream so far is whole: so many bytes of it were sent.
            case whole(UInt64)
            /// More of the stream came than looked whole.
            case more
            /// The source ended its connection.
            case sourceClosed
            /// It is confirmed, or nobody can tell, that the source has let go.
            case confirmed
            /// The source has not let go, or runs its guest again.
            case denied
            /// The other end said something.
            case heard(Message)
            /// The connection to the other end is gone.
            case linkLost
            /// The other end could not be asked.
            case unanswered
            /// The move is cancelled, or cannot go on.
            case fail
        }

        private(set) var stage = Stage.sending
        /// The length of the stream, while it looks whole.
        private(set) var length: UInt64?
        /// The length that the other end has loaded.
        private(set) var prepared: UInt64?
        /// Whether the source waits for the destination's word before it lets go.
        var opensReturnPath = false
        /// Whether the guest stands still at the source by the stream.
        var isPastMemory = false
        /// Whether the source has ended its connection.
        private(set) var hasClosed = false
        /// Whether the move ends once the source has closed.
        private(set) var isGivenUp = false
        /// Whether this goes on with the move of a relay that was killed.
        private(set) var isRestarted = false
        /// Where the guest is; what is said when the move ends.
        private(set) var place = Place.source

        /// Begins a move.
        init() {}

        /// Goes on with a move whose relay was killed.
        ///
        /// - Parameters:
        ///   - step: The last step that its journal has.
        ///   - length: The stream's length, from *releasing* on.
        init(after step: Step, length: UInt64) {
            isRestarted = true
            hasClosed = true
            opensReturnPath = true
            self.length = length
            switch step {
            case .released:
                stage = .released
                place = .undecided
            case .committing, .handing:
                stage = .committed
                prepared = length
                place = .notKnown
            case .began, .releasing, .keptAtSource:
                // No COMMIT has left, and none will.
                stage = .over
                place = .sourceOrStands
            case .atSource, .refused:
                stage = .over
            case .standsAtSource:
                stage = .over
                place = .standsAtSource
            case .atDestination:
                stage = .over
                place = .destination
            }
        }

        /// What a relay that was killed has to do first.
        ///
        /// - Parameter step: The last step that its journal has.
        /// - Returns: What to do, in order.
        static func resume(after step: Step) -> [Action] {
            switch step {
            case .released, .committing, .handing: [.ask]
            case .began, .releasing: [.record(.keptAtSource, length: 0), .ask]
            case .atSource, .standsAtSource, .keptAtSource, .refused, .atDestination: []
            }
        }

        /// Whether the move is over at this end.
        var isOver: Bool { stage == .over }

        /// Whether a failure can still give the guest back.
        var isDecided: Bool { stage == .committed || stage == .over }

        /// Whether the receiver can have loaded what was sent.
        var expectsPrepared: Bool {
            switch stage {
            case .sending: length != nil
            case .releasing, .released, .committed: true
            case .over: isRestarted
            }
        }

        /// Whether the receiver can have handed the mark on.
        var expectsOutcome: Bool { stage == .committed || (stage == .over && isRestarted) }

        /// Takes an event.
        ///
        /// - Returns: What to do, in order.
        mutating func take(_ event: Event) -> [Action] {
            guard stage != .over else { return isRestarted ? answerLate(event) : [] }
            switch event {
            case .whole(let byteCount):
                guard stage == .sending || stage == .releasing else { return [] }
                length = byteCount
                return [.send(.end(byteCount))]
            case .more:
                guard stage == .sending || stage == .releasing else { return [] }
                length = nil
                return []
            case .sourceClosed:
                hasClosed = true
                return closed()
            case .confirmed:
                return confirmed()
            case .denied:
                return stage == .released || stage == .releasing ? giveUp(.sourceOrStands) : []
            case .heard(let message):
                return hear(message)
            case .linkLost:
                return lose()
            case .unanswered:
                return unanswered()
            case .fail:
                return fail()
            }
        }

        private mutating func hear(_ message: Message) -> [Action] {
            switch message {
            case .prepared(let byteCount):
                prepared = byteCount
                return advance()
            case .started:
                guard stage == .committed else { return fail() }
                stage = .over
                place = .destination
                return [.record(.atDestination, length: length ?? 0), .closeSource]
            case .refused:
                guard stage == .committed else { return fail() }
                return giveUp(.standsAtSource)
            case .unknown:
                guard stage == .committed else { return fail() }
                place = .notKnown
                stage = .over
                return [.closeSource]
            case .end, .commit, .abort:
                return fail()
            }
        }

        /// Goes on where the stream that is whole here is loaded there.
        private mutating func advance() -> [Action] {
            guard let length, prepared == length else { return [] }
            switch stage {
            case .sending where opensReturnPath:
                stage = .releasing
                return [.record(.releasing, length: length), .shutSource]
            case .sending where hasClosed, .releasing where hasClosed:
                stage = .releasing
                return [.confirmRelease]
            case .released:
                return commit()
            case .committed:
                // It came back without having heard of it.
                return [.send(.commit(length))]
            default:
                return []
            }
        }

        private mutating func closed() -> [Action] {
            switch stage {
            case .sending:
                // One that waits for an answer fails before it has one, and runs its guest again.
                guard !opensReturnPath, length != nil else { return fail() }
                return advance()
            case .releasing:
                guard length != nil else { return giveUp(.sourceOrStands) }
                guard !isGivenUp else { return giveUp(.sourceOrStands) }
                return prepared == length ? [.confirmRelease] : []
            case .released, .committed, .over:
                return []
            }
        }

        /// The source has let go for certain.
        private mutating func confirmed() -> [Action] {
            guard stage == .releasing, hasClosed, !isGivenUp, let length, prepared == length else {
                return []
            }
            return [.record(.released, length: length)] + commit()
        }

        private mutating func commit() -> [Action] {
            stage = .committed
            place = .notKnown
            let byteCount = length ?? 0
            return [.record(.committing, length: byteCount), .send(.commit(byteCount))]
        }

        private mutating func lose() -> [Action] {
            switch stage {
            case .released, .committed: return [.ask]
            case .sending, .releasing, .over: return fail()
            }
        }

        private mutating func unanswered() -> [Action] {
            switch stage {
            case .committed:
                stage = .over
                return [.closeSource]
            case .released:
                // It can be asked again: nothing is said that could be contradicted then.
                stage = .over
                return []
            default:
                return fail()
            }
        }

        private mutating func fail() -> [Action] {
            switch stage {
            case .sending:
                // QEMU has completed when the system took its last byte, where it asks for no answer.
                if opensReturnPath || !isPastMemory { return giveUp(.source) }
                return giveUp(hasClosed && length != nil ? .standsAtSource : .sourceOrStands)
            case .releasing:
                // The source has its word, so what it does is seen to its end.
                guard hasClosed else {
                    defer { isGivenUp = true }
                    return isGivenUp ? giveUp(.sourceOrStands) : []
                }
                return giveUp(opensReturnPath ? .sourceOrStands : .standsAtSource)
            case .released:
                return giveUp(.standsAtSource)
            case .committed, .over:
                return []
            }
        }

        private mutating func giveUp(_ place: Place) -> [Action] {
            stage = .over
            self.place = place
            let step: Step =
                switch place {
                case .source: .atSource
                case .standsAtSource: .standsAtSource
                case .sourceOrStands, .undecided, .destination, .notKnown: .keptAtSource
                }
            return [.record(step, length: length ?? 0), .closeSource, .send(.abort)]
        }

        /// A move that was given up while the relay was dead, of which the receiver is told.
        private func answerLate(_ event: Event) -> [Action] {
            guard case .heard(.prepared) = event, place != .destination, place != .notKnown else {
                return []
            }
            return [.send(.abort)]
        }
    }
}
