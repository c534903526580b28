r"""Header fields on their way, and what is written down of them.

Input: a byte of options, then lines, each a header field; in them, byte 0x02 stands for a secret.

Oracle: what goes upstream has one Host, ours, no hop-by-hop field, none that Connection names, and every
other field as it came; what can be sent on has no byte that ends a line.  A secret is in no record where it
is the value of a secret field, of a secret parameter, a password, or a subprotocol that carries a token;
writing down what was written down changes nothing.
"""

from typing import Final

from gateway.headers import (
    HOP_BY_HOP,
    Field,
    Header,
    Secrets,
    end_to_end,
    for_upstream,
    members,
    readable,
    unsendable,
    values,
)
from tests.fuzz.choices import Choices

TOKENS: Final = (
    b"Cookie: \x02\n",
    b"Authorization: Bearer \x02\n",
    b"X-Access-Token: \x02\n",
    b"Sec-WebSocket-Key: a\n",
    b"Sec-WebSocket-Protocol: bearer, \x02\n",
    b"Referer: http://u:\x02@h/?a=b&token=\x02&c\n",
    b"Location: /#access_token=\x02\n",
    b"X: http://a/?u=http%3A%2F%2Fb%3F%74oken%3D\x02%26\n",
    b"Connection: close, X-A\n",
    b"X-A: 1\n",
    b"TE: trailers\n",
    b"X-Forwarded-For: 192.0.2.1\n",
    b"Host: h\n",
    b"Upgrade: h2c\n",
    b"&key=\x02",
    b"%3Fcode=\x02",
    b";sig=\x02",
    b"://",
)

_SECRET: Final = b"xq7hunter2zv"
_LONG: Final = _SECRET * 6
_SECRET_NAMES: Final = {b"cookie", b"set-cookie", b"authorization", b"proxy-authorization", b"x-api-key"}


def check(data: bytes) -> None:
    """Send the fields on, and write them down."""
    choices = Choices(data)
    options = choices.byte()
    client = ("192.0.2.7", 4711) if options & 1 else None
    lines = choices.rest().split(b"\n")[:20]
    fields: list[Field] = [
        (name, value.strip(b" \t"))
        for name, colon, value in (line.partition(b":") for line in lines)
        if colon
    ]
    _sent_on(fields, client)
    _sent_on(Header(fields), client)
    _written_down(fields)
    for line in lines:
        _in_a_url(line)


def _sent_on(fields: "list[Field] | Header", client: tuple[str, int] | None) -> None:
    named = set(members(fields, b"connection"))
    gone = HOP_BY_HOP | named
    assert end_to_end(fields) == [each for each in fields if each[0].lower() not in gone]
    sent = for_upstream(fields, authority="up:1", client=client, host=b"h", scheme="https")
    names = [name.lower() for name, _ in sent]
    assert sent[0] == (b"Host", b"up:1")
    assert names.count(b"host") == 1
    # A client may name any field in Connection, those that the gateway adds among them.
    ours = {b"host", b"te", *(b"x-forwarded-" + each for each in (b"for", b"host", b"port", b"proto"))}
    assert not (gone - ours) & set(names)
    assert [each for each in sent if each[0].lower() not in ours] == [
        each for each in fields if each[0].lower() not in gone | ours
    ]
    for name in (b"x-forwarded-host", b"x-forwarded-proto"):
        assert names.count(name) == 1
    assert names.count(b"x-forwarded-port") == (client is not None)
    told = b", ".join(values(sent, b"x-forwarded-for"))
    assert client is None or told.split(b", ")[-1] == client[0].encode()
    assert names.count(b"te") <= 1
    if unsendable(list(fields)) is None:
        for name, value in fields:
            assert name
            assert not set(name) & set(b" \t\r\n:\0")
            assert not set(value) & set(b"\r\n\0")


def _written_down(fields: list[Field]) -> None:
    """The byte 0x02 is a secret where it stands for a whole value that nobody should see."""
    secrets = Secrets()
    real = [
        (name, value.replace(b"\x02", _LONG if name.lower() == b"sec-websocket-protocol" else _SECRET))
        for name, value in fields
    ]
    hidden = secrets.subprotocols(real)
    told = secrets.headers(real, hidden)
    assert len(told) == len(real)
    for (name, value), (told_name, told_value) in zip(real, told, strict=True):
        assert told_name == readable(name)
        lower = name.lower()
        if lower in _SECRET_NAMES or (lower.endswith((b"-token", b"-key")) and lower != b"sec-websocket-key"):
            assert told_value == "[redacted]"
        elif lower == b"sec-websocket-protocol":
            offered = [part.strip(b" \t") for part in value.split(b",")]
            for before, each in zip([b"", *offered], offered, strict=False):
                if each and (len(each) > 64 or before.lower() == b"bearer"):
                    assert readable(each) not in told_value.split(", ") or each == b"[redacted]"
    shown = Secrets(show=True).headers(real)
    assert shown == tuple((readable(name), readable(value)) for name, value in real)


def _in_a_url(line: bytes) -> None:
    """Where a parameter begins that carries secrets, its value is told by nobody."""
    secrets = Secrets()
    around = readable(line).replace("\x02", "")
    once = secrets.text(around)
    assert secrets.text(once) == once
    secret = _SECRET.decode()
    for name in ("token", "Access_Token", "%63ode", "sig", "api%5fkey"):
        for written in (
            f"{around}?{name}={secret}",
            f"/?a&{name}={secret}&{around}",
            f"{around}#{name}={secret}",
        ):
            assert secret not in secrets.text(written), written
    for written in (f"http://u:{secret}@h/{around}", f"{around} ws://:{secret}@h"):
        assert secret not in secrets.text(written), written
