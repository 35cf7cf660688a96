"""From a model's joint modes and their spread to the few ranked trajectories per agent that a forecast challenge takes.

Each mode stands for a distribution: it is replaced by equally likely variants, ahead and behind, left and right, at the
quantiles of its Laplace spread. From all variants of all modes trajectories are chosen one by one, each time the one that
lowers the expected distance to the nearest chosen one the most (greedy k-medians). The first five, by which forecasts are
judged above all, then move to the geometric median of what is nearest to them (Weiszfeld, 1937), and five more are chosen
beside them. The one that is nearest to everything leads: a single guess is judged by it.
"""

import torch
from torch import Tensor

# Variants per mode: the middles of 9 equally likely slices along the heading times 3 across it; how far traffic gets is less
# certain than which way it goes. Fewer lose accuracy, more cost time and gain none.
ALONG, ACROSS = 9, 3
MOVED, MOVES = 5, 10  # how many trajectories move, and how often
_CLOSE_M = 0.1  # a centre on top of a path is as near as this
_BLOCK = 16  # targets at a time: what fits a processor's cache is quicker
_TIE_M = 1e-5  # expected distances closer than this are equal, and the first counts, on every machine
# So are distances and shares that rounding alone tells apart: a mode's variants left and right of it are as far from it.
_ROUNDING = 1e-6
_TILT = 1e-6  # keeps equal shares in the order of choice


def reduce_modes(
    position_m: Tensor, yaw_rad: Tensor, spread_m: Tensor, likely: Tensor, count: int, along: int = ALONG, across: int = ACROSS
) -> tuple[Tensor, Tensor]:
    """Trajectories (S, count, T, 2), most useful first, and their falling probabilities (S, count), float64.

    Takes modes (S, M, T, 2), their headings (S, M, T), standard deviations along and across them (S, M, T, 2), and mode
    probabilities (S, M). The order of the modes does not matter. Of a mode's variants that are worth the same, the right one
    goes before the left one, or, where the deviation across is negative, as in a mirror, the left before the right.
    """
    blocks = zip(*(x.double().split(_BLOCK) for x in (position_m, yaw_rad, spread_m, likely)), strict=True)
    chosen = [_reduce(path, yaw, spread, share, count, along, across) for path, yaw, spread, share in blocks]
    paths = torch.cat([path for path, _ in chosen]) if chosen else position_m.new_zeros(0, count, position_m.shape[2], 2)
    return paths, torch.cat([share for _, share in chosen]) if chosen else position_m.new_zeros(0, count)


def variants(position_m: Tensor, yaw_rad: Tensor, spread_m: Tensor, along: int = ALONG, across: int = ACROSS) -> Tensor:
    """Equally likely trajectories (S, M, V, T, 2) of each mode, shifted along and across its heading as it spreads."""
    shift = torch.cartesian_prod(laplace_quantiles(along), laplace_quantiles(across))
    shift_m = shift[:, None] * spread_m[:, :, None]  # (S, M, V, T, 2)
    heading = torch.stack([yaw_rad.cos(), yaw_rad.sin()], -1)[:, :, None]
    left = torch.stack([-yaw_rad.sin(), yaw_rad.cos()], -1)[:, :, None]
    return position_m[:, :, None] + shift_m[..., :1] * heading + shift_m[..., 1:] * left


def laplace_quantiles(n: int) -> Tensor:
    """Middles of n equally likely slices of a Laplace distribution of standard deviation 1, ascending (n,)."""
    p = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    tail = torch.minimum(p, 1 - p)
    return torch.sign(p - 0.5) * -(2 * tail).log() / 2**0.5


def _reduce(
    position_m: Tensor, yaw_rad: Tensor, spread_m: Tensor, likely: Tensor, count: int, along: int, across: int
) -> tuple[Tensor, Tensor]:
    order = _canonical(position_m, likely)
    rows = torch.arange(len(order))[:, None]
    paths = variants(position_m[rows, order], yaw_rad[rows, order], spread_m[rows, order], along, across)
    mass = likely[rows, order, None].expand(paths.shape[:3]).flatten(1)
    mass = mass / mass.sum(1, keepdim=True)
    paths = paths.flatten(1, 2)
    away_m = _mean_distance_m(paths)
    nearest_m = torch.full_like(mass, float("inf"))
    centres, near_m = _moved(paths, mass, paths[rows, _greedy(away_m, mass, nearest_m, min(count, MOVED))])
    if count <= MOVED:
        return centres, _shares(near_m, mass)
    more = _greedy(away_m, mass, near_m.amin(2), count - MOVED)
    return torch.cat([centres, paths[rows, more]], 1), _shares(torch.cat([near_m, away_m[rows, more].transpose(1, 2)], 2), mass)


def _moved(paths: Tensor, mass: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Centres (S, K, T, 2) moved to the geometric medians of the paths (S, C, T, 2) nearest to them, the least far from all
    first, then by share; and how far each path is from each, (S, C, K)."""
    for _ in range(MOVES):
        away_m = _between_m(paths, centres)
        share = _nearest(away_m) * mass[..., None] / away_m.clamp(min=_CLOSE_M)  # (S, C, K)
        total = share.sum(1)[..., None, None]
        centres = torch.where(total > 0, torch.einsum("sck,sctd->sktd", share, paths) / total.clamp(min=1e-12), centres)
    away_m = _between_m(paths, centres)
    share = (_nearest(away_m) * mass[..., None]).sum(1)
    expected_m = (away_m * mass[..., None]).sum(1)
    share = (share / _ROUNDING).round().scatter(1, (expected_m / _TIE_M).round().argmin(1, keepdim=True), torch.inf)
    order = share.argsort(dim=1, descending=True, stable=True)
    rows = torch.arange(len(order))[:, None]
    return centres[rows, order], away_m.gather(2, order[:, None].expand(-1, away_m.shape[1], -1))


def _nearest(away_m: Tensor) -> Tensor:
    """1 for the nearest of K for each path, else 0: (S, C, K)."""
    return torch.nn.functional.one_hot((away_m / _ROUNDING).round().argmin(dim=2), away_m.shape[2]).to(away_m)


def _between_m(paths: Tensor, centres: Tensor) -> Tensor:
    """Mean distance over the steps (S, C, K) of each path (S, C, T, 2) from each centre (S, K, T, 2)."""
    return torch.stack([(paths - centre[:, None]).norm(dim=-1).mean(-1) for centre in centres.unbind(1)], dim=-1)


def _mean_distance_m(paths: Tensor) -> Tensor:
    """Mean distance over the steps (S, C, C) between every two trajectories (S, C, T, 2)."""
    total_m = paths.new_zeros(*paths.shape[:2], paths.shape[1])
    for points in paths.unbind(2):  # step by step: all at once would be gigabytes
        total_m += torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    return total_m / paths.shape[2]


def _canonical(position_m: Tensor, likely: Tensor) -> Tensor:
    """An order (S, M) of the modes that does not depend on how they came: the likelier first, then by where they end."""
    order = torch.arange(likely.shape[1]).expand(likely.shape)
    for key in (position_m[..., -1, 1], position_m[..., -1, 0], -likely):
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return order


def _greedy(away_m: Tensor, mass: Tensor, nearest_m: Tensor, count: int) -> Tensor:
    """Indices (S, count), each the one that leaves the least expected distance to the nearest; nearest_m (S, C): it before."""
    rows, chosen = torch.arange(len(mass)), []
    for _ in range(count):
        left_m = (torch.minimum(nearest_m[:, None], away_m) * mass[:, None]).sum(-1)
        best = (left_m / _TIE_M).round().argmin(dim=1)
        nearest_m = torch.minimum(nearest_m, away_m[rows, best])
        chosen.append(best)
    return torch.stack(chosen, dim=1)


def _shares(away_m: Tensor, mass: Tensor) -> Tensor:
    """Probability (S, count) nearest to each chosen one, from distances (S, C, count), handed out in falling order: the rank
    is the order of choice."""
    share = (_nearest(away_m) * mass[..., None]).sum(1).sort(dim=1, descending=True).values
    share = share + _TILT * torch.arange(away_m.shape[2], 0, -1)
    return share / share.sum(1, keepdim=True)
