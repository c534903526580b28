"""`python -m benchmarks`, where that can be."""

import sys

if sys.platform != "linux":
    sys.exit("benchmarks: processor time and memory are read from /proc, which only Linux has")

from benchmarks.cli import main  # what it imports needs Linux as well

sys.exit(main())
