"""`drive-wm synth`: traffic made here, as a nuScenes dataroot or as counterfactual drives."""

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
    counterfactual: Annotated[
        bool, typer.Option("--counterfactual", help="Each scene again and again, with an ego that does something else.")
    ] = False,
) -> None:
    """Simulate traffic with SUMO and write it as a nuScenes dataroot, maps included, that nuscenes-devkit opens."""
    with interruptible("Nothing was written; run the same command again."), progress(f"Writing {out}") as report:
        if counterfactual:
            from drive_wm.datasets.synth_branches import synthesize_branches

            summary = synthesize_branches(out, scenes, seed, report)
        else:
            from drive_wm.datasets.nuscenes_synth import synthesize

            summary = synthesize(out, scenes, seed, report)
    table = Table("", "what", "scenes", title=f"{out}: {scenes} scenes of 20 s", title_justify="left")
    headings = ("network", summary.networks), ("ego" if counterfactual else "rare event", summary.events)
    for heading, counts in headings:
        for name, number in sorted(counts.items()):
            table.add_row(heading, escape(name.replace("_", " ").replace("-", " ")), str(number))
    screen.print(table)
    source = f"--data logs --root {out}" if counterfactual else f"--root {out} --split synth"
    screen.print(f"Next: drive-wm prepare {escape(source)} --out CACHE", highlight=False, soft_wrap=True)
