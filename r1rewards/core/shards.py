"""A file of rows made in numbered shards, by several processes perhaps, and put together in their order.

shards = Shards(folder, ".parquet")
shards.write(7, rows)          # whole or not at all; in any order
shards.join("scored.parquet")  # when all are there
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from r1rewards.core.parquet import join_parquet
from r1rewards.core.store import read_rows, replacing, write_rows


class Shards:
    """The shards in a folder. `suffix` is the format of the whole, in which the shards are written too."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder, self.suffix = folder, suffix

    def path(self, number: int) -> Path:
        return self.folder / f"shard-{number:07}{self.suffix}"

    def write(self, number: int, rows: Iterable[Mapping[str, Any]]) -> int:
        return write_rows(self.path(number), rows)

    def rows(self, number: int) -> Iterator[dict[str, Any]]:
        return read_rows(self.path(number))

    def present(self) -> set[int]:
        """The numbers of the shards that are there, each whole."""
        names = (path.name for path in self.folder.glob(f"shard-*{self.suffix}"))
        return {int(name.removeprefix("shard-").removesuffix(self.suffix)) for name in names}

    def join(self, path: Path) -> None:
        """Write `path`: all shards in the order of their numbers. It appears when it is complete."""
        files = [self.path(number) for number in sorted(self.present())]
        with replacing(path) as part:
            if self.suffix == ".parquet":
                join_parquet(part, files)
                return
            with part.open("wb") as whole:  # streams of gzip and zstandard may follow one another
                for file in files:
                    with file.open("rb") as shard:
                        shutil.copyfileobj(shard, whole, 1 << 20)
