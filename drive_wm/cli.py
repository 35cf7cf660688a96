"""The command line: each command reads its options, calls one function and prints what comes back.

Every command imports its part when it runs, so that `drive-wm --help` is quick and a part that is not
installed troubles nobody who does not use it.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

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
evaluate = typer.Typer(help="Measure a planner or a model; prints a table and writes JSON.", no_args_is_help=True)
bench = typer.Typer(help="Measure speed.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")
app.add_typer(bench, name="bench")

Root = Annotated[Path | None, typer.Option(help="The nuScenes folder: it holds maps/ and v1.0-*/.")]
Version = Annotated[str, typer.Option(help="Folder of the nuScenes tables below the root.")]
Caches = Annotated[list[Path], typer.Option("--cache", help="Folder that `drive-wm prepare` wrote; repeat to join several.")]
Weights = Annotated[str, typer.Option(help="A checkpoint's path, or `synthetic` for the shipped weights.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write every row to this file.")]

PLANNING = {  # column: how its values are written
    "protocol": "", "planner": "", "l2_1s": ".2f", "l2_2s": ".2f", "l2_3s": ".2f", "l2_avg": ".2f",
    "collision_avg": ".2%", "truth_collision": ".2%", "n": "",
}  # fmt: skip
FORECASTS = {
    "model": "", "targets": "", "min_ade_5": ".2f", "min_ade_10": ".2f", "miss_rate_5": ".2%", "miss_rate_10": ".2%",
    "min_fde_1": ".2f", "off_road_rate": ".2%", "n": "", "missing": "",
}  # fmt: skip
PARITY = {"output": "", "largest difference": ".2g", "allowed": ".2g"}
TICK = {"runtime": "", "p50_ms": ".1f", "p99_ms": ".1f", "n": "", "threads": "", "plans": "", "modes": "", "agents": ""}
GOLDEN = 16  # scenes of a cache that go into a bundle
COMPARED = {
    "protocol": "", "l2_avg_a": ".2f", "l2_avg_b": ".2f", "l2_avg_difference": "+.2f", "l2_avg_difference_low": "+.2f",
    "l2_avg_difference_high": "+.2f", "collision_avg_difference": "+.2%", "collision_avg_difference_low": "+.2%",
    "collision_avg_difference_high": "+.2%", "n": "", "scenes": "",
}  # fmt: skip
METRICS = {"metric": "", "protocol": "", "n": ",", "seconds": ".2f", "peak_mib": ",.0f"}


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for the report and the bundle.")] = Path("out/demo")) -> None:
    """Plan, evaluate and export on the shipped sample logs; writes an HTML report. Needs no data and no GPU."""
    from drive_wm.demo import run

    run(out)


@app.command()
def doctor(root: Root = None, version: Version = "v1.0-trainval") -> None:
    """Say what is installed, what a nuScenes folder lacks and where to get it; status 1 where something needed is missing."""
    from drive_wm.datasets.doctor import diagnose, healthy

    findings = diagnose(root, version)
    table = Table("", "what", "found", "to do")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[red]missing[/]" if finding.required else "[yellow]optional[/]"
        table.add_row(mark, escape(finding.name), escape(finding.found), escape(finding.to_do))
    screen.print(table)
    raise typer.Exit(0 if healthy(findings) else 1)


@app.command()
def prepare(
    out: Annotated[Path, typer.Option(help="Folder to write; running again goes on where it stopped.")],
    data: Annotated[str, typer.Option(help="nuscenes, or sumo for traffic simulated here.")] = "nuscenes",
    root: Root = None,
    version: Version = "v1.0-trainval",
    split: Annotated[str, typer.Option(help="nuscenes: the split's name.")] = "train",
    scenes: Annotated[int, typer.Option(min=1, help="sumo: how many drives to simulate.")] = 100,
    seed: Annotated[int, typer.Option(help="sumo: the same seed gives the same drives.")] = 0,
    engine: Annotated[str, typer.Option(help="local, or ray to spread drives over a cluster.")] = "local",
) -> None:
    """Read a data source once and write a cache, from which everything else reads."""
    from drive_wm.datasets.prepare import Request, prepare
    from drive_wm.scene import SceneConfig

    request = Request(root, version, split, scenes, seed)
    with interruptible("Run the same command again: finished drives are kept."), progress(f"Preparing {out}") as report:
        manifest = prepare(data, request, out, SceneConfig(), report, engine)
    screen.print(f"{out}: {len(manifest.shards)} drives, {manifest.samples} scenes.", highlight=False)


@app.command()
def sample_logs(out: Annotated[Path, typer.Option(help="Folder to write.")]) -> None:
    """Record anew, with SUMO, the sample logs that ship with the package."""
    from drive_wm.datasets.sumo_samples import record_samples

    record_samples(out)


@app.command()
def train(
    cache: Caches,
    out: Annotated[Path, typer.Option(help="Folder of the run: weights, checkpoints, TensorBoard log.")],
    preset: Annotated[str, typer.Option(help="tiny (seconds on a CPU) or base.")] = "base",
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="train.epochs=5, for example.")] = None,
    init: Annotated[str | None, typer.Option(help="Start from these weights: a path, or `synthetic`.")] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="Name of a drive never to train on; repeatable.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Train the world model on caches; writes OUT/weights.safetensors."""
    from drive_wm.train import train

    command = shlex.join(["drive-wm", *sys.argv[1:]])
    go_on = command if resume else f"{command} --resume"
    with interruptible(f"Go on with: {go_on}"):
        path = train(cache, preset, out, overrides or [], resume, init, leave_out or [], command)
    screen.print(f"Weights: {path}", highlight=False)


@evaluate.command("planning")
def evaluate_planning(
    cache: Annotated[list[Path] | None, typer.Option(help="Folder that `drive-wm prepare` wrote; repeatable.")] = None,
    planner: Annotated[
        str, typer.Option(help="world_model, constant_velocity, or FILE.py:FUNCTION of your own.")
    ] = "world_model",
    weights: Weights = "synthetic",
    plans: Annotated[Path | None, typer.Option(help="Score this JSON file of any model's plans instead of a planner.")] = None,
    root: Annotated[Path | None, typer.Option(help="With --plans, instead of --cache: the nuScenes folder.")] = None,
    version: Version = "v1.0-trainval",
    split: Annotated[str, typer.Option(help="With --root: the split's name.")] = "val",
    protocol: Annotated[str, typer.Option(help="uniad, stp3_vad, bev_planner, sparsedrive, strict, or all of them.")] = "all",
    legacy_index: Annotated[
        bool, typer.Option("--legacy-index", help="stp3_vad: classes as VAD's category numbers read on plain nuScenes.")
    ] = False,
    json: Json = None,
    rows: Annotated[Path | None, typer.Option(help="Write every sample's scores to this Parquet file.")] = None,
) -> None:
    """Open-loop planning against what the human drove, each protocol with its own masks and averages."""
    from drive_wm.benchmarks import planning_run as run
    from drive_wm.benchmarks.results_file import write_results
    from drive_wm.benchmarks.rows_file import write_rows

    protocols = run.protocols_named(protocol)
    with progress("Planning") as bar:
        if plans:
            drives = run.drives_named(root, version, split, cache or [])
            evaluation = run.run_file(plans, drives, protocols, legacy_index, bar)
        else:
            evaluation = run.run_planner(cache or [], planner, weights, protocols, legacy_index, bar)
    table = evaluation.table()
    show(
        "Open-loop planning: L2 in metres, shares of samples in collision",
        [row for row in table if "slice" not in row],
        PLANNING,
    )
    if json:
        write_results(json, table, seed=None)
    if rows:
        write_rows(rows, evaluation)


@evaluate.command("prediction")
def evaluate_prediction(
    cache: Caches,
    weights: Weights = "synthetic",
    baseline: Annotated[
        str | None, typer.Option(help="constant_velocity or physics_oracle of nuscenes-devkit, instead of weights.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="The nuScenes folder, for the official targets; without it, every moving vehicle.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="With --root: mini_train, mini_val, train, train_val or val; else the cache's.")
    ] = None,
    submission: Annotated[Path | None, typer.Option(help="Write the challenge's submission JSON here.")] = None,
    json: Json = None,
) -> None:
    """The nuScenes prediction challenge, scored with nuscenes-devkit's own code."""
    from drive_wm.benchmarks.prediction_run import run_prediction
    from drive_wm.benchmarks.results_file import write_results

    with progress("Forecasting") as bar:
        rows = run_prediction(cache, weights, baseline, root, split, submission, bar)
    show("Forecasts over six seconds: metres, shares missed by 2 m", [row for row in rows if "slice" not in row], FORECASTS)
    if json:
        write_results(json, rows, seed=None)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A.parquet", help="Rows that `evaluate planning --rows` wrote.")],
    second: Annotated[Path, typer.Argument(metavar="B.parquet", help="Rows of another model.")],
    json: Json = None,
) -> None:
    """Two models on the same samples: b less a, with its 95 % interval over scenes."""
    from drive_wm.benchmarks.compare import compare
    from drive_wm.benchmarks.results_file import write_results

    rows = compare(first, second)
    show("Second less first: L2 in metres, shares in collision", [row for row in rows if "slice" not in row], COMPARED)
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


@bench.command("tick")
def bench_tick(
    bundle: Annotated[Path, typer.Option(help="Folder that `drive-wm export` wrote.")],
    runs: Annotated[int, typer.Option(min=1, help="Ticks to time.")] = 200,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each runtime; by default every core.")] = None,
    weights: Annotated[str | None, typer.Option(help="Weights for torch's turn; by default those of the export.")] = None,
    json: Json = None,
) -> None:
    """Latency of one planner tick from a bundle, ONNX Runtime and torch in turns."""
    from drive_wm.benchmarks.results_file import write_results
    from drive_wm.deploy.bench import bench_tick

    with progress("Ticks") as bar:
        rows = bench_tick(bundle, runs, threads, weights, bar)
    show("One tick, milliseconds", rows, TICK)
    if json:
        write_results(json, rows, seed=None)


@bench.command("metrics")
def bench_metrics(json: Json = None) -> None:
    """Time and memory of all metrics on synthetic input: planning over 6,019 samples, prediction over 9,000 targets."""
    from drive_wm.benchmarks.planning_bench import SEED, bench_planning
    from drive_wm.benchmarks.prediction_bench import bench_forecasts
    from drive_wm.benchmarks.results_file import write_results

    with progress("Metrics") as bar:
        rows = list(bench_planning(progress=bar))
    rows += bench_forecasts(seed=SEED)
    show("Metrics", rows, METRICS)
    if json:
        write_results(json, rows, seed=SEED)


if __name__ == "__main__":
    app()
