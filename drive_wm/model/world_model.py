"""WorldModel: encode, step, decode, imagine."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from drive_wm.graph import nearest_others, reached, scene_graph
from drive_wm.model.bev_encoder import BevConfig, BevEncoder
from drive_wm.model.dynamics import MIN_SPREAD_M, Context, Dynamics, DynamicsConfig, Latent, ahead, box_pose
from drive_wm.model.expectation import Expectation
from drive_wm.model.relation import Refine
from drive_wm.model.scene_encoder import EncoderConfig, SceneEncoder
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Scene, SceneConfig, ego_speed_is_known
from drive_wm.structs import TensorStruct

REACTING = 16  # what planners ask for: the ego and the 15 agents nearest to it answer to each plan
STATES = ("pose", "velocity_mps", "hidden", "variance_m2")


@dataclass(frozen=True)
class ModelConfig:
    bev: BevConfig = field(default_factory=BevConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)
    scene: SceneConfig = field(default_factory=SceneConfig)
    message_passing: bool = False  # run relations over the ragged graph instead of fixed lists; same weights, same result


@dataclass(frozen=True)
class Step(TensorStruct):
    """One imagined instant: boxes of every agent, their spread, and how likely each joint mode is."""

    position_m: Tensor  # (B, K, M, A, 2) box centre
    yaw_rad: Tensor  # (B, K, M, A)
    velocity_mps: Tensor  # (B, K, M, A, 2)
    spread_m: Tensor  # (B, K, M, A, 2) standard deviation along and across the heading
    mode_logits: Tensor  # (B, M)


class WorldModel(nn.Module):
    """State and action -> next state, learned from logs; everything in the ego frame of t = 0."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        sizes, width = config.scene, config.dynamics.width
        self.bev = BevEncoder(config.bev)
        self.scene = SceneEncoder(config.encoder, config.bev.width, sizes.history, sizes.lane_points, sizes.element_points)
        self.dynamics = Dynamics(config.dynamics, config.bev.width)
        self.modes = nn.Parameter(torch.randn(config.dynamics.modes, width))
        self.start = nn.Sequential(nn.Linear(config.encoder.width, width), Refine(width))
        self.mix = Refine(width, 4 * width)
        self.start_norm = nn.LayerNorm(width)
        self.rank = nn.Sequential(
            nn.Linear(2 * config.encoder.width, width), Refine(width), nn.LayerNorm(width), nn.Linear(width, len(self.modes))
        )
        self.expect = Expectation(config.encoder.width, sizes.history, sizes.future)

    def compile(self, **options: Any) -> None:
        """Compile the step, most of what imagining takes, with torch.compile and its options; weights stay as they are.

        The first scenes then take a minute or two; torch needs a C++ compiler, and for a GPU Triton.
        """
        self.dynamics.compile(**options)

    def encode(self, scene: Scene) -> Latent:
        """The scene now, K = 1, before any plan."""
        graph = scene_graph(scene, self.config.encoder.neighbours)
        bev = self.bev(scene)
        agents = self.scene(scene, graph, bev, self.config.message_passing)
        first = torch.arange(agents.shape[1], device=agents.device) == 0
        shown = graph.agent_valid[..., None].to(agents.dtype)
        centre_m = torch.where(first, scene.ego_centre_m[:, None], 0.0)
        context = Context(
            bev=bev,
            look_rows=bev.new_empty(0),
            start_pose=ahead(graph.agent_pose * shown, -centre_m),
            centre_m=centre_m,
            size_m=scene.tracks.size_m,
            kind=scene.tracks.kind,
            valid=graph.agent_valid,
            neighbours=nearest_others(graph.agent_pose[..., :2], graph.agent_valid, self.config.dynamics.neighbours),
            mode_logits=self._mode_logits(agents, graph.agent_valid),
            expected=self.expect(agents[:, 0], scene),
        )
        hidden = self.start_norm(self.mix(self.start(agents)[:, None] + self.modes[:, None]))[:, None]
        zeros = torch.zeros_like(hidden[..., :1])
        return Latent(
            pose=context.start_pose[:, None, None] + zeros,
            velocity_mps=(scene.tracks.velocity_mps[:, :, -1] * shown)[:, None, None] + zeros,
            hidden=hidden,
            variance_m2=zeros + torch.full_like(hidden[..., :2], MIN_SPREAD_M**2),
            context=context,
        )

    def step(self, latent: Latent, action: Tensor | None, crowd: Latent | None = None) -> Latent:
        """Half a second later, after the ego's action (B, K, 2) accel_mps2, curvature_per_m; None: the ego acts by itself.

        A latent of the first agents alone hears the others from `crowd`, which holds all of them at the same t.
        """
        return self.dynamics(latent, action, self.config.message_passing, crowd)

    def decode(self, latent: Latent) -> Step:
        """What a latent says of the world."""
        box = box_pose(latent)
        # Padding stands still at 0; only its spread grows.
        spread_m = latent.variance_m2.sqrt() * latent.context.valid[:, None, None, :, None].to(box.dtype)
        return Step(box[..., :2], box[..., 2], latent.velocity_mps, spread_m, latent.context.mode_logits)

    def imagine(
        self, scene: Scene, plans: Plans | None = None, steps: int | None = None, reacting: int | None = None
    ) -> Rollouts:
        """Roll the scene forward once per plan and mode.

        Without plans (K = 1) the ego is imagined like any other agent, for `steps` (default: the length of a Future).
        Agents that no plan can reach are imagined once, beside an ego that acts by itself: the result is the same. With
        `reacting` at most so many answer to each plan, the ego and the agents nearest to it, as the Scene orders them.
        """
        latent = self.encode(scene)
        if plans is None:
            return self._rollouts(self._alone(latent, scene, steps or self.config.scene.future)[1:])
        few = reacting or _reaching(latent, plans)
        crowds = self._alone(latent, scene, plans.action.shape[2]) if few < latent.pose.shape[3] else []
        return self._under(latent, crowds, few, plans)

    def foresee(self, scene: Scene, reacting: int = REACTING) -> tuple[Rollouts, Callable[[Plans], Rollouts]]:
        """What `imagine` gives without plans, and what gives the same as with them, for plans as long as a Future.

        The scene is encoded once, and the crowd beside the plans is the one of the first rollouts.
        """
        latent = self.encode(scene)
        alone = self._alone(latent, scene, self.config.scene.future)
        return self._rollouts(alone[1:]), partial(self._under, latent, alone, reacting)

    def _under(self, latent: Latent, crowds: list[Latent], few: int, plans: Plans) -> Rollouts:
        """Imagine so many agents under each plan, the others as the crowd of each step holds them."""
        crowds = crowds if few < latent.pose.shape[3] else []
        if plans.action.shape[1] > 1:
            latent = self.dynamics.for_many(latent)
        latent, imagined = _first(latent, few), []
        for t, action in enumerate(plans.action.unbind(dim=2)):
            # Until the first action plans do not differ: that step is thought through once, for all of them.
            latent = _per_plan(self.step(latent, action, crowds[t] if crowds else None), action.shape[1])
            imagined.append(latent)
        near = self._rollouts(imagined)
        return _joined(near, self._rollouts(crowds[1:])) if crowds else near

    def _alone(self, latent: Latent, scene: Scene, steps: int) -> list[Latent]:
        """The start, and what follows step by step when the ego acts by itself."""
        latents = [_started(latent, scene)]
        for _ in range(steps):
            latents.append(self.step(latents[-1], None))
        return latents

    def _rollouts(self, latents: list[Latent]) -> Rollouts:
        imagined = [self.decode(latent) for latent in latents]
        return Rollouts(
            position_m=torch.stack([s.position_m for s in imagined], dim=4),
            yaw_rad=torch.stack([s.yaw_rad for s in imagined], dim=4),
            velocity_mps=torch.stack([s.velocity_mps for s in imagined], dim=4),
            spread_m=torch.stack([s.spread_m for s in imagined], dim=4),
            mode_logits=latents[0].context.mode_logits,
            size_m=latents[0].context.size_m,
            valid=latents[0].context.valid,
            expected=latents[0].context.expected,
        )

    def _mode_logits(self, agents: Tensor, valid: Tensor) -> Tensor:
        """How likely each joint mode is (B, M), from all agents together and from the ego."""
        shown = valid[..., None].to(agents.dtype)
        mean = (agents * shown).sum(1) / shown.sum(1).clamp(min=1)
        return self.rank(torch.cat([mean, agents[:, 0] * shown[:, 0]], dim=-1))


def _started(latent: Latent, scene: Scene) -> Latent:
    """Agent 0, where its speed is not known and nobody plans for it, starts as fast as it is expected to drive."""
    first = torch.arange(latent.pose.shape[3], device=latent.pose.device) == 0
    unknown = (first & latent.context.valid & ~ego_speed_is_known(scene)[:, None])[:, None, None, :, None]
    yaw_rad, speed_mps = latent.pose[..., 2], latent.context.expected.speed_mps[:, None, None, :1]
    forward_mps = speed_mps[..., None] * torch.stack([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    return replace(latent, velocity_mps=torch.where(unknown, forward_mps, latent.velocity_mps))


def _reaching(latent: Latent, plans: Plans) -> int:
    """The ego and how many of the agents nearest to it hold all those that learn of its plan before the last step."""
    if plans.action.shape[1] == 1:  # one plan is imagined with everyone at once
        return latent.pose.shape[3]
    told = reached(latent.context.neighbours, plans.action.shape[2] - 1)
    return int((told.long() * torch.arange(1, told.shape[1] + 1, device=told.device)).max())


def _per_plan(latent: Latent, plans: int) -> Latent:
    """Give each of K plans its own copy of what they share."""
    return replace(latent, **{name: getattr(latent, name).expand(-1, plans, -1, -1, -1) for name in STATES})


def _first(latent: Latent, agents: int) -> Latent:
    """The first agents alone; their neighbours still number all."""
    context = latent.context
    few = replace(
        context,
        start_pose=context.start_pose[:, :agents],
        centre_m=context.centre_m[:, :agents],
        size_m=context.size_m[:, :agents],
        kind=context.kind[:, :agents],
        valid=context.valid[:, :agents],
        neighbours=context.neighbours.map(lambda x: x[:, :agents]),
    )
    return replace(latent, context=few, **{name: getattr(latent, name)[:, :, :, :agents] for name in STATES})


def _joined(near: Rollouts, everyone: Rollouts) -> Rollouts:
    """The near agents per plan (B, K, M, R, ...), and the rest of everyone (B, 1, M, A, ...) the same for each."""
    plans, few = near.position_m.shape[1], near.position_m.shape[3]

    def join(name: str) -> Tensor:
        far: Tensor = getattr(everyone, name)[:, :, :, few:]
        return torch.cat([getattr(near, name), far.expand(-1, plans, *(-1,) * (far.ndim - 2))], dim=3)

    return replace(
        everyone,
        position_m=join("position_m"),
        yaw_rad=join("yaw_rad"),
        velocity_mps=join("velocity_mps"),
        spread_m=join("spread_m"),
    )
