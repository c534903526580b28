"""Where these tests run."""

import sys

# They look at processes through /proc and pidfd_open, which Linux alone has.
collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]
