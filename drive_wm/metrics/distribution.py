"""How far two samples are apart: as distributions, and as what a threshold can tell from the other."""

import torch
from torch import Tensor


def histogram(values: Tensor, low: float, high: float, bins: int, weights: Tensor | None = None) -> Tensor:
    """Counts (N,) of values (S,) in equal bins, or sums of their weights; what lies outside counts in the first or last."""
    at = ((values - low) / (high - low) * bins).floor().long().clamp(0, bins - 1)
    return torch.bincount(at, weights, minlength=bins).double()


def wasserstein_1(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Wasserstein-1 distance (...) between histograms (..., N) of any total with bins of this width, in its unit.

    The area between the two cumulative distributions: exact for values at bin centres, else within one width.
    """
    share_a, share_b = (counts / counts.sum(-1, keepdim=True) for counts in (a, b))
    return width * (share_a - share_b).cumsum(-1).abs().sum(-1)


def wins(clean: Tensor, corrupted: Tensor) -> Tensor:
    """How many clean values (N,) lie below each corrupted one (M,); equal ones count half.

    Their mean over M, divided by N, is the area under the ROC curve (the Mann-Whitney statistic).
    """
    ordered = clean.sort().values
    below, up_to = (torch.searchsorted(ordered, corrupted.contiguous(), right=right) for right in (False, True))
    return (below + up_to).double() / 2


def auroc(clean: Tensor, corrupted: Tensor) -> Tensor:
    """How likely a corrupted value (M,) lies above a clean one (N,): 1 tells all apart, 0.5 is a coin."""
    return wins(clean, corrupted).mean() / len(clean)
