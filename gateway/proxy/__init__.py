"""What crosses the gateway: the rooms that touch sockets.

server      start, reload and stop of all servers
listener    one HTTPServer: its sockets, its door and who answers, through all reloads
listen      an address to bound sockets
accept      who comes in: networks, limits, TLS or cleartext
arrival     a client connection until it is known what it is for
connection  one client connection of aiohttp's: its time limits, and what Go's server says before any handler
handler     the requests of one listener
story       one request, top to bottom
shared      what all listeners share
exchange    plain HTTP with an upstream
dial        connections of our own to an upstream, and the opening handshake over them
names       names of upstreams to addresses
endings     resets, and what is to be delivered before them
forward     the short way through a tunnel: write, then count
tunnel      the byte tunnel after a 101
responses   what goes back to the client; the one place where an error becomes a response
log         records on their way to standard output
output      standard output: records as lines
reload      a config, loaded anew when it is wanted
sampling    how many frames the log may record, and whose (pure)
"""
