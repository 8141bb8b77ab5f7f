"""TRL's adapter: its translation, and what TRL's own trainer makes of a row without a total."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import r1rewards
from r1rewards.component import Component
from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.template import get_template
from r1rewards.core.verdict import Verdict
from r1rewards.score import group_advantages
from r1rewards.score_file import Source, score_file
from r1rewards.spec import ErrorSettings, Spec

TEMPLATE = get_template("think-answer")


class Matches(Reward):
    """Whether the reference stands in the answer; fails where the reference says so."""

    tasks = frozenset({"math"})

    def check(self, sample: Sample) -> Verdict:
        if sample.reference == "fail":
            raise GraderError("told to fail")
        return Verdict.of(sample.reference in sample.trace.answer, "looked for it")


class WellFormed(Reward):
    def check(self, sample: Sample) -> Verdict:
        return Verdict.of(sample.trace.well_formed, "looked at the tags")


def small_spec(*more: Component) -> Spec:
    components = [Component("match", Matches()), Component("form", WellFormed()), *more]
    return Spec(components, TEMPLATE, on_error=ErrorSettings(retries=0))


GOOD = "<think>t</think><answer>4</answer>"


def test_strings_and_message_lists_are_scored_alike() -> None:
    reward = r1rewards.trl(small_spec())
    columns = {"task": ["math"] * 3, "reference": ["4", "5", "fail"]}
    as_text = reward(prompts=["2+2?"] * 3, completions=[GOOD] * 3, **columns)
    prompt = [{"role": "user", "content": "2+2?"}]
    as_messages = reward(
        prompts=[prompt] * 3, completions=[[{"role": "assistant", "content": GOOD}]] * 3, **columns
    )
    assert as_text == as_messages == [2.0, 1.0, None]


def test_columns_of_other_names_and_one_task_for_all() -> None:
    reward = r1rewards.trl(small_spec(), columns={"reference": "ground_truth"}, task="math")
    assert reward(prompts=["?"], completions=[GOOD], ground_truth=["4"], reference=["5"]) == [2.0]


def test_components_are_reported_as_metrics_and_columns() -> None:
    metrics: dict[str, float] = {}
    extra: dict[str, list[Any]] = {}
    reward = r1rewards.trl(small_spec())
    reward(
        prompts=["?"] * 4,
        completions=[GOOD, GOOD, "no tags", GOOD],
        task=["math", "math", "math", "general"],
        reference=["4", "fail", "4", None],
        log_metric=metrics.__setitem__,
        log_extra=extra.__setitem__,
    )
    assert metrics == {
        "rewards/match/mean": 0.5,  # of the two rows with a value
        "rewards/match/abstained": 0.0,
        "rewards/match/errors": pytest.approx(1 / 3),
        "rewards/form/mean": 0.75,
        "rewards/form/abstained": 0.0,
        "rewards/form/errors": 0.0,
        "rewards/without_total": 0.25,
    }
    assert extra["match"] == [1.0, None, 0.0, None]
    assert extra["why_no_total"] == ["", "match: told to fail", "", ""]


def test_phases_follow_the_trainers_step() -> None:
    class State:
        global_step = 5

    late = Component("late", WellFormed(), from_step=6)
    reward = r1rewards.trl(small_spec(late))
    call: dict[str, Any] = {"prompts": ["?"], "completions": [GOOD], "task": ["general"]}
    state = State()
    assert reward(**call, trainer_state=state) == [1.0]
    state.global_step = 6
    assert reward(**call, trainer_state=state) == [2.0]


# ---- TRL's own trainer ----------------------------------------------------------------------------------


class Scripted(Reward):
    """Rewards by reference, one after the other within the group: numbers, `error` or `abstain`."""

    def __init__(self) -> None:
        self.calls: dict[str, Iterator[str]] = {}

    def check_many(self, samples: Any) -> list[Verdict]:
        return [self._say(sample) for sample in samples]

    def _say(self, sample: Sample) -> Verdict:
        word = next(self.calls.setdefault(sample.reference, iter(sample.reference.split())))
        if word == "error":
            return Verdict.error("told to fail")
        return Verdict.abstain("told to") if word == "abstain" else Verdict.of(float(word), "told to")


GROUPS: dict[str, tuple[str, list[float | None]]] = {
    "mixed": ("1 0 error 0.5", [1.0, 0.0, None, 0.5]),
    "one known": ("error 1 abstain error", [None, 1.0, None, None]),
    "none known": ("error error error error", [None] * 4),
    "all equal": ("1 1 error 1", [1.0, 1.0, None, 1.0]),
    "whole": ("1 0 0 0", [1.0, 0.0, 0.0, 0.0]),
}


def config_on_the_cpu(out: str, **settings: Any) -> Any:
    """TRL's settings for a short training in groups of four that leaves nothing but what it logs."""
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=out,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        num_generations=4,
        report_to=[],
        save_strategy="no",
        **settings,
    )


def tiny_model(folder: Path) -> Path:
    """A random Llama of a few thousand parameters with a tokenizer of single letters."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz 0123456789<>/?"
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", "<unk>", *letters])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m.role[0] }} {{ m.content }} {% endfor %}"
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(
        vocab_size=len(vocabulary), pad_token_id=0, eos_token_id=1, bos_token_id=None, **size
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("conversational", [False, True])
@pytest.mark.parametrize("scale", ["group", "none"])
def test_trl_gives_a_row_without_a_total_no_advantage_and_no_say(
    tmp_path: Path, conversational: bool, scale: str
) -> None:
    from datasets import Dataset
    from trl import GRPOTrainer

    ask = (lambda text: [{"role": "user", "content": text}]) if conversational else (lambda text: text)
    rows = [
        {"prompt": ask(f"q {n}"), "task": "general", "reference": script}
        for n, (script, _) in enumerate(GROUPS.values())
    ]
    spec = Spec(
        [Component("scripted", Scripted(), required=True)], TEMPLATE, on_error=ErrorSettings(retries=0)
    )
    seen: dict[str, Any] = {}

    class Watched(GRPOTrainer):  # type: ignore[misc]
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            out = super()._generate_and_score_completions(inputs)
            seen["references"] = [row["reference"] for row in inputs]
            seen["advantages"] = out["advantages"].tolist()
            seen["metrics"] = {name: values[-1] for name, values in self._metrics["train"].items()}
            return out

    trainer = Watched(
        model=str(tiny_model(tmp_path / "model")),
        reward_funcs=r1rewards.trl(spec),
        train_dataset=Dataset.from_list(rows),
        args=config_on_the_cpu(
            str(tmp_path / "out"),
            per_device_train_batch_size=20,
            max_completion_length=4,
            max_steps=1,
            beta=0.0,
            scale_rewards=scale,
            logging_steps=1,
            log_completions=conversational,
            seed=0,
        ),
    )
    trainer.train()

    wanted: dict[str, list[float | None]] = dict(GROUPS.values())
    totals = [total for reference in seen["references"][::4] for total in wanted[reference]]
    expected = group_advantages(totals, 4, scale=scale == "group")
    assert seen["advantages"] == pytest.approx(expected, abs=1e-5)
    assert [a for a, total in zip(seen["advantages"], totals, strict=True) if total is None] == [0.0] * 9
    known = [total for total in totals if total is not None]
    assert seen["metrics"]["reward"] == pytest.approx(sum(known) / len(known))
    assert seen["metrics"]["rewards/scripted/mean"] == pytest.approx(sum(known) / len(known))
    assert seen["metrics"]["rewards/without_total"] == pytest.approx(9 / 20)
    assert seen["metrics"]["rewards/total/mean"] == seen["metrics"]["reward"]


@pytest.mark.slow
def test_a_step_without_any_total_moves_no_weight(tmp_path: Path) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import GRPOTrainer

    folder = tiny_model(tmp_path / "model")
    spec = Spec([Component("scripted", Scripted())], TEMPLATE, on_error=ErrorSettings(retries=0))
    rows = [{"prompt": "q", "task": "general", "reference": "error error error error"}]
    arguments = config_on_the_cpu(
        str(tmp_path / "out"),
        per_device_train_batch_size=4,
        max_completion_length=4,
        max_steps=1,
        beta=0.0,
        weight_decay=0.0,
    )
    trainer = GRPOTrainer(
        model=str(folder),
        reward_funcs=r1rewards.trl(spec),
        train_dataset=Dataset.from_list(rows),
        args=arguments,
    )
    trainer.train()
    before = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    for name, weight in trainer.model.state_dict().items():
        assert torch.equal(weight, before[name]), name


@pytest.mark.slow
def test_the_three_lines_that_the_readme_opens_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They train, as they stand there; and what TRL dumps of it can be scored again."""
    from datasets import Dataset
    from trl import GRPOTrainer

    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    lines = readme.partition("```python\n")[2].partition("```")[0]
    assert len(lines.splitlines()) == 3
    assert len(readme.partition("```python\n")[0].splitlines()) < 12
    (tmp_path / "rewards.yaml").write_text("rewards: {math: {required: true}, format: {}}")
    monkeypatch.chdir(tmp_path)
    asked = [{"prompt": f"what is {n} + {n}?", "answer": str(2 * n)} for n in range(4)]
    config = config_on_the_cpu(
        "out",
        per_device_train_batch_size=8,
        max_completion_length=8,
        max_steps=2,
        logging_steps=1,
        log_completions=True,
    )
    names: dict[str, Any] = {
        "GRPOTrainer": GRPOTrainer,
        "model": str(tiny_model(tmp_path / "model")),
        "config": config,
        "dataset": Dataset.from_list(asked),
    }
    exec(lines, names)
    names["trainer"].train()
    history = [entry for entry in names["trainer"].state.log_history if "reward" in entry]
    assert len(history) == 2
    assert {"rewards/math/mean", "rewards/format/mean"} <= set(history[0])

    problems = [
        {"id": p["prompt"], "task": "math", "prompt": p["prompt"], "reference": p["answer"]} for p in asked
    ]
    write_rows("problems.jsonl", problems)
    source = Source(Path("out/completions"), Path("problems.jsonl"), {"response": "completion"})
    score_file(source, "rewards.yaml", "again.jsonl")
    again = list(read_rows("again.jsonl"))
    assert [row["step"] for row in again] == [1] * 8 + [2] * 8
    assert [row["reward"] for row in again] == [row["total"] for row in again]


@pytest.mark.slow
def test_the_script_of_the_documents_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/your-own-trainer.md, with a tiny model in place of the one that it names."""
    from r1data.export import export
    from r1data.sources import load_source

    document = (Path(__file__).parents[3] / "docs/your-own-trainer.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    Path("rewards.yaml").write_text(document.partition("```yaml\n")[2].partition("```")[0])
    write_rows("problems.parquet", load_source("arithmetic", count=8, seed=0, language="en"))
    export("problems.parquet", "trl.parquet", form="prompt", template=TEMPLATE)
    script = document.partition("```python\n")[2].partition("```")[0]
    named = "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert named in script
    names: dict[str, Any] = {}
    exec(script.replace(named, str(tiny_model(tmp_path / "model"))), names)
    history = [entry for entry in names["trainer"].state.log_history if "reward" in entry]
    assert len(history) == 2
    assert {"rewards/math/mean", "rewards/format/mean", "rewards/language/abstained"} <= set(history[0])
