"""What verl 0.9.1 itself makes of our launches: its Hydra composition, its checks, its loaders, its loss.

    .backends/verl/bin/python tests/r1train/backends/verl/in_verl.py LAUNCHES.json FOLDER

Prints one JSON object. It runs in verl's environment, on the CPU, and trains nothing.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
import verl
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl.trainer.ppo.checkpoint_callback import build_checkpoint_callback
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage
from verl.utils.config import omega_conf_to_dataclass, validate_config
from verl.utils.import_utils import load_extern_object

CONFIG = {"verl.trainer.main_ppo": "ppo_trainer", "verl.trainer.sft_trainer_ray": "sft_trainer_engine"}


def composed(argv: list[str]) -> tuple[str, Any]:
    """The configuration that a command's overrides make, by verl's own files."""
    module = next(word for word in argv if word in CONFIG)
    folder = str(Path(verl.__file__).parent / "trainer" / "config")
    with initialize_config_dir(config_dir=folder, version_base=None):
        return module, compose(CONFIG[module], overrides=argv[argv.index(module) + 1 :])


def loss(config: Any, rows: list[dict[str, list[float]]]) -> dict[str, Any]:
    """verl's own actor loss of rows with all log-probabilities given, and its gradient by row and token."""
    from verl.workers.utils import losses

    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    width = max(len(row["new"]) for row in rows)

    def table(name: str) -> torch.Tensor:
        return torch.tensor([row[name] + [0.0] * (width - len(row[name])) for row in rows])

    new = table("new").requires_grad_()
    mask = torch.tensor([[1] * len(row["new"]) + [0] * (width - len(row["new"])) for row in rows]).bool()
    losses.no_padding_2_padding = lambda values, data: values
    data = _Padded(
        {
            "response_mask": mask,
            "old_log_probs": table("old"),
            "ref_log_prob": table("ref"),
            "advantages": table("advantage"),
        }
    )
    total, _ = losses.ppo_loss(actor, {"log_probs": new}, data)
    total.backward()
    gradient = [[float(value) for value in row] for row in new.grad]
    return {"loss": float(total.detach()), "gradient": gradient}


class _Padded(dict[str, Any]):
    """What verl hands its loss, without the nesting that only its engines make."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__(tensors, dp_size=1, batch_num_tokens=None, global_batch_size=None)

    def select(self, *names: str) -> _Padded:
        return _Padded({name: self[name] for name in names})

    def to_padded_tensor(self) -> TensorDict:
        names = [name for name, value in self.items() if isinstance(value, torch.Tensor)]
        return TensorDict({name: self[name] for name in names}, batch_size=[len(self[names[0]])])


def main(file: Path, folder: Path) -> dict[str, Any]:
    given = json.loads(file.read_text())
    found: dict[str, Any] = {}
    for name, argv in given["launches"].items():
        module, config = composed(argv)
        if (
            module == "verl.trainer.main_ppo" and not config.actor_rollout_ref.model.lora_rank
        ):  # that asks vLLM
            with contextlib.redirect_stdout(sys.stderr):
                validate_config(config, use_reference_policy=True, use_critic=False)
        found[name] = OmegaConf.to_container(config, resolve=False)
        found[name]["resolved"] = resolved(module, config)
        if module == "verl.trainer.main_ppo":
            reward = config.reward.custom_reward_function
            assert callable(load_extern_object(reward.path, reward.name))
            callback = build_checkpoint_callback(config)
            found[name]["callback"] = type(callback).__name__
            if given.get("rows"):
                found[name]["loss"] = loss(config, given["rows"])
    if "tokens" in given:
        custom = composed(next(iter(given["sft"].values())))[1].data.custom_cls
        made = load_extern_object(custom.path, custom.name)(
            parquet_files=given["tokens"], tokenizer=None, config={}
        )
        found["rows"] = [{key: value.tolist() for key, value in made[i].items()} for i in range(len(made))]
    if "rewards" in given:
        rewards = torch.tensor(given["rewards"])[:, None]
        groups = [str(index // 4) for index in range(len(rewards))]
        made, _ = compute_grpo_outcome_advantage(rewards, torch.ones_like(rewards), groups)
        found["advantages"] = made[:, 0].tolist()
    return found


def resolved(module: str, config: Any) -> dict[str, Any]:
    """What parts of the configuration come to after interpolation."""
    if module != "verl.trainer.main_ppo":
        return {}
    names = ["actor_rollout_ref.rollout.response_length", "actor_rollout_ref.rollout.prompt_length"]
    names += ["actor_rollout_ref.actor.rollout_n", "reward.custom_reward_function.reward_kwargs"]
    if config.actor_rollout_ref.actor.strategy == "megatron":
        names += [
            f"actor_rollout_ref.ref.megatron.{size}_model_parallel_size"
            for size in ("tensor", "pipeline", "expert")
        ]
    values = {name: OmegaConf.select(config, name) for name in names}
    return {
        name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        for name, value in values.items()
    }


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
