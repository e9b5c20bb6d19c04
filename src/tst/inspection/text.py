"""A report as text for the terminal."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tst.inspection.report import Report, WalkReport

COLOURS = {"good": "green", "usable": "yellow", "record again": "red", "read again": "red"}
SIGNS = {
    "good": Text("✓", "green"),
    "note": Text("·", "cyan"),
    "poor": Text("!", "yellow"),
    "bad": Text("✗", "bold red"),
}
SHOWN = 6
"""Walks that are shown in full, the worst first."""
VERDICTS = {
    "good": "good enough",
    "usable": "usable, with weaknesses",
    "record again": "record it again",
    "read again": "read it again: it was misread",
}


def render(report: Report) -> RenderableType:
    """The verdict with its reasons, what to record next, and what was measured."""
    parts: list[RenderableType] = [Text.assemble((report.name, "bold"), "  ", _verdict(report.verdict))]
    parts.append(_list(report.reasons or ["nothing was found that would stand in the way"], "•"))
    if report.advice:
        parts += [Text(), Text("What to record next", "bold"), _list(report.advice, "1")]
    order = sorted(report.walks, key=lambda walk: -list(VERDICTS).index(walk.verdict))
    for walk in order[:SHOWN]:
        parts += [Text(), _walk(walk)]
    if len(order) > SHOWN:
        parts += [Text(), Text(f"and {len(order) - SHOWN} more walks: see check.json")]
    if report.unchecked:
        parts += [Text(), Text("Not checked", "bold"), _list(report.unchecked[: 2 * SHOWN], "•")]
    return Group(*parts)


def _verdict(name: str) -> Text:
    return Text(VERDICTS[name], f"bold {COLOURS[name]}")


def _list(items: list[str], sign: str) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for number, item in enumerate(items, 1):
        table.add_row(f"{number}." if sign == "1" else sign, Text(item))
    return Padding(table, (0, 0, 0, 2))


def _walk(walk: WalkReport) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_row("", Text("walk", "dim"), Text.assemble((walk.name, "bold"), "  ", _verdict(walk.verdict)))
    for finding in walk.findings:
        table.add_row(SIGNS[finding.level], Text(finding.measure, "dim"), Text(finding.text))
    for floor in walk.floors:
        text = f"{floor.area:.0f} m² of ground, {floor.covered:.0%} of it well seen (median {floor.views:.0f} views), "
        text += f"{floor.walls:.0f} m of wall"
        table.add_row("", Text(floor.name or "map", "dim"), Text(text))
    return table
