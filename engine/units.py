"""Text with a unit -> number in the base unit of its dimension, and the pydantic types that scenes are made of.

Base units: ms, mV, Hz, N, N m, mm, m/s, mV/ms, rad, kg, kg/m3, Pa s, mL, 1. A number alone is never enough where a unit
is needed (fractions have none), NaN and infinity are refused. pydantic itself is imported only when a model is built.
"""

import math
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Any, get_args

from engine.errors import UserError


@dataclass(frozen=True)
class Dimension:
    """What a quantity measures: `units` maps each spelling to its size in the base unit, which stands first."""

    noun: str  # as it stands after "expected", article included
    units: dict[str, Decimal | float]

    @property
    def base(self) -> str:
        return next(iter(self.units))


def _sizes(**sizes: str | float) -> dict[str, Decimal | float]:
    return {unit: Decimal(size) if isinstance(size, str) else size for unit, size in sizes.items()}


_DEGREE = math.pi / 180
DIMENSIONS = {
    "time": Dimension("a time", _sizes(ms="1", us="0.001", s="1000", min="60000", h="3600000")),
    "potential": Dimension("a potential", _sizes(mV="1", uV="0.001", V="1000")),
    "rate": Dimension("a rate", _sizes(Hz="1", kHz="1000")),
    "force": Dimension("a force", _sizes(N="1", mN="0.001", kN="1000")),
    "torque": Dimension("a torque", _sizes(**{"N m": "1", "mN m": "0.001"})),
    "length": Dimension("a length", _sizes(mm="1", um="0.001", cm="10", m="1000")),
    "speed": Dimension("a speed", _sizes(**{"m/s": "1", "mm/ms": "1", "mm/s": "0.001", "cm/s": "0.01"})),
    "drive": Dimension("a drive", _sizes(**{"mV/ms": "1", "V/s": "1", "mV/s": "0.001"})),
    "angle": Dimension("an angle", _sizes(rad=1.0, deg=_DEGREE)),
    "mass": Dimension("a mass", _sizes(kg="1", g="0.001", mg="0.000001")),
    "density": Dimension("a density", _sizes(**{"kg/m3": "1", "g/cm3": "1000"})),
    "viscosity": Dimension("a viscosity", _sizes(**{"Pa s": "1", "mPa s": "0.001"})),
    "volume": Dimension("a volume", _sizes(mL="1", uL="0.001", L="1000")),
    "fraction": Dimension("a fraction", _sizes(**{"": "1", "%": "0.01"})),
}
DIMENSIONS["frequency"] = DIMENSIONS["rate"]

_SPELLINGS = {"µs": "us", "μs": "us", "µm": "um", "μm": "um", "µV": "uV", "μV": "uV", "°": "deg"}
_SPELLINGS |= {"kg/m³": "kg/m3", "g/cm³": "g/cm3"}
_SPELLINGS |= {f"{n}{dot}m": f"{n} m" for n in ("N", "mN") for dot in ("", "*", "·", ".")}
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*(\S.*?)?\s*", re.ASCII)


def shown(value: Any, limit: int = 60) -> str:
    """How an error message quotes a value: text in double quotes, containers by kind, never more than `limit` long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    quote = '"' if isinstance(value, str) else ""
    text = printable(value if quote else repr(value))
    return quote + (text if len(text) <= limit else text[: limit - 3] + "...") + quote


def printable(text: str) -> str:
    """The text with control characters and lone surrogates written as escapes, so that an error stays one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def quantity(text: Any, dimension: str) -> float:
    """`quantity("0.3 s", "time") == 300.0`: the value in the dimension's base unit, or a one-line UserError."""
    kind = DIMENSIONS[dimension]
    value = None
    if isinstance(text, str):
        value = _parse(text, kind)
    elif "" in kind.units and isinstance(text, int | float) and not isinstance(text, bool):
        value = float(text) if abs(text) < 1e300 else None
    if value is None:
        raise UserError(f"expected {_wanted(kind, text)}, got {shown(text)}")
    return value


def _parse(text: str, kind: Dimension) -> float | None:
    """Number and unit -> base units; None if it is not this kind of quantity or not finite. Decimal: 0.7 s is 700."""
    match = _QUANTITY.fullmatch(text) if len(text) <= 100 else None
    if match is None:
        return None
    number, unit = match[1], " ".join((match[2] or "").split())
    size = kind.units.get(_SPELLINGS.get(unit, unit))
    approximate = float(number)
    if size is None or not math.isfinite(approximate):
        return None
    if approximate == 0.0:
        return 0.0
    value = approximate * size if isinstance(size, float) else float(Decimal(number) * size)
    return value if math.isfinite(value) else None


def _wanted(kind: Dimension, given: Any) -> str:
    """The noun, with an example of the unit when the given value has none at all."""
    bare = isinstance(given, int | float) or (isinstance(given, str) and re.fullmatch(_NUMBER, given.strip()))
    if bare and kind.base and not isinstance(given, bool):
        return f"{kind.noun} with its unit, as in {number_text(given, 20)} {kind.base}"
    return kind.noun


def number_text(value: float | str, limit: int = 400) -> str:
    """Shortest text that reads back as the same number: 10000.0 -> "10000"."""
    text = str(value).strip() if isinstance(value, str) else repr(value)
    text = text.removesuffix(".0")
    return text if len(text) <= limit else "1"


def quantity_text(value: float, dimension: str) -> str:
    """`quantity_text(300.0, "time") == "300 ms"`; `quantity` of it is `value` again, bit for bit."""
    return f"{number_text(float(value))} {DIMENSIONS[dimension].base}".strip()


@dataclass(frozen=True)
class Quantity:
    """Marker for `Annotated[float, Quantity("time")]`: a float in base units, read from and dumped as text with unit.

    Bounds are quantities as text ("0 ms"): gt and lt exclude the bound, ge and le include it.
    """

    dimension: str
    gt: str | None = None
    ge: str | None = None
    lt: str | None = None
    le: str | None = None
    _limits: dict[str, float] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self):
        for name in ("gt", "ge", "lt", "le"):
            if (bound := getattr(self, name)) is not None:
                self._limits[name] = quantity(bound, self.dimension)

    def parse(self, text: Any) -> float:
        """The value in base units; UserError if it is no such quantity or lies outside the bounds."""
        value = quantity(text, self.dimension)
        limit = self._limits
        inside = (
            value > limit.get("gt", -math.inf)
            and value >= limit.get("ge", -math.inf)
            and value < limit.get("lt", math.inf)
            and value <= limit.get("le", math.inf)
        )
        if not inside:
            raise UserError(f"expected {DIMENSIONS[self.dimension].noun} {self.range_text()}, got {shown(text)}")
        return value

    def range_text(self) -> str:
        """The bounds in words: "above 0 ms", "from 0 to 1"."""
        low = f"above {self.gt}" if self.gt is not None else f"of at least {self.ge}" if self.ge is not None else ""
        high = f"below {self.lt}" if self.lt is not None else f"of at most {self.le}" if self.le is not None else ""
        if self.ge is not None and self.le is not None:
            return f"from {self.ge} to {self.le}"
        return f"{low} and {high.removeprefix('of ')}" if low and high else low + high

    def pattern(self) -> str:
        """Regular expression (JSON schema, ECMA 262) that every acceptable text matches."""
        kind = DIMENSIONS[self.dimension]
        names = [*kind.units, *(short for short, unit in _SPELLINGS.items() if unit in kind.units)]
        units = "|".join(re.escape(unit).replace(r"\ ", " +").replace(r"\%", "%") for unit in names if unit)
        return rf"^\s*{_NUMBER}\s*({units}){'?' if '' in names else ''}\s*$"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any):
        from pydantic_core import PydanticCustomError, core_schema

        def validate(text: Any) -> float:
            try:
                return self.parse(text)
            except UserError as error:
                raise PydanticCustomError("quantity", "{text}", {"text": str(error)}) from None

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value if value is None else quantity_text(value, self.dimension)
            ),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        kind = DIMENSIONS[self.dimension]
        units = ", ".join(unit for unit in kind.units if unit)
        noun = " ".join(part for part in (kind.noun, self.range_text()) if part)
        text = {"type": "string", "pattern": self.pattern(), "description": f"{noun}, as text with its unit: {units}"}
        if "" not in kind.units:
            return text
        names = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
        return {"anyOf": [{"type": "number"} | {names[k]: v for k, v in self._limits.items()}, text]}


Time = Annotated[float, Quantity("time")]  # ms
Potential = Annotated[float, Quantity("potential")]  # mV
Rate = Annotated[float, Quantity("rate")]  # Hz
Force = Annotated[float, Quantity("force")]  # N
Torque = Annotated[float, Quantity("torque")]  # N m
Length = Annotated[float, Quantity("length")]  # mm
Speed = Annotated[float, Quantity("speed")]  # m/s, which is mm/ms
Drive = Annotated[float, Quantity("drive")]  # mV/ms
Angle = Annotated[float, Quantity("angle")]  # rad
Mass = Annotated[float, Quantity("mass")]  # kg
Density = Annotated[float, Quantity("density")]  # kg/m3
Viscosity = Annotated[float, Quantity("viscosity")]  # Pa s
Volume = Annotated[float, Quantity("volume")]  # mL
Fraction = Annotated[float, Quantity("fraction")]  # 1


def bounded(kind: Any, gt: str | None = None, ge: str | None = None, lt: str | None = None, le: str | None = None):
    """`bounded(Time, gt="0 ms", le="100 h")`: the same type with bounds, given as quantities."""
    _, marker = get_args(kind)
    return Annotated[float, replace(marker, gt=gt, ge=ge, lt=lt, le=le)]


def _zero(kind: Any) -> str:
    return quantity_text(0.0, get_args(kind)[1].dimension)


def positive(kind: Any):
    """`positive(Time)`: above zero."""
    return bounded(kind, gt=_zero(kind))


def non_negative(kind: Any):
    """`non_negative(Time)`: zero or above."""
    return bounded(kind, ge=_zero(kind))
