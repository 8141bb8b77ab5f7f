"""Text that a data set has packed: base64 of zlib of a pickled string, as LiveCodeBench keeps its tests.

A pickle can run code when it is loaded, so none is: its instructions are read one by one, and it must hold
one string and nothing else.
"""

from __future__ import annotations

import base64
import pickletools
import zlib

#: Bytes that unpacking may give; the largest tests of LiveCodeBench are a tenth of it.
LONGEST = 1 << 30
#: What a pickled string is made of, beside the string.
_FRAME = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"})
_STRING = frozenset({"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})


def unpacked(text: str) -> str:
    """The text that was packed. Raises ValueError where it is anything else."""
    try:
        reader = zlib.decompressobj()
        data = reader.decompress(base64.b64decode(text, validate=True), LONGEST)
    except zlib.error as error:
        raise ValueError(f"no zlib data ({error})") from None
    if not reader.eof:
        raise ValueError("it is cut off" if not reader.unconsumed_tail else f"it is over {LONGEST >> 20} MiB")
    found = None
    for instruction, argument, _ in pickletools.genops(data):
        if instruction.name in _STRING and found is None:
            found = str(argument)
        elif instruction.name not in _FRAME:
            raise ValueError(f"a pickle with the instruction {instruction.name}, where one string should be")
    if found is None:
        raise ValueError("a pickle without a string")
    return found
