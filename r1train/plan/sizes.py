"""How large a recipe's models are, without fetching any: from `config.json`, or from `models.yaml`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from r1train.recipe import PretrainStage, Recipe


@dataclass(frozen=True, slots=True)
class Size:
    """A causal language model.

    parameters, active  all weights, and those that a token is multiplied with
    cache               bytes that a token occupies in the key-value cache, in bfloat16
    context             the longest sequence that its configuration allows, in tokens
    """

    parameters: float
    active: float
    layers: int
    hidden: int
    vocabulary: int
    cache: float
    context: int


def size_of(recipe: Recipe, model: str) -> Size | None:
    """The size of a model as a recipe names it; None where nothing here tells it.

    A model of another run counts as one of the base model's size until that run is there.
    """
    if model.startswith("$stage."):
        stage = recipe.stages[model.removeprefix("$stage.")]
        return size_of(recipe, getattr(stage, "model", "$base"))
    if model == "$base":
        made = recipe.pretraining
        return _named(recipe.model) if made is None else _made(made[1])
    if model.startswith("run:"):
        there = sorted(Path(model.removeprefix("run:")).glob("*/train/model/config.json"))
        return read_size(json.loads(there[-1].read_text())) if there else size_of(recipe, "$base")
    return _named(model)


def _named(model: str) -> Size | None:
    local = Path(model).expanduser() / "config.json"
    if local.is_file():
        return read_size(json.loads(local.read_text()))
    if model in known_models():
        return known_models()[model]
    cached = _cached(model)
    return read_size(json.loads(cached.read_text())) if cached else None


def _cached(model: str) -> Path | None:
    """The configuration of a hub model that was fetched before."""
    if model.count("/") != 1 or find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json")
    return Path(found) if isinstance(found, str) else None


@cache
def known_models() -> dict[str, Size]:
    table = yaml.safe_load((files("r1train.plan") / "models.yaml").read_text("utf-8"))
    return {name: Size(**row) for name, row in table.items()}


def read_size(config: Mapping[str, Any]) -> Size | None:
    """What the `config.json` of a dense, Llama-like model tells; None for others (mixtures of experts)."""
    config = config.get("text_config", config)
    if any("experts" in key for key in config):
        return None
    try:
        hidden, layers, heads = (
            config["hidden_size"],
            config["num_hidden_layers"],
            config["num_attention_heads"],
        )
        inner, vocabulary = config["intermediate_size"], config["vocab_size"]
    except KeyError:
        return None
    width = config.get("head_dim") or hidden // heads
    keys = (config.get("num_key_value_heads") or heads) * width
    layer = hidden * (2 * heads * width + 2 * keys) + 3 * hidden * inner
    tables = 1 if config.get("tie_word_embeddings") else 2
    parameters = layers * layer + tables * hidden * vocabulary
    context = int(config.get("max_position_embeddings") or 0)
    return Size(parameters, parameters, layers, hidden, vocabulary, 4.0 * keys * layers, context)


def _made(stage: PretrainStage) -> Size | None:
    return read_size(
        {
            "hidden_size": stage.hidden,
            "num_hidden_layers": stage.layers,
            "num_attention_heads": stage.heads,
            "intermediate_size": 4 * stage.hidden,
            "vocab_size": stage.vocabulary,
            "tie_word_embeddings": True,
            "max_position_embeddings": stage.max_length,
        }
    )
