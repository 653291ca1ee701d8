"""What a measurement leaves: a table on the screen, and the same in Markdown, with pictures of the curves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table


@dataclass
class Curve:
    """A picture: values over sizes, for some named lines."""

    name: str
    x_label: str
    y_label: str
    lines: dict[str, tuple[list[float], list[float]]]


@dataclass
class Section:
    title: str
    head: list[str]
    rows: list[list[str]]
    text: str = ""
    curves: list[Curve] = field(default_factory=list)

    def table(self) -> Table:
        made = Table(*self.head, title=self.title, title_justify="left")
        for row in self.rows:
            made.add_row(*row)
        return made

    def markdown(self, machine: str) -> str:
        lines = [f"## {self.title}", "", f"Measured on {machine}.", ""]
        if self.text:
            lines += [self.text, ""]
        lines += [_row(self.head), _row(["---"] * len(self.head)), *map(_row, self.rows), ""]
        for curve in self.curves:
            lines += [f"![{curve.name}](img/{curve.name}.svg)", ""]
        return "\n".join(lines)


def verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(folder: Path, name: str, machine: str, sections: list[Section], keep: bool = False) -> None:
    """Write `performance-NAME.md` with the sections, and their curves as pictures beside it.

    With `keep`, the other sections of the page stay as they are.
    """
    (folder / "img").mkdir(parents=True, exist_ok=True)
    for section in sections:
        for curve in section.curves:
            _draw(curve, folder / "img" / f"{curve.name}.svg")
    page = folder / f"performance-{name}.md"
    parts = re.split(r"^(?=## )", page.read_text(), flags=re.M) if keep and page.exists() else []
    found = {part.partition("\n")[0].removeprefix("## "): part.rstrip("\n") for part in parts if part.strip()}
    found |= {section.title: section.markdown(machine).rstrip("\n") for section in sections}
    page.write_text("\n\n".join(found.values()) + "\n")


def _draw(curve: Curve, path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5))
    for name, (x, y) in curve.lines.items():
        axes.plot(x, y, marker="o", label=name)
    axes.set_xlabel(curve.x_label)
    axes.set_ylabel(curve.y_label)
    axes.set_ylim(bottom=0)
    if max(max(x) for x, _ in curve.lines.values()) > 100:
        axes.set_xscale("log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
