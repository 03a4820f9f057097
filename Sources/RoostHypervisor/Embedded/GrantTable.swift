internal import RoostMemory

/// The layout of a grant segment: a memory file that one domain shares with one other.
///
///     page 0 …      the table: entries of 8 bytes, of which the first 8 are no grants
///     tablePages …  the granted pages; the entry behind the reserved ones with the same number
///                   belongs to each
///
/// An entry is Xen's of version 1 (`xen/include/public/grant_table.h`, `grant_entry_v1`): flags
/// (u16), domain (u16), frame (u32). Flags and domain are one word, which both sides change
/// atomically and nothing else decides: the granter sets and clears it whole, the peer marks in it
/// that it reads or writes the page. The frame counts the segment's own pages. The first word of
/// the table says whether the granter is gone.
package enum GrantTable {
    /// `GNTTAB_NR_RESERVED_ENTRIES` of `grant_table.h`: no grant has a lower reference.
    package static let reservedEntryCount = 8
    /// The length of an entry.
    package static let entryByteCount = 8

    /// `GTF_permit_access`, the only type made here.
    package static let permitAccess: UInt32 = 1
    /// `GTF_type_mask`.
    package static let typeMask: UInt32 = 3
    /// `GTF_readonly`.
    package static let readOnly: UInt32 = 1 << 2
    /// `GTF_reading`: the peer has the page mapped.
    package static let reading: UInt32 = 1 << 3
    /// `GTF_writing`: the peer has it mapped to write.
    package static let writing: UInt32 = 1 << 4
    /// Either of the two.
    package static let inUse = reading | writing

    /// Where the word lies that says whether the segment has ended.
    package static let endedOffset = 0

    /// How many pages the table of a segment takes.
    package static func tablePageCount(forPages count: Int) -> Int {
        ((reservedEntryCount + count) * entryByteCount + pageByteCount - 1) / pageByteCount
    }

    /// Where the flags and the domain of a page's entry lie, in bytes.
    package static func flagsOffset(of page: Int) -> Int {
        (reservedEntryCount &+ page) &* entryByteCount
    }

    /// Where the frame of a page's entry lies, in bytes.
    package static func frameOffset(of page: Int) -> Int { flagsOffset(of: page) &+ 4 }

    /// The word that grants a page.
    package static func word(granting access: GrantAccess, to peer: DomainID) -> UInt32 {
        permitAccess | (access == .readOnly ? readOnly : 0) | UInt32(peer.rawValue) << 16
    }

    /// Whether a word grants a domain what it wants.
    package static func isGranting(
        _ word: UInt32, _ access: GrantAccess, to domain: DomainID
    ) -> Bool {
        word & typeMask == permitAccess && word >> 16 == UInt32(domain.rawValue)
            && (access == .readOnly || word & readOnly == 0)
    }
}
