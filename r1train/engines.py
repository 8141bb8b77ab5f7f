"""One generation engine for one model after another: their weights take turns in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1rewards.llm.engine import Engine


class Engines:
    """The engine with whichever model was asked for last; another one only where the architecture differs.

    log       the file for the engine's own output
    settings  of the engine; see `r1rewards.llm.engine.Engine`
    """

    def __init__(self, log: Path, **settings: Any) -> None:
        self._log = log
        self._settings = settings
        self._engine: Engine | None = None

    def start(self, model: Path) -> None:
        """Begin to load this model while other work goes on; nothing where an engine is there."""
        if self._engine is None:
            self._engine = Engine(model, log=self._log, **self._settings)
            self._engine.start()

    def get(self, model: Path) -> Engine:
        """The engine with this model in it."""
        if self._engine is not None and not self._engine.fits(model):
            self.close()
        self.start(model)
        assert self._engine is not None
        if self._engine.model != model:
            self._engine.load(model)
        return self._engine

    def forget_weights(self) -> None:
        """A trainer has pushed its own weights into the engine: the next `get` loads again."""
        if self._engine is not None:
            self._engine.model = Path()

    def close(self) -> None:
        """Stop the engine, where one runs."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
