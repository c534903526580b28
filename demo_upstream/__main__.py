"""`python -m demo_upstream`."""

import signal
import sys

# Until the server stands there is nothing to end tidily: a Ctrl-C while modules load simply ends the process.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from demo_upstream.cli import main  # noqa: E402 - the line above has to come first

sys.exit(main())
