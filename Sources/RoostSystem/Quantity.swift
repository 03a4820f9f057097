/// Quantities as people read them, alike in every message, table and line of progress.
///
/// Bytes are counted in powers of 1,024 everywhere.
package enum Quantity {
    /// What a `Double` beyond the real is shown as.
    private static let unknown = "?"

    /// A number of bytes: three digits and a binary unit.
    ///
    /// - Parameter count: The bytes.
    /// - Returns: For example `1.50 GiB`.
    package static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        while value >= 1000, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        guard unit > 0 else { return "\(count) B" }
        return "\(decimal(value, value < 10 ? 2 : value < 100 ? 1 : 0)) \(units[unit])"
    }

    /// A number of bytes in each second.
    ///
    /// - Parameter bytesPerSecond: The rate.
    /// - Returns: For example `1.50 GiB/s`; `?/s` for what is no rate.
    package static func rate(_ bytesPerSecond: Double) -> String {
        guard bytesPerSecond.isFinite, (0..<1e18).contains(bytesPerSecond) else {
            return "\(unknown)/s"
        }
        return bytes(UInt64(bytesPerSecond.rounded())) + "/s"
    }

    /// A number in decimal, rounded half up.
    ///
    /// - Parameters:
    ///   - value: The number.
    ///   - digits: How many digits follow the point.
    /// - Returns: The number's text.
    package static func decimal(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value * scale).rounded()
        guard scaled.magnitude < 9e15 else { return "\(value)" }
        let whole = Int(scaled)
        guard digits > 0 else { return "\(whole)" }
        let unit = Int(scale)
        let fraction = String(whole.magnitude % unit.magnitude)
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(whole < 0 ? "-" : "")\(whole.magnitude / unit.magnitude).\(zeros)\(fraction)"
    }

    /// A time that is still to pass, in whole seconds rounded up; two units at most.
    ///
    /// - Parameter seconds: The time.
    /// - Returns: For example `5 s`, `2 min 10 s` or `1 h 5 min`; `?` for what is no time.
    package static func time(_ seconds: Double) -> String {
        guard seconds.isFinite, (0..<1e12).contains(seconds) else { return unknown }
        let whole = Int(seconds.rounded(.up))
        func pair(_ first: Int, _ unit: String, _ second: Int, _ smaller: String) -> String {
            second == 0 ? "\(first) \(unit)" : "\(first) \(unit) \(second) \(smaller)"
        }
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return pair(whole / 60, "min", whole % 60, "s") }
        if whole < 86_400 { return pair(whole / 3600, "h", whole / 60 % 60, "min") }
        return pair(whole / 86_400, "d", whole / 3600 % 24, "h")
    }
}
