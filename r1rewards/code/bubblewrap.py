"""Boxes made by bubblewrap, where it may make the namespaces that this user may not.

So it is where a system lets only chosen programs make user namespaces. Each program gets a bubblewrap and an
interpreter of its own, which is not warm: slower by far than tier A, and otherwise its equal.
"""

# This runs in a server, where pathlib is not loaded.
# ruff: noqa: PTH110

from __future__ import annotations

import os
import sys

from r1rewards.code import root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

TIER = "B+bubblewrap"
#: Where our own package is seen inside.
PACKAGE = "/r1rewards"


def check(paths: Sequence[str]) -> str:
    """The path of a bubblewrap that works here. Raises OSError that says why there is none."""
    import shutil
    import subprocess

    program = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if program is None:
        raise OSError("bubblewrap is not installed")
    line = command(program, paths, 1)
    tried = subprocess.run([*line, sys.executable, "-I", "-S", "-c", ""], capture_output=True, text=True)
    if tried.returncode:
        raise OSError(f"{program} fails: {tried.stderr.strip() or tried.returncode}")
    return program


def command(program: str, paths: Sequence[str], size_mb: int, *, package: str = "") -> list[str]:
    """The start of a command line, the end of which runs as process 1 of a small root that holds `paths`.

    program  bubblewrap's path
    size_mb  what the working folder may hold, MiB
    package  the folder that is seen as `PACKAGE`
    """
    line = [
        program, "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL",
        "--uid", str(root.BOX_ID), "--gid", str(root.BOX_ID), "--hostname", "box", "--proc", "/proc",
    ]  # fmt: skip
    for folder, size in (("/tmp", size_mb), ("/box", 64)):
        line += ["--size", str(size << 20), "--tmpfs", folder]
    for path in paths:
        if os.path.exists(path):
            line += ["--ro-bind", path, path]
    if package:
        line += ["--ro-bind", package, PACKAGE]
    for name in root.DEVICES:
        line += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name, target in root.LINKS.items():
        line += ["--symlink", target, f"/dev/{name}"]
    return [*line, "--"]
