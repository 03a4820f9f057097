import RoostHost
import RoostSystem
import SystemPackage
import Testing

@Suite struct ErrorSentenceTests {
    private struct Strange: Error {
        let secret = ["a": 1]
    }

    private enum Odd: Error { case path(String) }

    @Test("an error that nobody expected is no dump of a Swift value")
    func unknown() {
        for error in [Strange(), Odd.path("/x")] as [any Error] {
            let sentence = ErrorSentence.of(error)
            #expect(sentence.hasPrefix("it failed for a reason that roost does not know"))
            #expect(!sentence.contains("[\"a\"") && !sentence.contains("path("))
        }
        #expect(ErrorSentence.of(CancellationError()) == "it was stopped before its end")
    }

    @Test("the errors of the package and of the system are told by their sentence")
    func known() {
        let error = SystemError(.listen, errno: .addressInUse, "somebody listens")
        #expect(ErrorSentence.of(error) == "somebody listens")
        #expect(ErrorSentence.of(Errno.permissionDenied) == "Permission denied")
    }

    @Test("what a peer sent stays in its line")
    func control() {
        #expect(
            ErrorSentence.of(SystemError(.listen, errno: nil, "said 'a\nb'"))
                == "said 'a\u{fffd}b'")
    }
}
