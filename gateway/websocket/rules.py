"""The rules of the protocol that a peer may break, and the sections that set them.

The decoder and the previews name these; what is broken is told in the log, and passes all the same.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of the protocol that was broken."""

    what: str
    rfc: str


def _rule(what: str, section: str, rfc: str = "RFC 6455") -> Rule:
    return Rule(what=what, rfc=f"{rfc} section {section}")


CLIENT_UNMASKED = _rule("a frame from the client that is not masked", "5.1")
UPSTREAM_MASKED = _rule("a frame from the upstream that is masked", "5.1")
RESERVED_BITS = _rule("a reserved bit is set that no extension has given a meaning", "5.2")
RESERVED_OPCODE = _rule("a reserved opcode", "5.2")
LENGTH_NOT_MINIMAL = _rule("a payload length that is not in its shortest form", "5.2")
LENGTH_TOP_BIT = _rule(
    "a payload length with its top bit set; no frame can be told apart from here on", "5.2"
)
CONTROL_FRAGMENTED = _rule("a fragmented control frame", "5.5")
CONTROL_LONG = _rule("a control frame of more than 125 bytes", "5.5")
CONTROL_COMPRESSED = _rule("a control frame marked as compressed", "6.1", "RFC 7692")
CONTINUATION_COMPRESSED = _rule(
    "a continuation marked as compressed; only a message's first frame is", "6.1", "RFC 7692"
)
CONTINUATION_ALONE = _rule("a continuation of no message", "5.4")
MESSAGE_INSIDE_MESSAGE = _rule("a new message before the last one was finished", "5.4")
AFTER_CLOSE = _rule("a frame after the Close frame", "5.5.1")
CLOSE_ONE_BYTE = _rule("a Close frame whose payload is a single byte", "5.5.1")
CLOSE_CODE = _rule("a close code that may not be sent", "7.4")
CLOSE_REASON = _rule("a close reason that is not UTF-8", "5.5.1")
TEXT_NOT_UTF8 = _rule("text that is not UTF-8", "8.1")
DOES_NOT_INFLATE = _rule("a compressed payload that cannot be inflated", "7.2.2", "RFC 7692")
