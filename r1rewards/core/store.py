"""Where rows live: files that are whole or absent, logs that survive a kill, steps that know they are done.

    for row in read_rows("problems.jsonl.gz", columns={"prompt": "question"}): ...
    write_rows("kept.parquet", rows)                       # written beside, synced, then renamed

    with RowLog("samples.jsonl") as log:                   # one row at a time
        have = log.keys()
        log.append(row)

    with Step("sft", "curate", config=config, inputs=[path]) as step:
        if not step.done:
            counts = work(step.path)                       # a folder that a kill leaves for the next try
            step.finish(counts)                            # now it is "sft", all of it at once

A full disk, a place that cannot be written and a line that is no row are each one `UserError`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Self, cast

from r1rewards.core.errors import UserError
from r1rewards.core.formats import dump_json, load_json, read_csv, read_json, read_jsonl, write_jsonl
from r1rewards.core.parquet import read_parquet, write_parquet

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".csv", ".csv.gz", ".csv.zst", ".parquet")
_BUFFER_BYTES = 1 << 20


def read_rows(path: str | Path, *, columns: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a file, streamed, in order; the suffix names the format (`SUFFIXES`).

    A folder stands for the files in it, which have one format and are read in the order of their names.

    columns  our name -> their name: {"prompt": "problem"} takes our `prompt` from their column `problem`,
             {"reference": "reward_model.ground_truth"} our `reference` out of the object in `reward_model`.

    A line that is no row raises `UserError` with file and line. Values of a CSV file are text.
    """
    return (row for _, row in numbered_rows(path, columns=columns))


def numbered_rows(
    path: str | Path, *, columns: Mapping[str, str] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`read_rows` with the place of each row before it (file and line, or file and row), for messages."""
    path = Path(path)
    if path.is_dir():
        for file in files_in(path):
            yield from numbered_rows(file, columns=columns)
        return
    suffix = suffix_of(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}; check the path")
    unit = "row" if suffix in (".parquet", ".json") else "line"
    if suffix == ".parquet":
        rows: Iterator[tuple[int, dict[str, Any]]] = enumerate(read_parquet(path), 1)
    elif suffix == ".json":
        rows = enumerate(read_json(path), 1)
    elif suffix.startswith(".csv"):
        rows = read_csv(path)
    else:
        rows = read_jsonl(path)
    for number, row in rows:
        where = f"{path}, {unit} {number}"
        yield where, _renamed(row, columns, where) if columns else row


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write the rows in the format of the suffix, all or nothing, and return their number.

    The file appears under its name only when it is complete and on the disk.
    """
    path = Path(path)
    suffix = suffix_of(path, writing=True)
    with replacing(path) as part:
        return write_parquet(part, rows) if suffix == ".parquet" else write_jsonl(part, suffix, rows)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` when the block ends well, and vanishes when not."""
    part = path.with_name(f".{path.name}.part")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f"{part.name}*"):
            stale.unlink()
        try:
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{path}: the disk is full; make room and run the same command again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise UserError(
                f"{error.filename or path}: {os.strerror(error.errno)}; choose another place"
            ) from error
        raise


class RowLog:
    """A JSON-lines file that rows are appended to one by one; a kill costs at most the row in flight.

    Opening drops a torn last line; every complete line stays as it was. One process writes at a time.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix != ".jsonl":
            raise UserError(f"{path}: a log of rows is a .jsonl file; name it so")
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        _lock(self._fd, self.path)
        os.ftruncate(self._fd, self._complete_bytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, row: Mapping[str, Any]) -> None:
        """Write the row as one complete line, or nothing of it."""
        line, start = dump_json(row) + b"\n", os.fstat(self._fd).st_size
        with disk_errors(self.path):
            try:
                written = os.write(self._fd, line)
                while written < len(line):
                    written += os.write(self._fd, line[written:])
            except OSError:
                os.ftruncate(self._fd, start)
                raise

    def rows(self) -> Iterator[dict[str, Any]]:
        """What was written so far, in order."""
        return read_rows(self.path) if self.path.suffix == ".jsonl" else (r for _, r in read_jsonl(self.path))

    def keys(self, field: str = "uid") -> set[Any]:
        """The values of one field, to know what need not be done again."""
        return {row.get(field) for row in self.rows()}

    def close(self) -> None:
        """Put everything on the disk and let go of the file."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _complete_bytes(self) -> int:
        end = os.fstat(self._fd).st_size
        while end > 0:
            start = max(0, end - _BUFFER_BYTES)
            newline = os.pread(self._fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
        return 0


class Step:
    """A folder made by one step of a pipeline: absent, or complete for these inputs and this configuration.

    directory  where the result belongs; until then the work stands beside it, under `path`
    name       what the step is called in the manifest `step.json`
    config     every setting that the result depends on (JSON-able)
    inputs     the files that it reads; their contents are hashed
    keeps      a folder of files that say themselves what they were made from

    After a kill the next try finds what was written under `path`, if inputs, configuration and version of
    r1kit are the same, and may go on from there (`resumed`); otherwise `path` starts empty, but for `keeps`.
    """

    resumed = False

    def __init__(
        self,
        directory: str | Path,
        name: str,
        *,
        config: Mapping[str, Any],
        inputs: Sequence[str | Path] = (),
        keeps: str | None = None,
    ) -> None:
        self._keeps = keeps
        self.directory = Path(directory)
        self.path = self.directory.with_name(f".{self.directory.name}.part")
        self.manifest: dict[str, Any] = {
            "step": name,
            "version": metadata.version("r1kit"),
            "config": dict(config),
            "inputs": {str(file): file_hash(file) for file in inputs},
        }
        hashes = list(self.manifest["inputs"].values())
        identity = dump_json([name, self.manifest["version"], self.manifest["config"], hashes])
        self.manifest["key"] = hashlib.blake2b(identity, digest_size=16).hexdigest()
        self._lock_fd = -1

    @property
    def done(self) -> bool:
        """Whether the folder holds the whole result of exactly this step."""
        manifest = read_manifest(self.directory)
        return manifest.get("key") == self.manifest["key"] and _files(self.directory) == manifest.get("files")

    @property
    def counts(self) -> dict[str, Any]:
        """What `finish` was told; empty until then."""
        return cast(dict[str, Any], read_manifest(self.directory).get("counts", {}))

    def __enter__(self) -> Self:
        if self.done:
            return self
        try:
            with disk_errors(self.directory):
                self.path.mkdir(parents=True, exist_ok=True)
                fd = os.open(self.path, os.O_RDONLY)
                _lock(fd, self.path)
                self._lock_fd = fd
                self.resumed = read_manifest(self.path).get("key") == self.manifest["key"]
                if not self.resumed:
                    _empty(self.path, self._keeps)
                    self._write_manifest(self.manifest)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def finish(self, counts: Mapping[str, Any], **said: Any) -> None:
        """Declare the work complete: the folder takes its name, an older result of that name goes.

        said  what else the manifest is to say of the result
        """
        with disk_errors(self.directory):
            whole = {**self.manifest, "counts": dict(counts), "files": _files(self.path), **said}
            self._write_manifest(whole)
            old = self.path.with_name(f".{self.directory.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            if self.directory.exists():
                self.directory.rename(old)
            self.path.rename(self.directory)
            _sync_folder(self.directory.parent)
            shutil.rmtree(old, ignore_errors=True)

    def _write_manifest(self, manifest: Mapping[str, Any]) -> None:
        with replacing(self.path / "step.json") as part:
            part.write_bytes(dump_json(manifest) + b"\n")


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """The manifest of a step's folder; empty where there is none."""
    try:
        return cast(dict[str, Any], load_json((Path(directory) / "step.json").read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        raise UserError(
            f"{directory}/step.json is not JSON; remove the folder and run the step again"
        ) from None


def file_hash(path: str | Path) -> str:
    """32 hex digits over the content of a file, or of the files of a folder of rows."""
    digest = hashlib.blake2b(digest_size=16)
    if Path(path).is_dir():
        digest.update("".join(map(file_hash, files_in(Path(path)))).encode())
        return digest.hexdigest()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(_BUFFER_BYTES):
                digest.update(block)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; check the path") from None
    return digest.hexdigest()


def files_in(folder: Path) -> list[Path]:
    """The files of rows in a folder that stands for one, such as the shards of a data set."""
    if (folder / "step.json").is_file():
        raise UserError(f"{folder} is the result of a step; name a file in it, such as {folder}/kept.parquet")
    rows = tuple(suffix for suffix in SUFFIXES if suffix != ".json")  # data sets keep what they are in .json
    files = sorted(file for file in folder.iterdir() if file.name.endswith(rows) and file.name[0] != ".")
    formats = {suffix_of(file) for file in files}
    if len(formats) != 1:
        found = f"files of several formats ({', '.join(sorted(formats))})" if formats else "no files of rows"
        raise UserError(f"{folder}: there are {found} in this folder; name the file that you mean")
    return files


def _files(folder: Path) -> dict[str, int]:
    """The files of a result and their sizes, by which a truncated or missing one is noticed."""
    hidden = (".", "step.json")  # what a kill left half-written, and the manifest itself
    files = sorted(
        entry for entry in folder.rglob("*") if entry.is_file() and not entry.name.startswith(hidden)
    )
    return {str(file.relative_to(folder)): file.stat().st_size for file in files}


def suffix_of(path: Path, *, writing: bool = False) -> str:
    """The suffix that tells the format of a file of rows; `writing` leaves out those that are only read."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.endswith(suffix):
            if writing and (suffix == ".json" or suffix.startswith(".csv")):
                raise UserError(f"{path}: rows are written as .jsonl, .jsonl.gz, .jsonl.zst or .parquet")
            return suffix
    raise UserError(f"{path}: the format of rows is told by the suffix, one of {', '.join(SUFFIXES)}")


def _renamed(row: dict[str, Any], columns: Mapping[str, str], where: str) -> dict[str, Any]:
    taken = {ours: _column(row, theirs, where) for ours, theirs in columns.items()}
    return {**{name: value for name, value in row.items() if name not in set(columns.values())}, **taken}


def _column(row: dict[str, Any], name: str, where: str) -> Any:
    """The value under that name; a dot in it reaches into an object, where no column has the whole name."""
    value: Any = row
    for part in [name] if name in row else name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise UserError(f"{where}: no column {name!r}; this row has {', '.join(map(str, row))}")
        value = value[part]
    return value


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise UserError(f"{path}: another process is writing here; wait for it or stop it") from None


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _empty(folder: Path, but: str | None) -> None:
    for entry in folder.iterdir():
        if entry.name != but:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
