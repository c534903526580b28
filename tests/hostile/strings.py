"""What somebody who means harm would write, by what it is meant to do.

`STRINGS` is text, `BYTES` what is no text; each group goes as one piece through each entrance that takes it,
so a name that a test reports says which group did harm.
"""

from collections.abc import Mapping, Sequence
from typing import Final

LONG: Final = 1 << 20
"""Characters of the longest line."""

STRINGS: Final[Mapping[str, Sequence[str]]] = {
    "c0": [chr(point) for point in (*range(0x20), 0x7F)],
    "c1": [chr(point) for point in range(0x80, 0xA0)],
    "cursor": [
        "\x1b[H",
        "\x1b[10A",
        "\x1b[3;3f",
        "\x1b7",
        "\x1b8",
        "\x1bM",
        "\x1bE",
        "\x9b5A",
        "\x1b[s",
        "\x1b[u",
    ],
    "erase": [
        "\x1b[2J",
        "\x1b[3J",
        "\x1b[K",
        "\x1b[1K",
        "\x1b[J",
        "\x1b[5P",
        "\x1b[5X",
        "\x1b[2L",
        "\x1b[2M",
    ],
    "scroll": ["\x1b[5S", "\x1b[5T", "\x1b[2;4r", "\x1b[?6h", "\x1bD"],
    "colour": ["\x1b[31m", "\x1b[8m", "\x1b[7m", "\x1b[38;2;0;0;0m", "\x9b30;40m"],
    "modes": [
        "\x1b[?1049h",
        "\x1b[?25l",
        "\x1b[?7h",
        "\x1b[?1000h",
        "\x1b[?2004h",
        "\x1b[4h",
        "\x1b[20h",
        "\x1b=",
    ],
    "reports": [
        "\x1b[5n",
        "\x1b[6n",
        "\x1b[c",
        "\x1b[>c",
        "\x1bZ",
        "\x05",
        "\x1b[?15n",
        "\x1b[21t",
        "\x1b]11;?\x07",
    ],
    "titles": [
        "\x1b]0;evil\x07",
        "\x1b]2;evil\x1b\\",
        "\x9d0;evil\x9c",
        "\x1bkevil\x1b\\",
        "\x1b]1;evil\x07",
    ],
    "links": [
        "\x1b]8;;http://evil.example\x07here\x1b]8;;\x07",
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b]1337;File=:\x07",
    ],
    "strings": [
        "\x1bPq#0\x1b\\",
        "\x90q\x9c",
        "\x1b_Gi=1\x1b\\",
        "\x1bXsos\x1b\\",
        "\x1b^pm\x1b\\",
        "\x1bP+q544e\x1b\\",
    ],
    "resets": [
        "\x1bc",
        "\x1b[!p",
        "\x1b#8",
        "\x1b%@",
        "\x1b%G",
        "\x1b(0",
        "\x1b)0",
        "\x0e",
        "\x0f",
        "\x1bn",
        "\x1b6",
    ],
    "unfinished": ["\x1b[", "\x1b]0;", "\x1bP", "\x1b"],
    "bidi": [
        "\u202eevil\u202c",
        "\u2066a\u2069",
        "\u2067b\u2069",
        "\u2068c",
        "\u202a\u202b\u202d",
        "\u200e\u200f\u061c",
    ],
    "unseen": [
        "\u200b",
        "\u200c",
        "\u200d",
        "\u2060",
        "\ufeff",
        "\u00ad",
        "\u034f",
        "\u3164",
        "\u115f",
        "\uffa0",
        "\u2800",
    ],
    "selectors": ["\ufe00", "\ufe0e", "\ufe0f", "a\ufe0f", "\U000e0100", "\u180b"],
    "tags": ["\U000e0001", "\U000e0041\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"],
    "wide": [
        "日本語",
        "\uff46\uff55",
        "한국어",
        "👩\u200d👩\u200d👧\u200d👦",
        "🇩🇪🇫🇷",
        "👍🏽",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "﷽",
        "𒐫",
    ],
    "combining": ["e\u0301", "Z" + "\u0300\u0301\u0302\u0303\u0304" * 6, "\u0301", "ก็็็็็็็็", "각", "\u20dd\u20e3"],
    "right to left": ["שלום", "مرحبا", "abc שלום 123 مرحبا"],
    "separators": ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\xa0", "\u3000", "\u2003"],
    "overwriting": ["safe\revil", "safe\b\b\b\bevil", "a\tb", "\x7f\x7f"],
    "forged lines": [
        "x\n12:00:00.000    #1 ●  open    /forged",
        '\n{"event":"open","conn":1}\n',
        "\r\nSet-Cookie: forged=1",
    ],
    "no characters": [
        "\ufdd0",
        "\ufffe",
        "\uffff",
        "\U0001ffff",
        "\U0010ffff",
        "\ue000",
        "\U000f0000",
        "\u0378",
    ],
    "rich": [
        "[bold]b[/bold]",
        "[link=http://evil.example]l[/link]",
        "[/]",
        "[red on red]",
        ":smile:",
        "[\x1b[2J]",
        "\\[b]",
    ],
    "html": [
        "<script>evil()</script>",
        '"><img src=x onerror=evil()>',
        "</script><script>evil()//",
        "<svg/onload=evil()>",
    ],
    "urls": [
        "javascript:evil()",
        "data:text/html,<script>evil()</script>",
        "&lt;b&gt;&#60;b>",
        "<!--",
        "]]>",
        "'-evil()-'",
    ],
    "templates": [
        "{{7*7}}",
        "{% raw %}",
        "${7*7}",
        "{0}",
        "{problem.what}",
        "%s%n%(x)s",
        "%00",
        "$(id)",
        "`id`",
    ],
    "json": ['"', "\\", '\\"', "\\u001b[2J", '"}\n{"event":"x"}', "null", "\\ud800"],
}

BYTES: Final[Mapping[str, Sequence[bytes]]] = {
    "raw c1": [bytes([byte]) for byte in range(0x80, 0xA0)],
    "raw high": [bytes([byte]) for byte in range(0xA0, 0x100)],
    "overlong": [b"\xc0\x9b[2J", b"\xe0\x80\x9b", b"\xf0\x80\x80\x9b", b"\xc1\xbf"],
    "cut": [b"\xe2\x82", b"\xf0\x9f\x91", b"\xc3"],
    "surrogates": [b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb1\x8d"],
    "beyond": [b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xff\xfe"],
    "mixed": [b"\x9b2J", b"\x9d0;evil\x9c", b"\x1b[2J\xff", b"\x90\x1b\\"],
}


def piece(name: str) -> str:
    """A group in one text, between marks by which it is found again."""
    return "|".join([f"<{name}|", *STRINGS[name], f"|{name}>"])


def raw_piece(name: str) -> bytes:
    """A group of bytes in one, between such marks."""
    return b"|".join([f"<{name}|".encode(), *BYTES[name], f"|{name}>".encode()])
