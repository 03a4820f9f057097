internal import CNBDKit
internal import RoostBlock
internal import SystemPackage

// What nbdkit calls (nbdkit-plugin(3)): the one file that sees its pointers. The names are those of
// the table in plugin.c. A connection is one object, retained as long as nbdkit has its handle.

/// Says why a call fails; answers what nbdkit takes for failure.
private func fail(_ error: BlockError) -> Int32 {
    // SAFETY: the text is a C string for the call.
    unsafe error.description.withCString { unsafe cnbdkit_error($0) }
    let reason: Errno =
        switch error.kind {
        case .request: .invalidArgument
        case .unsupported: .notSupported
        default: error.errno ?? .ioError
        }
    cnbdkit_set_error(reason.rawValue)
    return -1
}

/// Does something and answers as nbdkit wants it: 0, or -1.
private func answer(_ body: () throws(BlockError) -> Void) -> Int32 {
    do throws(BlockError) {
        try body()
        return 0
    } catch {
        return fail(error)
    }
}

/// The connection that a handle stands for.
private func connection(_ handle: UnsafeMutableRawPointer) -> PluginConnection {
    // SAFETY: nbdkit gives back what `open` answered, until it has called `close`.
    unsafe Unmanaged<PluginConnection>.fromOpaque(handle).takeUnretainedValue()
}

@c(roost_nbdkit_config)
func config(_ key: UnsafePointer<CChar>, _ value: UnsafePointer<CChar>) -> Int32 {
    // SAFETY: nbdkit's strings end with a zero and live for the call.
    let (key, value) = unsafe (String(cString: key), String(cString: value))
    return answer { () throws(BlockError) in try Plugin.shared.set(key, to: value) }
}

@c(roost_nbdkit_config_complete)
func configComplete() -> Int32 {
    answer { () throws(BlockError) in try Plugin.shared.checkParameters() }
}

@c(roost_nbdkit_after_fork)
func afterFork() -> Int32 {
    answer { () throws(BlockError) in try Plugin.shared.openDisk() }
}

@c(roost_nbdkit_cleanup)
func cleanup() {
    Plugin.shared.closeDisk()
}

@c(roost_nbdkit_open)
func open(_ readOnly: Int32) -> UnsafeMutableRawPointer? {
    guard let connection = Plugin.shared.connect(isReadOnly: readOnly != 0) else {
        _ = fail(BlockError(.closed, "the disk is closed: start nbdkit again"))
        return nil
    }
    // SAFETY: the retain is the handle's; `close` takes it back.
    return unsafe Unmanaged.passRetained(connection).toOpaque()
}

@c(roost_nbdkit_close)
func close(_ handle: UnsafeMutableRawPointer) {
    // SAFETY: nbdkit closes each handle of `open` once, after its last call.
    unsafe Unmanaged<PluginConnection>.fromOpaque(handle).release()
}

@c(roost_nbdkit_get_size)
func size(_ handle: UnsafeMutableRawPointer) -> Int64 {
    Int64(clamping: unsafe connection(handle).byteCount)
}

@c(roost_nbdkit_block_size)
func blockSize(
    _ handle: UnsafeMutableRawPointer, _ minimum: UnsafeMutablePointer<UInt32>,
    _ preferred: UnsafeMutablePointer<UInt32>, _ maximum: UnsafeMutablePointer<UInt32>
) -> Int32 {
    let geometry = unsafe connection(handle).geometry
    // SAFETY: nbdkit passes three integers to fill in.
    unsafe minimum.pointee = UInt32(geometry.logicalSectorByteCount)
    unsafe preferred.pointee = UInt32(max(geometry.physicalSectorByteCount, 4096))
    unsafe maximum.pointee = PluginConnection.maximumByteCount
    return 0
}

@c(roost_nbdkit_can_write)
func canWrite(_ handle: UnsafeMutableRawPointer) -> Int32 {
    unsafe connection(handle).isReadOnly ? 0 : 1
}

@c(roost_nbdkit_can_flush)
func canFlush(_ handle: UnsafeMutableRawPointer) -> Int32 {
    unsafe connection(handle).geometry.canFlush ? 1 : 0
}

@c(roost_nbdkit_can_trim)
func canTrim(_ handle: UnsafeMutableRawPointer) -> Int32 {
    let connection = unsafe connection(handle)
    return connection.geometry.canDiscard && !connection.isReadOnly ? 1 : 0
}

/// A flush of one connection covers what others wrote: there is one disk.
@c(roost_nbdkit_can_multi_conn)
func canMultiConnect(_: UnsafeMutableRawPointer) -> Int32 { 1 }

@c(roost_nbdkit_pread)
func read(
    _ handle: UnsafeMutableRawPointer, _ buffer: UnsafeMutableRawPointer, _ count: UInt32,
    _ offset: UInt64, _: UInt32
) -> Int32 {
    let connection = unsafe connection(handle)
    // SAFETY: nbdkit's buffer has `count` bytes, and is this call's alone.
    var bytes = unsafe MutableRawSpan(_unsafeStart: buffer, byteCount: Int(count))
    do throws(BlockError) {
        try connection.check(count, at: offset)
        try connection.disk.read(at: offset, into: &bytes)
        return 0
    } catch {
        return fail(error)
    }
}

@c(roost_nbdkit_pwrite)
func write(
    _ handle: UnsafeMutableRawPointer, _ buffer: UnsafeRawPointer, _ count: UInt32,
    _ offset: UInt64, _: UInt32
) -> Int32 {
    let connection = unsafe connection(handle)
    // SAFETY: nbdkit's buffer has `count` bytes, and does not change during the call.
    let bytes = unsafe RawSpan(_unsafeStart: buffer, byteCount: Int(count))
    do throws(BlockError) {
        try connection.check(count, at: offset)
        try connection.disk.write(bytes, at: offset)
        return 0
    } catch {
        return fail(error)
    }
}

@c(roost_nbdkit_flush)
func flush(_ handle: UnsafeMutableRawPointer, _: UInt32) -> Int32 {
    let connection = unsafe connection(handle)
    return answer { () throws(BlockError) in try connection.disk.flush() }
}

@c(roost_nbdkit_trim)
func trim(
    _ handle: UnsafeMutableRawPointer, _ count: UInt32, _ offset: UInt64, _: UInt32
) -> Int32 {
    let connection = unsafe connection(handle)
    return answer { () throws(BlockError) in
        try connection.check(count, at: offset)
        try connection.disk.discard(offset..<offset + UInt64(count))
    }
}
