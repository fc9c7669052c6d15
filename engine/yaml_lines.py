"""YAML text -> a tree of `Node`s that remember file and line; refuses everything a scene has no use for.

Built from parser events without recursion, so no input can exhaust the stack, and with the expanded size counted as it
grows, so no chain of aliases can exhaust the memory. Scalars follow YAML 1.2 (`yes`, `on`, `1:30` are text).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.errors import UserError
from engine.units import printable, shown

MAX_BYTES = 1_000_000
MAX_NODES = 100_000  # values, after aliases are expanded
MAX_DEPTH = 40
MAX_DIGITS = 40

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.inf|\.nan", re.IGNORECASE)


@dataclass(slots=True)
class Node:
    """One value: a scalar, a dict of text -> Node, or a list of Nodes; `line` is that of its key, from 1."""

    value: Any
    file: str
    line: int | None
    raw: str | None = None  # a scalar as written, None if it was quoted or is a container
    size: int = 1  # values in it, itself included
    height: int = 0  # containers below it

    @property
    def where(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def get(self, key: str | int) -> "Node | None":
        """The child under a key or an item number, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(key)
        inside = isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value)
        return self.value[key] if inside else None

    def plain(self) -> Any:
        """Ordinary dicts, lists and scalars; aliases are copied out."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def shown(self) -> str:
        """As an error message quotes it: numbers the way they were written."""
        written = self.raw is not None and isinstance(self.value, int | float)
        if not written:
            return shown(self.value)
        return printable(self.raw if len(self.raw) <= 60 else self.raw[:57] + "...")


def read_text(path: Path, label: str) -> str:
    """A regular UTF-8 file of at most `MAX_BYTES`, or a one-line UserError."""
    try:
        if path.is_dir():
            raise UserError(f"{label}: expected a file, got a folder")
        if path.exists() and not path.is_file():
            raise UserError(f"{label}: expected a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{label}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{label}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise UserError(f"{label}: larger than {MAX_BYTES:,} bytes, expected a scene")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{label}:{line}: not UTF-8 text (byte 0x{data[error.start]:02x})") from None


def parse(text: str, label: str, numbered: bool = True) -> Node | None:
    """The one document in `text`, None if there is none; errors read `label:line: ...`, or `label: ...` unnumbered."""
    return _Builder(label, numbered).build(text)


@dataclass(slots=True)
class _Open:
    """A container still being read: its node, the key waiting for a value, the anchors that name it."""

    node: Node
    key: str | None = None
    key_line: int = 0
    anchor: str | None = None


class _Builder:
    def __init__(self, label: str, numbered: bool):
        self.label, self.numbered = label, numbered
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}  # None: still open
        self.root: Node | None = None

    def error(self, line: int | None, message: str) -> UserError:
        keys = path_text(tuple(self._path()))
        place = f"{self.label}:{line}" if self.numbered and line is not None else self.label
        return UserError(f"{place}: {keys + ': ' if keys else ''}{message}")

    def _too_deep(self, line: int | None) -> UserError:
        """Without the keys: which of them are known depends on how far ahead the parser reads."""
        self.stack.clear()
        return self.error(line, f"nested deeper than {MAX_DEPTH} levels")

    def _path(self) -> list[str | int]:
        """Keys and item numbers down to what is being read."""
        parts: list[str | int] = []
        for frame in self.stack:
            if isinstance(frame.node.value, list):
                parts.append(len(frame.node.value))
            elif frame.key is not None:
                parts.append(frame.key)
        return parts

    def build(self, text: str) -> Node | None:
        if bad := _UNPRINTABLE.search(text):
            line = text.count("\n", 0, bad.start()) + 1
            raise self.error(line, f"not YAML: character {printable(bad[0])} is not allowed")
        documents = 0
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                documents += isinstance(event, yaml.DocumentStartEvent)
                if documents > 1:
                    raise self.error(event.start_mark.line + 1, "a second document begins here (---), expected one")
                self._take(event, event.start_mark.line + 1)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
            self.stack.clear()
            if "nesting" in problem:  # newer libyaml has a limit of its own, and meets it before we see the event
                raise self._too_deep(None if mark is None else mark.line + 1) from None
            line = None if mark is None else min(mark.line, text.count("\n")) + 1
            if line and re.match(r" *\t", text.split("\n")[line - 1]):
                problem = "a tab begins this line, expected blanks"
            raise self.error(line, f"not YAML: {problem}") from None
        return self.root

    def _take(self, event: yaml.Event, line: int) -> None:
        match event:
            case yaml.AliasEvent():
                self._add(self._aliased(event.anchor, line), line)
            case yaml.ScalarEvent():
                self._check_tag(event, line)
                top = self.stack[-1] if self.stack else None
                if top is not None and isinstance(top.node.value, dict) and top.key is None:
                    self._open_key(top, event, line)
                else:
                    node = self._scalar(event, line)
                    if event.anchor:
                        self.anchors[event.anchor] = node
                    self._add(node, line)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check_tag(event, line)
                self._check_value_place(line)
                if len(self.stack) >= MAX_DEPTH:
                    raise self._too_deep(line)
                if event.anchor:
                    self.anchors[event.anchor] = None
                value = {} if isinstance(event, yaml.MappingStartEvent) else []
                self.stack.append(_Open(Node(value, self.label, self._line(line)), anchor=event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                frame = self.stack.pop()
                if frame.anchor:
                    self.anchors[frame.anchor] = frame.node
                self._add(frame.node, line)

    def _line(self, line: int) -> int | None:
        return line if self.numbered else None

    def _check_tag(self, event: yaml.Event, line: int) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self.error(line, f"tag {shown(tag)} is not allowed, expected plain values")

    def _check_value_place(self, line: int) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.node.value, dict) and top.key is None:
            raise self.error(line, "expected a key of plain text")

    def _open_key(self, top: _Open, event: yaml.ScalarEvent, line: int) -> None:
        key, plain = event.value, event.implicit[0]
        if event.anchor:
            raise self.error(line, "expected a key of plain text, got an anchor")
        if plain and key == "<<":
            raise self.error(line, 'merge keys ("<<") are not allowed, expected "extends: other.yaml"')
        if not key.strip():
            raise self.error(line, "expected a key, got nothing")
        top.key, top.key_line = key, line
        if key in top.node.value:
            first = top.node.value[key].line
            raise self.error(line, "duplicate key" + (f", first in line {first}" if first and self.numbered else ""))

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Node:
        text = event.value
        if not event.implicit[0]:  # quoted or block text
            return Node(text, self.label, self._line(line))
        value: Any = text
        if text in _NULL:
            value = None
        elif text in _BOOL:
            value = _BOOL[text]
        elif _INT.fullmatch(text) and len(text) <= MAX_DIGITS:
            value = int(text)
        elif _FLOAT.fullmatch(text):
            value = float(text)
            if not abs(value) < 1e300 or len(text) > 10 * MAX_DIGITS or _INT.fullmatch(text):
                got = text if len(text) <= 40 else text[:37] + "..."
                raise self.error(line, f"expected a number of reasonable size, got {got}")
        elif _NOT_FINITE.fullmatch(text):
            raise self.error(line, f"expected a finite number, got {text}")
        return Node(value, self.label, self._line(line), raw=text)

    def _aliased(self, name: str, line: int) -> Node:
        self._check_value_place(line)
        if name not in self.anchors:
            raise self.error(line, f"alias *{printable(name)} has no anchor &{printable(name)} above it")
        node = self.anchors[name]
        if node is None:
            raise self.error(line, f"alias *{printable(name)} contains itself")
        if len(self.stack) + node.height > MAX_DEPTH:
            raise self._too_deep(line)
        return Node(node.value, node.file, self._line(line), node.raw, node.size, node.height)

    def _add(self, node: Node, line: int) -> None:
        """Hand a finished value to the container that waits for it."""
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        top.node.size += node.size
        if top.node.size > MAX_NODES:
            raise self.error(line, f"more than {MAX_NODES:,} values once aliases are expanded")
        top.node.height = max(top.node.height, node.height + 1)
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        else:
            node.line = self._line(top.key_line)
            top.node.value[top.key] = node
            top.key = None


def key_text(key: str | int) -> str:
    """One step of a key path as printed: quoted if it holds a dot or a blank, never longer than 60 characters."""
    text = printable(str(key))
    text = text if len(text) <= 60 else text[:57] + "..."
    return f'"{text}"' if re.search(r"[.=\s]", text) or not text else text


def path_text(path: tuple[str | int, ...]) -> str:
    """`("timeline", 2, "at")` -> "timeline.2.at"; the middle of a very long path is left out."""
    steps = [key_text(step) for step in path]
    return ".".join(steps if len(steps) <= 12 else steps[:6] + [".."] + steps[-3:])


def merged(base: Node, top: Node) -> Node:
    """`top` over `base`: mappings are merged key by key, anything else is replaced; both stay as they are."""
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    value = dict(base.value)
    for key, node in top.value.items():
        value[key] = merged(value[key], node) if key in value else node
    return Node(value, top.file, top.line)


def replaced(node: Node, path: tuple[str, ...], new: Node, done: tuple[str, ...] = ()) -> Node:
    """A copy of `node` with `new` at `path`; missing mappings appear, items must exist. Errors name `new.file`."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    here = (*done, step)
    if isinstance(node.value, list):
        if not step.isascii() or not step.isdigit() or len(step) > 9 or int(step) >= len(node.value):
            found = f"{len(node.value)} items, numbered from 0" if node.value else "none"
            raise UserError(f"{new.where}: {path_text(here)}: expected the number of an item, there are {found}")
        items = list(node.value)
        items[int(step)] = replaced(items[int(step)], rest, new, here)
        return Node(items, node.file, node.line)
    if node.value is None:
        node = Node({}, new.file, new.line)
    if not isinstance(node.value, dict):
        raise UserError(f"{new.where}: {path_text(here)}: unknown key, {path_text(done)} is {node.shown()}")
    child = node.value.get(step) or Node({}, new.file, new.line)
    return Node({**node.value, step: replaced(child, rest, new, here)}, node.file, node.line)
