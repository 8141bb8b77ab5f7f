"""Run this interpreter as a user without rights: python tools/unprivileged.py -m pytest tests/r1rewards/code

Root's way to try what the sandbox does for other users. Folders that only root may enter (an interpreter
below /root, say) are covered, in a mount namespace of the command's own, by ones that show what it needs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from r1rewards.code import kernel

NOBODY = 65534


def main() -> None:
    if os.getuid() != 0:
        raise SystemExit("this is for root; as another user run the command itself")
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.setdefault("R1KIT_DATA", str(root.parent / "shared" / "data")))
    needed = {Path(sys.prefix), Path(sys.base_prefix), root, data}
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    held = {path: os.open(path, os.O_PATH) for path in sorted(needed) if path.exists()}
    for folder in {next(filter(_closed, reversed(path.parents)), None) for path in held} - {None}:
        kernel.mount("none", str(folder), "tmpfs", 0, "mode=755")
    for path, handle in held.items():
        if not path.exists():
            path.mkdir(parents=True)
            kernel.mount(f"/proc/self/fd/{handle}", str(path), None, kernel.MS_BIND | kernel.MS_REC)
        os.close(handle)
    os.chdir(root)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.environ |= {
        "HOME": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
    }
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])


def _closed(folder: Path) -> bool:
    return not folder.stat().st_mode & 0o001


if __name__ == "__main__":
    main()
