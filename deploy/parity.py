"""The gate between two runtimes: every output within its tolerance, and the same chosen plan, on every golden scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_wm.deploy.contract import TensorSpec
from drive_wm.deploy.runtime import Arrays, Runtime
from drive_wm.errors import InputError


class ParityError(InputError):
    """Two runtimes disagree: the graph must not drive."""


@dataclass(frozen=True)
class Difference:
    """How far two runtimes are apart in one output, over all golden scenes."""

    name: str
    largest: float  # absolute
    scene: int  # where the largest occurs
    tolerance: float


def differences(expected: Sequence[Arrays], found: Sequence[Arrays], specs: Sequence[TensorSpec]) -> list[Difference]:
    """One row per output; a value that is not finite counts as infinitely far."""
    rows = []
    for spec in specs:
        apart = [_apart(e[spec.name], f[spec.name]) for e, f in zip(expected, found, strict=True)]
        scene = int(np.argmax(apart))
        rows.append(Difference(spec.name, apart[scene], scene, spec.tolerance or 0.0))
    return rows


def require_parity(rows: Sequence[Difference], what: str) -> None:
    """Raise ParityError that lists every output beyond its tolerance."""
    bad = [row for row in rows if not row.largest <= row.tolerance]
    if bad:
        listed = "; ".join(f"{r.name} by {r.largest:.3g} in golden scene {r.scene} (allowed {r.tolerance:g})" for r in bad)
        raise ParityError(f"{what} differs from the reference: {listed}. Nothing was written; do not use this graph.")


def run_all(runtime: Runtime, scenes: Sequence[Arrays]) -> list[dict[str, NDArray[Any]]]:
    return [runtime.run(scene) for scene in scenes]


def _apart(expected: NDArray[Any], found: NDArray[Any]) -> float:
    if expected.shape != found.shape:
        return float("inf")
    apart = np.abs(expected.astype(np.float64) - found.astype(np.float64)).max()
    return float(apart) if np.isfinite(apart) else float("inf")
