/// All that the packet path reads: shared by the workers, written by the processor.
///
/// What is found in it is good until the batch ends in which it was found (``Quiescence``).
final class RouterView: Sendable {
    let quiescence: Quiescence
    let forwarding: ForwardingReader
    let destinations: DestinationSlab
    let exceptions: ExceptionIndex
    let neighbours: NeighbourView
    let ports: PortView
    let modes: PortModes
    let counters: PacketCounters
    let flows: FlowHasher

    init(
        quiescence: Quiescence, forwarding: ForwardingReader, destinations: DestinationSlab,
        exceptions: ExceptionIndex, neighbours: NeighbourView, ports: PortView, modes: PortModes,
        counters: PacketCounters, flows: FlowHasher = FlowHasher()
    ) {
        self.quiescence = quiescence
        self.forwarding = forwarding
        self.destinations = destinations
        self.exceptions = exceptions
        self.neighbours = neighbours
        self.ports = ports
        self.modes = modes
        self.counters = counters
        self.flows = flows
    }
}
