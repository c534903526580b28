"""The demo upstream: a small WebSocket server for a gateway to stand in front of.

It knows nothing of the gateway and is of use alone: `python -m demo_upstream`, then open the address it
tells.  What lives where:

    cli           the command line, the stop signals, the process from start to exit status
    listen        an address in words → bound sockets, on both families
    app           the routes, and what is true of every response
    access        which Origin and which Host are welcome, and what to do where one is not.  Pure
    connections   a WebSocket's life: accepted, pinged, let go, told goodbye when the server stops
    clock         `/ws`: the greeting, the beat of a second, the answer to each message
    echo          `/echo`: every message back, as it came
    whoami        `/whoami`: what this server saw of a request
    page          `/`: index.html with its Content-Security-Policy; where that file lies
    lifeline      the end of the process when the program that started it is gone
"""
