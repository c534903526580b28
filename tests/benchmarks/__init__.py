"""The benchmarks: what is pure of them, and one run of the whole."""
