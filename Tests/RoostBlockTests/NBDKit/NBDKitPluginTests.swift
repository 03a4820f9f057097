import Foundation
import Testing

/// The nbdkit plugin of Extras, with real NBD clients.
///
/// Each test has an nbdkit of its own on a private socket, which ends with the client's script.
@Suite(
    "The nbdkit plugin serves real NBD clients",
    .enabled("nbdkit or the plugin is missing") { NBDKitPlugin.path != nil })
struct NBDKitPluginTests {
    @Test("a client is told the disk's size, its sectors and what it can do")
    func facts() async throws {
        let outcome = try await NBDKitPlugin.run("nbdinfo --json \"$uri\"", disk: "ram:3M")
        #expect(outcome.status == 0, "\(outcome.errors)")
        for fact in [
            #""export-size": 3145728"#, #""block_size_minimum": 512"#,
            #""block_size_preferred": 4096"#,
            #""block_size_maximum": 33554432"#, #""is_read_only": false"#, #""can_flush": true"#,
            #""can_fua": true"#, #""can_trim": true"#, #""can_multi_conn": true"#,
        ] {
            #expect(outcome.output.contains(fact), "\(fact) in \(outcome.output)")
        }
    }

    @Test("a client that may only read is told so")
    func readOnly() async throws {
        let outcome = try await NBDKitPlugin.run(
            "nbdinfo --json \"$uri\"; nbdcopy /dev/null \"$uri\"", disk: "ram:1M", options: ["-r"])
        #expect(outcome.output.contains(#""is_read_only": true"#))
        #expect(outcome.output.contains(#""can_trim": false"#))
        #expect(outcome.status != 0)
    }

    @Test("nbdcopy copies a disk in and out again, by several connections")
    func copies() async throws {
        let folder = try StorageFolder()
        let outcome = try await NBDKitPlugin.run(
            """
            set -e; cd \(folder.path)
            head -c 33554432 /dev/urandom >in
            nbdcopy --connections=4 --requests=32 in "$uri"
            nbdcopy --connections=4 "$uri" out
            cmp in out
            """, disk: "ram:32M")
        #expect(outcome.status == 0, "\(outcome.errors)")
    }

    @Test(
        "qemu-io reads the patterns that it wrote, at odd places too, and zeros what it discarded",
        .enabled(if: StorageTool.exists("qemu-io")))
    func patterns() async throws {
        let outcome = try await NBDKitPlugin.run(
            """
            qemu-io -f raw -c 'write -P 0x5a 100 70000' -c 'write -P 0xa5 1M 2M' \
                -c 'write -P 0x11 4193792 512' -c 'discard 2M 512k' -c 'flush' \
                -c 'read -P 0x5a 100 70000' -c 'read -P 0 0 100' -c 'read -P 0xa5 1M 1M' \
                -c 'read -P 0 2M 512k' -c 'read -P 0xa5 2560k 512k' \
                -c 'read -P 0x11 4193792 512' "$uri"
            """, disk: "ram:4M")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(!outcome.output.contains("failed") && outcome.output.contains("512/512 bytes"))
    }

    @Test(
        "fio verifies what it wrote at random, with many requests under way",
        .enabled(if: StorageTool.exists("fio")))
    func fio() async throws {
        let folder = try StorageFolder()
        let outcome = try await NBDKitPlugin.run(
            """
            cd \(folder.path) && fio --name=plugin --ioengine=nbd --uri="$uri" --rw=randrw --bs=4k \
                --iodepth=32 --size=16M --io_size=32M --verify=crc32c --verify_fatal=1
            """, disk: "ram:16M")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("err= 0"))
    }

    @Test(
        "parameters that name no disk are refused with what to do",
        arguments: [
            ([], "no disk is given"), (["ram:1X"], "'1X' in 'ram:1X' is no size"),
            (["ram:1M", "color=red"], "there is no parameter 'color'"),
            (["ram:1M", "disk=ram:2M"], "the parameter 'disk' is given twice"),
        ])
    func parameters(given: [String], complaint: String) async throws {
        let folder = try StorageFolder()
        let plugin = try #require(NBDKitPlugin.path)
        let outcome = try await StorageTool.run(
            "nbdkit", ["-U", folder.file("s"), plugin] + given + ["--run", "true"])
        #expect(outcome.status != 0)
        #expect(outcome.errors.contains("nbdkit: error: \(complaint)"), "\(outcome.errors)")
    }

    @Test("nbdkit can go to the background with the plugin, and ends when it is told to")
    func background() async throws {
        let folder = try StorageFolder()
        let plugin = try #require(NBDKitPlugin.path)
        let outcome = try await StorageTool.run(
            "sh", "-c",
            """
            set -e; cd \(folder.path)
            nbdkit -U $PWD/s -P pid \(plugin) ram:1M >out 2>&1 </dev/null
            nbdinfo --size "nbd+unix:///?socket=$PWD/s"
            kill "$(cat pid)"
            tail --pid="$(cat pid)" -f /dev/null
            """)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output == "1048576\n")
    }
}

/// Where the plugin is, and an nbdkit that has it.
enum NBDKitPlugin {
    /// The library that was built beside the tests, if it and nbdkit are there.
    static let path: String? = {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0])
        let path = tests.deletingLastPathComponent().path + "/libRoostNBDKit.so"
        let isThere = FileManager.default.fileExists(atPath: path)
        return isThere && StorageTool.exists("nbdkit") ? path : nil
    }()

    /// Runs a script of the shell while a disk is served; `$uri` is where.
    static func run(
        _ script: String, disk: String, options: [String] = []
    ) async throws -> StorageTool.Outcome {
        guard let path else { fatalError("tests are skipped without the plugin") }
        // A socket that nbdkit names itself leaves its folder behind.
        let folder = try StorageFolder()
        let outcome = try await StorageTool.run(
            "nbdkit", options + ["-U", folder.file("s"), path, disk, "--run", script])
        withExtendedLifetime(folder) {}
        return outcome
    }
}
