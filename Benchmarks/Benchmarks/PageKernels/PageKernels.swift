import Benchmark
import Workloads

// Every comparison's two sides, each by itself. `ratios` runs them by turns.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .throughput], scalingFactor: .one,
        maxDuration: .seconds(1), maxIterations: 10_000)
    for comparison in Comparison.all() {
        for (side, pass) in [("Roost", \Comparison.Passes.roost), ("C", \.peer)] {
            Benchmark("\(comparison.work), \(comparison.input), \(side)") { benchmark, passes in
                let pass = passes[keyPath: pass]
                for _ in benchmark.scaledIterations {
                    blackHole(pass())
                }
            } setup: {
                try comparison.prepare()
            }
        }
    }
}
