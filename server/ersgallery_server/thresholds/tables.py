"""gamma and tau as tables for people and as JSON for programs."""

import dataclasses
import enum
import json
from collections.abc import Sequence
from typing import Any, Self

import click
from ersgallery_index.calibration.estimates import Estimate
from ersgallery_index.calibration.gamma import GammaTrade
from ersgallery_index.calibration.non_mated import ClosePair
from ersgallery_index.calibration.tau import TauChoice
from ersgallery_index.calibration.tau_experiment import TauCheckSummary
from rich.console import Console
from rich.table import Table


@dataclasses.dataclass(frozen=True, slots=True)
class NamedPair:
    """Two people who look alike, by name; one is None for a stranger."""

    probe: str | None
    subject: str
    score: float

    @classmethod
    def of(cls, pair: ClosePair, people: Sequence[str]) -> Self:
        """Put the names to a pair."""
        return cls(people[pair.owner] if pair.owner >= 0 else None, people[pair.subject], pair.score)


def print_json(value: object) -> None:
    """Print dataclasses, and lists and mappings of them, as indented JSON."""
    click.echo(json.dumps(value, indent=2, default=_fields, allow_nan=False))


def show_trade(trade: GammaTrade) -> None:
    """Print the whole trade, then the pick."""
    table = Table(title="FRR at FAR, by gamma", caption="* fewer than 10 expected errors: not supported by the data")
    table.add_column("gamma", justify="right")
    table.add_column("UNSURE faces" if trade.sets is None else "UNSURE templates", justify="right")
    for cell in trade.rows[0].cells:
        table.add_column(f"FRR at {cell.far:g}", justify="right")
    for row in trade.rows:
        cells = [_share(cell.frr) + ("" if cell.supported else " *") for cell in row.cells]
        table.add_row(f"{row.gamma:.3f}", f"{row.faces_unsure:.2%}", *cells)
    _print(table)
    pick, what = trade.pick, "faces"
    if trade.sets is not None:
        what = f"templates of up to {trade.sets.most_faces} faces, weighting {trade.sets.weighting.value.lower()}"
    click.echo(
        f"{trade.faces} {what}: {trade.genuine} genuine pairs of {trade.identities} people, "
        f"{trade.impostor} impostor pairs."
    )
    if trade.largest_share > 0.1:
        click.echo(f"One person alone has {trade.largest_share:.0%} of the genuine pairs.")
    click.echo(f"Pick: gamma {pick.gamma:g} for FAR {pick.far:g}: FRR {_share(pick.frr)}, {pick.rule}.")
    click.echo(f"FRR falls by {_share(pick.gain)} against gamma {trade.rows[0].gamma:g}.")
    if trade.sets is not None:
        click.echo("Chosen on sets: it is a gate on a template's ERS, and not on that of a single face.")


def show_tau(choice: TauChoice, gamma: float, gamma_gallery: float) -> None:
    """Print tau, what it rests on, and the warnings."""
    table = Table(
        title=f"tau for an FPIR of {choice.target_fpir:g} with {choice.gallery_size} people", show_header=False
    )
    table.add_column()
    table.add_column()
    table.add_row("tau", f"{choice.tau.value:.4f} ({choice.tau.low:.4f} to {choice.tau.high:.4f})")
    table.add_row("expected FPIR", _share(choice.fpir))
    table.add_row("gates", f"gamma {gamma:g}, gamma_gallery {gamma_gallery:g}")
    table.add_row("probes", f"{choice.probes}, of them UNSURE {choice.unsure}")
    table.add_row("compared with", f"{choice.calibration_subjects} people each")
    table.add_row("extrapolated", f"{choice.extrapolation:.3g} times; {choice.method}")
    table.add_row("supported", "yes" if choice.supported else "no")
    _print(table)
    for warning in choice.warnings:
        click.echo(f"{warning.code}: {warning.message}")


def show_closest(pairs: Sequence[NamedPair]) -> None:
    """Print the people who look most alike: at low targets they decide tau."""
    table = Table(title="Most alike; where two names are one person, mend the labels and choose again")
    for heading in ("probe", "enrolled", "similarity"):
        table.add_column(heading)
    for pair in pairs:
        table.add_row(pair.probe or "a stranger", pair.subject, f"{pair.score:.4f}")
    _print(table)


def show_checks(rows: Sequence[TauCheckSummary]) -> None:
    """Print the ratio of achieved to wanted FPIR of every setting."""
    table = Table(title="Achieved over wanted FPIR on other people", caption="of the repetitions: least to most")
    for heading in ("wanted", "chosen on", "gallery", "tau", "ratio", "least to most", "as expected", "supported"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            f"{row.target:g}",
            str(row.calibration_subjects),
            str(row.gallery_size),
            f"{row.tau:.3f}",
            f"{row.ratio:.2f}",
            f"{row.least:.2f} to {row.most:.2f}",
            f"{row.covered:.0%}",
            f"{row.supported:.0%}",
        )
    _print(table)


def _print(table: Table) -> None:
    # A file or a pipe has no width, and cells cut short would be no figures.
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.3%} ({estimate.low:.3%} to {estimate.high:.3%})"


def _fields(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} is no JSON value")
