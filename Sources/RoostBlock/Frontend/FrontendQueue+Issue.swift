internal import RoostHypervisor
internal import RoostMemory

extension FrontendQueue where Allocator: ~Copyable, Channel: ~Copyable {
    /// Puts waiting requests on the ring, in order, as far as slots and grants reach.
    mutating func issue() {
        guard features != nil, failure == nil else { return }
        lacksGrants = false
        while let index = operations.front {
            let entry = operations[index]
            guard let code = wireOperation(entry.kind) else {
                operations.dropFront()
                // A disk that offers no flush has no cache to flush.
                complete(index, entry.kind == .flush ? .done : .unsupported)
                continue
            }
            guard freeIDCount > 0, ring.freeCount > 0, put(index, entry, code) else { break }
            let issued = operations[index]
            if issued.issued == issued.byteCount || !issued.kind.hasData { operations.dropFront() }
        }
        publish()
    }

    /// Shows the backend what was put on the ring.
    private mutating func publish() {
        guard ring.publish() else { return }
        do throws(HypervisorError) {
            try channel.notify()
            statistics.notifications &+= 1
        } catch {
            // The backend is gone: its state in the store says so too, and what is held is issued
            // again to its successor.
            statistics.failedNotifications &+= 1
        }
    }

    /// What the ring calls a caller's operation, or `nil` when the backend does not offer it.
    private func wireOperation(_ operation: DiskOperation) -> BlockOperation? {
        guard let features else { return nil }
        switch operation {
        case .read: return .read
        case .write: return .write
        case .flush:
            return features.geometry.canFlush
                ? .flush : features.canWriteBarriers ? .writeBarrier : nil
        case .barrier: return features.canWriteBarriers ? .writeBarrier : nil
        case .discard: return features.geometry.canDiscard ? .discard : nil
        case .secureDiscard:
            return features.geometry.canDiscard && features.canDiscardSecurely ? .discard : nil
        }
    }

    /// Puts the next part of a request on the ring.
    ///
    /// - Returns: Whether there were grants for it; if not, nothing has changed.
    private mutating func put(
        _ index: Int, _ entry: OperationTable.Entry, _ operation: BlockOperation
    ) -> Bool {
        let byteCount =
            entry.kind.hasData
            ? min(partByteLimit, Int(clamping: entry.byteCount &- entry.issued)) : 0
        let dataPages = (byteCount &+ pageByteCount &- 1) / pageByteCount
        let isIndirect = dataPages > BlockRequest.directSegmentLimit
        let indirectPages =
            isIndirect ? BlockRequest.indirectPageCount(segments: dataPages) : 0
        let id = Int(freeIDs[freeIDCount &- 1])
        let first = id &* pagesPerRequest
        guard claim(first, dataPages, indirectPages, isWrite: entry.kind.isWrite) else {
            return false
        }
        freeIDCount &-= 1
        shadows[id] = Shadow(
            operation: Int32(truncatingIfNeeded: index), code: operation.rawValue,
            isOutstanding: true, dataPageCount: UInt16(truncatingIfNeeded: dataPages),
            indirectPageCount: UInt16(truncatingIfNeeded: indirectPages),
            byteCount: UInt32(truncatingIfNeeded: byteCount), byteOffset: entry.issued)
        if entry.kind.isWrite {
            transfer(index, from: entry.issued, count: byteCount, pages: first, toGrants: true)
        }
        var request = BlockRequest(
            isIndirect ? .indirect : operation, id: UInt64(id),
            sector: entry.sector &+ entry.issued / UInt64(sectorByteCount))
        request.segmentCount = dataPages
        if isIndirect {
            request.innerCode = operation.rawValue
            describeIndirectly(first, dataPages, byteCount, &request)
        } else {
            for number in 0..<dataPages {
                request.segments[number] = segment(number, first, byteCount)
            }
        }
        if operation == .discard {
            request.discardSectorCount = entry.byteCount / UInt64(sectorByteCount)
            request.isSecure = entry.kind == .secureDiscard
        }
        ring.put(request)
        operations[index].issued &+= UInt64(byteCount)
        operations[index].outstanding &+= 1
        statistics.requests &+= 1
        if isIndirect { statistics.indirectRequests &+= 1 }
        return true
    }

    /// The segment of one page of a request's bytes.
    private func segment(_ number: Int, _ first: Int, _ byteCount: Int) -> BlockSegment {
        let left = min(byteCount &- number &* pageByteCount, pageByteCount)
        return BlockSegment(
            grant: pages[first &+ number].reference, firstSector: 0,
            lastSector: UInt8(truncatingIfNeeded: left / sectorByteCount &- 1))
    }

    /// Writes the segments into pages of their own, which follow those of the bytes.
    private mutating func describeIndirectly(
        _ first: Int, _ dataPages: Int, _ byteCount: Int, _ request: inout BlockRequest
    ) {
        for number in 0..<dataPages {
            let holder = pages[first &+ dataPages &+ number / PageWindow.segmentsPerPage]
            window.storeSegment(
                segment(number, first, byteCount),
                at: holder.page &* pageByteCount
                    &+ number % PageWindow.segmentsPerPage &* BlockSegment.byteCount)
        }
        for number in 0..<BlockRequest.indirectPageCount(segments: dataPages) {
            request.indirectGrants[number] =
                pages[first &+ dataPages &+ number].reference.rawValue
        }
    }

    /// Gets the pages of a request.
    ///
    /// Those kept come first, then only the missing number from the grant table. If one can't be
    /// had, those that were go back.
    private mutating func claim(
        _ first: Int, _ dataPages: Int, _ indirectPages: Int, isWrite: Bool
    ) -> Bool {
        let keeps = keepsGrants
        for number in 0..<dataPages &+ indirectPages {
            if keeps, let page = pool.take() {
                pages[first &+ number] = page
                statistics.grantsReused &+= 1
                continue
            }
            do throws(HypervisorError) {
                let isReadOnly = !keeps && (isWrite || number >= dataPages)
                pages[first &+ number] = try allocator.claim(isReadOnly ? .readOnly : .readWrite)
                statistics.grantsClaimed &+= 1
            } catch {
                for taken in 0..<number { giveBack(pages[first &+ taken]) }
                lacksGrants = true
                statistics.grantShortages &+= 1
                return false
            }
        }
        return true
    }

    /// A request has no more use for a page.
    mutating func giveBack(_ page: GrantedPage) {
        if keepsGrants {
            pool.put(page)
        } else if allocator.release(page) {
            statistics.grantsEnded &+= 1
        } else {
            // The backend still uses it, against the protocol: it is never freed under it.
            stuck.put(page)
            statistics.stuckGrants &+= 1
        }
    }

    /// Tries again to end the grants that the backend still used.
    mutating func retryStuck() {
        for _ in 0..<stuck.count {
            guard let page = stuck.take() else { return }
            statistics.stuckGrants &-= 1
            giveBack(page)
        }
    }

    /// Copies bytes between a caller's places and the granted pages of a request.
    ///
    /// - Parameters:
    ///   - index: The caller's request.
    ///   - start: Its first byte.
    ///   - count: How many.
    ///   - first: Where the pages are listed.
    ///   - toGrants: Whether the caller's bytes go to the pages, else the other way.
    func transfer(_ index: Int, from start: UInt64, count: Int, pages first: Int, toGrants: Bool) {
        var number = 0
        var skipped = Int(start)
        var piece = operations.piece(0, of: index)
        while skipped >= piece.byteCount, number < Int(operations[index].pieceCount) &- 1 {
            skipped &-= piece.byteCount
            number &+= 1
            piece = operations.piece(number, of: index)
        }
        var done = 0
        while done < count {
            let inPage = done % pageByteCount
            let step = min(count &- done, pageByteCount &- inPage, piece.byteCount &- skipped)
            let granted = pages[first &+ done / pageByteCount].page &* pageByteCount &+ inPage
            let own = piece.offset &+ skipped
            if toGrants {
                window.copy(count: step, from: arena, at: own, to: granted)
            } else {
                arena.copy(count: step, from: window, at: granted, to: own)
            }
            done &+= step
            skipped &+= step
            if skipped == piece.byteCount, done < count {
                number &+= 1
                piece = operations.piece(number, of: index)
                skipped = 0
            }
        }
    }
}
