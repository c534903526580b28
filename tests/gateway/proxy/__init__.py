"""The proxy, with real sockets."""
