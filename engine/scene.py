"""Scene files: YAML + `extends` + `--set` -> one validated object, or one line that says where and what is wrong.

The model is a pydantic class handed in by the caller: this module knows no scene key but `extends`.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError

from engine.errors import UserError
from engine.units import number_text, printable, shown
from engine.yaml_lines import MAX_DEPTH, Node, merged, parse, path_text, read_text, replaced

MAX_EXTENDS = 16
SUFFIXES = (".yaml", ".yml")

Model = TypeVar("Model", bound=BaseModel)
Path_ = tuple[str | int, ...]  # keys and item numbers from the top of a scene


@dataclass(frozen=True)
class Source:
    """Where a scene came from: its file, the files it extends, the overrides, and the line of every key."""

    name: str  # "newborn" for scenes/newborn.yaml, "a/b" for scenes/a/b.yaml
    files: tuple[Path, ...]  # the scene's own file first, then what it extends
    overrides: tuple[str, ...]
    root: Node

    @property
    def path(self) -> Path:
        return self.files[0]

    def where(self, *path: str | int) -> str:
        """`where("timeline", 0, "at") == "scenes/x.yaml:12"`: file and line of the deepest key on the path."""
        return _deepest(self.root, path)[0].where

    def error(self, message: str, *path: str | int) -> UserError:
        """A UserError that reads `scenes/x.yaml:12: timeline.0.at: message`, for what can only be checked later."""
        keys = f"{path_text(path)}: " if path else ""
        return UserError(f"{self.where(*path)}: {keys}{message}")


def misfit(message: str, *path: str | int) -> PydanticCustomError:
    """What a model's validator raises to blame a key below it; what was found is added if `message` does not say it."""
    return PydanticCustomError("misfit", "{text}", {"text": message, "path": path})


def load_scene(
    scene: str | os.PathLike,
    model: type[Model],
    search: Iterable[str | os.PathLike] = (),
    overrides: Sequence[str] = (),
    parts: bool = False,
) -> tuple[Model, Source]:
    """Read a scene by path or, in the `search` folders, by bare name; every mistake in it is a one-line UserError.

    With `parts`, the files of the folder beside it that has its name (`a/eyes.yaml` of `a.yaml`) add keys to its
    mappings and items to its lists.
    """
    folders = [Path(folder) for folder in search]
    path = find_scene(scene, folders)
    files: list[Path] = []
    root = _read_chain(path, folders, files)
    for part in sorted(path.with_suffix("").glob("*.yaml")) if parts else ():
        _add(root, _read_chain(part, folders, files))
    for override in overrides:
        root = _overridden(root, override)
    source = Source(_name(path, folders), tuple(files), tuple(overrides), root)
    return validated(root, model, [_label(file) for file in files]), source


def validated(root: Node, model: type[Model], files: Sequence[str] = ()) -> Model:
    """The model of a tree of nodes; of several mistakes the first in the file is raised, missing keys last."""
    try:
        return model.model_validate(root.plain())
    except ValidationError as error:
        problems = error.errors(include_url=False)
    rank = {label: number for number, label in enumerate(files)}

    def order(problem: dict[str, Any]) -> tuple:
        node, _ = _deepest(root, _place(problem))
        return problem["type"] == "missing", rank.get(node.file, len(rank)), node.line or 0

    raise UserError(_sentence(root, model, min(problems, key=order)))


def dump(scene: BaseModel) -> dict[str, Any]:
    """The resolved scene as plain text, numbers, lists and dicts, units included; loads again to an equal scene."""
    return scene.model_dump(mode="json", by_alias=True, exclude_none=True)


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON schema for editors; quantities are strings with a pattern that lists their units."""
    schema = model.model_json_schema(by_alias=True, schema_generator=_Schema)
    extends = {"type": "string", "description": "another scene, relative to this file, whose keys this one changes"}
    schema["properties"] = {"extends": extends} | schema.get("properties", {})
    # what a scene must have may stand in the file it extends
    if required := schema.pop("required", None):
        schema["if"], schema["else"] = {"required": ["extends"]}, {"required": required}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


class _Schema(GenerateJsonSchema):
    """Writes defaults the way a scene does, units included."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        made = super().default_schema(schema)
        written = schema["schema"].get("serialization", {})
        if "default" in made and written.get("type") == "function-plain":
            made["default"] = written["function"](schema["default"])
        return made


# ---------------------------------------------------------------------------------------------- finding and joining


def find_scene(scene: str | os.PathLike, search: Iterable[str | os.PathLike] = ()) -> Path:
    """The file meant by a path or by the bare name of a scene in one of the folders."""
    text = os.fspath(scene)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise UserError(f"expected the name or path of a scene, got {shown(text)}")
    folders = [Path(folder) for folder in search]
    named = not text.endswith(SUFFIXES)
    by_name = [folder / (text + suffix) for folder in folders for suffix in SUFFIXES] if named else []
    direct = [Path(text)] + [folder / text for folder in folders]
    for candidate in by_name + direct:
        try:
            if candidate.is_file():
                return candidate
        except OSError:
            continue
    if os.path.exists(text):
        return Path(text)  # a folder or device: reading it says so
    if not named:
        raise UserError(f"{_short(text)}: no such file")
    known = sorted({_name(file, folders) for folder in folders for file in _scenes(folder.glob)})
    below = sorted({_name(file, folders) for folder in folders[:1] for file in _scenes(folder.rglob)} - {*known})
    same = [name for name in below if name.split("/")[-1] == text]
    near = f', did you mean "{same[0]}"?' if same else _near(text, [*known, *below])
    if os.sep in text:
        raise UserError(f"{_short(text)}: no such file{near}")
    raise UserError(f"no scene named {shown(text)}{near or _hint(text, known, 'there are')}")


def _scenes(glob) -> Iterator[Path]:
    """Files that a folder's `glob` finds and that could be scenes."""
    for suffix in SUFFIXES:
        yield from glob("*" + suffix)


def _name(path: Path, folders: Sequence[Path]) -> str:
    """The bare name of a scene; with its folders if it lies somewhere below the first of the search folders."""
    try:
        return path.resolve().relative_to(folders[0].resolve()).with_suffix("").as_posix()
    except (IndexError, ValueError, OSError):
        return path.stem


def _read_chain(path: Path, folders: list[Path], files: list[Path], seen: tuple[Path, ...] = ()) -> Node:
    """The tree of a file merged over those it extends; appends each file read to `files`."""
    label = _label(path)
    root = parse(read_text(path, label), label)
    if root is None or (root.value is None and root.raw is not None):
        raise UserError(f"{label}:1: empty, expected a mapping of keys")
    if not isinstance(root.value, dict):
        raise UserError(f"{label}:{root.line}: expected a mapping of keys at the top, got {root.shown()}")
    files.append(path)
    root.line = 1
    if "extends" not in root.value:
        return root
    link = root.value.pop("extends")
    if not isinstance(link.value, str) or not link.value.strip() or "\0" in link.value:
        raise UserError(f"{link.where}: extends: expected the name of a scene file, got {link.shown()}")
    parent = _extended(path, link, folders)
    seen = (*seen, path.resolve())
    if parent.resolve() in seen:
        circle = [*seen[seen.index(parent.resolve()) :], parent]
        raise UserError(f"{link.where}: extends: goes in a circle: {' -> '.join(p.name for p in circle)}")
    if len(seen) >= MAX_EXTENDS:
        raise UserError(f"{link.where}: extends: more than {MAX_EXTENDS} files in a row")
    return merged(_read_chain(parent, folders, files, seen), root)


def _add(root: Node, part: Node) -> None:
    """Put a part's keys and items into the tree it belongs to; nothing in it may be there already."""
    for key, node in part.value.items():
        whole = root.value.setdefault(key, node)
        if whole is node:
            continue
        if isinstance(whole.value, list) and isinstance(node.value, list):
            whole.value.extend(node.value)
        elif isinstance(whole.value, dict) and isinstance(node.value, dict):
            for name, child in node.value.items():
                if name in whole.value:
                    raise UserError(f"{child.where}: {key}.{name}: already given at {whole.value[name].where}")
                whole.value[name] = child
        else:
            raise UserError(f"{node.where}: {key}: already given at {whole.where}")


def _extended(path: Path, link: Node, folders: list[Path]) -> Path:
    """The file that `extends:` names: beside the file that says so, or by bare name in the search folders."""
    beside = path.parent / link.value
    candidates = [beside]
    if not link.value.endswith(SUFFIXES):
        candidates += [folder / (link.value + suffix) for folder in [path.parent, *folders] for suffix in SUFFIXES]
    for candidate in candidates:
        try:
            if candidate.is_file():
                return candidate
        except OSError:
            continue
    try:
        kind = "is a folder, expected a file" if beside.is_dir() else "no such file"
    except OSError:
        kind = "no such file"
    try:
        near = sorted(p.stem for p in beside.parent.glob("*.yaml") if p.is_file() and p != path)
    except OSError:
        near = []
    hint = _hint(beside.stem, near, None) if kind == "no such file" else ""
    raise UserError(f"{link.where}: extends: {kind}: {_label(beside)}{hint}")


def _label(path: Path) -> str:
    """A path as messages print it: relative to the current folder if it lies below."""
    try:
        text = str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        text = str(path)
    return _short(text)


def _short(text: str) -> str:
    """A path as printed: without control characters, the beginning left out if it is very long."""
    text = printable(text)
    return text if len(text) <= 200 else "..." + text[-197:]


_STEP = re.compile(r'"([^"]+)"|([^."=]+)')


def _overridden(root: Node, override: str) -> Node:
    """The tree with one `a.b=c` applied; keys that hold dots are quoted: `brain.gains."cortex.*"=0`."""
    label = f"--set {printable(override)}"
    label = label if len(label) <= 80 else label[:77] + "..."
    path, position = _steps(override)
    if path is None or override[position - 1 : position] != "=":
        raise UserError(f"{label}: expected KEY=VALUE, as in a.b=c")
    if len(path) > MAX_DEPTH:
        raise UserError(f"{label}: more than {MAX_DEPTH} keys deep")
    if path[0] == "extends":
        raise UserError(f"{label}: extends: can only be set in a file")
    value = parse(override[position:], label, numbered=False)
    return replaced(root, path, value or Node(None, label, None, raw=""))


def _steps(text: str) -> tuple[tuple[str, ...] | None, int]:
    """The keys that begin a text such as `a.b=c` (None if it begins with none) and where what follows them begins."""
    path, position = [], 0
    while match := _STEP.match(text, position):
        path.append(match[1] or match[2].strip())
        position = match.end() + 1
        if text[match.end() : position] != ".":
            break
    return (tuple(path) if path and all(path) and match is not None else None), position


def key_path(text: str) -> tuple[str, ...] | None:
    """`key_path("timeline.0.at") == ("timeline", "0", "at")`; keys that hold dots are quoted; None if it is no path."""
    path, position = _steps(text)
    return path if path is not None and position > len(text) and len(path) <= MAX_DEPTH else None


def varied(
    source: Source, model: type[Model], changes: Iterable[tuple[tuple[str, ...], Node]], without: Sequence[str] = ()
) -> tuple[Model, Source]:
    """The scene with a node at each path, and top keys left out; a path that ends in "+" adds the items of a list."""
    root = Node({key: node for key, node in source.root.value.items() if key not in without}, source.root.file, 1)
    for path, node in changes:
        if path[-1] == "+":
            path, old = path[:-1], root
            for step in path:
                old = old.get(step) if old is not None else None
            node = Node([*(old.value if old is not None and old.value else []), *node.value], node.file, node.line)
        root = replaced(root, path, node)
    made = Source(source.name, source.files, source.overrides, root)
    return validated(root, model, [_label(file) for file in source.files]), made


# ------------------------------------------------------------------------------------------------------- wording


def _place(problem: dict[str, Any]) -> Path_:
    return tuple(problem["loc"]) + tuple(problem.get("ctx", {}).get("path", ()))


def _deepest(root: Node, path: Path_) -> tuple[Node, Path_]:
    """The last node on a path that exists, and the path to it; steps that are no key (tags of a union) are skipped."""
    node, found = root, ()
    for step in path:
        if (child := node.get(step)) is not None:
            node, found = child, (*found, step)
    return node, found


_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_too_short": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
}


def _sentence(root: Node, model: type[BaseModel], problem: dict[str, Any]) -> str:
    """One pydantic error as `file:line: key: expected ..., got ...`."""
    place, kind, context = _place(problem), problem["type"], problem.get("ctx", {})
    node, found = _deepest(root, place)
    if kind == "missing":
        found = (*found, place[-1])
    got = shown(problem["input"]) if kind == "missing" or place != found else node.shown()
    if kind == "missing":
        text = "missing" + _documented(model, found)
    elif kind == "extra_forbidden":
        text = "unknown key" + _hint(str(found[-1]), _known_keys(model, found[:-1]), "known here")
    elif kind in ("quantity", "misfit"):
        text = context["text"]
        if text.startswith("expected") and ", got " not in text and place == found:
            text += f", got {got}"
    elif kind in _EXPECTED:
        bounds = {name: number_text(bound) for name, bound in context.items() if isinstance(bound, int | float)}
        text = f"expected {_EXPECTED[kind].format(**bounds)}, got {got}"
    elif kind == "literal_error":
        text = f"expected {context['expected']}, got {got}{_near(problem['input'], _choices(context['expected']))}"
    elif kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        text = f"expected {bound} item{'s' * (not bound.endswith(' 1'))}, got {context['actual_length']}"
    else:
        text = f"{problem['msg'][:1].lower()}{problem['msg'][1:]}, got {got}"
    return f"{node.where}: {path_text(found) + ': ' if found else ''}{text}"


def _choices(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected)


def _near(word: Any, known: Sequence[str]) -> str:
    """`, did you mean "x"?` or nothing."""
    close = difflib.get_close_matches(word[:100], known, 1, 0.6) if isinstance(word, str) else []
    return f', did you mean "{close[0]}"?' if close else ""


def _hint(word: str, known: Sequence[str], otherwise: str | None) -> str:
    """The nearest known word, else all of them if they are few."""
    if (near := _near(word, known)) or not known or otherwise is None:
        return near
    return f" ({otherwise}: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''})"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The model classes that an annotation allows directly: through Optional, Annotated and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) not in (list, dict, Literal):
        for part in get_args(annotation):
            yield from _models(part)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Name in the file -> field."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _annotations(annotation: Any, step: str | int) -> Iterator[Any]:
    """What the annotation says about the value under a key or item number."""
    for model in _models(annotation):
        if step in (fields := _fields(model)):
            yield fields[step].annotation
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) in (list, dict):
            yield get_args(part)[-1]


def _known_keys(model: type[BaseModel], path: Path_) -> list[str]:
    """The keys a mapping at this path may have."""
    level = [model]
    for step in path:
        level = [part for annotation in level for part in _annotations(annotation, step)]
    return [key for annotation in level for found in _models(annotation) for key in _fields(found)]


def _documented(model: type[BaseModel], path: Path_) -> str:
    """What the model's documentation says about a key, in brackets."""
    level = [model]
    for step in path[:-1]:
        level = [part for annotation in level for part in _annotations(annotation, step)]
    for annotation in level:
        for found in _models(annotation):
            info = _fields(found).get(path[-1])
            if info is not None and info.annotation is not NoneType and info.description:
                return f" ({info.description[:1].lower()}{info.description[1:].rstrip('.')})"
    return ""
