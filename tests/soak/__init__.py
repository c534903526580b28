"""A soak: hundreds of WebSockets that come and go for half an hour, while things go wrong.

Strategy
    One gateway and two demo upstreams, each a process of its own, as people run them.  In this process:
    clients of the `websockets` library, clients that behave badly over bare TCP, and plain requests.
    Beside them, faults happen one after the other: an upstream is killed or held, the config is loaded
    anew, nobody reads the log, a crowd comes and goes.
    The time is cut into rounds.  At the end of each, all clients leave, and what the gateway then still has
    (memory, descriptors, threads) is measured against the round before.

Rules
    * Nothing is lost that was not in flight to an upstream that was killed: any other session that does not
      go as it should is a loss, and a loss fails the soak.
    * What a client counted of its session, the gateway's log has counted as well.
    * The same seed makes the same sessions and faults; when each happens depends on the machine.

`python -m tests.soak --help` tells how it is run; docs/soak.md is what it last reported.
"""
