"""Clients and servers that nobody here wrote, through a real gateway.

Strategy
    Every client holds the same conversation (see `talk`) with every server, once directly and then through
    the gateway, to an http and to an https upstream; what both ends saw has to be the same each time.  So
    nothing is said here about what an implementation ought to do, only that a gateway makes no difference.

    talk.py      the conversation, both sides of it, whatever the library
    servers.py   websockets, aiohttp, and Starlette on uvicorn with wsproto or websockets: the server's side
    clients.py   websockets and aiohttp: the client's side
    npm.py       Node and what comes from npm, where a machine has it
    node/        the conversation in JavaScript, by `ws` and by the WebSocket of browsers; a chat; a project
    pairs.py     the matrix: which client, which server, and what has to be the same
    chat.py      a chat by Socket.IO, and its guests

    test_pairs.py      the matrix, and large messages
    test_socketio.py   Socket.IO: polling, its upgrade, rooms, and a gateway that is started anew
    test_events.py     server-sent events
    test_vite.py, test_jupyter.py   development servers, as people run them
"""
