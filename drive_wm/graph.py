"""The scene as a graph: who listens to whom, and where the sender stands in the receiver's frame.

Every relation is kept as fixed-size neighbour lists, which export; `hetero_data` turns them into the ragged
`torch_geometric` batch of the same graph.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from drive_wm.geometry import rotate
from drive_wm.scene import Scene
from drive_wm.structs import TensorStruct

RELATIVE_FEATURES = 5
FAR_M = 1e4  # stands for "not there" in distances: finite, so that no mask turns into NaN
HEARD_M = 50.0  # agents farther apart do not hear each other; the ego, whose plans are asked about, is heard first
TIE_M2 = 1e-3  # lane pieces overlap where roads fork: the lower index counts as this much nearer, in every runtime


@dataclass(frozen=True)
class Neighbours(TensorStruct):
    """For each of R receivers the N senders that it listens to."""

    index: Tensor  # (B, R, N) into the senders; 0 where not valid
    valid: Tensor  # (B, R, N) bool


@dataclass(frozen=True)
class SceneGraph(TensorStruct):
    """Poses of the nodes in the ego frame and the relations between them, named receiver_from_sender."""

    agent_pose: Tensor  # (B, A, 3)
    agent_valid: Tensor  # (B, A)
    lane_pose: Tensor  # (B, L, 3) at the middle of the piece
    lane_valid: Tensor  # (B, L)
    element_pose: Tensor  # (B, E, 3)
    element_valid: Tensor  # (B, E)
    agent_from_agent: Neighbours
    agent_from_lane: Neighbours
    agent_from_element: Neighbours
    lane_from_successor: Neighbours
    lane_from_left: Neighbours
    lane_from_right: Neighbours


RELATIONS = tuple(f.name for f in fields(SceneGraph) if f.type is Neighbours)


def edge_type(relation: str) -> tuple[str, str, str]:
    """(sender, relation, receiver) of a field of SceneGraph, as torch_geometric names edges."""
    receiver, sender = relation.split("_from_")
    return (sender if sender in ("agent", "element") else "lane", relation, receiver)


def scene_graph(scene: Scene, neighbours: int) -> SceneGraph:
    """Nodes and relations of a Scene; agents listen to their nearest agents, lane pieces and elements."""
    tracks, lanes, elements = scene.tracks, scene.lanes, scene.elements
    agents_m, agent_valid = tracks.position_m[:, :, -1], tracks.valid[:, :, -1]
    middle = lanes.position_m.shape[2] // 2
    lanes_m = lanes.position_m[:, :, middle]
    along = elements.position_m[:, :, 1] - elements.position_m[:, :, 0]
    # The small constant keeps the angle of a padded element, which has no direction, differentiable.
    element_yaw_rad = torch.atan2(along[..., 1], along[..., 0] + 1e-6)
    elements_m = elements.position_m[:, :, elements.position_m.shape[2] // 2]
    return SceneGraph(
        agent_pose=_pose(agents_m, tracks.yaw_rad[:, :, -1]),
        agent_valid=agent_valid,
        lane_pose=_pose(lanes_m, lanes.yaw_rad[:, :, middle]),
        lane_valid=lanes.valid,
        element_pose=_pose(elements_m, element_yaw_rad),
        element_valid=elements.valid,
        agent_from_agent=nearest_others(agents_m, agent_valid, neighbours),
        agent_from_lane=nearest(agents_m, agent_valid, lanes_m, lanes.valid, neighbours),
        agent_from_element=nearest(agents_m, agent_valid, elements_m, elements.valid, neighbours),
        lane_from_successor=_linked(lanes.successor, lanes.valid),
        lane_from_left=_linked(lanes.left[..., None], lanes.valid),
        lane_from_right=_linked(lanes.right[..., None], lanes.valid),
    )


def nearest(receivers_m: Tensor, receiver_valid: Tensor, senders_m: Tensor, sender_valid: Tensor, count: int) -> Neighbours:
    """The `count` nearest valid senders (B, S, 2) of each receiver (B, R, 2)."""
    offset = receivers_m[:, :, None] - senders_m[:, None]
    return _closest(offset.square().sum(-1), receiver_valid, sender_valid, count)


def nearest_others(agents_m: Tensor, valid: Tensor, count: int) -> Neighbours:
    """The nearest others of each agent (B, A, 2) within 50 m of it; the ego (agent 0) comes first among them."""
    square_m2 = (agents_m[:, :, None] - agents_m[:, None]).square().sum(-1)
    index = torch.arange(agents_m.shape[1], device=agents_m.device)
    heard = (index[:, None] != index) & (square_m2 < HEARD_M**2)
    square_m2 = torch.where(heard, torch.where(index == 0, -1.0, square_m2), FAR_M**2)
    return _closest(square_m2, valid, valid, count)


def reached(others: Neighbours, steps: int) -> Tensor:
    """Agents (B, A) that learn within so many steps what agent 0 does: it, who hears it, who hears those, and so on."""
    told = torch.arange(others.index.shape[1], device=others.index.device) == 0
    told = told.expand(others.index.shape[:2])
    for _ in range(min(steps, told.shape[1] - 1)):
        hears = told.gather(1, others.index.flatten(1)).reshape(others.index.shape) & others.valid
        told = told | hears.any(-1)
    return told


def _closest(square_m2: Tensor, receiver_valid: Tensor, sender_valid: Tensor, count: int) -> Neighbours:
    order = torch.arange(square_m2.shape[-1], device=square_m2.device) * TIE_M2
    square_m2 = torch.where(sender_valid[:, None], square_m2 + order, FAR_M**2)
    square_m2, index = torch.topk(square_m2, min(count, square_m2.shape[-1]), dim=-1, largest=False)
    valid = (square_m2 < FAR_M**2) & receiver_valid[..., None]
    return Neighbours(torch.where(valid, index, 0), valid)


def _linked(index: Tensor, receiver_valid: Tensor) -> Neighbours:
    valid = (index >= 0) & receiver_valid[..., None]
    return Neighbours(torch.where(valid, index, 0), valid)


def _pose(position_m: Tensor, yaw_rad: Tensor) -> Tensor:
    return torch.cat([position_m, yaw_rad[..., None]], dim=-1)


def take(values: Tensor, index: Tensor) -> Tensor:
    """Rows of values (B, S, D) at index (B, R, N): (B, R, N, D). A flat row gather: fast, and it exports as Gather."""
    batch, senders, width = values.shape
    start = torch.arange(batch, device=values.device)[:, None, None] * senders
    rows = torch.index_select(values.reshape(batch * senders, width), 0, (index + start).reshape(-1))
    return rows.reshape(*index.shape, width)


def relative_features(receiver_pose: Tensor, sender_pose: Tensor) -> Tensor:
    """The sender's pose (..., 3) in the receiver's frame as features (..., 5) of order one."""
    offset_m = rotate(sender_pose[..., :2] - receiver_pose[..., :2], -receiver_pose[..., 2])
    distance_m = (offset_m.square().sum(-1, keepdim=True) + 1e-4).sqrt()
    turn_rad = sender_pose[..., 2:] - receiver_pose[..., 2:]
    return torch.cat([offset_m / 10, distance_m.log1p() / 2, turn_rad.cos(), turn_rad.sin()], dim=-1)


def edge_features(graph: SceneGraph, relation: str) -> Tensor:
    """Relative features (B, R, N, 5) along one relation."""
    sender, _, receiver = edge_type(relation)
    senders_pose: Tensor = getattr(graph, f"{sender}_pose")
    receivers_pose: Tensor = getattr(graph, f"{receiver}_pose")
    return relative_features(receivers_pose[:, :, None], take(senders_pose, getattr(graph, relation).index))


def hetero_data(graph: SceneGraph) -> HeteroData:
    """The same graph as a ragged batch: valid nodes only, `edge_index` and `edge_attr` per relation."""
    data = HeteroData()
    rows = {}
    for node in ("agent", "lane", "element"):
        valid = getattr(graph, f"{node}_valid").reshape(-1)
        rows[node] = torch.cumsum(valid.long(), 0) - 1  # padded slot -> row among the valid ones
        data[node].num_nodes = int(valid.sum())
    for relation in RELATIONS:
        sender, _, receiver = edge_type(relation)
        edges: Neighbours = getattr(graph, relation)
        features = edge_features(graph, relation)
        batch, receivers, _ = edges.index.shape
        senders = getattr(graph, f"{sender}_valid").shape[1]
        start = torch.arange(batch, device=edges.index.device)[:, None, None]
        to_row = rows[receiver].reshape(batch, receivers, 1).expand_as(edges.index)
        from_row = rows[sender][(edges.index + start * senders)]
        data[edge_type(relation)].edge_index = torch.stack([from_row[edges.valid], to_row[edges.valid]])
        data[edge_type(relation)].edge_attr = features[edges.valid]
    return data
