"""How each peer is set up: configurations, and the small programs where the peer is a library."""
