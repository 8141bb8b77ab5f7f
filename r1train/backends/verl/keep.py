"""The resolved recipe beside each of verl's checkpoints; verl calls this on its driver."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


class KeepRecipe:
    """`trainer.checkpoint_callback_class`: gives each checkpoint a copy of the recipe beside them all."""

    def __init__(self, config: Any) -> None:
        self._recipe = Path(config.trainer.default_local_dir) / "recipe.yaml"

    def on_save(self, *, checkpoint_dir: str, **_: Any) -> None:
        if self._recipe.exists():
            shutil.copy(self._recipe, Path(checkpoint_dir) / "recipe.yaml")
