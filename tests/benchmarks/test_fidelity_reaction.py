"""Reaction: who follows, by hand; models whose answer is known get the figures that they deserve."""

from dataclasses import replace

import pytest
import torch

from drive_wm.benchmarks.fidelity_reaction import BRAKE_MPS2, absence_sums, brake_sums, followers, without_ego
from drive_wm.config import TINY
from drive_wm.log import CYCLIST, VEHICLE
from drive_wm.model.world_model import WorldModel
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import Future, Scene
from drive_wm.scene_at import scene_at

CASES = {  # behind the ego's centre m, left m, yaw, speed, kind: whether it follows closely
    "right behind": (10.0, 0.0, 0.0, 8.0, VEHICLE, True),
    "ahead": (-10.0, 0.0, 0.0, 8.0, VEHICLE, False),
    "in the next lane": (10.0, 3.5, 0.0, 8.0, VEHICLE, False),
    "too far for its speed": (30.0, 0.0, 0.0, 8.0, VEHICLE, False),
    "going the other way": (10.0, 0.0, 3.1, 8.0, VEHICLE, False),
    "standing": (3.0, 0.0, 0.0, 1.0, VEHICLE, False),
    "a cyclist": (10.0, 0.0, 0.0, 8.0, CYCLIST, False),
}


def placed(scene: Scene, behind_m: float, left_m: float, yaw_rad: float, speed_mps: float, kind: int) -> Scene:
    """The scene with agent 1 put there now."""
    tracks = scene.tracks.map(torch.clone)
    tracks.position_m[:, 1, -1] = torch.tensor([float(scene.ego_centre_m) - behind_m, left_m])
    tracks.yaw_rad[:, 1, -1], tracks.kind[:, 1] = yaw_rad, kind
    tracks.velocity_mps[:, 1, -1] = speed_mps * torch.tensor([yaw_rad, yaw_rad]).cos() * torch.tensor([1.0, 0.0])
    tracks.valid[:, 1, -1] = True
    return replace(scene, tracks=tracks)


@pytest.fixture(scope="module")
def seen(crossroads_log) -> tuple[Scene, Future]:
    """The ego at 8 m/s, two seconds into the drive."""
    return scene_at(crossroads_log, 4)


@pytest.mark.parametrize(("behind_m", "left_m", "yaw_rad", "speed_mps", "kind", "follows"), CASES.values(), ids=CASES)
def test_who_follows(seen, behind_m, left_m, yaw_rad, speed_mps, kind, follows):
    assert followers(placed(seen[0], behind_m, left_m, yaw_rad, speed_mps, kind))[0, 1] == follows


def imitating(scene: Scene, plans: Plans | None) -> Rollouts:
    """Everybody drives at the ego's planned speed."""
    b, k, t = plans.speed_mps.shape
    a = scene.tracks.kind.shape[1]
    speed = plans.speed_mps[:, :, None, None, :, None].expand(b, k, 2, a, t, 2) * torch.tensor([1.0, 0.0])
    expected = Trajectory(plans.pose[:, 0], plans.speed_mps[:, 0])
    return Rollouts(
        speed, speed[..., 0], speed, speed, torch.zeros(b, 2), scene.tracks.size_m, scene.tracks.valid[..., -1], expected,
    )  # fmt: skip


def test_who_imitates_the_ego_slows(seen):
    scene = placed(seen[0], 10.0, 0.0, 0.0, 8.0, VEHICLE)
    figures = brake_sums(imitating, scene, seen[1])["reaction: ego brakes"]
    assert figures["followers_slow"] == (1.0, 1.0)
    logged, braked = 5.0, max(8.0 + 3.0 * BRAKE_MPS2, 0.0)  # 5 s into the drive the ego has slowed to 5 m/s
    assert figures["followers_speed_mps"][0] == pytest.approx(logged, abs=0.3)
    assert figures["followers_change_mps"][0] == pytest.approx(braked - logged, abs=0.3)


def test_without_an_ego_nothing_is_asked(seen):
    scene = placed(seen[0], 10.0, 0.0, 0.0, 8.0, VEHICLE)
    scene = replace(scene, has_ego=torch.zeros_like(scene.has_ego))
    assert brake_sums(imitating, scene, seen[1])["reaction: ego brakes"]["followers_slow"] == (0.0, 0.0)


def test_the_ego_is_gone_and_nobody_else(seen):
    scene = seen[0]
    gone = without_ego(scene)
    gone.check()
    assert not gone.tracks.valid[:, 0].any()
    assert torch.equal(gone.tracks.position_m[:, 1:], scene.tracks.position_m[:, 1:])
    assert not gone.has_ego.any()


def test_absence_by_distance(seen):
    """A model that moves all others by 2 m when the ego is gone; one that minds nobody makes no difference."""
    scene = seen[0]

    def shy(scene: Scene, plans: Plans | None) -> Rollouts:
        shift = 2.0 * (~scene.has_ego).float()
        position_m = shift[:, None, None, None, None, None].expand(1, 1, 2, scene.tracks.kind.shape[1], 12, 2)
        position_m = position_m * torch.tensor([1.0, 0.0])
        return Rollouts(
            position_m,
            position_m[..., 0],
            position_m,
            position_m,
            torch.zeros(1, 2),
            scene.tracks.size_m,
            scene.tracks.valid[..., -1],
            Trajectory(torch.zeros(1, 12, 3), torch.zeros(1, 12)),
        )

    found = absence_sums(shy, scene)
    count = sum(figures["absence_change_m"][1] for figures in found.values())
    assert count == float(((scene.tracks.kind != 3) & scene.tracks.valid[..., -1])[:, 1:].sum()) > 0
    assert all(total == pytest.approx(2.0 * n) for total, n in (figures["absence_change_m"] for figures in found.values()))
    assert any(figures["absence_change_m"][1] for name, figures in found.items() if "20 to 40" in name)


def test_runs_on_a_model(seen):
    torch.manual_seed(0)
    model = WorldModel(TINY.model).eval()
    found = absence_sums(model.imagine, seen[0])
    assert sum(figures["absence_change_m"][0] for figures in found.values()) > 0
