"""The lifeline: children learn that the launcher is gone, however it went (kill -9 included).

The launcher makes one pipe and keeps its writing end to itself.  Each child inherits the reading end, whose
number (on Windows: handle) the environment names.  Nothing is ever written: when the launcher ends, the
system closes the pipe, and a child that reads its end goes too.
"""

import os
import subprocess
import sys
from typing import Any, Final

ENVIRONMENT: Final = "AILERON_DEMO_LIFELINE"
"""The variable that names the inherited end of the pipe."""


class Lifeline:
    """The pipe, and how a child comes to inherit it."""

    def __init__(self) -> None:
        # Python makes both ends not inheritable: no other child, and no grandchild, holds one by accident.
        self._read, self._write = os.pipe()

    def share(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return what a child needs: additions to its environment, and arguments for `subprocess.Popen`."""
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  (exists on Windows alone)

            handle = msvcrt.get_osfhandle(self._read)
            os.set_handle_inheritable(handle, True)
            startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})
            return {ENVIRONMENT: str(handle)}, {"startupinfo": startup}
        else:  # noqa: RET505  (the type checker follows the system only so)
            return {ENVIRONMENT: str(self._read)}, {"pass_fds": (self._read,)}

    def cut(self) -> None:
        """Close both ends; children that still live end."""
        os.close(self._write)
        os.close(self._read)
