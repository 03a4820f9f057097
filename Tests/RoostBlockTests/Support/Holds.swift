import Testing

/// Expects something of a value that cannot be copied, which `#expect` does not take apart.
func holds(_ isTrue: Bool, _ location: SourceLocation = #_sourceLocation) {
    #expect(isTrue, sourceLocation: location)
}
