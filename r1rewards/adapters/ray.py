"""A Ray cluster that grades: `r1rewards score --ray ADDRESS`.

The driver reads the rows and writes the shards; Ray Data spreads the shards between over the cluster, whose
nodes need r1kit and see neither input, output nor spec file. A task that dies with its node is run again by
Ray on another one, and what it had answered is asked again, so that a lost node costs time and no row. Where
the driver itself dies, the same command goes on with the shards that are missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from r1rewards.core.errors import UserError
from r1rewards.core.formats import dump_json, load_json
from r1rewards.core.settings import read_yaml
from r1rewards.spec import Spec, load_spec
from r1rewards.summary import Summary

if TYPE_CHECKING:
    from r1rewards.score_file import Job, Placed

#: Shards in the cluster's memory at a time, for each of its processors.
_SHARDS_A_CPU = 8


def on_ray(job: Job, shards: Iterable[tuple[int, list[Placed]]], address: str) -> Iterator[Summary]:
    """What each shard comes to, in order; `address` as `ray.init` takes it, "local" starts a cluster here."""
    try:
        import ray
    except ImportError:
        raise UserError("--ray needs the extra `ray`: pip install 'r1kit[ray]'") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level="warning")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"there is no Ray cluster at {address!r}: {str(error).splitlines()[0]}") from None
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        at_once = max(16, _SHARDS_A_CPU * int(ray.cluster_resources().get("CPU", 1)))
        spec = json.dumps([read_yaml(job.spec), job.variables])
        shards = iter(shards)
        while window := list(islice(shards, at_once)):
            yield from _window(job, spec, window)
    except ray.exceptions.RayError as error:
        raise _told(error) from error
    finally:
        ray.shutdown()


def _window(job: Job, spec: str, window: Sequence[tuple[int, list[Placed]]]) -> Iterator[Summary]:
    """Grade some shards; the first ones are told of while later ones are at work."""
    import ray

    from r1rewards.score_file import summary_of

    asked = [{"number": number, "rows": dump_json(rows)} for number, rows in window if not job.has(number)]
    ready: dict[int, Summary] = {number: job.earlier(number) for number, _ in window if job.has(number)}
    waiting = [number for number, _ in window]
    if asked:
        data = ray.data.from_items(asked, override_num_blocks=len(asked))
        data = data.map(_graded, fn_kwargs={"spec": spec})
        for answer in data.iter_rows():
            rows = load_json(answer["scored"])
            ready[answer["number"]] = summary_of(rows)
            if job.shards is not None:
                job.shards.write(answer["number"], rows)
            while waiting and waiting[0] in ready:
                yield ready.pop(waiting.pop(0))
    for number in waiting:
        yield ready.pop(number)


def _graded(shard: Mapping[str, Any], spec: str) -> dict[str, Any]:
    """A shard's scored rows; runs on a node of the cluster."""
    from r1rewards.score_file import grade_rows

    rows = [(where, row, flat) for where, row, flat in load_json(shard["rows"])]
    scored, _ = grade_rows(_loaded(spec), rows)
    return {"number": shard["number"], "scored": dump_json(scored)}


@lru_cache(maxsize=1)
def _loaded(spec: str) -> Spec:
    """The spec, once for each process of the cluster."""
    settings, variables = json.loads(spec)
    return load_spec(settings, variables=variables)


def _told(error: BaseException) -> UserError:
    """The sentence of what went wrong on a node."""
    cause: BaseException | None = error
    while cause is not None:
        inner = getattr(cause, "cause", None)
        for found in (cause, inner):
            if isinstance(found, UserError):
                return UserError(str(found))
        cause = cause.__cause__
    first = str(error).strip().splitlines()[-1]
    return UserError(f"the Ray cluster could not go on ({first}); the same command goes on where it stopped")
