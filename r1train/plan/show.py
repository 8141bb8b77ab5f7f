"""A plan as a table, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from r1train.jobs import backend_name
from r1train.plan import Plan
from r1train.plan.cost import Row


def show(plan: Plan) -> None:
    """The table of steps, its sums, and the warnings below it."""
    hardware = plan.recipe.hardware
    table = Table(title=f"{plan.recipe.name}: {hardware.nodes} x {hardware.gpus} GPUs, {plan.recipe.model}")
    table.add_column("step")
    for name in ("written", "trained on", "updates", "FLOPs", "GPUs", "hours", "GPU-hours", "disk"):
        table.add_column(name, justify="right")
    before = ""
    for row in plan.rows:
        if row.stage != before:
            table.add_section()
            table.add_row(f"[bold]{row.stage}[/bold]{_what(plan, row.stage)}")
            before = row.stage
        table.add_row(f"  {row.step}", *_cells(row))
    table.add_section()
    hours = plan.gpu_hours
    written, trained = sum(row.generated for row in plan.rows), sum(row.trained for row in plan.rows)
    flops = sum(row.flops or 0 for row in plan.rows)
    disk = sum(row.disk_gb or 0 for row in plan.rows)
    table.add_row(
        "all",
        tokens(written),
        tokens(trained),
        "",
        f"{flops:.1e}" if hours is not None else "?",
        "",
        "",
        hours_of(hours),
        f"{disk:,.0f} GB",
    )
    console = Console()
    if not console.is_terminal:  # a log has no width to fit into
        console = Console(width=160)
    console.print(table)
    for warning in plan.warnings:
        typer.echo(f"warning: {warning}")


def _what(plan: Plan, name: str) -> str:
    stage = plan.recipe.stages.get(name)
    if stage is None or stage.kind == "data":
        return ""
    return f"  {stage.kind}, {backend_name(plan.recipe, stage)}"


def _cells(row: Row) -> list[str]:
    return [
        tokens(row.generated),
        tokens(row.trained),
        f"{row.updates:,}" if row.updates else "",
        "?" if row.flops is None else f"{row.flops:.1e}",
        str(row.gpus),
        hours_of(row.hours),
        hours_of(row.gpu_hours),
        "" if row.disk_gb is None else f"{row.disk_gb:,.0f} GB" if row.disk_gb >= 1 else "<1 GB",
    ]


def tokens(number: float) -> str:
    """12_300_000 as 12.3 M."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:.0f}" if number else ""


def hours_of(hours: float | None) -> str:
    if hours is None:
        return "?"
    if hours >= 100:
        return f"{hours:,.0f}"
    return f"{hours:.1f}" if hours >= 0.1 else f"{hours:.3f}" if hours >= 0.001 else "<0.001"


def to_json(plan: Plan) -> str:
    """Every row with its figures, the sum of GPU-hours, and the warnings."""
    rows = [asdict(row) | {"gpu_hours": row.gpu_hours} for row in plan.rows]
    return json.dumps({"rows": rows, "gpu_hours": plan.gpu_hours, "warnings": plan.warnings}, indent=1)
