internal import RoostMemory

extension FrameBatch {
    /// Makes an empty batch.
    ///
    /// - Parameters:
    ///   - frameLimit: The longest frame in bytes.
    ///   - purpose: What it is for, for the error.
    /// - Returns: The batch.
    /// - Throws: `RouterError` of kind `memory`.
    static func making(frameLimit: Int, for purpose: String) throws(RouterError) -> FrameBatch {
        do {
            return try FrameBatch(frameLimit: frameLimit)
        } catch {
            throw RouterError(error, for: purpose)
        }
    }
}
