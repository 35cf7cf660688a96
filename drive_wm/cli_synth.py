"""`drive-wm synth`: traffic made here, as a nuScenes dataroot."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from drive_wm.screen import interruptible, progress, screen


def synth(
    out: Annotated[Path, typer.Option(help="Folder to write; a finished one stays as it is.")],
    scenes: Annotated[int, typer.Option(min=1, help="How many scenes of 20 s.")] = 50,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
) -> None:
    """Simulate traffic with SUMO and write it as a nuScenes dataroot, maps included, that nuscenes-devkit opens."""
    from drive_wm.datasets.nuscenes_synth import synthesize

    with interruptible("Nothing was written; run the same command again."), progress(f"Writing {out}") as report:
        summary = synthesize(out, scenes, seed, report)
    table = Table(
        "", "what", "scenes", title=f"{out}: {summary.rows['sample']} samples of {scenes} scenes", title_justify="left"
    )
    for heading, counts in (("network", summary.networks), ("rare event", summary.events)):
        for name, number in sorted(counts.items()):
            table.add_row(heading, escape(name.replace("_", " ")), str(number))
    screen.print(table)
    command = f"drive-wm prepare --root {escape(str(out))} --version {summary.version} --split synth --out CACHE"
    screen.print(f"Next: {command}", highlight=False, soft_wrap=True)
