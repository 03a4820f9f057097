/// What the embedded hypervisor gives at most, so that no domain can use up what others need.
package enum HypervisorLimits {
    /// Domains at once: each takes four descriptors of the hypervisor.
    package static let domainCount = 1024
    /// Ports of a domain: as many as its page of port states has words.
    package static let portCount = DomainPage.portCount
    /// Grant segments that a domain has made and not ended; each takes a descriptor.
    package static let segmentCount = 1024
    /// Pages of one segment: 256 MiB.
    package static let segmentPageCount = 1 << 16
    /// Pages of all of a domain's segments: 4 GiB, which take memory only once they are written.
    package static let grantedPageCount = 1 << 20
    /// Connections to the privileged store socket at once.
    package static let storeConnectionCount = 256
    /// What the kernel keeps of answers that a domain has not read: some eight messages, so that
    /// descriptors on their way cannot use up the hypervisor's (unix(7): ETOOMANYREFS).
    static let controlSendBufferByteCount = 8 << 10
    /// Times that a table's word is tried again when the other side changes it at the same moment
    /// (Xen, xen/common/grant_table.c: `_set_status_v1`).
    static let grantRetryCount = 4
    /// Mappings of one page by one domain.
    static let pinCount: UInt32 = 0x3fff
    /// Addresses that a domain reserves for the tables of what it maps, in pages: 256 MiB.
    static let tablePageCount = 1 << 16
}
