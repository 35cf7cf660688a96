"""Presets and overrides: what is typed is what is trained, and mistakes are named."""

import pytest

from drive_wm.config import TINY, preset
from drive_wm.errors import InputError


def test_overrides_change_only_what_they_name() -> None:
    config = preset("tiny", ["model.dynamics.width=24", "train.learning_rate=3e-4", "model.message_passing=true"])
    assert config.model.dynamics.width == 24
    assert config.train.learning_rate == 3e-4
    assert config.model.message_passing is True
    assert config.model.encoder == TINY.model.encoder
    assert TINY.model.dynamics.width == 16


def test_the_baseline_planner_has_settings_of_its_own() -> None:
    config = preset("ego_history", ["model.width=32", "train.hide_command=0.1"])
    assert (config.model.width, config.train.hide_command) == (32, 0.1)
    with pytest.raises(InputError, match="'views'"):
        preset("ego_history", ["train.views=ego"])


MISTAKES = {  # overrides, what the message must name
    "no value": (["train.epochs"], "key=value"),
    "unknown group": (["modle.dynamics.width=3"], "modle"),
    "unknown key": (["model.dynamics.widht=3"], "widht"),
    "a group": (["model.dynamics=3"], "dynamics.width"),
    "below a value": (["train.epochs.more=3"], "epochs"),
    "not a number": (["train.epochs=many"], "many"),
    "none of the views": (["train.views=nobody"], "nobody"),
    "not whole": (["model.dynamics.width=1.5"], "int"),
}


@pytest.mark.parametrize(("overrides", "named"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(overrides: list[str], named: str) -> None:
    with pytest.raises(InputError, match=named):
        preset("tiny", overrides)


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(InputError, match="tiny, base"):
        preset("huge")
