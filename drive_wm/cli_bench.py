"""`drive-wm bench ...`: how fast parts of the program are."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from drive_wm.cli_options import Json, Root, Version, Weights
from drive_wm.screen import progress, screen, show

bench = typer.Typer(help="Measure speed.", no_args_is_help=True)

TICK = {"runtime": "", "p50_ms": ".1f", "p99_ms": ".1f", "n": "", "threads": "", "plans": "", "modes": "", "agents": ""}
DATA = {"reader": "", "n": ",", "samples_per_second": ".1f", "load_seconds": ".1f", "peak_mib": ",.0f", "ratio": ".1f"}
IMAGINE = {
    "runtime": "", "scene_seconds_per_second": ",.0f", "p50_ms": ".1f", "p99_ms": ".1f", "n": "", "threads": "",
    "ratio_to_naive": ".1f", "share_of_ceiling": ".2f", "max_difference_m": ".1e",
}  # fmt: skip
SCENES = 8  # that the runs take in turns
PREPARE = {"part": "", "n": ",", "seconds": ".1f", "samples_per_second": ".1f", "milliseconds": ".2f", "peak_mib": ",.0f"}
METRICS = {"metric": "", "protocol": "", "n": ",", "seconds": ".2f", "peak_mib": ",.0f"}


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


@bench.command("imagine")
def bench_imagine(
    weights: Weights = "nuscenes",
    caches: Annotated[
        list[Path] | None, typer.Option("--cache", help="Take the fullest scenes of a cache; by default the sample logs'.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Scenes to imagine.")] = 50,
    peer_runs: Annotated[int, typer.Option(min=1, help="How many of them also plan by plan.")] = 4,
    threads: Annotated[int, typer.Option(min=1, help="Threads of all.")] = 2,
    device: Annotated[str, typer.Option(help="Where: cpu, or cuda for a GPU.")] = "cpu",
    compiled: Annotated[
        bool, typer.Option("--compile", help="A row more, with the step compiled; takes a C++ compiler, and a minute or two.")
    ] = False,
    json: Json = None,
) -> None:
    """Seconds imagined per second: 64 plans, 6 modes, 6 s, everyone; beside the same plan by plan."""
    from drive_wm.benchmarks.imagine_bench import bench_imagine, fullest, scenes_to_imagine
    from drive_wm.benchmarks.results_file import write_results
    from drive_wm.checkpoint import load_weights

    model = load_weights(weights)[0]
    scenes = fullest(scenes_to_imagine(model.config.scene, caches or []), SCENES)
    with progress("Imagined") as bar:
        rows = bench_imagine(model, scenes, runs, peer_runs, threads, bar, device, compiled)
    show(f"Imagination on {rows[0]['device']}", rows, IMAGINE)
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


@bench.command("data")
def bench_data(
    root: Root = None,
    version: Version = "v1.0-trainval",
    split: Annotated[str, typer.Option(help="The split's name.")] = "val",
    samples: Annotated[int, typer.Option(min=1, help="How many each reader reads; drive_wm whole drives.")] = 500,
    peer_python: Annotated[
        Path | None, typer.Option(help="A Python that has trajdata; by default one is made below build/.")
    ] = None,
    json: Json = None,
) -> None:
    """Samples a second and peak memory: drive_wm, trajdata and the devkit on the same dataroot, one core each."""
    from drive_wm.benchmarks.data_bench import bench_readers
    from drive_wm.benchmarks.results_file import write_results

    with progress("Readers") as bar:
        rows = bench_readers(root, version, split, samples, peer_python, bar)
    show("nuScenes, read by one process on one core", [row for row in rows if "n" in row], DATA)
    for row in rows:
        if "absent" in row:
            screen.print(f"{row['reader']}: absent, {escape(row['absent'])}", highlight=False)
    if json:
        write_results(json, rows, seed=None)


@bench.command("prepare")
def bench_prepare(
    out: Annotated[Path, typer.Option(help="A new folder for the cache; trainval takes 13 GB.")],
    root: Root = None,
    version: Version = "v1.0-trainval",
    split: Annotated[str, typer.Option(help="The split's name; synth is all of a dataroot that drive_wm wrote.")] = "synth",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    json: Json = None,
) -> None:
    """A whole split prepared: samples a second, memory, where time goes, and how fast training reads it."""
    from drive_wm.benchmarks.prepare_bench import bench_prepare
    from drive_wm.benchmarks.results_file import write_results

    with progress("Drives") as bar:
        rows = bench_prepare(root, version, split, workers, out, bar)
    show(f"nuScenes prepared by {workers} processes, and parts of it by one", rows, PREPARE)
    if json:
        write_results(json, rows, seed=None)
