import TestSupport
import Testing

@testable import RoostMigration

/// The bitmap of dirty pages and the search through it, against plain models (MIG-1).
@Suite struct DirtyBitmapTests {
    @Test(arguments: [0, 1, 63, 64, 65, 127, 128, 4096])
    func `MIG-1 every page of a new bitmap is dirty`(count: Int) throws {
        var bitmap = try DirtyBitmap(pageCount: count)
        #expect(bitmap.pageCount == count)
        #expect(bitmap.dirtyCount == count)
        let first = bitmap.firstDirty(in: 0..<count)
        #expect(first == (count > 0 ? 0 : nil))
        bitmap.clear(0..<count)
        #expect(bitmap.dirtyCount == 0)
        #expect(bitmap.firstDirty(in: 0..<count) == nil)
    }

    @Test(arguments: UInt64(0)..<40)
    func `MIG-1 any changes leave what a set would hold`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var count = [1, 2, 63, 64, 65, 129, 300].randomElement(using: &random) ?? 1
        var bitmap = try DirtyBitmap(pageCount: count)
        var model = Set(0..<count)
        func range() -> Range<Int> {
            let ends = [
                Int.random(in: 0...count, using: &random),
                Int.random(in: 0...count, using: &random),
            ].sorted()
            return ends[0]..<ends[1]
        }
        for _ in 0..<200 {
            let page = Int.random(in: 0..<count, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                let isNew = bitmap.mark(page)
                #expect(isNew == model.insert(page).inserted)
            case 1:
                let wasDirty = bitmap.clear(page)
                #expect(wasDirty == (model.remove(page) != nil))
            case 2:
                let pages = range()
                let added = bitmap.mark(pages)
                #expect(added == pages.filter { !model.contains($0) }.count)
                model.formUnion(pages)
            case 3:
                let pages = range()
                bitmap.clear(pages)
                model.subtract(pages)
            case 4:
                let (bits, word) = (
                    random.next(), Int.random(in: 0...count / 64 + 1, using: &random)
                )
                bitmap.mark(bits: bits, word: word)
                for bit in 0..<64 where bits & (1 << UInt64(bit)) != 0 && word * 64 + bit < count {
                    model.insert(word * 64 + bit)
                }
            case 5 where count < 1000:
                let larger = count + Int.random(in: 0...130, using: &random)
                try bitmap.grow(to: larger)
                model.formUnion(count..<larger)
                count = larger
            case 6:
                let pages = range()
                let found = bitmap.firstDirty(in: pages)
                #expect(found == pages.first { model.contains($0) })
            default:
                let isDirty = bitmap.contains(page)
                #expect(isDirty == model.contains(page))
            }
            let dirty = bitmap.dirtyCount
            #expect(dirty == model.count)
        }
    }

    @Test func `MIG-1 a page outside the bitmap ends the process`() async {
        await #expect(processExitsWith: .failure) {
            var bitmap = try DirtyBitmap(pageCount: 64)
            bitmap.mark(64)
        }
        await #expect(processExitsWith: .failure) {
            let bitmap = try DirtyBitmap(pageCount: 64)
            _ = bitmap.firstDirty(in: 0..<65)
        }
    }

    /// What a search should find, by QEMU's rule: the first dirty page from where it stands, block
    /// by block; at the end a round is over, and a round that found nothing is the last.
    @Test(arguments: UInt64(0)..<40)
    func `MIG-1 the search visits dirty pages in the order of the list`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var blocks: [Range<Int>] = []
        var end = 0
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let start = end + Int.random(in: 0...70, using: &random)
            end = start + Int.random(in: 0...130, using: &random)
            blocks.append(start..<end)
        }
        blocks.shuffle(using: &random)
        var bitmap = try DirtyBitmap(pageCount: max(end, 1))
        var search = PageSearch()
        #expect(search.isFirstRound)
        for round in 0..<4 {
            let expected = blocks.enumerated().flatMap { index, pages in
                pages.filter { bitmap.contains($0) }.map { PageSearch.Found.page($0, block: index) }
            }
            var found: [PageSearch.Found] = []
            while true {
                let step = search.step(in: bitmap, blocks)
                guard case .page(let page, _) = step else {
                    let isOver = round > 0 && expected.isEmpty
                    #expect(step == (isOver ? .nothing : .roundEnded))
                    break
                }
                bitmap.clear(page)
                found.append(step)
            }
            #expect(found == expected)
            #expect(!search.isFirstRound)
            for _ in 0..<Int.random(in: 0...20, using: &random) where end > 0 {
                bitmap.mark(Int.random(in: 0..<end, using: &random))
            }
            if round == 2 { bitmap.clear(0..<max(end, 1)) }
        }
        search.restart()
        #expect(search.isFirstRound)
    }

    @Test func `MIG-1 a page that gets dirty behind the search waits for the next round`() throws {
        var bitmap = try DirtyBitmap(pageCount: 10)
        var search = PageSearch()
        bitmap.clear(0..<10)
        bitmap.mark(5)
        #expect(search.step(in: bitmap, [0..<10]) == .page(5, block: 0))
        bitmap.clear(5)
        bitmap.mark(3)
        bitmap.mark(7)
        #expect(search.step(in: bitmap, [0..<10]) == .page(7, block: 0))
        bitmap.clear(7)
        #expect(search.step(in: bitmap, [0..<10]) == .roundEnded)
        #expect(search.step(in: bitmap, [0..<10]) == .page(3, block: 0))
        bitmap.clear(3)
        #expect(search.step(in: bitmap, [0..<10]) == .roundEnded)
        #expect(search.step(in: bitmap, [0..<10]) == .nothing)
    }
}
