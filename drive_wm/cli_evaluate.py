"""`drive-wm evaluate ...`: how good a planner or a model is."""

from pathlib import Path
from typing import Annotated

import typer

from drive_wm.cli_options import Caches, Engine, Json, Version, Weights
from drive_wm.screen import progress, screen, show

evaluate = typer.Typer(help="Measure a planner or a model; prints a table and writes JSON.", no_args_is_help=True)

PLANNING = {  # column: how its values are written
    "protocol": "", "planner": "", "l2_1s": ".2f", "l2_2s": ".2f", "l2_3s": ".2f", "l2_avg": ".2f",
    "collision_avg": ".2%", "truth_collision": ".2%", "n": "",
}  # fmt: skip
FORECASTS = {
    "model": "", "min_ade_5": ".2f", "min_ade_10": ".2f", "miss_rate_5": ".1%", "miss_rate_10": ".1%", "min_fde_1": ".2f",
    "off_road_rate": ".1%", "n": "", "missing": "",
}  # fmt: skip

FIDELITY = {  # title of a table, how its rows' slices begin: columns
    ("Six seconds of everybody that could move: metres, nats", ""): {
        "model": "", "ego": "", "min_ade": ".2f", "likeliest_ade": ".2f", "nll": ".2f",
        "cover_50_along": ".0%", "cover_90_along": ".0%", "n": "",
    },
    ("Surprise: clean scenes against corrupted", "surprise: "): {
        "slice": "", "auroc_most": ".3f", "auroc_agent": ".3f", "control_auroc_most": ".3f", "alarms_p5": ".0%", "n": "",
    },
    ("Reaction: followers when the ego brakes, others when it is absent", "reaction: "): {
        "slice": "", "followers_slow": ".0%", "followers_change_mps": ".2f", "absence_change_m": ".2f", "n": "",
    },
    ("Branches: six seconds of those that reacted to the ego, metres", "branches: reacted"): {
        "slice": "", "model": "", "min_ade": ".2f", "likeliest_ade": ".2f", "likeliest_fde": ".2f", "n": "",
    },
    ("Branches: who yields to the ego", "branches: sign"): {
        "slice": "", "model": "", "sign_accuracy": ".1%", "yields_recall": ".0%", "yields_precision": ".0%", "n_yields": "",
        "n": "",
    },
    ("Distributions of long rollouts against the logs", "realism: "): {
        "slice": "", "w1": ".3f", "w1_floor": ".3f", "rate_imagined": ".1%", "rate_logs": ".1%", "n": "",
    },
}  # fmt: skip
CLOSED_LOOP = {
    "planner": "", "traffic": "", "pdms": ".3f", "epdms": ".3f", "human_epdms": ".3f", "no_at_fault_collision": ".3f",
    "drivable_area": ".3f", "time_to_collision": ".3f", "ego_progress": ".3f", "comfort_v1": ".3f", "n": "",
}  # fmt: skip


@evaluate.command("planning")
def evaluate_planning(
    cache: Annotated[list[Path] | None, typer.Option(help="Folder that `drive-wm prepare` wrote; repeatable.")] = None,
    planner: Annotated[
        str,
        typer.Option(help="world_model, ego_history, constant_velocity, idm, log (the human), or your own FILE.py:FUNCTION."),
    ] = "world_model",
    weights: Weights = "synthetic",
    only: Annotated[list[str] | None, typer.Option(help="Name of a drive to evaluate alone; repeatable.")] = None,
    plans: Annotated[Path | None, typer.Option(help="Score this JSON file of any model's plans instead of a planner.")] = None,
    root: Annotated[Path | None, typer.Option(help="With --plans, instead of --cache: the nuScenes folder.")] = None,
    version: Version = "v1.0-trainval",
    split: Annotated[str, typer.Option(help="With --root: the split's name.")] = "val",
    protocol: Annotated[str, typer.Option(help="uniad, stp3_vad, bev_planner, sparsedrive, strict, or all of them.")] = "all",
    command: Annotated[
        str,
        typer.Option(help="What a planner is told: none, route, or ground_truth_offset, read from the future as papers do."),
    ] = "none",
    hide_ego_status: Annotated[
        bool, typer.Option("--hide-ego-status", help="Keep the ego's past poses and its velocity from a planner.")
    ] = False,
    legacy_index: Annotated[
        bool, typer.Option("--legacy-index", help="stp3_vad: classes as VAD's category numbers read on plain nuScenes.")
    ] = False,
    engine: Engine = "local",
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
            told = run.Told(not hide_ego_status, command)
            evaluation = run.run_planner(cache or [], planner, weights, protocols, legacy_index, bar, only or [], engine, told)
    table = evaluation.table()
    show(
        "Open-loop planning: L2 in metres, shares of samples in collision",
        [row for row in table if "slice" not in row],
        PLANNING,
    )
    if not table[0].get("all_traffic", True):
        screen.print("The source recorded part of the traffic only: a collision with anybody else is not seen.")
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
    only: Annotated[list[str] | None, typer.Option(help="Name of a drive to evaluate alone; repeatable.")] = None,
    submission: Annotated[Path | None, typer.Option(help="Write the challenge's submission JSON here.")] = None,
    engine: Engine = "local",
    json: Json = None,
) -> None:
    """The nuScenes prediction challenge, scored with nuscenes-devkit's own code."""
    from drive_wm.benchmarks.prediction_run import run_prediction
    from drive_wm.benchmarks.results_file import write_results

    with progress("Forecasting") as bar:
        rows = run_prediction(cache, weights, baseline, root, split, submission, only or [], bar, engine)
    which = {"challenge": "official targets", "vehicles": "all moving vehicles"}[rows[0]["targets"]]
    title = f"Forecasts of {which} over six seconds: metres, shares missed by 2 m"
    show(title, [row for row in rows if "slice" not in row], FORECASTS)
    if json:
        write_results(json, rows, seed=None)


@evaluate.command("world-model")
def evaluate_world_model(
    cache: Caches,
    weights: Weights = "synthetic",
    seconds: Annotated[float, typer.Option(help="Length of the rollouts whose realism is measured.")] = 20.0,
    only: Annotated[list[str] | None, typer.Option(help="Name of a drive to evaluate alone; repeatable.")] = None,
    json: Json = None,
) -> None:
    """How true a world model is: displacement, likelihood, calibration, surprise, reaction, realism of long rollouts."""
    from drive_wm.benchmarks.results_file import write_results
    from drive_wm.benchmarks.world_model_run import SEED, run_world_model

    with progress("Imagining") as bar:
        rows = run_world_model(cache, weights, seconds, only or [], bar)
    for (title, start), columns in FIDELITY.items():
        shown = [row for row in rows if _is_shown(str(row.get("slice", "")), start)]
        if shown:
            show(
                title,
                [row | {"slice": str(row.get("slice", "")).removeprefix(start).removeprefix(", ") or "all"} for row in shown],
                columns,
            )
    screen.print(f"Mode probabilities are {rows[0]['mode_ece']:.2f} off on average (expected calibration error).")
    if rows[0]["not_measured"]:
        screen.print(f"Not measured: {rows[0]['not_measured']}.")
    if json:
        write_results(json, rows, seed=SEED)


def _is_shown(name: str, start: str) -> bool:
    """Whether a slice is in the table of this start; the whole set where it is "". Vehicles stand for all kinds."""
    return name.startswith(start) and not name.endswith(("cyclists", "pedestrians")) if start else not name


@evaluate.command("closed-loop")
def evaluate_closed_loop(
    cache: Caches,
    planner: Annotated[
        str,
        typer.Option(help="world_model, ego_history, constant_velocity, idm, log (the human), or your own FILE.py:FUNCTION."),
    ] = "world_model",
    weights: Weights = "synthetic",
    traffic: Annotated[
        str, typer.Option(help="replay (as recorded), idm (vehicles react) or imagined (by the world model).")
    ] = "replay",
    horizon: Annotated[float, typer.Option(help="Seconds per drive; 0 drives from the first start to the end.")] = 4.0,
    every: Annotated[int, typer.Option(min=1, help="Start at every n-th keyframe.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Name of a drive to evaluate alone; repeatable.")] = None,
    json: Json = None,
    rows: Annotated[Path | None, typer.Option(help="Write every start's scores to this Parquet file.")] = None,
) -> None:
    """Closed loop: a planner drives, planning anew every half second; scored as NAVSIM does, PDMS and EPDMS."""
    from drive_wm.benchmarks import closed_loop_run as run
    from drive_wm.benchmarks.closed_loop_table import write_starts
    from drive_wm.benchmarks.results_file import write_results

    setting = run.Setting(planner, weights, traffic, horizon, every)
    with progress("Driving") as bar:
        found = run.run(cache, setting, only or [], bar)
    table = found.table()
    show("Closed loop: 1 is best; the data has no traffic lights", table[:1], CLOSED_LOOP)
    if table[0]["without"]:
        screen.print(f"Not measurable here, and in no score: {table[0]['without']}.")
    if json:
        write_results(json, table, seed=None)
    if rows:
        write_starts(rows, found.rows())
