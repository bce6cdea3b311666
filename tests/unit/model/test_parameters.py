"""Parameters of jobs: how they are declared, and the values that triggers give to them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from dkronpy.model.fields import SpecError
from dkronpy.model.parameter import Parameter, ParameterType, with_defaults
from dkronpy.model.parameter_spec import given, text_of
from dkronpy.model.spec import parse_spec, to_document, to_job

JOB = {"name": "a", "schedule": "@manually", "executor": "shell", "executor_config": {"command": "true"}}
PARAMETERS = (
    Parameter("VERSION"),
    Parameter("N", ParameterType.INTEGER, "2"),
    Parameter("STAGE", default="test", choices=("test", "live")),
)


def declared(*parameters: Any, **fields: Any) -> tuple[Parameter, ...]:
    return to_job(parse_spec({**JOB, "parameters": list(parameters), **fields})).parameters


def refused(*parameters: Any, **fields: Any) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        declared(*parameters, **fields)
    return dict(caught.value.errors)


def test_declared_with_json_values_or_texts() -> None:
    found = declared(
        {"name": "A"},
        {"name": "B", "type": "integer", "default": 5, "choices": [5, "6"], "description": "how many"},
        {"name": "C", "type": "number", "default": 0.5},
        {"name": "D", "type": "boolean", "default": False},
    )
    assert found == (
        Parameter("A"),
        Parameter("B", ParameterType.INTEGER, "5", ("5", "6"), "how many"),
        Parameter("C", ParameterType.NUMBER, "0.5"),
        Parameter("D", ParameterType.BOOLEAN, "false"),
    )
    job = to_job(parse_spec({**JOB, "parameters": [{"name": "B", "type": "integer", "default": 5}]}))
    assert to_job(parse_spec(to_document(job))) == job


@pytest.mark.parametrize(
    ("parameter", "field"),
    [
        ({}, "parameters.0.name"),
        ({"name": "A B"}, "parameters.0.name"),
        ({"name": "A", "type": "date"}, "parameters.0.type"),
        ({"name": "A", "default": 5}, "parameters.0.default"),
        ({"name": "A", "type": "integer", "default": "x"}, "parameters.0.default"),
        ({"name": "A", "type": "integer", "default": True}, "parameters.0.default"),
        ({"name": "A", "type": "boolean", "default": "yes"}, "parameters.0.default"),
        ({"name": "A", "type": "integer", "choices": [1, {}]}, "parameters.0.choices.1"),
        ({"name": "A", "choices": ["x"], "default": "y"}, "parameters.0.default"),
        ("A", "parameters.0"),
    ],
)
def test_declared_wrongly(parameter: Any, field: str) -> None:
    assert list(refused(parameter)) == [field]


def test_a_name_is_there_once() -> None:
    assert refused({"name": "A"}, {"name": "A"}) == {"parameters.1.name": "A is there twice"}


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule": "@daily"},
        {"schedules": [{"schedule": "@daily"}]},
        {"schedule": "", "parent_job": "p"},
        {"depends_on": {"parents": ["p"]}},
    ],
)
def test_what_runs_by_itself_needs_defaults(fields: dict[str, Any]) -> None:
    assert "defaults" in refused({"name": "A"}, **fields)["parameters.0.default"]
    assert declared({"name": "A", "default": ""}, **fields)


def test_what_a_schedule_gives_is_checked() -> None:
    schedules = [{"schedule": "@daily", "env": {"N": "1"}}, {"schedule": "@hourly", "env": {"N": "x"}}]
    found = refused({"name": "N", "type": "integer", "default": 0}, schedule="", schedules=schedules)
    assert list(found) == ["schedules.1.env.N"]


def test_what_a_trigger_gives() -> None:
    assert given(PARAMETERS, {"VERSION": "1.2", "N": 3}, {"X": "y"}) == {"VERSION": "1.2", "N": "3", "X": "y"}
    assert given(PARAMETERS, {}, {"VERSION": "1.2", "STAGE": "live"}) == {"VERSION": "1.2", "STAGE": "live"}
    assert with_defaults(PARAMETERS, {"VERSION": "1", "N": "7"}) == {"VERSION": "1", "N": "7", "STAGE": "test"}
    assert with_defaults((), {"A": "1"}) == {"A": "1"}


@pytest.mark.parametrize(
    ("values", "env", "errors"),
    [
        ({}, {}, {"parameters.VERSION": "is missing: it is a string"}),
        ({"VERSION": 1}, {}, {"parameters.VERSION": "must be a string, not a number"}),
        (
            {"VERSION": "1", "n": "1"},
            {},
            {"parameters.n": "is no parameter of the job: it has VERSION, N, STAGE"},
        ),
        (
            {"VERSION": "1", "N": "1.5"},
            {},
            {"parameters.N": "must be an integer, such as 5, of at most 30 digits, not '1.5'"},
        ),
        (
            {"VERSION": "1"},
            {"N": "x"},
            {"env.N": "must be an integer, such as 5, of at most 30 digits, not 'x'"},
        ),
        ({"VERSION": "1", "STAGE": "x"}, {}, {"parameters.STAGE": "must be one of test, live, not 'x'"}),
        ({"VERSION": "1"}, {"VERSION": "1"}, {"parameters.VERSION": "is given as env too: leave one out"}),
        ({"VERSION": "a\0"}, {}, {"parameters.VERSION": "must not hold the character NUL"}),
    ],
)
def test_what_a_trigger_may_not_give(values: Any, env: dict[str, str], errors: dict[str, str]) -> None:
    with pytest.raises(SpecError) as caught:
        given(PARAMETERS, values, env)
    assert dict(caught.value.errors) == errors


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@drawn(st.sampled_from(ParameterType), JSON | st.integers(min_value=10**5000, max_value=10**5001))
def test_any_value_is_refused_or_a_text_that_is_taken_again(type: ParameterType, value: Any) -> None:
    parameter = Parameter("A", type)
    try:
        text = text_of(parameter, value)
    except ValueError:
        return
    assert text_of(parameter, text) == text
