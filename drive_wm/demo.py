"""The demo: shipped drives and weights through the whole path, plan to report, in a minute or two and without data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from drive_wm.animation import Tick, animate, tick
from drive_wm.benchmarks.planning import score_planner
from drive_wm.benchmarks.report import KeyFigure, Note, Picture, SceneReport, Table, write_report
from drive_wm.benchmarks.results_file import Results, read_results, write_results
from drive_wm.benchmarks.scene_report import scene_report
from drive_wm.checkpoint import Origin, load_weights
from drive_wm.datasets.sumo_samples import sample_logs
from drive_wm.deploy.bench import bench_tick
from drive_wm.deploy.export import ExportReport, export
from drive_wm.deploy.golden import golden_scenes
from drive_wm.log import Log
from drive_wm.model.world_model import WorldModel
from drive_wm.planners import constant_velocity
from drive_wm.planners.world_model import Decision, decide
from drive_wm.rollouts import Trajectory
from drive_wm.scene import Scene
from drive_wm.scene_at import SceneBuilder
from drive_wm.structs import cat

WEIGHTS = "synthetic"
EVERY = 6  # keyframes between two plans: three seconds
TICKS = 10  # of the latency measurement
GOLDEN_PER_DRIVE = 2
HERO = "junction"
MOMENT = 12  # the keyframe, a multiple of EVERY, that the report shows of each drive: six seconds after its start

Report = Callable[[int, int, str], None]  # done, of how many, what comes next


def run(out: Path, report: Report) -> Path:
    """Write planning.json, bundle/ and report.html to `out`; returns the report's path."""
    # Tracing the planner takes one core half a minute: the other plans and draws meanwhile.
    with one_thread(), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
        exporting = beside.submit(exported_to, out / "bundle")
        model, origin = load_weights(WEIGHTS)
        logs = sample_logs()
        drives, sections = [], []
        for done, log in enumerate(logs):
            report(done, len(logs) + 2, f"plan and draw: {log.name}")
            drives.append(planned(log, model))
            sections.append(section(drives[-1]))
        write_results(out / "planning.json", planning_rows(drives), seed=None)
        results = read_results(out / "planning.json")
        hero = moving(next(drive for drive in drives if drive.log.name == HERO))
        report(len(logs), len(logs) + 2, "export, and compare with torch")
        exported = exporting.result()
    report(len(logs) + 1, len(logs) + 2, "measure a tick")
    ticks = bench_tick(out / "bundle", runs=TICKS)
    page = out / "report.html"
    write_report(
        page,
        "drive_wm: six drives through the whole path",
        scenes=sections,
        tables=[planning_table(results), parity_table(exported)],
        notes=[made(results, origin, exported)],
        figures=key_figures(results, exported, ticks),
        subtitle="Simulated drives, synthetic weights: what the planner saw, imagined, weighed and chose.",
        hero=hero,
    )
    report(len(logs) + 2, len(logs) + 2, "done")
    return page


def exported_to(bundle: Path) -> ExportReport:
    """Export the shipped weights, judged on fewer golden scenes than `drive-wm export` takes."""
    scenes = golden_scenes(load_weights(WEIGHTS)[0].config.scene, GOLDEN_PER_DRIVE)
    return export(WEIGHTS, bundle, scenes)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one core, for the time that another process needs the other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Drive:
    """A sample drive with a decision at every EVERY-th keyframe."""

    log: Log
    scenes: Sequence[Scene]  # B = 1 each
    decisions: Sequence[Decision]


def planned(log: Log, model: WorldModel) -> Drive:
    """Decide at every EVERY-th keyframe."""
    builder = SceneBuilder(log, model.config.scene)
    scenes = [builder.at(step, "route")[0] for step in range(0, len(log.keyframes), EVERY)]
    return Drive(log, scenes, [decided(scene, model) for scene in scenes])


def decided(scene: Scene, model: WorldModel) -> Decision:
    with torch.inference_mode():
        return decide(scene, model.foresee)


def planning_rows(drives: Sequence[Drive]) -> list[dict[str, object]]:
    """Rows of the planner, which replays the decisions already taken, of constant velocity and of the human."""
    chosen: Iterator[Trajectory] = (decision.trajectory for drive in drives for decision in drive.decisions)
    given = [(drive.log, cat(drive.scenes)) for drive in drives]
    rows = score_planner(given, lambda scene: next(chosen), "world_model", batch=1, every=EVERY).table()
    baseline = score_planner(given, constant_velocity.plan, "constant_velocity", every=EVERY).table()
    return rows + [row for row in baseline if row["planner"] != "log"]


def section(drive: Drive) -> SceneReport:
    """The report's section on one drive, at its moment."""
    at = MOMENT // EVERY
    title = drive.log.name.replace("_", " ").capitalize()
    return scene_report(title, drive.log.description, drive.scenes[at], drive.decisions[at])


def moving(drive: Drive) -> Picture:
    """The drive as a moving picture."""
    ticks: list[Tick] = []
    for number, (scene, d) in enumerate(zip(drive.scenes, drive.decisions, strict=True)):
        ticks.append(tick(number * EVERY, scene, d.plans, d.rollouts, int(d.index[0])))
    return Picture(animate(drive.log, ticks), f"A drive from above, moving: {drive.log.description}.")


def planning_table(results: Results) -> Table:
    rows = [row for row in results.rows if "slice" not in row]
    note = f"Simulated drives, one plan every {EVERY // 2} s; metres and percent as each protocol averages them."
    return Table("Open-loop planning", rows, note)


def parity_table(exported: ExportReport) -> Table:
    rows = [
        {"output": row.name, "largest difference": f"{row.largest:.1e}", "allowed": f"{row.tolerance:.0e}"}
        for row in exported.differences
    ]
    return Table("Exported graph against torch", rows, f"ONNX Runtime on {exported.golden} golden scenes.")


def key_figures(results: Results, exported: ExportReport, ticks: Sequence[Mapping[str, Any]]) -> list[KeyFigure]:
    """What a reader asks first."""
    strict = next(row for row in results.rows if row["planner"] == "world_model" and row["protocol"] == "strict")
    largest = max(row.largest for row in exported.differences)
    onnx = ticks[0]
    return [
        KeyFigure(f"{strict['l2_avg']:.2f} m", "L2 to the human", f"strict protocol, mean of 1, 2, 3 s, n = {strict['n']}"),
        KeyFigure(f"{100 * strict['collision_avg']:.1f} %", "collisions", f"strict protocol, n = {strict['n']}"),
        KeyFigure(f"{largest:.0e}", "torch against ONNX", f"largest difference, {exported.golden} scenes, same plans chosen"),
        KeyFigure(
            f"{onnx['p50_ms']:.0f} ms",
            "one planner tick",
            f"median of {onnx['n']}, p99 {onnx['p99_ms']:.0f} ms; ONNX Runtime, {onnx['threads']} threads; "
            f"{onnx['plans']} plans, {onnx['modes']} modes, {onnx['agents']} agents",
        ),
    ]


def made(results: Results, origin: Origin, exported: ExportReport) -> Note:
    entries = {
        "Command": results.command,
        "Weights": f"{WEIGHTS}, trained on {', '.join(origin.trained_on)}: {origin.licence}",
        "Trained by": origin.command,
        "Bundle": f"{exported.nodes} operators of {len(exported.operators)} kinds",
        "Machine": ", ".join(f"{key}: {value}" for key, value in results.machine.items()),
        "Versions": ", ".join(f"{name} {number}" for name, number in results.versions.items()),
    }
    return Note("How this was made", entries)
