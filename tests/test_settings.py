"""The settings of a new run: their names and types are those of the configurations, and mistakes are one line."""

import dataclasses
from typing import get_type_hints

import numpy as np
import pytest

from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.settings import DEFAULTS, Settings, options_of, seconds


def test_types_are_those_of_the_configurations():
    typed, known = get_type_hints(Settings), {}
    for kind in (ModelConfig, TextConfig, TrainConfig):
        known |= get_type_hints(kind)
    del known["vocabulary"]
    different = {name for name in known if typed[name] != known[name]}
    assert different == {"hidden", "time_budget"}  # they also take None, and a string
    assert typed.keys() - known.keys() == {"preset", "init_from", "grow_vocabulary", "diagnose"}
    assert typed.keys() == DEFAULTS.keys()


def test_defaults_are_those_of_the_configurations():
    for kind in (ModelConfig, TextConfig, TrainConfig):
        for field in dataclasses.fields(kind):
            if field.name not in ("vocabulary", "hidden"):
                assert DEFAULTS[field.name] == field.default


def test_what_is_none_has_its_default_and_was_not_given():
    options = options_of({"hidden": None, "seed": None, "lr": np.float32(0.5), "steps": np.int64(3)})
    assert options.values == {**DEFAULTS, "lr": 0.5, "steps": 3}
    assert set(options.given) == {"lr", "steps"}
    assert type(options.values["steps"]) is int


def test_a_time_budget_is_seconds_or_a_duration():
    assert [seconds(text) for text in ("90", "90s", "3m", "1h30m", " 1d ", "0.5s")] == [90, 90, 180, 5400, 86400, 0.5]
    assert options_of({"time_budget": "3m"}).values["time_budget"] == 180
    assert options_of({"time_budget": 7}).values["time_budget"] == 7


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hiden": 3}, "unknown setting 'hiden': did you mean 'hidden'?"),
        ({"batch": 3}, "did you mean 'batch_size'"),
        ({"zzzz": 3}, "unknown setting 'zzzz'"),
        ({"vocabulary": 3}, "unknown setting 'vocabulary'"),
        ({"hidden": 0}, "hidden must be a whole number"),
        ({"hidden": np.arange(2)}, "hidden must be a whole number"),
        ({"hidden": "20"}, "hidden must be a whole number"),
        ({"lr": float("nan")}, "lr must be a number"),
        ({"min_count": "2"}, "min_count must be a whole number"),
        ({"as_bytes": 1}, "as_bytes must be true or false"),
        ({"encoding": 8}, "encoding must be the name of an encoding"),
        ({"unknown": "drop"}, "unknown must be one of error, skip, replace"),
        ({"preset": "fast"}, "preset must be one of quick, balanced, best"),
        ({"preset": ["best"]}, "preset must be one of quick, balanced, best"),
        ({"init_from": 3}, "init_from must be the path of a model"),
        ({"diagnose": "yes"}, "diagnose must be true or false"),
        ({"time_budget": "soon"}, "is not a duration"),
        ({"time_budget": "0"}, "more than nothing"),
        ({"time_budget": -1.0}, "time_budget must be a number"),
        ({"nesterov": True}, "nesterov goes with optimizer sgd and a momentum (beta1) above 0"),
        ({"steps": 3, "epochs": 2}, "epochs and steps exclude each other"),
        ({"effort": 2, "epochs": 2}, "epochs and effort exclude each other"),
        ({"teachers": 2, "time_budget": 3}, "teachers take epochs or steps"),
        ({"grow_vocabulary": True}, "grow_vocabulary goes with init_from and without unknown"),
        ({"unknown": "skip"}, "unknown goes with init_from"),
        ({"snapshots": True, "sample_every": 0}, "snapshots are kept where samples are drawn"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(settings, words):
    with pytest.raises(ConfigError) as caught:
        options_of(settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)  # these are flags of the command line
