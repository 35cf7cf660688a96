"""The parts of a file are what safetensors itself writes."""

import pytest
import torch
from safetensors.torch import save

from drive_wm.datasets.tensor_file import DTYPES, file_parts

TENSORS = {  # name: tensors; what is first in the file is neither first in the alphabet nor here
    "every dtype": {f"{name}.{i}": (10 * torch.rand(3, 2)).to(dtype) for i in "ab" for dtype, name in DTYPES.items()},
    "odd lengths": {"b": torch.tensor([True] * 3), "a": torch.zeros(5, dtype=torch.uint8), "z": torch.ones(1)},
    "nothing in it": {"none": torch.zeros(0, 2), "one": torch.ones(1, 1, dtype=torch.int16)},
}


@pytest.mark.parametrize("tensors", TENSORS.values(), ids=TENSORS)
@pytest.mark.parametrize("text", ["", 'quotes " and \\ and \n', "Straße"])
def test_it_is_what_safetensors_saves(tensors, text):
    assert b"".join(file_parts(tensors, {"about": text})) == save(tensors, {"about": text})
