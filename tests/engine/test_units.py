"""Quantities against hand-worked conversions; text -> number -> text loses nothing."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from engine.errors import UserError
from engine.units import (
    DIMENSIONS,
    Angle,
    Fraction,
    Quantity,
    Time,
    bounded,
    non_negative,
    positive,
    quantity,
    quantity_text,
)

GOOD = [
    ("10 s", "time", 10_000.0),
    ("10s", "time", 10_000.0),
    ("  1.5   min ", "time", 90_000.0),
    ("2 h", "time", 7_200_000.0),
    ("250 us", "time", 0.25),
    ("250 µs", "time", 0.25),
    ("0.7 s", "time", 700.0),
    ("0.0007 s", "time", 0.7),
    ("1e3 ms", "time", 1_000.0),
    (".5 ms", "time", 0.5),
    ("-65 mV", "potential", -65.0),
    ("0.015 V", "potential", 15.0),
    ("200 uV", "potential", 0.2),
    ("3.5 Hz", "rate", 3.5),
    ("1 kHz", "frequency", 1_000.0),
    ("0.5 N", "force", 0.5),
    ("300 mN", "force", 0.3),
    ("2.5 N m", "torque", 2.5),
    ("2.5 Nm", "torque", 2.5),
    ("2.5 N*m", "torque", 2.5),
    ("30 mN m", "torque", 0.03),
    ("10 cm", "length", 100.0),
    ("1 m", "length", 1_000.0),
    ("40 um", "length", 0.04),
    ("6 m/s", "speed", 6.0),
    ("0.3 mV/ms", "drive", 0.3),
    ("180 deg", "angle", math.pi),
    ("1 rad", "angle", 1.0),
    ("3400 g", "mass", 3.4),
    ("55 %", "fraction", 0.55),
    ("55%", "fraction", 0.55),
    ("0.55", "fraction", 0.55),
    (0.55, "fraction", 0.55),
    (1, "fraction", 1.0),
]


@pytest.mark.parametrize(("text", "dimension", "value"), GOOD)
def test_a_quantity_is_converted_to_its_base_unit(text, dimension, value):
    assert quantity(text, dimension) == value


BAD = [
    ("5 mV", "time", 'expected a time, got "5 mV"'),
    (5, "time", "expected a time with its unit, as in 5 ms, got 5"),
    (0, "time", "expected a time with its unit, as in 0 ms, got 0"),
    ("5", "force", 'expected a force with its unit, as in 5 N, got "5"'),
    (True, "time", "expected a time, got true"),
    (True, "fraction", "expected a fraction, got true"),
    (None, "length", "expected a length, got nothing"),
    (["5 ms"], "time", "expected a time, got a list"),
    ({"ms": 5}, "time", "expected a time, got a mapping"),
    ("nan ms", "time", 'expected a time, got "nan ms"'),
    ("inf ms", "time", 'expected a time, got "inf ms"'),
    ("1e999 ms", "time", 'expected a time, got "1e999 ms"'),
    ("1e307 s", "time", 'expected a time, got "1e307 s"'),
    (math.nan, "fraction", "expected a fraction, got nan"),
    (math.inf, "fraction", "expected a fraction, got inf"),
    ("", "time", 'expected a time, got ""'),
    ("ms", "time", 'expected a time, got "ms"'),
    ("5 MS", "time", 'expected a time, got "5 MS"'),
    ("5 5 ms", "time", 'expected a time, got "5 5 ms"'),
    ("٣ ms", "time", 'expected a time, got "٣ ms"'),
    ("1_000 ms", "time", 'expected a time, got "1_000 ms"'),
    ("0x10 ms", "time", 'expected a time, got "0x10 ms"'),
    ("5 N", "torque", 'expected a torque, got "5 N"'),
    ("5 \x1b[31m", "time", 'expected a time, got "5 \\x1b[31m"'),
]


@pytest.mark.parametrize(("text", "dimension", "message"), BAD)
def test_what_is_no_such_quantity_is_one_clear_line(text, dimension, message):
    with pytest.raises(UserError) as caught:
        quantity(text, dimension)
    assert str(caught.value) == message


def test_an_endless_text_is_quoted_short():
    with pytest.raises(UserError) as caught:
        quantity("9" * 10_000 + " ms", "time")
    assert len(str(caught.value)) < 120


dimensions = st.sampled_from(sorted(DIMENSIONS))
finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@given(finite, dimensions)
def test_number_to_text_to_number_is_exact(value, dimension):
    assert quantity(quantity_text(value, dimension), dimension) == value


@given(st.data(), st.floats(-1e9, 1e9), dimensions)
def test_every_unit_has_its_size_and_matches_the_schema_pattern(data, value, dimension):
    unit = data.draw(st.sampled_from(sorted(DIMENSIONS[dimension].units)))
    text = f"{value!r} {unit}"
    assert quantity(text, dimension) == pytest.approx(value * float(DIMENSIONS[dimension].units[unit]), rel=1e-12)
    assert re.search(Quantity(dimension).pattern(), text)


@settings(max_examples=300)
@given(st.one_of(st.text(), st.from_regex(r"[-+0-9.eE ]{0,12}(ms|mV|N m|%|deg)?", fullmatch=True)), dimensions)
def test_any_text_is_a_finite_number_or_a_one_line_error(text, dimension):
    try:
        assert math.isfinite(quantity(text, dimension))
    except UserError as error:
        assert "\n" not in str(error)


class Sample(BaseModel):
    """One of each kind of bound."""

    delay: positive(Time) = 1.0
    start: non_negative(Time) = 0.0
    share: bounded(Fraction, ge="0", le="100 %") = 0.5
    tilt: bounded(Angle, gt="-90 deg", lt="90 deg") | None = None


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"delay": "0 ms"}, 'expected a time above 0 ms, got "0 ms"'),
        ({"start": "-1 us"}, 'expected a time of at least 0 ms, got "-1 us"'),
        ({"share": 1.01}, "expected a fraction from 0 to 100 %, got 1.01"),
        ({"tilt": "90 deg"}, 'expected an angle above -90 deg and below 90 deg, got "90 deg"'),
        ({"tilt": 3}, "expected an angle with its unit, as in 3 rad, got 3"),
    ],
)
def test_bounds_of_the_types_hold(given_values, message):
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(given_values)
    assert [problem["msg"] for problem in caught.value.errors()] == [message]


def test_a_model_reads_text_and_dumps_text_that_it_reads_again():
    sample = Sample.model_validate({"delay": "0.3 s", "start": "0 s", "share": "25 %", "tilt": "45 deg"})
    assert (sample.delay, sample.start, sample.share) == (300.0, 0.0, 0.25)
    dumped = sample.model_dump()
    assert dumped["delay"] == "300 ms" and dumped["share"] == "0.25"
    assert Sample.model_validate(dumped) == sample
    assert Sample().model_dump()["tilt"] is None


def test_the_schema_names_the_units():
    delay = Sample.model_json_schema()["properties"]["delay"]
    assert delay["type"] == "string"
    assert "us" in delay["pattern"] and "above 0 ms" in delay["description"]
