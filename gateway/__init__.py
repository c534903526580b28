"""The gateway: a config-driven HTTP and WebSocket reverse proxy that shows what it passes on.

Pure rooms:

    events      what the gateway tells the world: typed records, one JSON object a line
    printable   text that anybody may have written, made fit for a terminal
    text        records as words for people
    config      config.yaml to typed resources
    routing     a request to its upstream, and why
    advice      what of a config loads, but may surprise
    websocket   bytes to meaning
    headers     what goes on, what is added, what stays secret

Rooms that do things:

    tls         a tlsConfig to what a listener speaks; reads files
    errors      what an ErrorHandler has to say of an error; reads files
    loading     files to all that a gateway is made of, or what is wrong with them
    watch       tells when config files change
    proxy       sockets
    workers     several processes on the same addresses
    running     a gateway as a process: event loop, signals, limits
    lifeline    ends a process whose parent has gone
    cli         the `aileron` command
"""
