import RoostGuest

// Counts in memory that can move, as the article of RoostGuest shows it, and ends at once.
let socket = CommandLine.arguments.dropFirst().first ?? "/tmp/probe-of-roost.sock"
let memory = try MovableMemory.open(
    blocks: [(name: "ram", byteCount: 1 << 20)], socket: socket, incoming: false)
let ram = memory.blocks[0].memory
ram.storeWord(ram.loadWord(at: 0) + 1, at: 0)
print("counted to \(ram.loadWord(at: 0))")
