"""The README's picture can be drawn anew from any weights."""

import sys

from drive_wm.benchmarks import hero
from drive_wm.checkpoint import Origin, save_weights
from drive_wm.config import preset
from drive_wm.model.world_model import WorldModel


def test_hero_is_drawn_from_a_shipped_log(tmp_path, monkeypatch):
    weights, out = tmp_path / "weights.safetensors", tmp_path / "hero.gif"
    save_weights(WorldModel(preset("tiny").model), Origin((), "", ""), weights)
    monkeypatch.setattr(sys, "argv", ["hero", "--out", str(out), "--weights", str(weights)])
    monkeypatch.setattr(hero, "LAST", hero.FIRST + 1)
    hero.main()
    assert out.read_bytes().startswith(b"GIF8")
