"""Frames, previews and handshakes, against encoders and parsers of others."""
