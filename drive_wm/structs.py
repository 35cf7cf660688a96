"""TensorStruct: a frozen dataclass of tensors that moves, slices and stacks as one value."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Self, TypeVar

import torch
from torch import Tensor


class TensorStruct:
    """Base of every frozen dataclass whose fields are tensors or other TensorStructs."""

    def map(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Apply fn to every tensor, at any depth."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return type(self)(**{k: v.map(fn) if isinstance(v, TensorStruct) else fn(v) for k, v in values.items()})

    def to(self, device: torch.device | str) -> Self:
        return self.map(lambda x: x.to(device))

    def __getitem__(self, index: slice | Tensor) -> Self:
        """Take entries along the leading axis, which every field shares; the axis stays."""
        return self.map(lambda x: x[index])


Struct = TypeVar("Struct", bound=TensorStruct)


def tensors(struct: TensorStruct, prefix: str = "") -> dict[str, Tensor]:
    """Flatten to {"tracks.position_m": ...}: the names that files and exported graphs use."""
    flat: dict[str, Tensor] = {}
    for f in fields(struct):  # type: ignore[arg-type]
        value = getattr(struct, f.name)
        flat |= tensors(value, f"{prefix}{f.name}.") if isinstance(value, TensorStruct) else {prefix + f.name: value}
    return flat


def from_tensors(cls: type[Struct], flat: dict[str, Tensor], prefix: str = "") -> Struct:
    """Undo `tensors`."""
    values = {}
    for f in fields(cls):  # type: ignore[arg-type]
        nested = isinstance(f.type, type) and issubclass(f.type, TensorStruct)
        values[f.name] = from_tensors(f.type, flat, f"{prefix}{f.name}.") if nested else flat[prefix + f.name]  # type: ignore[arg-type]
    return cls(**values)


def cat(structs: Sequence[Struct]) -> Struct:
    """Join along the leading axis."""
    flats = [tensors(s) for s in structs]
    return from_tensors(type(structs[0]), {k: torch.cat([flat[k] for flat in flats]) for k in flats[0]})
