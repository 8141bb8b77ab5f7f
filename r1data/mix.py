"""Mix rows by quota: so many of each domain, never the same row twice, shortfalls said aloud.

A quota file names shares and the domains that fill each; two are shipped in `quotas/`: `seed` (600k reasoning
to 200k general, the default) and `paper` (the table of DeepSeek-R1's supplement, arXiv 2501.12948).

    name: seed
    shares:
      reasoning: {samples: 600000, domains: [math, code, stem, logic]}
      general:   {samples: 200000}            # one share may take every domain that no other names

Within a share the rows are taken in the order of the hash of their uid with the seed, so the choice does not
depend on the order of the rows, and a larger total keeps what a smaller one chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from r1data.flat import uid_hash
from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.table import Rows, Table
from r1rewards.core.errors import UserError
from r1rewards.core.settings import check_settings, read_yaml, suggest

if TYPE_CHECKING:
    import polars as pl

_FOLDER = Path(__file__).parent / "quotas"


class Share(BaseModel):
    """One line of a quota file; `domains` None takes all that no other share names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(ge=0)
    domains: list[str] | None = None


class Quotas(BaseModel):
    """A whole quota file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    shares: dict[str, Share] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_share_per_domain(self) -> Quotas:
        named = [domain for share in self.shares.values() for domain in share.domains or ()]
        twice = sorted({domain for domain in named if named.count(domain) > 1})
        if twice:
            raise ValueError(f"the domain {twice[0]!r} is in two shares")
        if sum(share.domains is None for share in self.shares.values()) > 1:
            raise ValueError("only one share may leave its domains out")
        if not sum(share.samples for share in self.shares.values()):
            raise ValueError("the shares ask for no samples")
        return self

    def share_of(self, domain: str) -> str | None:
        """The share that a domain fills."""
        rest = None
        for name, share in self.shares.items():
            if share.domains is None:
                rest = name
            elif domain in share.domains:
                return name
        return rest

    def scaled(self, total: int) -> dict[str, int]:
        """The samples of each share when there are `total` in all, rounded by largest remainder."""
        whole = sum(share.samples for share in self.shares.values())
        exact = {name: Fraction(share.samples * total, whole) for name, share in self.shares.items()}
        counts = {name: int(value) for name, value in exact.items()}
        by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
        for name in by_remainder[: total - sum(counts.values())]:
            counts[name] += 1
        return counts


def load_quotas(quotas: str | Path | Mapping[str, Any]) -> Quotas:
    """Shipped quotas by name, those of a YAML file, or those given as a mapping."""
    if isinstance(quotas, Mapping):
        return check_settings(Quotas, quotas, "the quotas")
    path = Path(quotas)
    shipped = sorted(one.stem for one in _FOLDER.glob("*.yaml"))
    if str(quotas) in shipped:
        path = _FOLDER / f"{quotas}.yaml"
    elif path.suffix not in (".yaml", ".yml"):
        raise UserError(f"there are no quotas {str(quotas)!r}{suggest(str(quotas), shipped)}")
    return check_settings(Quotas, read_yaml(path), str(path))


def mix(
    rows: Rows | Sequence[str | Path],
    out: str | Path,
    *,
    quotas: str | Path | Mapping[str, Any] = "seed",
    total: int | Literal["fit"] | None = None,
    strict: bool = False,
    seed: int = 0,
    **reading: Any,
) -> dict[str, Any]:
    """Choose rows by quota into the folder `out` and return the counts, with `shares`: wanted, had and kept.

    rows    one file or several
    total   how many samples in all; None means what the quota file says, "fit" the largest number that keeps
            the proportions with the rows that there are
    strict  a shortfall is an error instead of a number in the counts

    Rows are never repeated to fill a share.
    """
    chosen = load_quotas(quotas)
    if isinstance(total, int) and total < 1:
        raise UserError(f"the total is {total}; mix at least one sample")
    shares: dict[str, dict[str, int]] = {}

    def decide(table: Table) -> pl.DataFrame:
        frame, found = _decide(table, chosen, total, seed)
        shares.update(found)
        short = {name: one for name, one in found.items() if one["kept"] < one["wanted"]}
        if strict and short:
            name, one = next(iter(short.items()))
            raise UserError(
                f"the share {name!r} wants {one['wanted']} samples and there are {one['had']}; "
                "lower the total, use total=fit, or add rows"
            )
        return frame

    config = {"quotas": chosen.model_dump(), "total": total, "strict": strict, "seed": seed}
    return run_step("mix", rows, out, decide, config=config, report=lambda: {"shares": shares}, **reading)


def _decide(
    table: Table, quotas: Quotas, total: int | Literal["fit"] | None, seed: int
) -> tuple[pl.DataFrame, dict[str, dict[str, int]]]:
    import polars as pl

    share_of = {domain: quotas.share_of(domain) for domain in table.keys["domain"].unique()}
    hashes = [uid_hash(uid, seed) for uid in table.keys["uid"]]
    keys = table.keys.select(
        "index",
        fresh=~pl.col("repeated"),
        share=pl.col("domain").replace_strict(share_of, return_dtype=pl.String),
        hash=pl.Series(hashes, dtype=pl.UInt64),
    )
    had = dict(keys.filter("fresh")["share"].drop_nulls().value_counts().iter_rows())
    wanted = quotas.scaled(_total(quotas, total, had))
    place = (
        keys.filter("fresh").sort("hash", "index").select("index", place=pl.int_range(pl.len()).over("share"))
    )
    keys = keys.join(place, on="index", how="left").sort("index")
    quota = pl.col("share").replace_strict(wanted, default=0, return_dtype=pl.Int64)
    kept = (pl.col("place") < quota).fill_null(False) & pl.col("share").is_not_null()
    frame = keys.select(
        fate=pl.when(kept).then(pl.lit(KEPT)).otherwise(pl.lit(DROPPED)),
        rule=pl.when(pl.col("share").is_null())
        .then(pl.lit("no_share"))
        .when(~kept)
        .then(pl.lit("over_quota")),
        threshold=pl.when(~kept).then(quota.cast(pl.Float64)),
        match=pl.col("share"),
    )
    shares = {
        name: {"wanted": count, "had": had.get(name, 0), "kept": min(count, had.get(name, 0))}
        for name, count in wanted.items()
    }
    return fates(table, **{name: frame[name] for name in frame.columns}), shares


def _total(quotas: Quotas, total: int | Literal["fit"] | None, had: Mapping[str, int]) -> int:
    asked = sum(share.samples for share in quotas.shares.values())
    if total is None:
        return asked
    if total != "fit":
        return total
    fits = min(
        Fraction(had.get(name, 0) * asked, one.samples) for name, one in quotas.shares.items() if one.samples
    )
    low = int(fits)
    while low and any(count > had.get(name, 0) for name, count in quotas.scaled(low).items()):
        low -= 1
    if not low:
        empty = next(name for name, one in quotas.shares.items() if one.samples and not had.get(name))
        raise UserError(
            f"no total fits: there are no rows for the share {empty!r}; add some or change the quotas"
        )
    return low
