"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[Path | None, typer.Option(help="The nuScenes folder: it holds maps/ and v1.0-*/.")]
Version = Annotated[str, typer.Option(help="Folder of the nuScenes tables below the root.")]
Caches = Annotated[list[Path], typer.Option("--cache", help="Folder that `drive-wm prepare` wrote; repeat to join several.")]
Weights = Annotated[str, typer.Option(help="`synthetic` or `nuscenes`, the shipped weights, or a checkpoint's path.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write every row to this file.")]
Engine = Annotated[str, typer.Option(help="local, or ray to spread drives over a cluster.")]
