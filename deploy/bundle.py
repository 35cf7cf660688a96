"""Bundle: a folder of planner.onnx, contract.json, golden.npz and a manifest with the SHA-256 of each."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from drive_wm.deploy.contract import CONTRACT_VERSION, Contract
from drive_wm.deploy.parity import Difference, differences, require_parity, run_all
from drive_wm.deploy.runtime import Arrays, Runtime
from drive_wm.errors import InputError

GRAPH, CONTRACT, GOLDEN, MANIFEST = "planner.onnx", "contract.json", "golden.npz", "manifest.json"
AGAIN = "Export it again with `drive-wm export`."


@dataclass(frozen=True)
class Golden:
    """Scenes, and what the torch reference answers to them."""

    inputs: Sequence[dict[str, NDArray[Any]]]
    outputs: Sequence[dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, its files read once and found whole."""

    path: Path
    contract: Contract
    graph: bytes  # the ONNX model
    golden: Golden


def open_bundle(path: Path) -> Bundle:
    """Read a bundle: hashes first, then the contract's version.

    Raises FileNotFoundError where there is none, InputError where a file is not the one that was exported.
    """
    if not (path / MANIFEST).is_file():
        raise FileNotFoundError(f"No bundle at {path}: it has no {MANIFEST}. Make one with `drive-wm export --out {path}`.")
    files = {name: _read_whole(path, name, sha256) for name, sha256 in _manifest(path).items()}
    try:
        contract = Contract.model_validate_json(files[CONTRACT])
    except ValidationError as error:
        found = json.loads(files[CONTRACT]).get("version", "none")
        raise InputError(f"{path} holds contract version {found}; needed: {CONTRACT_VERSION}. {AGAIN}") from error
    if contract.version != CONTRACT_VERSION:
        raise InputError(f"{path} holds contract version {contract.version}; needed: {CONTRACT_VERSION}. {AGAIN}")
    return Bundle(path, contract, files[GRAPH], _golden_from(files[GOLDEN]))


def self_test(bundle: Bundle, runtime: Runtime) -> list[Difference]:
    """Run the golden scenes; raises ParityError where the runtime leaves a tolerance."""
    found = run_all(runtime, bundle.golden.inputs)
    rows = differences(bundle.golden.outputs, found, bundle.contract.outputs)
    require_parity(rows, f"{runtime.name} on {bundle.path}")
    return rows


def write_bundle(path: Path, graph: bytes, contract: Contract, golden: Golden) -> None:
    """Write a bundle whole or not at all; an older one at `path` is replaced at the end."""
    if path.exists() and not (path / MANIFEST).is_file() and (path.is_file() or any(path.iterdir())):
        raise InputError(f"{path} exists and is no bundle. Pass --out with an empty or a new folder.")
    files = {GRAPH: graph, CONTRACT: contract.model_dump_json(indent=1).encode() + b"\n", GOLDEN: _golden_bytes(golden)}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    files[MANIFEST] = json.dumps(hashes, indent=1).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    new, old = (path.with_name(f".{path.name}.{os.getpid()}.{age}") for age in ("new", "old"))
    try:
        new.mkdir()
        for name, data in files.items():
            (new / name).write_bytes(data)
        if path.exists():
            path.replace(old)
        new.replace(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _manifest(path: Path) -> dict[str, str]:
    try:
        hashes = json.loads((path / MANIFEST).read_text())
    except ValueError as error:
        raise InputError(f"{path / MANIFEST} is not JSON ({error}). {AGAIN}") from error
    if not isinstance(hashes, dict) or set(hashes) != {GRAPH, CONTRACT, GOLDEN}:
        raise InputError(f"{path / MANIFEST} must list {GRAPH}, {CONTRACT} and {GOLDEN}. {AGAIN}")
    return hashes


def _read_whole(path: Path, name: str, sha256: str) -> bytes:
    if not (path / name).is_file():
        raise FileNotFoundError(f"{path} lacks {name}. {AGAIN}")
    data = (path / name).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise InputError(f"{path / name} has SHA-256 {found}; the manifest expects {sha256}. The file was changed. {AGAIN}")
    return data


def _golden_bytes(golden: Golden) -> bytes:
    """Scenes stacked along a new first axis, as inputs.NAME and outputs.NAME."""
    stacked = {
        f"{side}.{name}": np.stack([arrays[name] for arrays in getattr(golden, side)])
        for side in ("inputs", "outputs")
        for name in getattr(golden, side)[0]
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **stacked)
    return buffer.getvalue()


def _golden_from(data: bytes) -> Golden:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{GOLDEN} is not an npz file of plain arrays ({error}). {AGAIN}") from error
    inputs, outputs = (_scenes(arrays, f"{side}.") for side in ("inputs", "outputs"))
    return Golden(inputs, outputs)


def _scenes(arrays: Arrays, prefix: str) -> list[dict[str, NDArray[Any]]]:
    kept = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    return [dict(zip(kept, values, strict=True)) for values in zip(*kept.values(), strict=True)]
