"""Attacks on HTTP and on WebSockets, with raw sockets on both sides of a gateway."""
