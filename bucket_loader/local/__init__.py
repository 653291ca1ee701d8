"""Real servers on this machine, for the demo, the tests, the benchmarks and the survey of compatibility."""
