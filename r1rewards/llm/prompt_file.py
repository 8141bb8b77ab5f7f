"""Prompts as text files, filled with material that others wrote and that may be hostile.

In the file, `{{name}}` is where the material of that name goes and `{{tag}}` the tag of the fence around it.
The tag is derived from the material, so that no text can close its own fence, and tokens that chat templates
use to separate turns are broken up.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from r1rewards.core.errors import UserError
from r1rewards.core.settings import suggest

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_TURN_TOKEN = re.compile(
    r"<(?=[|｜]|/?s>|[be]os>|(?:start|end)_of_turn>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_[A-Z]+|THINK)\])"
)


class PromptFile:
    """One prompt; a `UserError` where the file cannot be read."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        try:
            self._text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the prompt {path} cannot be read: {error}") from None

    @property
    def text(self) -> str:
        """The file as it stands, on which the answers depend."""
        return self._text

    def fill(self, material: Mapping[str, str]) -> str:
        """The prompt about this material."""
        texts = {name: _TURN_TOKEN.sub(lambda m: m[0] + " ", text) for name, text in material.items()}
        tag = _fence_tag(texts)

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name == "tag":
                return tag
            if name not in texts:
                known = [*texts, "tag"]
                raise UserError(f"{self.path}: nothing fills {{{{{name}}}}}{suggest(name, known)}")
            return f"<<<{name} {tag}>>>\n{texts[name]}\n<<<end of {name} {tag}>>>"

        return _PLACEHOLDER.sub(fill, self._text)


def _fence_tag(texts: Mapping[str, str]) -> str:
    """16 hex digits that stand in none of the texts: a hash of them all, so that none could foresee it."""
    digest = hashlib.blake2b(digest_size=8)
    for text in texts.values():
        digest.update(len(text).to_bytes(8, "big") + text.encode(errors="surrogatepass"))
    while any(digest.hexdigest() in text for text in texts.values()):
        digest.update(b"again")
    return digest.hexdigest()
