"""Bytes to meaning: what a WebSocket's bytes say (RFC 6455, RFC 7692).  Pure.

handshake   the opening handshake, both legs
frames      the incremental frame decoder, and the one frame the gateway ever writes
rules       what a peer may break, and where that is written
inflate     what a reader sees of a payload
"""
