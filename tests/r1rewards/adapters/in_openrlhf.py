"""What OpenRLHF itself makes of r1rewards' adapter: its executor, its experience, its advantages.

    .backends/openrlhf/bin/python tests/r1rewards/adapters/in_openrlhf.py REMOTE_URL

REMOTE_URL is a Python file with a `reward_func`, or a server. Prints one JSON object. What OpenRLHF needs a
GPU for (vLLM, DeepSpeed, ...) is absent, and never called.
"""

from __future__ import annotations

import asyncio
import importlib.abc
import importlib.machinery
import json
import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

ABSENT = (
    "vllm",
    "peft",
    "deepspeed",
    "flash_attn",
    "optimum",
    "bitsandbytes",
    "ring_flash_attn",
    "torchdata",
)


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets modules that are not there be imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        absent = name.partition(".")[0] in (*ABSENT, "accelerate")
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if absent else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        module = MagicMock(name=spec.name)
        module.__path__, module.__version__ = [], "0.29.0"
        return module

    def exec_module(self, module: Any) -> None:
        pass


sys.meta_path.append(Absent())

import torch  # noqa: E402
from openrlhf.trainer.ppo_utils.experience_maker import RemoteExperienceMaker  # noqa: E402
from openrlhf.trainer.ppo_utils.samples_generator import SamplesGenerator  # noqa: E402
from openrlhf.utils.agent import SingleTurnAgentExecutor  # noqa: E402

PROMPT = "<|im_start|>user\ntwo and two?<|im_end|>\n<|im_start|>assistant\n"
RESPONSES = [
    "<think>sum</think><answer>4</answer>",
    "<think>sum</think><answer>5</answer>",
    "it is 4",
    "fail",
]


class Letters:
    """A tokenizer with a token for each character; 0 ends the turn and is decoded as such."""

    def __call__(self, text: str, **_: Any) -> dict[str, Any]:
        return {"input_ids": torch.tensor([[ord(letter) for letter in text]])}

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return "".join(chr(i) if i else "" if skip_special_tokens else "<|im_end|>" for i in ids)


class Engine:
    """Generates one given response."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def generate(self, *_: Any, **__: Any) -> Any:
        tokens = [*map(ord, self.text), 0]
        output = SimpleNamespace(token_ids=tokens, finish_reason="stop", logprobs=None, text=self.text)
        return SimpleNamespace(outputs=[output])


async def main(url: str) -> dict[str, Any]:
    executor, sampling = SingleTurnAgentExecutor(url), SimpleNamespace(max_tokens=100, logprobs=None)
    rollouts = [
        await executor.execute(PROMPT, "4", sampling, 1000, Letters(), Engine(text)) for text in RESPONSES
    ]
    failed = [number for number, rollout in enumerate(rollouts) if rollout["reward"] is None]
    if failed:
        return {"failed": failed}
    generator = object.__new__(SamplesGenerator)
    experiences = [generator._process_response_into_experience(rollout, max_len=1000) for rollout in rollouts]
    for index, experience in enumerate(experiences):
        experience.index = [index]
        experience.kl = torch.zeros_like(experience.action_mask, dtype=torch.float32)
    maker = object.__new__(RemoteExperienceMaker)
    maker.advantage_estimator, maker.kl_ctl = "group_norm", SimpleNamespace(value=0.0)
    maker.strategy = SimpleNamespace(
        args=SimpleNamespace(
            rollout=SimpleNamespace(n_samples_per_prompt=len(RESPONSES)),
            reward=SimpleNamespace(clip_range=None),
            algo=SimpleNamespace(advantage=SimpleNamespace(estimator="group_norm", gamma=1.0)),
        )
    )
    for experience in maker.compute_advantages_and_returns(experiences):
        assert experience.advantages.shape == experience.action_mask.shape
    return {
        "rewards": [experience.rewards.flatten().tolist() for experience in experiences],
        "scores": [experience.scores[0].item() for experience in experiences],
        "logs": [sorted(set(experience.info) & {"math", "format"}) for experience in experiences],
        "advantages": [experience.advantages[0, -1].item() for experience in experiences],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1]))))
