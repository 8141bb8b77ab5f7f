"""Model text as a reader gets it: always text, nothing hidden in it, never longer than can be read."""

from __future__ import annotations

import re
import unicodedata
from itertools import count, islice

from markupsafe import Markup, escape

LINE_LIMIT = 1000
TEXT_LIMIT = 5000
#: Hidden characters of one text that are marked by number; the others become U+FFFD, so that a text made of
#: nothing else does not swell the page.
MARKS = 100

#: Characters that a reader would not see or that change what is read: controls, direction marks and
#: overrides, zero-width characters, line separators, surrogates, invisible "tag" letters, variation
#: selectors of the supplement (all used to hide text).
HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def shorten(text: str, limit: int = TEXT_LIMIT, line_limit: int = LINE_LIMIT) -> str:
    """The text with long lines cut, without its middle beyond the limit; each cut says how much it took."""
    text = "\n".join(_cut_line(line, line_limit) for line in text.replace("\r\n", "\n").split("\n"))
    if len(text) <= limit:
        return text
    head, tail = limit * 3 // 4, limit // 4
    return f"{text[:head]}\n[… {len(text) - head - tail:,} characters left out …]\n{text[-tail:]}"


def visible(text: object) -> Markup:
    """The text as HTML; hidden characters, the first `MARKS` of them, stand by their number, marked."""
    out, done = [], 0
    source = str(text)
    for match in islice(HIDDEN.finditer(source), MARKS):
        out += [escape(source[done : match.start()]), _mark(match.group())]
        done = match.end()
    return Markup("").join([*out, escape(HIDDEN.sub("\ufffd", source[done:]))])


def spelled(text: str) -> str:
    """The text with its hidden characters, the first `MARKS` of them, by their number; without markup."""
    met = count()
    return HIDDEN.sub(lambda m: f"⟨U+{ord(m.group()):04X}⟩" if next(met) < MARKS else "\ufffd", text)


def _mark(character: str) -> Markup:
    code = f"U+{ord(character):04X}"
    return Markup('<span class="hidden-char" title="{}">{}</span>').format(
        unicodedata.name(character, code), code
    )


def _cut_line(line: str, limit: int) -> str:
    if len(line) <= limit:
        return line
    return f"{line[:limit]} [… this line goes on for {len(line) - limit:,} characters]"
