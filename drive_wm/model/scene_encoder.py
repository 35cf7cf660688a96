"""Graph encoder: agents, lane pieces and map elements, each in its own frame, then rounds of relations between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from drive_wm.geometry import rotate
from drive_wm.graph import RELATIONS, RELATIVE_FEATURES, Neighbours, SceneGraph, edge_features, edge_type, hetero_data, take
from drive_wm.log import KINDS
from drive_wm.model.bev_encoder import FAN_POINTS, fan, sample
from drive_wm.model.relation import Refine, Relation
from drive_wm.scene import COMMAND_ORIGINS, COMMANDS, ELEMENTS, Scene

Nodes = dict[str, Tensor]  # "agent", "lane", "element" -> features (B, R, D)
Hear = Callable[[Relation, str, Tensor, Tensor], Tensor]  # relation, its name, senders, receivers -> what receivers heard


@dataclass(frozen=True)
class EncoderConfig:
    width: int = 64
    layers: int = 2
    neighbours: int = 12


class SceneEncoder(nn.Module):
    """Scene, its graph and its BEV features (B, D_bev, Y, X) -> agent features (B, A, D)."""

    def __init__(self, config: EncoderConfig, bev_width: int, history: int, lane_points: int, element_points: int) -> None:
        super().__init__()
        width = config.width
        self.agents = _embed(history * 7 + 2 + len(KINDS) + 1 + len(COMMANDS) + FAN_POINTS * bev_width, width, 4 * width)
        self.lanes = _embed(lane_points * 4 + 1 + bev_width, width)
        self.elements = _embed(element_points * 2 + len(ELEMENTS), width)
        # What lanes hear in the last round nobody asks for.
        receivers = [("agent", "lane")] * (config.layers - 1) + [("agent",)]
        self.rounds = nn.ModuleList(
            nn.ModuleDict({name: Relation(width, RELATIVE_FEATURES) for name in RELATIONS if edge_type(name)[2] in hearing})
            for hearing in receivers
        )
        self.refine = nn.ModuleList(nn.ModuleDict({node: Refine(width) for node in hearing}) for hearing in receivers)

    def forward(self, scene: Scene, graph: SceneGraph, bev: Tensor, message_passing: bool) -> Tensor:
        nodes = {
            "agent": self.agents(agent_features(scene, graph, bev)),
            "lane": self.lanes(lane_features(scene, graph, bev)),
            "element": self.elements(element_features(scene, graph)),
        }
        hear = self._ragged(graph) if message_passing else self._dense(graph)
        for relations, refine in zip(_dicts(self.rounds), _dicts(self.refine), strict=True):
            change: Nodes = {}
            for name, relation in relations.items():
                sender, _, receiver = edge_type(name)
                heard = hear(cast(Relation, relation), name, nodes[sender], nodes[receiver])
                change[receiver] = change[receiver] + heard if receiver in change else heard
            nodes = nodes | {node: layer(nodes[node] + change[node]) for node, layer in refine.items()}
        return nodes["agent"] * graph.agent_valid[..., None]

    def _dense(self, graph: SceneGraph) -> Hear:
        edges = {name: edge_features(graph, name) for name in RELATIONS}

        def hear(relation: Relation, name: str, senders: Tensor, receivers: Tensor) -> Tensor:
            neighbours: Neighbours = getattr(graph, name)
            return relation.dense(receivers, take(relation.send(senders), neighbours.index), edges[name], neighbours.valid)

        return hear

    def _ragged(self, graph: SceneGraph) -> Hear:
        data = hetero_data(graph)

        def hear(relation: Relation, name: str, senders: Tensor, receivers: Tensor) -> Tensor:
            sender, _, receiver = edge_type(name)
            sender_valid: Tensor = getattr(graph, f"{sender}_valid")
            receiver_valid: Tensor = getattr(graph, f"{receiver}_valid")
            edges = data[edge_type(name)]
            heard = relation((senders[sender_valid], receivers[receiver_valid]), edges.edge_index, edges.edge_attr)
            return torch.zeros_like(receivers).masked_scatter(receiver_valid[..., None], heard)

        return hear


def _dicts(modules: nn.ModuleList) -> Iterator[nn.ModuleDict]:
    """The entries of a ModuleList, whose type it does not keep."""
    return (module for module in modules if isinstance(module, nn.ModuleDict))


def agent_features(scene: Scene, graph: SceneGraph, bev: Tensor) -> Tensor:
    """Past motion in the agent's own frame, size, kind, is it the ego, what it is told, the map where it looks: (B, A, F)."""
    tracks, pose = scene.tracks, graph.agent_pose
    yaw_now = pose[..., None, 2]
    seen = tracks.valid[..., None]
    past_m = rotate(tracks.position_m - pose[..., None, :2], -yaw_now) / 10
    turn_rad = tracks.yaw_rad - yaw_now
    velocity = rotate(tracks.velocity_mps, -yaw_now) / 10
    past = torch.cat([past_m, torch.stack([turn_rad.cos(), turn_rad.sin()], -1), velocity, seen.to(past_m.dtype)], dim=-1)
    return torch.cat(
        [
            (past * seen).flatten(2),
            tracks.size_m / 5,
            torch.stack([tracks.kind == k for k in range(len(KINDS))], dim=-1).to(past.dtype),
            is_ego(tracks.kind)[..., None].to(past.dtype),
            told(scene).to(past.dtype),
            sample(bev, fan(pose)).flatten(2),
        ],
        dim=-1,
    )


def is_ego(kind: Tensor) -> Tensor:
    """(B, A) bool: agent 0."""
    return (torch.arange(kind.shape[1], device=kind.device) == 0).expand_as(kind)


def told(scene: Scene) -> Tensor:
    """(B, A, 3) bool: the ego's command, one of COMMANDS; none for the others, nor where its origin is "none"."""
    command = torch.stack([scene.command == c for c in range(len(COMMANDS))], dim=-1)
    command = command & (scene.command_origin != COMMAND_ORIGINS.index("none"))[:, None]
    return command[:, None] & is_ego(scene.tracks.kind)[..., None]


def lane_features(scene: Scene, graph: SceneGraph, bev: Tensor) -> Tensor:
    """Centreline points and headings in the frame of the piece, junction flag, and the map below: (B, L, F)."""
    lanes, pose = scene.lanes, graph.lane_pose
    points_m = rotate(lanes.position_m - pose[..., None, :2], -pose[..., None, 2]) / 10
    turn_rad = lanes.yaw_rad - pose[..., None, 2]
    shape = torch.cat([points_m, torch.stack([turn_rad.cos(), turn_rad.sin()], -1)], dim=-1).flatten(2)
    return torch.cat([shape, lanes.in_junction[..., None].to(shape.dtype), sample(bev, pose[..., :2])], dim=-1)


def element_features(scene: Scene, graph: SceneGraph) -> Tensor:
    """Polyline points in the frame of the element, and its kind: (B, E, F)."""
    elements, pose = scene.elements, graph.element_pose
    points_m = rotate(elements.position_m - pose[..., None, :2], -pose[..., None, 2]) / 10
    kinds = torch.stack([elements.kind == k for k in range(len(ELEMENTS))], dim=-1)
    return torch.cat([points_m.flatten(2), kinds.to(points_m.dtype)], dim=-1)


def _embed(features: int, width: int, hidden: int | None = None) -> nn.Sequential:
    hidden = hidden or width
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.LayerNorm(width))
