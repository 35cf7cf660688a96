"""Counterfactual drives as a folder of NAME.log.safetensors, which `drive-wm prepare --data logs` reads."""

from collections import Counter
from itertools import islice
from pathlib import Path

from drive_wm.datasets.sumo_branches import read_branches
from drive_wm.datasets.synth_folder import Progress, Summary, write_folder
from drive_wm.log import write_log


def synthesize_branches(out: Path, scenes: int, seed: int, progress: Progress) -> Summary:
    """Write that many drives, each with every branch that it has; the same seed gives the same bytes."""
    wanted = Summary(kind="branches", scenes=scenes, seed=seed)
    return write_folder(out, wanted, lambda folder: _write(folder, wanted, progress), progress)


def _write(folder: Path, wanted: Summary, progress: Progress) -> Summary:
    networks: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    for done, group in enumerate(islice(read_branches(wanted.seed), wanted.scenes), 1):
        for log in group:
            write_log(log, folder / f"{log.name}.log.safetensors")
        networks[group[0].location.removeprefix("sumo-")] += 1
        actions.update(log.branch_action for log in group)
        categories.update(group[0].categories)
        progress(done, wanted.scenes, f"{group[0].name}: {', '.join(log.branch_action for log in group)}")
    return wanted.model_copy(update={"networks": dict(networks), "events": dict(actions), "categories": dict(categories)})
