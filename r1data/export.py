"""Curated rows in the forms that trainers read.

    messages            {"messages": [...]}                           TRL, conversational
    prompt-completion   {"prompt": [...], "completion": [...]}        TRL, loss on the completion only
    prompt              {"prompt": [...], "task", "reference", ...}   TRL, for GRPO with r1rewards.trl
    sharegpt            {"conversations": [{"from", "value"}]}        ShareGPT, LLaMA-Factory, Axolotl
    verl                {"data_source", "prompt", "reward_model"}     verl's Parquet

Every row carries its uid (its id where it has no response), so that `r1data why` finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.flat import flat_row
from r1rewards.core.errors import UserError
from r1rewards.core.formats import dump_json
from r1rewards.core.parquet import CHUNK_ROWS
from r1rewards.core.settings import suggest
from r1rewards.core.store import numbered_rows, replacing, write_rows
from r1rewards.core.template import Template

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
_SHAREGPT_ROLES = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}


def export(
    path: str | Path, out: str | Path, *, form: str = "messages", template: Template | None = None
) -> int:
    """Write the rows of a curated file to `out` (.jsonl or .parquet) in that form and return their number.

    template  puts the instruction that asks for its layout in front of every prompt
    """
    if form not in FORMS:
        raise UserError(f"there is no export form {form!r}{suggest(form, FORMS)}")
    convert, needs_text = FORMS[form]
    out = Path(out)
    if form == "verl" and out.suffix != ".parquet":
        raise UserError(f"{out}: verl reads Parquet; name the file .parquet")

    def rows() -> Iterator[dict[str, Any]]:
        for where, row in numbered_rows(path):
            flat = flat_row(row, where)
            if needs_text and "text" not in flat:
                raise UserError(f"{where}: there is no response in this row, and {form} needs one")
            if template is not None:
                thinking = flat.get("thinking") != "none"
                flat["prompt"] = template.ask(flat["prompt"], flat["language"], thinking=thinking)
            yield {**convert(flat), "uid": flat.get("uid") or flat["id"]}

    if out.suffix != ".parquet":
        return write_rows(out, rows())
    with replacing(out) as part:
        return _write_native(part, rows(), _schema(form))


def push(file: str | Path, name: str, *, card: str | Path | None = None, private: bool = True) -> str:
    """Upload an exported file to a data set of the Hugging Face hub, made if it is not there; its address.

    name     owner/name
    card     the file that becomes the data set's README.md
    private  whether a new data set is
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    file, api = Path(file), HfApi()
    uploads = {f"data/train{file.suffix}": file, **({"README.md": Path(card)} if card else {})}
    for one in uploads.values():
        if not one.is_file():
            raise UserError(f"there is no file {one}; check the path")
    try:
        address = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        for path, one in uploads.items():
            api.upload_file(path_or_fileobj=one, path_in_repo=path, repo_id=name, repo_type="dataset")
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{file} was written but not pushed to {name!r} ({reason})") from None
    return str(address)


def _messages(row: Row) -> dict[str, Any]:
    return {"messages": [*row["prompt"], {"role": "assistant", "content": row["text"]}]}


def _prompt_completion(row: Row) -> dict[str, Any]:
    return {"prompt": row["prompt"], "completion": [{"role": "assistant", "content": row["text"]}]}


def _prompt(row: Row) -> dict[str, Any]:
    kept = {name: row[name] for name in ("id", "task", "domain", "language")}
    return {"prompt": row["prompt"], **kept, "reference": _reference(row)}


def _sharegpt(row: Row) -> dict[str, Any]:
    turns = _messages(row)["messages"]
    return {
        "conversations": [
            {"from": _SHAREGPT_ROLES.get(t["role"], t["role"]), "value": t["content"]} for t in turns
        ]
    }


def _verl(row: Row) -> dict[str, Any]:
    return {
        "data_source": row["source"] or row["domain"],
        "prompt": row["prompt"],
        "ability": row["domain"],
        "reward_model": {"style": "rule", "ground_truth": _reference(row)},
        "extra_info": {name: row[name] for name in ("id", "task", "language")},
    }


#: Each form: how a row becomes one, and whether that needs a response.
FORMS: dict[str, tuple[Callable[[Row], dict[str, Any]], bool]] = {
    "messages": (_messages, True),
    "prompt-completion": (_prompt_completion, True),
    "prompt": (_prompt, False),
    "sharegpt": (_sharegpt, True),
    "verl": (_verl, False),
}


def _reference(row: Row) -> str:
    """The reference as text: objects (tests, puzzles) as JSON."""
    reference = row["reference"]
    if reference is None:
        return ""
    return reference if isinstance(reference, str) else dump_json(reference).decode()


def _schema(form: str) -> pa.Schema:
    """The types of a form in Parquet: structs and lists as trainers expect them, not JSON text."""
    import pyarrow as pa

    def texts(*names: str) -> list[tuple[str, pa.DataType]]:
        return [(name, pa.string()) for name in names]

    turns = pa.list_(pa.struct(texts("role", "content")))
    fields: dict[str, list[tuple[str, pa.DataType]]] = {
        "messages": [("messages", turns)],
        "prompt-completion": [("prompt", turns), ("completion", turns)],
        "prompt": [("prompt", turns), *texts("id", "task", "domain", "language", "reference")],
        "sharegpt": [("conversations", pa.list_(pa.struct(texts("from", "value"))))],
        "verl": [
            *texts("data_source"),
            ("prompt", turns),
            *texts("ability"),
            ("reward_model", pa.struct(texts("style", "ground_truth"))),
            ("extra_info", pa.struct(texts("id", "task", "language"))),
        ],
    }
    return pa.schema([*fields[form], ("uid", pa.string())])


def _write_native(path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    iterator = iter(rows)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while chunk := list(islice(iterator, CHUNK_ROWS)):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
            count += len(chunk)
    return count
