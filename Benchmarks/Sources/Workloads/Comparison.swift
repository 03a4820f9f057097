/// One piece of work, done by Roost and by its peer on the same input.
public struct Comparison {
    /// What is done, such as "XBZRLE encode".
    public let work: String
    /// What it is done to, such as "8 runs of 8 bytes".
    public let input: String
    /// How many bytes of the input one pass works on.
    public let byteCount: Int
    /// Makes the input, and has both sides' results compared before anything is timed.
    ///
    /// Throws ``Disagreement`` when Roost and the peer differ on the input, or what the system
    /// says when there is no memory for it. What it made is released with the passes.
    public let prepare: () throws -> Passes

    /// The two sides of a comparison.
    public struct Passes {
        /// One pass by Roost, answering a sum over its results.
        public let roost: () -> Int
        /// One pass by the peer, answering the same sum.
        public let peer: () -> Int
    }

    /// Every comparison of this package, in the order to run them in.
    ///
    /// A new subject adds a file beside `PageKernels.swift` and its comparisons here.
    public static func all() -> [Comparison] {
        pageKernels() + streamEngine()
    }
}

/// Roost and its peer differ, so that there is nothing to compare.
public struct Disagreement: Error, CustomStringConvertible {
    /// What they differ on.
    public let description: String

    /// Names what Roost and its peer differ on.
    public init(description: String) {
        self.description = description
    }
}
