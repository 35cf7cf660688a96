"""From a planner's decision to its section in the report: pictures, the plans worth comparing, the words."""

from collections.abc import Sequence

import torch
from torch import Tensor

from drive_wm.animation import animate, tick
from drive_wm.benchmarks.report import Picture, PlanRow, SceneReport
from drive_wm.drawing import DARK, LIGHT
from drive_wm.figures import imagined_figure, png, seen_figure
from drive_wm.log import KINDS, Log
from drive_wm.planners.lattice import LatticeConfig, slots
from drive_wm.planners.score import TERMS, Scores, Weights, total
from drive_wm.planners.world_model import Decision, Foresee, decide
from drive_wm.rollouts import Plans
from drive_wm.scene import Scene, ego_speed_mps
from drive_wm.scene_at import SceneBuilder

# Places of the lattice that hold the same manoeuvre in every scene, counted from the end.
LAST = {-3: "hold speed and curvature", -2: "comfortable stop", -1: "emergency brake"}
PATHS_SHOWN = 3
FLAGS = {
    "offroad_m": "has_area", "wrong_way_m": "has_lane_direction", "lane_offset_m": "has_lanes",
    "route_offset_m": "has_route", "command_m": "has_command", "human_m": "has_human",
}  # fmt: skip


def scene_report(
    title: str, description: str, scene: Scene, decision: Decision,
    weights: Weights | None = None, config: LatticeConfig | None = None,
) -> SceneReport:  # fmt: skip
    """The section of one scene (B = 1)."""
    weights, config = weights or Weights(), config or LatticeConfig()
    chosen, plans = int(decision.index[0]), decision.plans
    worth = total(decision.scores, weights)[0]
    rows = tuple(
        plan_row(name, index, decision.scores, worth, weights)
        for name, index in compared(plans, worth, decision.scores.progress_m[0], chosen, config)
    )
    return SceneReport(
        title=title,
        description=description,
        pictures=_pictures(scene, decision, worth, rows[0].name),
        plans=rows,
        mode_probabilities=decision.rollouts.mode_logits[0].softmax(-1).tolist(),
        facts=_facts(scene, decision),
    )


def compared(plans: Plans, worth: Tensor, progress_m: Tensor, chosen: int, config: LatticeConfig) -> list[tuple[str, int]]:
    """Names and indices: the chosen plan, the best plans of the best other paths, the one that gets farthest, and what is
    always possible."""
    count, places = len(worth), slots(config)
    learned = range(len(places), count - len(LAST))
    last = {count + place: name for place, name in LAST.items()}
    group = [slot.path for slot in places] + [-1] * len(learned)
    best: dict[int, int] = {}
    for index in torch.where(plans.valid[0], worth, -torch.inf)[: len(group)].argsort(descending=True).tolist():
        if plans.valid[0, index]:
            best.setdefault(group[index], index)

    def name(index: int) -> str:
        return last.get(index) or ("learned: " if index in learned else "") + where(plans, index)

    named = {name(chosen): chosen}
    if chosen < len(group):
        del best[group[chosen]]
    for index in best.values():
        if len(named) <= PATHS_SHOWN:
            named.setdefault(name(index), index)  # paths that end alike are one to the reader
    farthest = int(torch.where(plans.valid[0], progress_m, -torch.inf).argmax())
    if farthest not in (*named.values(), *last):
        named[f"farthest: {name(farthest)}"] = farthest
    return list((named | {text: index for index, text in last.items() if index != chosen}).items())


def where(plans: Plans, index: int) -> str:
    """Where a plan ends, in words."""
    ahead_m, left_m, _ = plans.pose[0, index, -1].tolist()
    speed_mps = float(plans.speed_mps[0, index, -1])
    if max(abs(ahead_m), abs(left_m), speed_mps) < 0.5:
        return "stands still"
    side = "" if abs(left_m) < 0.5 else f", {abs(left_m):.0f} m {'left' if left_m > 0 else 'right'}"
    place = f"{ahead_m:.0f} m ahead{side}"
    return f"stops {place}" if speed_mps < 0.1 else f"{place}, at {speed_mps:.1f} m/s"


def plan_row(name: str, index: int, scores: Scores, worth: Tensor, weights: Weights) -> PlanRow:
    """One plan's terms and what they add to its total; terms that this scene has nothing to read for are left out."""
    known = [term for term in TERMS if term not in FLAGS or bool(getattr(scores, FLAGS[term])[0])]
    values = {term: float(getattr(scores, term)[0, index]) for term in known}
    costs = {term: -getattr(weights, term) * value for term, value in values.items()}
    # What progress earns is the rest of the total, however the planner weighs it.
    earned = {"progress_m": float(worth[index]) - sum(costs.values())}
    return PlanRow(name, costs | earned, values | {"progress_m": float(scores.progress_m[0, index])})


def drive_picture(log: Log, steps: Sequence[int], foresee: Foresee, weights: Weights | None = None) -> Picture:
    """A drive as a moving picture, planned anew at each of these keyframes."""
    builder, ticks, still = SceneBuilder(log), [], b""
    for step in steps:
        scene = builder.at(step)[0]
        decision = decide(scene, foresee, weights=weights)
        index = int(decision.index[0])
        ticks.append(tick(step, scene, decision.plans, decision.rollouts, index))
        if step == steps[0]:
            worth = total(decision.scores, weights or Weights())[0]
            still = png(seen_figure(scene, decision.plans, worth, index))
    alt = f"A drive from above, moving: {log.description.rstrip('.')}. The chosen plan is drawn ahead of the ego."
    caption = "As recorded. Pink: the plan chosen at each half second; thin lines: the imagined futures of the others."
    return Picture(animate(log, ticks), alt, caption, still=still)


def _pictures(scene: Scene, decision: Decision, worth: Tensor, name: str) -> Sequence[Picture]:
    chosen, plans, rollouts = int(decision.index[0]), decision.plans, decision.rollouts
    seen, seen_dark = (png(seen_figure(scene, plans, worth, chosen, look)) for look in (LIGHT, DARK))
    imagined, imagined_dark = (png(imagined_figure(scene, plans, rollouts, chosen, look)) for look in (LIGHT, DARK))
    probability = rollouts.mode_logits[0].softmax(-1)
    valid = int(plans.valid[0].sum())
    return (
        Picture(
            seen,
            f"Map from above: the ego, {_counted(scene)}, and {valid} candidate plans coloured by score; chosen: {name}.",
            "What the planner saw, the plans it weighed and the one it chose.",
            seen_dark,
        ),
        Picture(
            imagined,
            "The same map once for each of the likeliest imagined futures of the others under the chosen plan; "
            f"the likeliest, mode {int(probability.argmax()) + 1}, has {float(probability.max()):.0%}.",
            "What it imagined of the others if it drives this plan.",
            imagined_dark,
        ),
    )


def _facts(scene: Scene, decision: Decision) -> dict[str, str]:
    speeds_mps = decision.trajectory.speed_mps[0]
    return {
        "Ego speed": f"{float(ego_speed_mps(scene)[0]):.1f} m/s",
        "After 3 s and 6 s": f"{float(speeds_mps[5]):.1f} and {float(speeds_mps[-1]):.1f} m/s",
        "Around it": _counted(scene),
        "Route": "given" if bool(scene.has_route[0]) else "none",
    }


def _counted(scene: Scene) -> str:
    """ "5 vehicles, 1 pedestrian" """
    kinds = scene.tracks.kind[0, 1:][scene.tracks.valid[0, 1:, -1]].bincount(minlength=len(KINDS)).tolist()
    names = ("vehicle", "cyclist", "pedestrian", "static object")
    return ", ".join(f"{n} {name}{'s' if n > 1 else ''}" for n, name in zip(kinds, names, strict=True) if n) or "nobody"
