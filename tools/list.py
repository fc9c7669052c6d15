"""`encephagen list`: scenes, bodies, circuits and connectomes. Reads the files' own words; loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

from engine.errors import UserError
from tools import common

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = (".yaml", ".yml")


def arguments(parser) -> None:
    common.add_quiet(parser)


def run(args) -> int:
    found = scenes()
    if args.quiet:
        print("\n".join(found))
        return 0
    show("scene", ("title", "body", "circuits"), [(name, *scene_row(path)[1:]) for name, path in found.items()])
    assets = ROOT / "assets"
    show("circuit", ("title",), [(p.stem, word(read(p), "title")) for p in files(assets / "circuits")])
    show("body", ("model", "muscles", "poses"), [body_row(path) for path in files(assets / "bodies")])
    show("connectome", (), [(path.stem,) for path in sorted((assets / "connectome").glob("*.npz"))])
    return 0


def files(folder: Path) -> list[Path]:
    return sorted(path for suffix in SUFFIXES for path in folder.glob("*" + suffix))


def scenes(folder: Path = ROOT / "scenes") -> dict[str, Path]:
    """Name -> file of every shipped scene, those in folders below after the others: `newborn`, `structures/a`."""
    found = [path for suffix in SUFFIXES for path in folder.rglob("*" + suffix)]
    found.sort(key=lambda path: (len(path.relative_to(folder).parts), path))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


def read(path: Path, depth: int = 0):
    """The tree of a file over the one it extends (beside it or shipped); an error's text where it cannot be read."""
    from engine.yaml_lines import merged, parse, read_text

    try:
        root = parse(read_text(path, path.name), path.name)
        link = root.get("extends") if root is not None else None
        if link is None or depth > 8 or not isinstance(link.value, str):
            return root
        for folder in (path.parent, ROOT / "scenes"):
            for name in (link.value, *(link.value + suffix for suffix in SUFFIXES)):
                if (folder / name).is_file():
                    below = read(folder / name, depth + 1)
                    return root if isinstance(below, str) or below is None else merged(below, root)
        return root
    except UserError as error:
        return f"cannot be read: {error}"


def word(root, *path: str) -> str:
    """Plain text under a path of keys; lists joined by commas."""
    if isinstance(root, str):
        return root
    for step in path:
        root = root.get(step) if root is not None else None
    if root is None:
        return ""
    value = root.plain()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None or isinstance(value, dict) else str(value)


def scene_row(path: Path) -> tuple[str, ...]:
    root = read(path)
    title = word(root, "title")
    if isinstance(root, str):
        return path.stem, title, "", ""
    return path.stem, title, word(root, "body", "model"), word(root, "brain", "circuits")


def body_row(path: Path) -> tuple[str, ...]:
    root = read(path)
    if isinstance(root, str):
        return path.stem, root, "", ""
    data = root.plain() if root is not None else {}
    muscles = data.get("muscles") or {}
    pairs = sum(2 if isinstance(m, dict) and m.get("sides") == "both" else 1 for m in muscles.values())
    return path.stem, str(data.get("model", "")), str(2 * pairs), ", ".join(map(str, data.get("poses") or {}))


def show(kind: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Rows in columns, long texts cut."""
    if not rows:
        return
    rows = [(f"{kind}s" if kind != "body" else "bodies", *columns), *rows]
    widths = [min(max(len(row[k]) for row in rows), 80) for k in range(len(rows[0]))]
    for row in rows:
        cells = [text if len(text) <= w else text[: w - 3] + "..." for text, w in zip(row, widths, strict=True)]
        print("  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip())
    print()
