"""The reward server, as its own tests start it."""

from __future__ import annotations

from tests.r1rewards.serve.conftest import start

__all__ = ["start"]
