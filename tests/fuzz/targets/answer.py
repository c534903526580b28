"""The reader of an upstream's answer to an opening handshake.

Oracle: any split of the bytes gives the same answer, and no byte behind the head is lost.  A 101 that is
taken is one to h11 as well, with the same fields, has no line that ends otherwise than in CR LF and nothing
that could not be sent on, and reads the same once it is written again.  An ordinary answer is left untouched.
"""

import re
from typing import Final

import h11

from gateway.headers import unsendable
from gateway.websocket.handshake import (
    Answer,
    AnswerReader,
    Nonsense,
    Ordinary,
    Switching,
    extensions,
    message_head,
    mismatch,
)
from tests.fuzz.choices import Choices, pieces
from tests.gateway.proxy.raw import KEY, SWITCHING

TOKENS: Final = (
    SWITCHING,
    *(line + b"\r\n" for line in SWITCHING.split(b"\r\n")[:-2]),
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 101\r\n",
    b"HTTP/1.0 101 Switching Protocols\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n",
    b"Content-Length: 5\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\r\n ",
)

_REQUEST: Final = h11.Request(
    method="GET",
    target="/",
    headers=[("Host", "a"), ("Connection", "Upgrade"), ("Upgrade", "websocket")],
)


def check(data: bytes) -> None:
    """Read `data` whole and in pieces."""
    choices = Choices(data)
    places = [choices.number() for _ in range(choices.below(8))]
    # Heads grow long where an input asks for it: a whole KiB for each of these bytes.
    padding = b"X-Pad: " + b"p" * (1024 * max(0, choices.byte() - 180)) + b"\r\n"
    data = choices.rest().replace(b"\r\nX-Pad:\r\n", b"\r\n" + padding)
    whole = read([data])
    assert read(pieces(data, places)) == whole
    if len(data) < 300:
        assert read([data[at : at + 1] for at in range(len(data))]) == whole
    match whole:
        case None:
            assert len(data) <= 1 << 16
        case Switching():
            _switching(data, whole)
        case Ordinary():
            assert data.endswith(whole.data)
            assert not b"HTTP/1.1 1".startswith(whole.data[:10])
            before = data[: len(data) - len(whole.data)]
            assert before == b"" or before.endswith(b"\r\n\r\n")
        case Nonsense():
            assert whole.reason.isprintable()


def read(split: list[bytes]) -> Answer | None:
    """What the pieces say, with all that comes behind it."""
    reader = AnswerReader()
    for number, piece in enumerate(split):
        answer = reader.receive_data(piece)
        if answer is not None:
            behind = b"".join(split[number + 1 :])
            match answer:
                case Switching():
                    answer.rest += behind
                case Ordinary(data=data):
                    return Ordinary(data=data + behind)
            return answer
    return None


def _switching(data: bytes, answer: Switching) -> None:
    assert data.endswith(answer.rest)
    head = data[: len(data) - len(answer.rest)]
    assert len(head) <= 1 << 16
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\n") == head.count(b"\r") == head.count(b"\r\n")
    assert unsendable(answer.fields) is None
    extensions(answer.fields)
    written = message_head(answer.status_line, answer.fields)
    assert read([written + answer.rest]) == answer
    if re.search(rb"(?mi)^(content-length|transfer-encoding):", head):
        return  # which no 1xx may have, and `mismatch` refuses
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.send(_REQUEST)
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    event = client.next_event()
    while isinstance(event, h11.InformationalResponse) and event.status_code != 101:
        event = client.next_event()
    assert isinstance(event, h11.InformationalResponse)
    assert list(event.headers) == [(name.lower(), value) for name, value in answer.fields]
    if mismatch(answer, KEY.encode()) is None:
        assert client.trailing_data[0] == answer.rest
