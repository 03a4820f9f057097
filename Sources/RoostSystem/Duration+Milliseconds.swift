extension Duration {
    /// Whole milliseconds, rounded up, as poll(2) takes them: 0 for a time that is over, since that call
    /// takes a negative number for ever; a longer time is cut to 24 days.
    var clampedMilliseconds: Int32 {
        guard self > .zero else { return 0 }
        let (seconds, attoseconds) = components
        guard seconds < Int64(Int32.max) / 1000 - 1 else { return Int32.max }
        return Int32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
