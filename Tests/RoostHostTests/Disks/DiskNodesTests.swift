import RoostHost
import RoostHypervisor
import Testing

@Suite(.timeLimit(.minutes(1))) struct DiskNodesTests {
    let local = LocalStore()
    let store: StoreClient
    let nodes: DiskNodes

    init() throws {
        for domain in [3, 5] as [UInt16] { local.domainAppeared(DomainID(rawValue: domain)) }
        store = local.connect(as: .privileged, isPrivileged: true)
        nodes = try DiskNodes(disk: "web1", deviceName: "xvda", frontend: 3, backend: 5)
    }

    private func read(_ path: String) async throws -> String? {
        try await store.readString(try StorePath(path))
    }

    @Test func `an attached device has what both ends need, each for itself and the other`()
        async throws
    {
        try await nodes.attach(to: store)
        let (front, back) = (DoctorCase.front, DoctorCase.back)
        #expect(try await read("\(front)/backend") == back)
        #expect(try await read("\(front)/backend-id") == "5")
        #expect(try await read("\(front)/state") == "1")
        #expect(try await read("\(front)/virtual-device") == "51712")
        #expect(try await read("\(back)/frontend") == front)
        #expect(try await read("\(back)/frontend-id") == "3")
        #expect(try await read("\(back)/mode") == "w")
        #expect(try await read("\(back)/params") == "web1")
        #expect(try await read("\(back)/online") == "1")
        // Without it Linux's own backend never starts.
        #expect(try await read("\(back)/dev") == "xvda")
        for (path, owner, reader) in [(front, 3, 5), (back, 5, 3)] as [(String, UInt16, UInt16)] {
            for node in [path, "\(path)/state"] {
                let permissions = try await store.permissions(of: try StorePath(node), in: nil)
                #expect(permissions.owner == DomainID(rawValue: owner))
                #expect(permissions.others == .none)
                #expect(permissions.listed == [.init(.read, DomainID(rawValue: reader))])
            }
        }
    }

    @Test func `a device that is there is not written over`() async throws {
        try await nodes.attach(to: store)
        try await store.writeString("4", to: try StorePath("\(DoctorCase.back)/state"))
        let error = try await #require(throws: HostError.self) { try await nodes.attach(to: store) }
        #expect(error.kind == .disk)
        #expect(error.description.contains("domain 3 has such a device"))
        #expect(try await read("\(DoctorCase.back)/state") == "4")
    }

    @Test(arguments: [(9, 5), (3, 9)] as [(UInt16, UInt16)])
    func `a domain that is not there gets no nodes`(frontend: UInt16, backend: UInt16) async throws
    {
        let nodes = try DiskNodes(
            disk: "web1", deviceName: "xvda", frontend: frontend, backend: backend)
        let error = try await #require(throws: HostError.self) { try await nodes.attach(to: store) }
        #expect(error.kind == .absent)
        #expect(error.description.contains("there is no domain 9"))
        #expect(error.description.contains("those that live are 3, 5"))
        #expect(try await read("/local/domain/9") == nil)
    }

    @Test func `detaching asks the backend, waits for it and removes both ends`() async throws {
        try await nodes.attach(to: store)
        let state = try StorePath("\(DoctorCase.back)/state")
        try await store.writeString("4", to: state)
        let backend = local.connect(as: DomainID(rawValue: 5))
        let backendEnds = Task {
            for await _ in try await backend.watch(state)
            where try await backend.readString(state) == "5" {
                try await backend.writeString("6", to: state)
                return
            }
        }
        let device = try await DiskNodes.find("xvda", of: 3, disk: "web1", in: store)
        #expect(device == nodes.device)
        try await DiskNodes.detach(device, from: store, within: .seconds(30))
        try await backendEnds.value
        #expect(try await read(DoctorCase.front) == nil)
        #expect(try await read(DoctorCase.back) == nil)
    }

    @Test func `a backend that holds on keeps the device, unless it is forced`() async throws {
        try await nodes.attach(to: store)
        let error = try await #require(throws: HostError.self) {
            try await DiskNodes.detach(nodes.device, from: store, within: .milliseconds(50))
        }
        #expect(error.kind == .timeout)
        #expect(try await read("\(DoctorCase.back)/state") == "5")
        #expect(try await read("\(DoctorCase.back)/online") == "0")
        try await DiskNodes.detach(nodes.device, from: store, within: .zero)
        #expect(try await read(DoctorCase.front) == nil)
        #expect(try await read(DoctorCase.back) == nil)
        // Once more is no failure: there is nothing left to do.
        try await DiskNodes.detach(nodes.device, from: store, within: .seconds(1))
    }

    @Test func `a device is found only where it is, and under its disk's name`() async throws {
        let absent = try await #require(throws: HostError.self) {
            _ = try await DiskNodes.find("xvda", of: 3, disk: "web1", in: store)
        }
        #expect(absent.kind == .absent)
        try await nodes.attach(to: store)
        let other = try await #require(throws: HostError.self) {
            _ = try await DiskNodes.find("xvda", of: 3, disk: "web2", in: store)
        }
        #expect(other.description.contains("is the disk 'web1', not web2"))
    }

    @Test("BLK-19: the doctor reads the store as it is") func doctor() async throws {
        try await nodes.attach(to: store)
        let tree = try await StoreTree.read(from: store)
        #expect(tree["\(DoctorCase.back)/params"] == .value("web1"))
        #expect(tree["/local/domain/9"] == .missing)
        var examination = DiskExamination(name: "web1", tree: tree, livingDomains: [0, 3, 5])
        #expect(DiskDoctor.findings(examination).map(\.rule) == [.notServed, .backendIdle])
        try await store.writeString("2", to: try StorePath("\(DoctorCase.back)/state"))
        examination.tree = try await StoreTree.read(from: store)
        #expect(DiskDoctor.findings(examination).map(\.rule) == [.notServed, .frontendIdle])
    }
}
