module aileron-demo/benchmarks/proxy

go 1.18
