"""The engine process: seeds, swapped weights, prompts that do not fit, and a death with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.rows import messages
from r1rewards.llm import Completion, Request, Sampling
from r1rewards.llm.engine import Connection, Engine

MAX_LENGTH = 96


def requests(count: int = 8) -> list[Request]:
    """Conversations of different lengths, each with a seed of its own, at temperature 1."""
    return [
        Request(
            messages("What is 2 + 2? " * (1 + n % 3)),
            Sampling(temperature=1.0, top_p=1.0 if n % 2 else 0.9, max_tokens=10 + n, seed=1000 + n),
        )
        for n in range(count)
    ]


def answers(engine: Engine, asked: list[Request]) -> list[Completion]:
    found = dict(engine.generate(asked))
    assert sorted(found) == list(range(len(asked)))
    return [found[index] for index in range(len(asked))]


def make_engine(model: Path, folder: Path, backend: str) -> Engine:
    return Engine(
        model, log=folder / "engine.log", backend=backend, max_length=MAX_LENGTH, max_batch=4, dtype="float32"
    )


@pytest.fixture(scope="module", params=["transformers", "vllm"])
def engine(
    request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    if request.param == "vllm":
        pytest.importorskip("vllm", reason="vLLM is not installed", exc_type=ImportError)
    with make_engine(tiny_model, tmp_path_factory.mktemp("engine"), request.param) as running:
        yield running


@pytest.mark.slow
def test_loaded_weights_sample_as_a_fresh_engine_does(
    engine: Engine, make_model: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    """Tied embeddings too: an engine that keeps a copy of the old ones gives other tokens."""
    other = make_model(1)
    assert engine.fits(other)
    before = answers(engine, requests())
    engine.load(other)
    loaded = answers(engine, requests())
    engine.load(tiny_model)
    assert answers(engine, requests()) == before
    with make_engine(other, tmp_path, engine.backend) as fresh:
        assert loaded == answers(fresh, requests())
    assert loaded != before


@pytest.mark.slow
def test_a_seed_fixes_a_completion_whatever_else_is_asked(engine: Engine) -> None:
    asked = requests()
    together = answers(engine, asked)
    assert answers(engine, asked[::-1])[::-1] == together
    assert [answers(engine, [one])[0] for one in asked[:3]] == together[:3]
    assert len({answer.token_ids for answer in together}) == len(together)
    for one, answer in zip(asked, together, strict=True):
        assert answer.finish_reason in ("stop", "length") and answer.prompt_tokens > 0
        assert len(answer.token_ids) <= one.sampling.max_tokens
        assert answer.finish_reason == "stop" or len(answer.token_ids) == one.sampling.max_tokens


@pytest.mark.slow
def test_a_prompt_that_does_not_fit_is_told_and_the_others_are_served(engine: Engine) -> None:
    fine = requests(4)
    huge = Request([5] * (MAX_LENGTH + 1), Sampling(max_tokens=4, seed=1))
    found = answers(engine, [fine[0], huge, *fine[1:]])
    assert found[1] == Completion("", (), "prompt_too_long", MAX_LENGTH + 1)
    assert [found[0], *found[2:]] == answers(engine, fine)


@pytest.mark.slow
def test_prompt_and_completion_together_end_at_the_longest_length(engine: Engine) -> None:
    prompt = [5] * (MAX_LENGTH - 6)
    [answer] = answers(engine, [Request(prompt, Sampling(temperature=0.0, max_tokens=50, seed=1))])
    assert len(answer.token_ids) <= 6
    assert answer.finish_reason == ("length" if len(answer.token_ids) == 6 else "stop")


@pytest.mark.slow
def test_a_second_process_joins_by_the_address(engine: Engine) -> None:
    connection = Connection(engine.address)
    assert dict(connection.generate(requests(2))) == dict(engine.generate(requests(2)))
    connection.close()


@pytest.mark.slow
def test_who_leaves_in_the_middle_leaves_nothing_behind(engine: Engine) -> None:
    """What was asked and not waited for is no part of the next answer."""
    asked = requests(12)
    expected = answers(engine, asked[:3])
    leaving = Connection(engine.address)
    started = leaving.generate(asked[::-1])
    next(started)
    started.close()
    assert answers(engine, asked[:3]) == expected


PARENT = """
import sys, time
from pathlib import Path
from r1rewards.llm.engine import Engine
engine = Engine(Path(sys.argv[1]), log=Path(sys.argv[2]), backend="transformers", dtype="float32")
engine.address
print(engine._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_the_engine_dies_with_its_parent(tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tiny_model), str(tmp_path / "engine.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
    for _ in range(300):
        if not alive(child):
            return
        time.sleep(0.1)
    raise AssertionError("the engine outlived its parent")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.slow
def test_a_model_that_cannot_be_read_is_one_sentence_with_the_log(tiny_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_model.iterdir():
        if file.suffix != ".safetensors":
            (broken / file.name).write_bytes(file.read_bytes())
    with make_engine(broken, tmp_path, "transformers") as engine, pytest.raises(UserError) as told:
        next(engine.generate(requests(1)))
    assert str(tmp_path / "engine.log") in str(told.value) and "\n" not in str(told.value)


def test_no_model_no_backend_no_memory(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        Engine(tmp_path, log=tmp_path / "log")
    with pytest.raises(UserError, match="no generation backend 'vlm'"):
        Engine(tiny_model, log=tmp_path / "log", backend="vlm")
    greedy = Engine(tiny_model, log=tmp_path / "log", backend="transformers", memory_gb=1e6)
    with pytest.raises(UserError, match=r"no memory for the generation engine.*lower engine\.memory_gb"):
        greedy.start()
    assert not (tmp_path / "log").exists()


def test_other_shapes_do_not_fit(tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    config = (tiny_model / "config.json").read_text()
    (other / "config.json").write_text(config.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    engine = Engine(tiny_model, log=tmp_path / "log", backend="transformers")
    assert engine.fits(tiny_model)
    assert not engine.fits(other)
