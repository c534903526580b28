"""Request → upstream.  Pure.

    router.py       one request's decision, top to bottom: `Router`
    target.py       request targets: taken apart, cleaned, and encoded again
    routes.py       a server's virtual hosts as routes
    mux.py          host and path patterns, and which of them takes a request
    proxying.py     a ReverseProxyHandler's load balancers, and which of them takes a request
    request.py      what of a request matchers and hashers look at
    matchers.py     which paths and parameters are taken, and what becomes of paths
    patterns.py     texts, globs and regular expressions
    balancers.py    which of its upstreams a load balancer picks
    explain.py      why a request goes where it goes

Routes are made from what `gateway.config` has loaded and checked.
"""

from gateway.config import Upstream
from gateway.routing.router import Decision, Forward, Redirect, Refused, RequestHead, Router
from gateway.routing.routes import Routes, build

__all__ = [
    "Decision",
    "Forward",
    "Redirect",
    "Refused",
    "RequestHead",
    "Router",
    "Routes",
    "Upstream",
    "build",
]
