"""What `score_plans` takes, checked: raises InputError that names the sample and step at fault."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drive_wm.errors import InputError
from drive_wm.metrics.planning import PROTOCOLS, STEPS, Protocol

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SampleBoxes = Sequence[ArrayLike]  # one (n, 5) array per step


def checked_protocol(name: str) -> Protocol:
    for protocol in PROTOCOLS:
        if protocol == name:
            return protocol
    raise InputError(f"Planning protocol {name!r} is unknown. Use one of: {', '.join(PROTOCOLS)}.")


def checked_valid(valid: ArrayLike) -> Bools:
    found = np.asarray(valid)
    if found.ndim != 2 or found.shape[1] != STEPS or not np.isin(found, (0, 1)).all():
        raise InputError(f"valid has shape {found.shape}, type {found.dtype}; needed: (S, {STEPS}) of true and false.")
    return found.astype(bool)


def _numbers(name: str, values: ArrayLike) -> Floats:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be read as numbers ({error}); needed: rows of equal length.") from error


def checked_path(name: str, path_m: ArrayLike, valid: Bools) -> Floats:
    """The path as (S, 6, 2), zero at missing steps."""
    found = _numbers(name, path_m)
    if found.shape != (*valid.shape, 2):
        raise InputError(f"{name} has shape {found.shape}; needed: {(*valid.shape, 2)}, x right and y forward in metres.")
    bad = np.argwhere(valid[..., None] & ~np.isfinite(found))
    if len(bad):
        sample, step = bad[0][:2]
        raise InputError(f"{name} is not finite at sample {sample}, step {step}; mark the step as not valid or leave it out.")
    return np.where(valid[..., None], found, 0.0)


def flat_boxes(boxes: Sequence[SampleBoxes], scored: Bools) -> tuple[Floats, Ints]:
    """All boxes (N, 5) of scored steps, and the step 6 * sample + step (N,) each stands at."""
    if len(boxes) != len(scored):
        raise InputError(f"boxes holds {len(boxes)} samples; needed: {len(scored)}, one per plan.")
    steps = [np.zeros((0, 5))]
    owner = [0]
    for sample, per_step in enumerate(boxes):
        if len(per_step) != STEPS:
            raise InputError(f"boxes of sample {sample} hold {len(per_step)} steps; needed: {STEPS}.")
        for step, found in enumerate(per_step):
            array = _numbers(f"boxes of sample {sample}, step {step}", found)
            if array.size == 0:
                continue
            if array.ndim != 2 or array.shape[1] != 5:
                raise InputError(
                    f"boxes of sample {sample}, step {step} have shape {array.shape}; "
                    "needed: (n, 5) x, y, length, width, yaw of the length axis."
                )
            if scored[sample, step]:
                steps.append(array)
                owner.append(STEPS * sample + step)
    flat = np.concatenate(steps)
    at = np.repeat(owner, [len(array) for array in steps])
    bad = np.flatnonzero(~np.isfinite(flat).all(1))
    if len(bad):
        sample, step = divmod(int(at[bad[0]]), STEPS)
        raise InputError(f"boxes of sample {sample}, step {step} are not finite; needed: finite numbers.")
    return flat, at
