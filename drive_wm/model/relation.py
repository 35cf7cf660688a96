"""The relational layer: one set of weights, two executions that give the same result.

A receiver takes, per channel, the strongest of relu(W_r receiver + W_s sender + W_e edge) over its senders: no
product of matrices per edge, so the cost grows with the nodes, not with the edges.
"""

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

ABSENT = -1e4  # far below any message, so that relu makes 0 of it


class Relation(MessagePassing):  # type: ignore[misc]
    """Senders to receivers along one kind of edge; messages may be narrower than the nodes."""

    def __init__(self, width: int, edge_features: int, message_width: int | None = None) -> None:
        super().__init__(aggr="max")
        message_width = message_width or width
        self.receive = nn.Linear(width, message_width)
        self.send = nn.Linear(width, message_width, bias=False)
        self.relate = nn.Linear(edge_features, message_width, bias=False)
        self.out = nn.Linear(message_width, width)

    def forward(self, x: Tensor | tuple[Tensor, Tensor], edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Message passing over a ragged batch: senders (S, D), receivers (R, D), edges (2, E), (E, F) -> (R, D)."""
        senders, receivers = (x, x) if isinstance(x, Tensor) else x
        heard = self.propagate(
            edge_index,
            x=(self.send(senders), self.receive(receivers)),
            edge_attr=edge_attr,
            size=(senders.shape[0], receivers.shape[0]),
        )
        return self.out(heard)

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor) -> Tensor:
        """What each receiver i hears from sender j."""
        return torch.relu(x_i + x_j + self.relate(edge_attr))

    def dense(self, receivers: Tensor, heard_of: Tensor, edge_attr: Tensor, valid: Tensor) -> Tensor:
        """The same over fixed lists: receivers (..., R, D), sent (..., R, N, D), (..., R, N, F), (..., R, N) -> (..., R, D).

        `heard_of` is `self.send(senders)` gathered by neighbour, so that each sender is projected once.
        """
        heard = torch.where(valid[..., None], heard_of + self.relate(edge_attr), ABSENT)
        return self.strongest(receivers, heard.amax(dim=-2))

    def strongest(self, receivers: Tensor, heard: Tensor) -> Tensor:
        """What receivers (..., R, D) make of the greatest of W_s sender + W_e edge, ABSENT where nobody sends.

        A sum with the receiver's own part and relu keep the order, so they may follow the maximum.
        """
        return self.out(self.receive(receivers).add_(heard).relu_())


class Refine(nn.Module):
    """Residual feed-forward layer that follows the relations."""

    def __init__(self, width: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or width
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).add_(x)
