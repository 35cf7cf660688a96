"""Laws of the world model: invariance, causality, permutation, padding, two executions of one graph."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from drive_wm.config import TINY
from drive_wm.kinematics import DT_S, MAX_BRAKE_MPS2, roll
from drive_wm.log import Log, empty_map
from drive_wm.model.world_model import WorldModel
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Scene, SceneConfig, ego_speed_mps
from drive_wm.scene_at import scene_at
from drive_wm.structs import cat, from_tensors, tensors
from drive_wm.told import without_ego_status

STEP = 6
MoveLog = Callable[[Log, np.ndarray], Log]
POSITIONS = ("position_m", "yaw_rad", "velocity_mps", "spread_m", "mode_logits")
EXPECTED = ("expected.pose", "expected.speed_mps")


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(0)
    model = WorldModel(TINY.model)
    # An untrained model moves nobody: the laws must hold for one that does.
    torch.nn.init.normal_(model.dynamics.act.weight, std=0.5)
    return model.eval()


@pytest.fixture(scope="module")
def plans(crossroads_scene: Scene) -> Plans:
    """Three plans: keep on, brake, steer left."""
    action = torch.tensor([[0.0, 0.0], [-3.0, 0.0], [0.5, 0.03]])[None, :, None].expand(1, 3, 12, 2)
    return plans_of(action, crossroads_scene)


def plans_of(action: torch.Tensor, scene: Scene) -> Plans:
    pose, speed_mps = torch.zeros(*action.shape[:2], 3), ego_speed_mps(scene)[:, None].expand(action.shape[:2])
    return Plans(action, *roll(pose, speed_mps, action), valid=torch.ones(action.shape[:2], dtype=torch.bool))


@pytest.mark.parametrize("pose", [(250.0, -1300.0, 0.0), (0.0, 0.0, 2.1), (1800.0, 900.0, -1.3)])
def test_turning_and_shifting_the_world_changes_nothing(
    model: WorldModel, crossroads_log: Log, move_log: MoveLog, plans: Plans, pose: tuple[float, float, float]
) -> None:
    here, _ = scene_at(crossroads_log, STEP)
    there, _ = scene_at(move_log(crossroads_log, np.array(pose)), STEP)
    with torch.no_grad():
        assert_same(model.imagine(there, plans), model.imagine(here, plans), 1e-4)


@pytest.mark.parametrize("step", [0, 3, 7])
def test_agents_never_see_the_plan_ahead(model: WorldModel, crossroads_scene: Scene, plans: Plans, step: int) -> None:
    """Plans that are equal up to step t give equal agents up to step t + 1, bit for bit."""
    action = plans.action.clone()
    action[:, :, step:] = torch.tensor([1.5, -0.05])
    other = plans_of(action, crossroads_scene)
    with torch.no_grad():
        a, b = model.imagine(crossroads_scene, plans), model.imagine(crossroads_scene, other)
    for name in ("position_m", "yaw_rad", "velocity_mps", "spread_m"):
        # Rollout index t holds the state after t + 1 actions.
        before = (slice(None),) * 3 + (slice(1, None), slice(0, step + 1))
        assert torch.equal(getattr(a, name)[before], getattr(b, name)[before]), name
    assert not torch.equal(a.position_m[:, :, :, 0], b.position_m[:, :, :, 0])


def test_agents_react_to_the_plan(model: WorldModel, crossroads_scene: Scene, plans: Plans) -> None:
    with torch.no_grad():
        imagined = model.imagine(crossroads_scene, plans)
    others_m = imagined.position_m[0, :, :, 1:, -1]
    assert (others_m[0] - others_m[1]).abs().max() > 1e-3


def test_the_order_of_agents_does_not_matter(model: WorldModel, crossroads_scene: Scene, plans: Plans) -> None:
    count = crossroads_scene.tracks.kind.shape[1]
    order = torch.cat(
        [torch.zeros(1, dtype=torch.long), 1 + torch.randperm(count - 1, generator=torch.Generator().manual_seed(3))]
    )
    shuffled = replace(crossroads_scene, tracks=crossroads_scene.tracks.map(lambda x: x[:, order]))
    with torch.no_grad():
        a, b = model.imagine(crossroads_scene, plans), model.imagine(shuffled, plans)
    for name in ("position_m", "yaw_rad", "velocity_mps", "spread_m"):
        assert_close(getattr(b, name), getattr(a, name)[:, :, :, order], atol=1e-4, rtol=0)


def test_more_padding_changes_nothing(model: WorldModel, crossroads_log: Log, plans: Plans) -> None:
    padded, _ = scene_at(crossroads_log, STEP, SceneConfig(agents=45, lanes=140, elements=80))
    scene, _ = scene_at(crossroads_log, STEP)
    with torch.no_grad():
        a, b = model.imagine(scene, plans), model.imagine(padded, plans)
    agents = scene.tracks.kind.shape[1]
    for name in ("position_m", "yaw_rad", "velocity_mps", "spread_m"):
        assert_close(getattr(b, name)[:, :, :, :agents], getattr(a, name), atol=1e-5, rtol=0)
    assert_close(b.mode_logits, a.mode_logits, atol=1e-5, rtol=0)
    assert not b.valid[:, agents:].any()


def test_message_passing_equals_dense_gather(model: WorldModel, crossroads_batch: Scene) -> None:
    """In double precision, where only a different sum is a difference."""
    ragged, dense = (WorldModel(replace(TINY.model, message_passing=ragged)).eval().double() for ragged in (True, False))
    for copied in (ragged, dense):
        copied.load_state_dict(model.state_dict())
    action = torch.tensor([[0.3, 0.01], [-2.0, 0.0]])[None, :, None].expand(len(crossroads_batch.command), 2, 12, 2)
    given = crossroads_batch, plans_of(action, crossroads_batch)
    scene, plans = (part.map(lambda x: x.double() if x.is_floating_point() else x) for part in given)
    with torch.no_grad():
        assert_same(ragged.imagine(scene, plans), dense.imagine(scene, plans), 1e-9)


def test_learning_and_imagining_see_the_same(model: WorldModel, crossroads_batch: Scene) -> None:
    """With gradients every look samples the map, without them and for many plans it adds up rows made beforehand."""
    double = WorldModel(TINY.model).eval().double()
    double.load_state_dict(model.state_dict())
    action = torch.tensor([[0.3, 0.01], [-2.0, 0.0]])[None, :, None].expand(len(crossroads_batch.command), 2, 12, 2)
    given = crossroads_batch, plans_of(action, crossroads_batch)
    scene, plans = (part.map(lambda x: x.double() if x.is_floating_point() else x) for part in given)
    with torch.no_grad():
        imagined = double.imagine(scene, plans)
    learned = double.imagine(scene, plans)
    assert learned.position_m.requires_grad
    assert_same(learned.map(Tensor.detach), imagined, 1e-9)


def test_only_a_command_that_was_given_is_heard(model: WorldModel, crossroads_scene: Scene) -> None:
    def imagined(command: int, origin: int) -> Tensor:
        told = replace(crossroads_scene, command=torch.tensor([command]), command_origin=torch.tensor([origin]))
        with torch.no_grad():
            return model.imagine(told).position_m

    assert torch.equal(imagined(0, 0), imagined(2, 0))
    assert not torch.equal(imagined(0, 1), imagined(2, 1))
    assert torch.equal(imagined(0, 1), imagined(0, 2))


def test_a_batch_equals_its_scenes(model: WorldModel, crossroads_batch: Scene) -> None:
    with torch.no_grad():
        together = model.imagine(crossroads_batch)
        alone = cat([model.imagine(crossroads_batch[b : b + 1]) for b in range(len(crossroads_batch.command))])
    assert_same(together, alone, 1e-4)


def emptied(scene: Scene, what: str) -> Scene:
    if what == "full padding":
        return from_tensors(Scene, {name: torch.zeros_like(x) for name, x in tensors(scene).items()})
    if what in ("no other agent", "one other agent"):
        keep = torch.arange(scene.tracks.kind.shape[1]) <= (1 if what == "one other agent" else 0)
        return replace(scene, tracks=scene.tracks.map(lambda x: x * keep.reshape(1, -1, *[1] * (x.ndim - 2))))
    return scene


@pytest.mark.parametrize("message_passing", [False, True])
@pytest.mark.parametrize("what", ["no other agent", "one other agent", "no map", "full padding"])
def test_outputs_and_gradients_stay_finite(crossroads_log: Log, what: str, message_passing: bool) -> None:
    log = replace(crossroads_log, map=empty_map()) if what == "no map" else crossroads_log
    scene = emptied(scene_at(log, STEP)[0], what)
    model = WorldModel(replace(TINY.model, message_passing=message_passing))
    imagined = model.imagine(scene)
    found = tensors(imagined)
    sum(found[name].square().sum() for name in (*POSITIONS, *EXPECTED)).backward()
    for name in (*POSITIONS, *EXPECTED):
        assert found[name].isfinite().all(), name
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_the_ego_follows_its_plan(model: WorldModel, crossroads_scene: Scene, plans: Plans) -> None:
    with torch.no_grad():
        imagined = model.imagine(crossroads_scene, plans)
    heading = torch.stack([plans.pose[..., 2].cos(), plans.pose[..., 2].sin()], dim=-1)
    centre_m = plans.pose[..., :2] + crossroads_scene.ego_centre_m[:, None, None, None] * heading
    for mode in range(imagined.position_m.shape[2]):
        assert_close(imagined.position_m[:, :, mode, 0], centre_m, atol=1e-4, rtol=0)
        assert_close(imagined.yaw_rad[:, :, mode, 0], plans.pose[..., 2], atol=1e-5, rtol=0)


def test_an_ego_whose_speed_is_not_known_starts_as_fast_as_expected(model: WorldModel, crossroads_scene: Scene) -> None:
    """Six seconds at the speed that an untrained model expects at first, kept but for what half a step can change it."""
    hidden = without_ego_status(crossroads_scene, torch.tensor([True]))
    with torch.no_grad():
        shown, free = model.imagine(crossroads_scene), model.imagine(hidden)
        expected_mps = free.expected.speed_mps[0, 0]
    assert abs(expected_mps - ego_speed_mps(crossroads_scene)) > 1
    for found, start_mps in ((shown, ego_speed_mps(crossroads_scene)[0]), (free, expected_mps)):
        change_mps = found.velocity_mps[0, 0, :, 0, 0].norm(dim=-1) - start_mps
        assert change_mps.abs().max() <= DT_S * MAX_BRAKE_MPS2 + 1e-4


@pytest.mark.parametrize("known", [True, False], ids=["speed known", "speed not known"])
def test_what_is_foreseen_is_what_is_imagined(model: WorldModel, crossroads_scene: Scene, plans: Plans, known: bool) -> None:
    """Looked at once or twice, bit for bit; with few and with all agents that answer."""
    scene = crossroads_scene if known else without_ego_status(crossroads_scene, torch.tensor([True]))
    for reacting in (4, scene.tracks.kind.shape[1]):
        with torch.no_grad():
            alone, imagine = model.foresee(scene, reacting)
            assert_same(alone, model.imagine(scene), 0.0)
            assert_same(imagine(plans), model.imagine(scene, plans, reacting=reacting), 0.0)


def test_what_is_seen_is_not_differentiated_by_where_one_is(model: WorldModel, crossroads_scene: Scene) -> None:
    """Moved by a metre at the start, everybody ends a metre further: no gradient passes through what they look at."""
    latent = model.encode(crossroads_scene)
    pose = latent.pose.detach().requires_grad_()
    moved = replace(latent, pose=pose)
    for _ in range(4):
        moved = model.step(moved, None)
    there = latent.context.valid[:, None, None, :, None]
    (slope,) = torch.autograd.grad((moved.pose[..., :2] * there).sum(), pose)
    assert_close(slope[..., :2], there.expand_as(slope[..., :2]).float(), atol=1e-5, rtol=0)


def test_padding_is_zero_in_the_result(model: WorldModel, crossroads_scene: Scene) -> None:
    with torch.no_grad():
        imagined = model.imagine(crossroads_scene)
    absent = ~imagined.valid[0]
    assert absent.any()
    assert imagined.position_m[:, :, :, absent].abs().max() == 0


def test_a_minute_of_imagination_stays_finite(model: WorldModel, crossroads_scene: Scene) -> None:
    with torch.no_grad():
        imagined = model.imagine(crossroads_scene, steps=120)
    assert imagined.position_m.shape[-2] == 120
    assert all(getattr(imagined, name).isfinite().all() for name in POSITIONS)


def assert_same(a: Rollouts, b: Rollouts, tolerance: float) -> None:
    for name, value in tensors(a).items():
        other = tensors(b)[name]
        assert_close(value, other, atol=tolerance, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
