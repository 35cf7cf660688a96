"""The whole planner as one module of flat tensors: what is exported, and what every runtime must equal."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from drive_wm.model.world_model import WorldModel
from drive_wm.planners.lattice import LatticeConfig
from drive_wm.planners.score import Weights, total
from drive_wm.planners.world_model import decide
from drive_wm.scene import Scene
from drive_wm.structs import from_tensors, tensors

NO_PLAN = -1e4  # score of a slot that holds no plan


class PlannerGraph(nn.Module):
    """Encode, propose, imagine, score and choose, for one scene.

    forward takes the tensors of a Scene by name, masks as bool, links and kinds as int32. It returns, by the names of
    OUTPUTS in `contract.py`: the rear axle's position_m (1, T, 2), heading (1, T, 2) as cos and sin, speed_mps (1, T),
    the chosen candidate (1,) int32, scores (1, K) in costs of a certain collision, mode_probability (1, M).
    """

    def __init__(self, model: WorldModel, lattice: LatticeConfig, weights: Weights) -> None:
        super().__init__()
        self.model, self.lattice, self.weights = model, lattice, weights

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        scene = from_tensors(Scene, {k: v.long() if v.dtype == torch.int32 else v for k, v in inputs.items()})
        decision = decide(scene, self.model.foresee, self.lattice, self.weights)
        pose = decision.trajectory.pose
        yaw_rad = pose[..., 2]
        scores = total(decision.scores, self.weights) / self.weights.collision
        return {
            "position_m": pose[..., :2],
            "heading": torch.stack([yaw_rad.cos(), yaw_rad.sin()], dim=-1),
            "speed_mps": decision.trajectory.speed_mps,
            "candidate": decision.index.to(torch.int32),
            "scores": torch.where(decision.plans.valid, scores, NO_PLAN),
            "mode_probability": decision.rollouts.mode_logits.softmax(-1),
        }


def inputs_of(scene: Scene) -> dict[str, Tensor]:
    """A Scene's tensors as the graph takes them: int64 becomes int32."""
    return {k: v.to(torch.int32) if v.dtype == torch.int64 else v for k, v in tensors(scene).items()}
