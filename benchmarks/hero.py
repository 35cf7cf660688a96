"""The README's picture: `python -m drive_wm.benchmarks.hero` draws a shipped drive, planned with the shipped weights."""

import argparse
from pathlib import Path

import torch

from drive_wm.benchmarks.scene_report import drive_picture
from drive_wm.checkpoint import load_weights
from drive_wm.datasets.sumo_samples import sample_logs
from drive_wm.errors import InputError
from drive_wm.files import write_atomically

LOG, FIRST, LAST = "junction", 8, 30  # the ego turns left across oncoming traffic


def main() -> None:
    """Write the GIF."""
    parser = argparse.ArgumentParser(description="Draw the README's picture.")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/hero.gif"))
    parser.add_argument("--weights", default="nuscenes")
    options = parser.parse_args()
    logs = {log.name: log for log in sample_logs()}
    if LOG not in logs:
        raise InputError(f"No sample log named {LOG!r}; there are: {', '.join(logs)}. Name one of them in {__file__}.")
    model, _ = load_weights(options.weights)
    with torch.inference_mode():
        picture = drive_picture(logs[LOG], range(FIRST, LAST + 1), model.foresee)
    write_atomically(options.out, picture.data)


if __name__ == "__main__":
    main()
