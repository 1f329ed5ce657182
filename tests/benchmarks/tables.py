"""The tables of docs/benchmarks.md."""

from collections.abc import Iterable, Mapping, Sequence

from tests.benchmarks.goals import Outcome
from tests.benchmarks.results import Result
from tests.benchmarks.summary import Measured

_YARDSTICKS = ("flat-tuned", "flat-default", "limit")


def goals_table(outcomes: Iterable[Outcome]) -> str:
    """Return goal, what was wanted, what was measured, and the command."""
    rows = []
    for outcome in outcomes:
        goal = outcome.goal
        name = f"{goal.name}, {goal.faces:,}" if "{faces}" in goal.key else goal.name
        wanted = f"{'<=' if goal.at_most else '>='} {goal.wanted:g}"
        rows.append([name, wanted, _outcome(outcome), f"`python -m tests.benchmarks --only {goal.step}`"])
    return table(("goal (faces)", "wanted", "measured", "command"), rows)


def step_table(step: str, measured: Sequence[Measured]) -> str:
    """Return the table of one step, with the commands and dates behind it."""
    results = [entry.result for entry in measured if entry.result.step == step]
    body = {"index": index_table, "service": service_table, "peers": peers_table}.get(step, plain_table)(results)
    return f"{body}\n{_source([entry for entry in measured if entry.result.step == step])}"


def index_table(results: Sequence[Result]) -> str:
    """Return one row for each kind, size and batch, with the yardsticks side by side."""
    rows = []
    for (kind, faces, batch), of in _grouped(results, 3).items():
        if not any(result.ratio is not None for result in of.values()):
            continue
        any_of = next(result for result in of.values() if "probes_per_s" in result.figures)
        figures = any_of.figures
        ratios = [_ratio(of.get(name)) for name in _YARDSTICKS]
        rows.append([kind, _number(faces), batch, f"{figures['ms']:.3g}", _count(figures["probes_per_s"]), *ratios])
    columns = ("kind", "faces", "batch", "ms", "probes/s", "/ FlatIP tuned", "/ FlatIP as it comes", "/ limit")
    return table(columns, rows) + _left_out(results)


def service_table(results: Sequence[Result]) -> str:
    """Return one row for each size and call."""
    rows = []
    for (kind, faces, load), of in _grouped(results, 3).items():
        in_process = of.get("in-process")
        if in_process is None or in_process.ratio is None:
            continue
        figures = in_process.figures
        latency = f"{figures['p50_ms']:.3g} / {figures['p99_ms']:.3g}"
        cpu = f"{figures['server_cpu_us_per_probe']:.0f}"
        ratios = [_ratio(in_process), _ratio(of.get("empty"))]
        rows.append([kind, _number(faces), load, _count(figures["probes_per_s"]), latency, cpu, *ratios])
    columns = ("kind", "faces", "call", "probes/s", "p50 / p99 ms", "server us/probe", "/ in process", "/ empty server")
    return table(columns, rows) + _left_out(results)


def peers_table(results: Sequence[Result]) -> str:
    """Return one row for each engine and way to search."""
    rows = []
    for (faces, engine), of in _grouped(results, 2).items():
        if engine == "any" or "1" not in of:
            continue
        figures = of["1"].figures
        build = f"{_count(figures['inserted_per_s'])} (+{figures['build_s']:.0f} s)"
        row = [engine, _number(faces), build, f"{figures['mate1']:.4f} of {figures['of']:.0f}"]
        for clients in ("1", "64"):
            one = of.get(clients)
            row += [_count(one.figures["theirs_per_s"]), f"{one.ratio:.3g}x"] if one and one.ratio else ["–", "–"]
        rows.append([*row, f"{figures['ratio_in_process']:.3g}x", of["1"].note])
    columns = (
        "engine", "faces", "rows/s (build)", "mate1", "1 client/s", "ours",
        "64 clients/s", "ours", "ours in process", "settings",
    )  # fmt: skip
    return table(columns, rows) + _left_out(results)


def plain_table(results: Sequence[Result]) -> str:
    """Return one row for each result."""
    rows = []
    for result in results:
        if not result.measured:
            continue
        figures = ", ".join(f"{name.replace('_', ' ')} {value:,.5g}" for name, value in result.figures.items())
        rows.append([result.what, result.against or "–", _spread(result), figures, result.note])
    return table(("what", "yardstick", "ratio", "figures", ""), rows) + _left_out(results)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows of text under columns, as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |\n" for line in lines)


def _outcome(outcome: Outcome) -> str:
    if outcome.result is None or outcome.result.ratio is None:
        return f"– ({outcome.why_not})"
    ratio = _ratio(outcome.result)
    if outcome.met is None:
        reached = "would be met" if outcome.goal.met_by(outcome.result.ratio) else "would be missed"
        return f"{ratio} at {outcome.faces:,} ({reached}; {outcome.why_not})"
    return f"**{_spread(outcome.result)}**, {'met' if outcome.met else 'missed'}"


def _grouped(results: Sequence[Result], depth: int) -> Mapping[tuple[str, ...], Mapping[str, Result]]:
    """Return results by the parts of their keys behind the step, and below that by the last part."""
    found: dict[tuple[str, ...], dict[str, Result]] = {}
    for result in results:
        parts = result.key.split("/")[1:]
        if len(parts) == depth + 1:
            found.setdefault(tuple(parts[:depth]), {})[parts[depth]] = result
    return found


def _left_out(results: Sequence[Result]) -> str:
    lines = [f"- {result.what}: {result.note}" for result in results if not result.measured]
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def _source(measured: Sequence[Measured]) -> str:
    lines = dict.fromkeys(f"{entry.date}, `{entry.command}`, {entry.machine}" for entry in measured)
    return "\n".join(f"Measured {line}." for line in lines) + "\n" if lines else ""


def _ratio(result: Result | None) -> str:
    return "–" if result is None or result.ratio is None else f"{result.ratio:.4g}"


def _spread(result: Result) -> str:
    if result.low is None or result.high is None:
        return _ratio(result)
    return f"{_ratio(result)} [{result.low:.3g}, {result.high:.3g}]"


def _number(text: str) -> str:
    return f"{int(text):,}" if text.isdigit() else text


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
