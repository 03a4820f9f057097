internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// What a migration writes: streams, blocks, dumps. Failures are the migration's.
extension OutputFile {
    /// Opens a file for writing.
    ///
    /// - Throws: `MigrationError` of kind `transfer`.
    static func open(
        _ path: String, mayReplace: Bool
    ) throws(MigrationError) -> OutputFile {
        do throws(SystemError) {
            return try OutputFile(path: path, mayReplace: mayReplace)
        } catch {
            throw migrationError(error)
        }
    }

    /// Writes everything that waits in a queue.
    func write(_ queue: inout ByteQueue) throws(MigrationError) {
        do throws(Errno) {
            try queue.drainAll(to: descriptor)
        } catch {
            throw Self.migrationError(failure(error))
        }
    }

    /// Writes bytes behind those written before.
    func write(_ bytes: RawSpan, _ queue: inout ByteQueue) throws(MigrationError) {
        if queue.room < bytes.byteCount { try write(&queue) }
        queue.append(bytes)
    }

    /// Makes room for a file of a length, which is zeros; nothing for a pipe.
    func reserve(_ byteCount: UInt64) throws(MigrationError) {
        do throws(SystemError) {
            try setByteCount(byteCount)
        } catch {
            throw Self.migrationError(error)
        }
    }

    /// Writes bytes at a place of a file that is no pipe.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(MigrationError) {
        do throws(Errno) {
            try bytes.writeAll(to: descriptor, at: Int64(offset))
        } catch {
            throw Self.migrationError(failure(error))
        }
    }

    /// Makes the bytes durable, under no name yet.
    func makeDurable() throws(MigrationError) {
        do throws(SystemError) {
            try sync()
        } catch {
            throw Self.migrationError(error)
        }
    }

    /// Makes the bytes durable and gives the file its name.
    consuming func finish() throws(MigrationError) {
        do throws(SystemError) {
            try commit()
        } catch {
            throw Self.migrationError(error)
        }
    }

    private static func migrationError(_ error: SystemError) -> MigrationError {
        MigrationError(.transfer, errno: error.errno, error.description)
    }
}
