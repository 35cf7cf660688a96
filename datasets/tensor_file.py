"""A safetensors file in parts, so that tensors are hashed and written where they lie.

Byte for byte what `safetensors.torch.save` gives, which copies all of it twice.
"""

import json

import torch
from torch import Tensor

# In the order of the file: those of more bytes come first, so that every tensor is aligned.
DTYPES = {torch.float32: "F32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
_ORDER = list(DTYPES)


def file_parts(tensors: dict[str, Tensor], about: dict[str, str]) -> list[bytes | memoryview]:
    """What a file of these contiguous tensors, with one entry of metadata, consists of."""
    names = sorted(tensors, key=lambda name: (_ORDER.index(tensors[name].dtype), name))
    header: dict[str, object] = {"__metadata__": about}
    end = 0
    for name in names:
        x = tensors[name]
        start, end = end, end + x.numel() * x.element_size()
        header[name] = {"dtype": DTYPES[x.dtype], "shape": list(x.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *(_bytes_of(tensors[name]) for name in names)]


def _bytes_of(x: Tensor) -> memoryview:
    raw: memoryview = x.reshape(-1).view(torch.uint8).numpy().data
    return raw
