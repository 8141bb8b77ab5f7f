"""What isolation this machine allows, found by trying it."""

from __future__ import annotations

import os
from typing import NamedTuple

from r1rewards.code import bubblewrap, cgroup, kernel, languages
from r1rewards.code.pool import POOL, TIERS, described
from r1rewards.core.errors import GraderError


class Row(NamedTuple):
    """One line of the doctor's report: what was looked at, whether it is well, and what to know of it."""

    name: str
    ok: bool
    note: str


def doctor() -> list[Row]:
    """The sandbox tier of this machine, what a better one lacks, and the languages that can run."""
    rows: list[Row] = []
    if not kernel.supported():
        return [Row("code sandbox", False, "needs Linux on x86_64 or aarch64; run in a Linux container")]
    try:
        tier, why_not = POOL.best_tier()
    except GraderError as error:
        return [Row("code sandbox", False, str(error))]
    rows.append(Row("code sandbox", tier != "C", f"tier {described(tier)}: {TIERS[tier]}"))
    rows.extend(
        Row(f"sandbox tier {name}", False, f"{fault}{_ADVICE[name]}") for name, fault in why_not.items()
    )
    rows.append(_groups())
    abi = kernel.landlock_abi()
    rows.append(Row("landlock", abi >= 1, f"ABI {abi}" if abi else "not in this kernel, or turned off"))
    for language in languages.LANGUAGES.values():
        missing = {tool: package for tool, package in language.tools.items() if not os.access(tool, os.X_OK)}
        note = ", ".join(f"{tool} is missing: install {package}" for tool, package in missing.items())
        rows.append(Row(f"language {language.name}", not missing, note or "ready"))
    return rows


def _groups() -> Row:
    """Whether each server has a control group of its own, which tightens every tier."""
    fault = cgroup.fault()
    if fault is None:
        return Row("cgroup", True, f"v{cgroup.version()}: memory and processes of each server are capped")
    return Row("cgroup", False, f"{fault}; limits hold without, and closer with a group that this user owns")


#: What a tier needs that did not start.
_ADVICE = {
    "A": "; it needs user namespaces (sysctl user.max_user_namespaces and"
    " kernel.apparmor_restrict_unprivileged_userns) or root;"
    " in Docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
    " --security-opt systempaths=unconfined, on Ubuntu also --cap-add SYS_ADMIN",
    bubblewrap.TIER: "; it needs the package bubblewrap and user namespaces for it",
    "B": "; it needs Linux 5.13 or newer with Landlock",
}
