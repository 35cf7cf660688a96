"""Fixtures that several test files share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def outside_data() -> Callable[[str], Path]:
    """Path of data that is not part of the repository; skips where it is absent.

    Names: "data/nuscenes-mini-train", "data/nuscenes_pred", "golden/planning_metrics.json".
    """
    root = Path(os.environ.get("DRIVE_WM_DATA", Path(__file__).resolve().parents[2] / "shared"))

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"{path} is absent; set DRIVE_WM_DATA to the folder that holds {name}")
        return path

    return find
