internal import RoostHypervisor
internal import RoostMemory

/// The granted pages that a queue keeps and uses again, last in, first out.
///
/// The page that was used last is used next, so that a queue that does little touches few pages
/// and the backend keeps few mapped.
struct GrantPool: ~Copyable {
    private var pages: FixedArray<GrantedPage>
    /// How many pages are free.
    private(set) var count = 0

    private init(_ pages: consuming FixedArray<GrantedPage>) {
        self.pages = pages
    }

    /// Makes an empty pool.
    ///
    /// - Throws: `MemoryError` of kind `mapping`.
    static func make(capacity: Int) throws(MemoryError) -> GrantPool {
        GrantPool(try FixedArray(count: capacity))
    }

    /// Keeps a page.
    ///
    /// - Precondition: There is room.
    mutating func put(_ page: GrantedPage) {
        pages[count] = page
        count &+= 1
    }

    /// The page that was put in last.
    mutating func take() -> GrantedPage? {
        guard count > 0 else { return nil }
        count &-= 1
        return pages[count]
    }
}
