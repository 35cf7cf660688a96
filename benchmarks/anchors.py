"""Figures that others published, each with its source: quoted beside ours, never mixed with them. They stand in anchors.json.

Keys are those of our rows, units and fractions too. `ego_status` and `command_origin` are text, as far as the source says.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("anchors.json")
_SEEN = {  # how far the figure was followed back
    "authors": "read in the authors' repository",
    "quoted": "read where others quote the paper's table",
    "unread": "taken over, the paper was not read again",
}
_ABOUT = ("kind", "method", "source", "link", "checked")


@dataclass(frozen=True)
class Anchor:
    """One published row."""

    kind: str  # of results: planning, prediction, closed_loop, tick
    method: str
    source: str  # authors, title, year, place
    link: str  # an address without https://
    seen: str
    values: Mapping[str, Any]


@lru_cache(maxsize=1)
def anchors() -> tuple[Anchor, ...]:
    """All of them, in the order of the file."""
    rows = json.loads(_FILE.read_text())
    return tuple(
        Anchor(
            row["kind"], row["method"], row["source"], row["link"], _SEEN[row["checked"]],
            {key: value for key, value in row.items() if key not in _ABOUT},
        )
        for row in rows
    )  # fmt: skip


def anchors_of(kind: str, protocol: str | None = None) -> tuple[Anchor, ...]:
    """Those of a kind of results, and of a planning protocol where one is named."""
    return tuple(one for one in anchors() if one.kind == kind and protocol in (None, one.values.get("protocol")))
