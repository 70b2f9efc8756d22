"""Draws `bench/results/python.svg` from the tables of `bench/results/python.md`::

    python bench/python/plot.py
    python bench/python/plot.py --check    # fails if the plot is not that of the tables
"""

from __future__ import annotations

import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "results"
KINDS = [("kafka_batch", "#0f9d8a"), ("aiokafka", "#c0507a"), ("confluent-kafka", "#7a6fd0")]
WIDTH = 540.0

BATCHES, TRIPS, FILLING = "| client | batches |", "| one record at a time |", "| filling, ns a record |"
CLIENTS = ("kafka_batch", "aiokafka", "confluent-kafka produce_batch")
GROUPS: list[tuple[str, str, str, list[tuple[str, int] | None]]] = [
    # The label, the table, the unit, and for each kind the beginning of a row and its column.
    *[
        (f"batches of {label}", BATCHES, "s", [(f"{client} | {size}", 3) for client in CLIENTS])
        for label, size in (("16 KiB", 16384), ("1 MB", 1000000))
    ],
    ("one message a call", BATCHES, "s", [("kafka_batch send", 3), ("aiokafka send", 3), None]),
    ("filling: append", FILLING, "ns", [("kafka_batch `append(key=", 2), ("aiokafka `append` |", 2), None]),
    ("filling: extend", FILLING, "ns", [("kafka_batch `extend` |", 2), ("aiokafka `append` |", 2), None]),
    ("round trip", TRIPS, "µs", [("kafka_batch", 2), ("aiokafka", 2), None]),
]


def rows(text: str, head: str) -> list[str]:
    """Return the lines of the table with this head, after the head."""
    lines = text[text.index(head) :].splitlines()
    return [line for line in lines[2 : lines.index("") if "" in lines else None]]


def figure(table: list[str], row: str, column: int) -> float:
    """Return the number in a column of the row that begins so."""
    (line,) = [line for line in table if line.startswith(f"| {row}")]
    return float(line.split("|")[column].strip())


def svg(text: str) -> str:
    """Return the plot: in each group the bars are multiples of this package's."""
    groups = []
    for label, head, unit, places in GROUPS:
        table = rows(text, head)
        groups.append((label, unit, [figure(table, *place) if place else None for place in places]))
    most = max(value / values[0] for _, _, values in groups for value in values if value is not None)
    body, top = [], 76
    for label, unit, values in groups:
        body.append(f'<text x="142" y="{top + 11}" text-anchor="end">{label}</text>')
        for (_, colour), value in zip(KINDS, values, strict=True):
            if value is None:
                continue
            width = value / values[0] / most * WIDTH
            shown = f"{value:.3f} {unit}" if unit == "s" and value < 1 else f"{value:.1f} {unit}"
            body.append(f'<rect x="150" y="{top}" width="{width:.1f}" height="11" fill="{colour}"/>')
            body.append(f'<text x="{150 + width + 4:.1f}" y="{top + 9}" class="n">{shown}</text>')
            top += 12
        top += 16
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {top}" font-family="sans-serif" font-size="12">',
        "<style>text { fill: #333 } .n { font-size: 9px } @media (prefers-color-scheme: dark) { text { fill: #ddd } }</style>",
        '<text x="10" y="20" font-size="14">'
        "Python's producers: processor time for a million records (filling: for one), shorter is better</text>",
    ]
    for number, (name, colour) in enumerate(KINDS):
        head.append(f'<rect x="{10 + 200 * number}" y="34" width="10" height="10" fill="{colour}"/>')
        head.append(f'<text x="{24 + 200 * number}" y="43">{name}</text>')
    return "\n".join([*head, *body, "</svg>", ""])


def main() -> None:
    """Write the plot, or compare it."""
    drawn, path = svg((RESULTS / "python.md").read_text()), RESULTS / "python.svg"
    if "--check" not in sys.argv:
        path.write_text(drawn)
    elif path.read_text() != drawn:
        sys.exit(f"{path} is not what the tables say: run bench/python/plot.py")


if __name__ == "__main__":
    main()
