import RoostSystem
import SystemPackage
import Testing

@Suite struct OutputFolderTests {
    private func refusal(_ path: String, mayReplace: Bool = false) -> String? {
        do throws(SystemError) {
            try OutputFolder.check(path, mayReplace: mayReplace)
            return nil
        } catch {
            return error.description
        }
    }

    @Test("a folder that is missing, or is none, is refused with its path")
    func kinds() {
        #expect(
            refusal("/nothing/there")
                == "the folder /nothing/there cannot be found (No such file or directory): make it, "
                + "or name another")
        #expect(
            refusal("/dev/null")
                == "/dev/null is a character device and no folder: name a folder")
    }

    @Test("a folder that holds files is written to only when they may be replaced")
    func files() {
        #expect(refusal("/usr/bin")?.contains("--force") == true)
        #expect(refusal("/tmp", mayReplace: true) == nil)
    }
}
