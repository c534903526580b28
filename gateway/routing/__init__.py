"""Request → upstream.  Pure.

    router.py       one request's decision, top to bottom: `Router`
    target.py       request targets: taken apart, cleaned, and encoded again
    mux.py          host and path patterns
    request.py      what matchers and balancers look at
    patterns.py     how a pattern is compared: exactly, as a glob, as a regular expression, …
    matchers.py     which requests a load balancer takes, and what becomes of their paths
    balancers.py    which of its upstreams it picks

Routes are made from what `gateway.config` has loaded and checked.
"""

from gateway.config import Upstream
from gateway.routing.router import Decision, Forward, Redirect, Refused, RequestHead, Router

__all__ = ["Decision", "Forward", "Redirect", "Refused", "RequestHead", "Router", "Upstream"]
