"""The command line: each command reads its options, calls one function and prints what comes back.

Every command imports its part when it runs, so that `drive-wm --help` is quick and a part that is not
installed troubles nobody who does not use it.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from drive_wm.cli_bench import bench
from drive_wm.cli_evaluate import evaluate
from drive_wm.cli_options import Caches, Engine, Json, Root, Version, Weights
from drive_wm.cli_synth import synth
from drive_wm.screen import Commands, interruptible, progress, screen, show

app = typer.Typer(
    name="drive-wm",
    cls=Commands,
    help="A world model for driving: prepare data, train, evaluate, export, run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(evaluate, name="evaluate")
app.add_typer(bench, name="bench")
app.command()(synth)

COMPARED = {
    "protocol": "", "l2 a": ".2f", "l2 b": ".2f", "l2 b-a, 95 %": "", "hits a": ".2%", "hits b": ".2%", "hits b-a, 95 %": "",
    "n": "",
}  # fmt: skip
PARITY = {"output": "", "largest difference": ".2g", "allowed": ".2g"}
GOLDEN = 16  # scenes of a cache that go into a bundle


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for the report and the bundle.")] = Path("out/demo")) -> None:
    """Plan, evaluate and export on the shipped sample logs; writes an HTML report. Needs no data and no GPU."""
    from drive_wm.demo import run

    with progress("Demo") as report:
        page = run(out, report)
    screen.print(f"Open {page} in a browser.", highlight=False)


@app.command()
def doctor(root: Root = None, version: Version = "v1.0-trainval") -> None:
    """Say what is installed, what a nuScenes folder lacks and where to get it; status 1 where something needed is missing."""
    from drive_wm.datasets.doctor import diagnose, healthy

    findings = diagnose(root, version)
    table = Table("", "what", "found", box=SIMPLE_HEAD, padding=0)
    for column in table.columns:
        column.overflow = "fold"
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[red]missing[/]" if finding.required else "[yellow]optional[/]"
        table.add_row(mark, escape(finding.name), escape(finding.found))
    screen.print(table)
    # Below the table and unbroken, so that paths and commands can be copied.
    to_do: dict[str, list[str]] = {}
    for finding in findings:
        if not finding.ok:
            to_do.setdefault(finding.to_do, []).append(finding.name)
    for what, names in to_do.items():
        screen.print(f"[bold]{escape(', '.join(names))}[/]: {escape(what)}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if healthy(findings) else 1)


@app.command()
def prepare(
    out: Annotated[Path, typer.Option(help="Folder to write; running again goes on where it stopped.")],
    data: Annotated[str, typer.Option(help="nuscenes, nuscenes_pred, logs, or sumo for traffic simulated here.")] = "nuscenes",
    root: Root = None,
    version: Version = "v1.0-trainval",
    split: Annotated[str, typer.Option(help="nuscenes and nuscenes_pred: the split's name.")] = "train",
    scenes: Annotated[int, typer.Option(min=1, help="sumo: how many drives to simulate.")] = 100,
    seed: Annotated[int, typer.Option(help="sumo: the same seed gives the same drives.")] = 0,
    engine: Engine = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes of this machine that share the work.")] = 1,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make anew what is damaged or of something else.")] = False,
) -> None:
    """Read a data source once and write a cache, from which everything else reads."""
    from drive_wm.datasets.prepare import Request, prepare
    from drive_wm.scene import SceneConfig

    request = Request(root, version, split, scenes, seed)
    with interruptible("Run the same command again: finished drives are kept."), progress(f"Preparing {out}") as report:
        manifest = prepare(data, request, out, SceneConfig(), report, engine, workers, rebuild)
    screen.print(f"{out}: {len(manifest.shards)} drives, {manifest.samples} scenes.", highlight=False)
    for defect, count in manifest.defects.items():
        screen.print(f"{count:7,} {defect}", highlight=False)


@app.command("show")
def show_log(
    log: Annotated[str, typer.Argument(metavar="LOG", help="A *.log.safetensors file, CACHE:NAME, or a sample: cut_in.")],
    step: Annotated[int | None, typer.Option(help="Keyframe of a PNG, the first of a GIF.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to draw, .png or .gif; by default NAME.png.")] = None,
    rerun: Annotated[Path | None, typer.Option(help="File to write for the Rerun viewer, .rrd.")] = None,
) -> None:
    """Draw a recorded drive from above, as a picture or moving, or record it for Rerun."""
    from drive_wm.show import find_log, show_log

    for path in show_log(find_log(log), step, out, rerun):
        screen.print(f"{path}", highlight=False)


@app.command()
def sample_logs(out: Annotated[Path, typer.Option(help="Folder to write.")]) -> None:
    """Record anew, with SUMO, the sample logs that ship with the package."""
    from drive_wm.datasets.sumo_samples import record_samples

    record_samples(out)


@app.command()
def train(
    cache: Caches,
    out: Annotated[Path, typer.Option(help="Folder of the run: weights, checkpoints, TensorBoard log.")],
    preset: Annotated[
        str, typer.Option(help="tiny (seconds on a CPU), cpu-hour, base, or ego_history, a baseline planner.")
    ] = "base",
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="train.epochs=5, for example.")] = None,
    init: Annotated[str | None, typer.Option(help="Start from these weights: `synthetic`, `nuscenes` or a path.")] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="Name of a drive never to train on; repeatable.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Train the world model, or the preset's other one, on caches; writes OUT/weights.safetensors."""
    from drive_wm.train import train

    command = shlex.join(["drive-wm", *sys.argv[1:]])
    go_on = command if resume else f"{command} --resume"
    with interruptible(f"Go on with: {go_on}"):
        path = train(cache, preset, out, overrides or [], resume, init, leave_out or [], command)
    screen.print(f"Weights: {path}", highlight=False)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A.parquet", help="Rows that `evaluate planning --rows` wrote.")],
    second: Annotated[Path, typer.Argument(metavar="B.parquet", help="Rows of another model.")],
    json: Json = None,
) -> None:
    """Two models on the same samples: b less a, with its 95 % interval over scenes."""
    from drive_wm.benchmarks.compare import compare, shown
    from drive_wm.benchmarks.results_file import write_results

    rows = compare(first, second)
    show(f"{rows[0]['planner']}: L2 in metres, shares in collision", shown(rows), COMPARED)
    if json:
        write_results(json, rows, seed=0)


@app.command()
def inspect(
    rows: Annotated[Path, typer.Argument(metavar="ROWS", help="Rows that `evaluate planning --rows` wrote.")],
    sample: Annotated[str, typer.Option(help="Sample token.")],
    protocol: Annotated[str, typer.Option(help="One protocol; by default the first with a collision.")] = "",
    out: Annotated[Path | None, typer.Option(help="PNG file to write.")] = None,
) -> None:
    """Draw one sample: plan, human, obstacles at each step, and which box was hit."""
    from drive_wm.benchmarks.inspection import inspect

    screen.print(f"{inspect(rows, sample, protocol, out)}", highlight=False)


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(metavar="J...", help="Result files, as commands write them with --json.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    rows: Annotated[
        list[Path] | None, typer.Option(help="Rows of `evaluate planning --rows`, for pictures of the worst; repeatable.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "drive_wm: results",
    worst: Annotated[int, typer.Option(min=1, help="How many samples to draw of each rows file.")] = 20,
) -> None:
    """Result files as one HTML page: tables beside published figures, slices, the worst samples, what was not measurable."""
    from drive_wm.benchmarks.results_report import report

    with progress("Report") as bar:
        page = report(results, out, rows or [], title, worst, bar)
    screen.print(f"Open {page} in a browser.", highlight=False)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    weights: Weights = "synthetic",
    cache: Annotated[
        list[Path] | None, typer.Option(help="Compare on scenes of this cache, not on the sample logs; repeatable.")
    ] = None,
) -> None:
    """Write the planner as a bundle: ONNX graph, contract, golden scenes, hashes; nothing where graph and torch differ."""
    from drive_wm.checkpoint import weights_path
    from drive_wm.datasets.cache import open_cache
    from drive_wm.deploy.export import export

    weights_path(weights)  # a path that is not there is told before the bar appears
    golden = None
    if cache:
        opened = [open_cache(path) for path in cache]
        golden = [one.sample(i * one.samples // GOLDEN)[0] for one in opened for i in range(min(GOLDEN, one.samples))]
    with progress("Exporting") as bar:
        written = export(weights, out, golden, report=bar)
    differences = [
        {"output": one.name, "largest difference": one.largest, "allowed": one.tolerance} for one in written.differences
    ]
    show(f"ONNX against torch on {written.golden} scenes", differences, PARITY)
    screen.print(f"{written.path}: {written.nodes} nodes, {len(written.operators)} kinds of operator.", highlight=False)


if __name__ == "__main__":
    app()
