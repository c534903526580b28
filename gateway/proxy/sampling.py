"""How many frames the log may record, and whose.  Pure.

Strategy
    Time is cut into windows of a tenth of a second; whoever records a frame sees to it that the window has
    begun in which it does.  A window may record what the last second has left
    of the rate, so a burst after a quiet time is shown whole.  Once frames have had to be left out,
    each window gets its part of the rate, so that the log keeps moving, and that is shared among the
    directions as `fair_share` has it: who sends little is shown whole, who sends much gets what is left.
    A quarter of it is kept for those who did not send in the last window: a message a second is shown
    whatever floods beside it.

Rules
    * No more than `rate` ordinary frames within any second.  Close frames and violations, which are the
      last to go, may use as many again.
    * The counts of what is left out are the decoder's, and exact.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

WINDOW: Final = 0.1
"""Seconds."""

_WINDOWS: Final = 10
"""Windows in a second; one that begins in the middle of a window touches one more."""

_LEAST_SPARE: Final = 100
"""Close frames and violations a second, however low the rate is."""

UNLIMITED: Final = 1 << 60


def fair_share(budget: int, demands: Sequence[int]) -> int:
    """The most that each may have so that all together, none above its demand, stay within `budget`.

    Max-min fairness: what one does not want is shared among the others.
    """
    left = budget
    waiting = sorted(demands)
    for place, demand in enumerate(waiting):
        share = left // (len(waiting) - place)
        if demand > share:
            return share
        left -= demand
    return budget


class Allowance:
    """What may be recorded in this window, `left`, and what was in those before that a second can touch."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._spent: deque[int] = deque([0] * _WINDOWS, maxlen=_WINDOWS)
        self._granted = rate
        self.left = rate

    def turn(self, windows: int, *, crowded: bool) -> None:
        """Begin a new window, `windows` after the last one; `crowded` where frames were left out lately."""
        self._spent.append(self._granted - self.left)
        self._spent.extend([0] * min(windows - 1, _WINDOWS))
        free = self._rate - sum(self._spent)
        self._granted = self.left = min(free, max(1, self._rate // (_WINDOWS + 1))) if crowded else free


class Sampler:
    """Shares a rate of `rate` frames a second (0: no limit) among the directions that send."""

    def __init__(self, rate: int) -> None:
        self._limited = rate > 0
        self._frames = Allowance(rate or UNLIMITED)
        self._spare = Allowance(max(rate, _LEAST_SPARE) if rate else UNLIMITED)
        self._crowded_for = 0
        self._window = 0
        self.share = UNLIMITED
        """The most that one direction may record in this window."""

    @property
    def end(self) -> float:
        """When this window ends (seconds, monotonic)."""
        return (self._window + 1) * WINDOW

    @property
    def room(self) -> int:
        """Ordinary frames that this window may still record."""
        return self._frames.left

    @property
    def spare(self) -> int:
        """Close frames and violations that this window may record beyond `room`."""
        return self._spare.left

    def spend(self, frames: int) -> None:
        """`frames` more have been recorded, never more than `room` and `spare` together."""
        ordinary = min(frames, self._frames.left)
        self._frames.left -= ordinary
        self._spare.left -= frames - ordinary

    def turn(self, now: float, demands: Sequence[int], omitted: int) -> None:
        """Begin the window of `now` (seconds, monotonic), or go on with it where it has begun already.

        `demands` are the frames that each direction sent in the last window, `omitted` how many of all
        these were left out.
        """
        window = int(now / WINDOW)
        windows, self._window = window - self._window, window
        if not self._limited:
            return
        self._crowded_for = _WINDOWS if omitted else max(0, self._crowded_for - windows)
        crowded = self._crowded_for > 0
        if windows > 0:
            self._frames.turn(windows, crowded=crowded)
            self._spare.turn(windows, crowded=False)
        self.share = UNLIMITED
        if crowded and demands:
            budget = self._frames.left
            # With more directions than frames, each may still have one while there is any.
            self.share = max(1, fair_share(budget - budget // 4, demands))
