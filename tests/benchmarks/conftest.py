"""Where these tests make sense."""

import sys

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]  # the benchmarks read /proc, and say so elsewhere
