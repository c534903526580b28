"""A tunnel that conformance suites cannot see: WebSocket conformance cases, direct and through a gateway.

Whoever ends a WebSocket at one end of a tunnel must not be able to tell whether there is one.  So each case
is played twice, once directly and once through a gateway, and both runs have to end alike: the same frames,
the same close code, the same way of ending the connection.  What would be right is not asked here; that is
between the two ends.

frames       frames to bytes and back, by nobody who wrote the gateway
case         what a case is, and the ways to cut its bytes up
messages     cases 1, 2, 3, 4 and 5: framing, pings, reserved bits and opcodes, fragments
texts        cases 6: UTF-8
closes       cases 7: close handshakes; and ways to leave without one
sizes        cases 9 and 10: limits
compression  cases 12 and 13: permessage-deflate
catalogue    all of them
player       plays a case at whoever is at the other end of a connection, and tells what came of it
peers        servers and clients that are played at: those of `websockets` and aiohttp
stage        a gateway, and what is around it: a case played on both ways
endings      raw connections at both ends, which end in every way that there is
verdict      two outcomes: how they differ, and by how much the one was later
cli          `python -m tests.conformance`

The numbers are those of the Autobahn test suite where it has such a case.
"""
