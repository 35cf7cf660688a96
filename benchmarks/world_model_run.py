"""What `drive-wm evaluate world-model` runs: caches and weights in, rows out."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from drive_wm.benchmarks.branch_idm import idm_futures
from drive_wm.benchmarks.branches import Place, families, place_name, read_family
from drive_wm.benchmarks.drive_sums import Sums, joined
from drive_wm.benchmarks.fidelity_branches import Imagined, blind, branch_sums
from drive_wm.benchmarks.fidelity_forecast import forecast, forecast_sums, imaginers, mode_sums
from drive_wm.benchmarks.fidelity_reaction import absence_sums, brake_sums
from drive_wm.benchmarks.fidelity_realism import Traffic, together, traffic
from drive_wm.benchmarks.fidelity_rows import BLIND, CONTROL, LANES, MODEL, Found, fidelity_rows
from drive_wm.benchmarks.fidelity_surprise import drive_surprise
from drive_wm.checkpoint import load_weights
from drive_wm.datasets.cache import open_caches
from drive_wm.errors import InputError
from drive_wm.imagination import imagine_onward
from drive_wm.kinematics import DT_S
from drive_wm.log import Log
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import Future, Scene

SEED = 0
SAMPLES = 2  # rollouts per start
Progress = Callable[[int, int, str], None]


def run_world_model(
    caches: Sequence[Path], weights: str, seconds: float = 20.0, only: Sequence[str] = (), progress: Progress = lambda *_: None
) -> list[dict[str, object]]:
    """Rows of `fidelity_rows`, from every keyframe of the drives, all or only those named.

    Of drives that hold counterfactual branches the one in which the ego goes on stands for all, as they share most of their
    traffic; the others are compared with it from where they part.
    """
    steps = round(seconds / DT_S)
    if steps < 1:
        raise InputError(f"Rollouts of {seconds} s have no step; needed: {DT_S} s at least. Pass more with --seconds.")
    model, _ = load_weights(weights)
    everything = [(cache, i) for cache in open_caches(caches, only) for i in range(len(cache))]
    branching = families(everything)
    others = {place_name(place) for family in branching.values() for place in family[1:]}
    drives = [place for place in everything if place_name(place) not in others]
    found, branched = [], []
    for done, (cache, i) in enumerate(drives, 1):
        random = torch.Generator().manual_seed(SEED + done)
        log = cache.log(i)
        found.append(of_drive(model, log, *cache.scenes(i, "ego" if log.has_ego else "targets"), steps, random))
        if log.name in branching:
            branched.append(of_branches(model, branching[log.name]))
        progress(done, len(drives), cache.manifest.shards[i].name)
    return fidelity_rows(found, steps * DT_S, branched)


def of_drive(model: WorldModel, log: Log, scene: Scene, future: Future, steps: int, random: torch.Generator) -> Found:
    """Everything that is measured of one drive."""
    models, seed = imaginers(model), int(torch.randint(2**31, (), generator=random))
    free = {name: forecast(imagine, scene, future, ego_free=True) for name, imagine in models.items()}
    logged = {name: forecast(imagine, scene, future, ego_free=False) for name, imagine in models.items()}
    both = ((name, ego, found[name]) for name in models for ego, found in (("free", free), ("logged", logged)))
    forecasts = {(name, ego): forecast_sums(found, random) for name, ego, found in both}
    # Both judge the same corruptions.
    surprises = {
        name: drive_surprise(scene, future, found.rollouts, torch.Generator().manual_seed(seed)) for name, found in free.items()
    }
    recorded, imagined = realism(model, log, steps, random)
    return Found(
        forecasts=forecasts,
        modes=mode_sums(free[MODEL]),
        surprises=surprises,
        reaction=joined(brake_sums(model.imagine, scene, future), absence_sums(model.imagine, scene)),
        recorded=recorded,
        imagined=imagined,
        has_ego=log.has_ego,
        has_all_traffic=log.has_all_traffic,
        has_road=not log.map.drivable.is_empty,
    )


def of_branches(model: WorldModel, family: Sequence[Place]) -> dict[str, Sums]:
    """What was measured of the branches of one drive, by model."""
    branches, logs = read_family(family)
    imagined = {}
    with torch.inference_mode():
        for name, imagine in imaginers(model).items():
            rollouts = imagine(branches.scene, branches.plans)
            imagined[name] = Imagined(rollouts.position_m[0], rollouts.mode_logits[0])
    lanes_m = idm_futures(logs, logs[0].branch_step, model.config.scene)
    those = {
        MODEL: imagined[MODEL],
        BLIND: blind(imagined[MODEL]),
        CONTROL: imagined[CONTROL],
        LANES: Imagined(lanes_m[:, None], torch.zeros(1)),
    }
    return {name: branch_sums(branches, one) for name, one in those.items()}


def realism(model: WorldModel, log: Log, steps: int, random: torch.Generator) -> tuple[Traffic | None, Traffic | None]:
    """Traffic as recorded, and as imagined onward from two keyframes; None where the log has no ego to go along with."""
    first = model.config.scene.history - 1
    if not log.has_ego or len(log.keyframes) <= first:
        return None, None
    starts = sorted({first, max(first, len(log.keyframes) // 2)})
    rollouts = [one for start in starts for one in imagine_onward(model, log, start, steps, random, SAMPLES)]
    return traffic(log, first + 1), together([traffic(one, len(one.keyframes) - steps) for one in rollouts])
