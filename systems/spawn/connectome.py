"""Read a connectome once at start: ours by name, or a user's own .npz or folder of .csv, checked to the last number.

Rows are targets, columns are sources. Lengths and positions in mm. What is made of it here: coupling weights of
spectral radius 1, delays in whole ticks, and a membrane time constant per region.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import UserError

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "connectome"
SHIPPED = {"hcp_aal2": ("hcp_aal2_94.npz", True), "hcp_aal2_94": ("hcp_aal2_94.npz", False)}
"""Name -> file, and whether to keep only the regions it marks as cortical."""
REGION_LIMIT = 5200
"""More regions than this are a mistake: two dense matrices of them take 430 MB."""
DENSE = 1024
"""From more regions on, the spectral radius is iterated: all eigenvalues of 5,000 regions would take half a minute."""
BYTE_LIMIT = 1 << 29
LENGTH_LIMIT_MM = 10_000.0
"""No tract is 10 m long; lengths beyond it are in another unit."""
HOMOTOPIC = 0.3
"""Least link between left and right partners over the largest weight, for the callosal fibres tractography misses.
Simultaneous autoregression of ours at gain 0.93, r with FC: 0.68 without, 0.72 with (balanced: 0.61 and 0.69)."""
TAU_MS = (10.0, 30.0)
"""Membrane time constants [ms] of the most and the least myelinated regions."""
TAU_UNKNOWN_MS = 20.0


@dataclass(frozen=True, eq=False)
class Connectome:
    """Regions and the tracts between them; arrays are float64 and read-only, n = number of regions."""

    name: str
    labels: list[str]
    weights: np.ndarray
    """Tract strength [n, n], row = target, column = source, any unit, >= 0."""
    lengths_mm: np.ndarray
    """Tract length [n, n] mm, same orientation."""
    hemisphere: list[str]
    """"L", "R" or "" (midline or not told) per region."""
    position_mm: np.ndarray
    """Centre [n, 3] mm (MNI for ours); nan where not given."""
    myelin: np.ndarray
    """T1w/T2w ratio [n]; nan where not given."""
    fc: np.ndarray | None
    """Measured resting functional connectivity [n, n], or None."""
    sha256: str
    """Of the file (for a folder: of its files, in order)."""

    @property
    def region_count(self) -> int:
        return len(self.labels)


# ---------------------------------------------------------------- reading


def load_connectome(name_or_path: str | Path = "hcp_aal2", base_dir: str | Path | None = None) -> Connectome:
    """A shipped connectome by name, else an .npz, a folder, or a *weights.csv; UserError says what is wrong with it.

    A relative path is looked for in `base_dir` (the scene's folder) first, then in the current folder.
    """
    name = str(name_or_path)
    if name in SHIPPED:
        file, cortical_only = SHIPPED[name]
        return _load_npz(FOLDER / file, name, cortical_only)
    path = _find(name, base_dir)
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise UserError(f"{path}: expected a readable path, found {error.strerror or error}") from error
    if is_folder:
        return _load_csv(path, "", name)
    if path.suffix.lower() == ".csv":
        if not path.name.endswith("weights.csv"):
            raise UserError(f"{path}: expected a file named weights.csv or *_weights.csv, found {path.name}")
        return _load_csv(path.parent, path.name[: -len("weights.csv")], name)
    return _load_npz(path, name)


def _find(name: str, base_dir: str | Path | None) -> Path:
    tried = [Path(base_dir) / name] if base_dir is not None else []
    tried.append(Path(name))
    for path in tried:
        try:
            if name.strip() and path.exists():
                return path
        except (OSError, ValueError):  # a name too long for a path, or with a null byte
            break
    shipped = ", ".join(SHIPPED)
    raise UserError(f"connectome: expected {shipped}, or the path of an .npz or a folder, found no {_shown(name)}")


def _read_bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a device or a pipe never ends
            raise UserError(f"{path}: expected a file, found something else")
        size = path.stat().st_size
        if size > BYTE_LIMIT:
            raise UserError(f"{path}: expected at most {BYTE_LIMIT >> 20} MB, found {size >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected a readable file, found {error.strerror or error}") from error


def _load_npz(path: Path, name: str, cortical_only: bool = False) -> Connectome:
    data = _read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as box:
            size = sum(member.file_size for member in box.infolist())
        if size > BYTE_LIMIT:
            raise UserError(f"{path}: expected at most {BYTE_LIMIT >> 20} MB unpacked, found {size >> 20} MB")
        with np.load(io.BytesIO(data), allow_pickle=False) as box:
            keys = set(box.files)
    except UserError:
        raise
    except Exception as error:  # a damaged directory makes zipfile raise many kinds
        raise UserError(f"{path}: expected an .npz archive, found another kind of file ({error})") from error

    def array(*spellings: str, required: bool = False) -> np.ndarray | None:
        key = next((spelling for spelling in spellings if spelling in keys), None)
        if key is None:
            if required:
                found = ", ".join(sorted(keys)[:12]) or "nothing"
                raise UserError(f"{path}: expected the key {spellings[0]}, found {found}")
            return None
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as box:
                value = box[key]
        except Exception as error:  # whatever a damaged or foreign member makes zlib, zipfile or numpy raise
            raise UserError(f"{path}: {key}: expected a plain array, found {error}") from error
        if not isinstance(value, np.ndarray):
            raise UserError(f"{path}: {key}: expected an array, found another kind of file")
        return value

    weights = array("weights", required=True)
    lengths = array("lengths", "lengths_mm", "tract_lengths", required=True)
    labels = array("labels", "region_labels", required=True)
    hemisphere = array("hemisphere")
    made = _checked(
        where=lambda key: f"{path}: {key}",
        name=name,
        labels=_texts(labels, f"{path}: labels"),
        weights=weights,
        lengths=lengths,
        hemisphere=None if hemisphere is None else _texts(hemisphere, f"{path}: hemisphere"),
        position=array("positions", "position_mm", "centres"),
        myelin=array("myelin"),
        fc=array("fc"),
        sha256=hashlib.sha256(data).hexdigest(),
        keep=array("cortical", required=True) if cortical_only else None,
    )
    return made


def _load_csv(folder: Path, prefix: str, name: str) -> Connectome:
    """weights.csv, lengths.csv, labels.txt (and the optional ones), each name led by `prefix`."""
    total = hashlib.sha256()

    def text(ending: str, required: bool = False) -> str | None:
        path = folder / (prefix + ending)
        if not required and not path.is_file():
            return None
        data = _read_bytes(path)
        total.update(ending.encode() + b"\0" + len(data).to_bytes(8, "little") + data)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: expected UTF-8 text, found byte 0x{data[error.start]:02x}") from error

    def table(ending: str, required: bool = False) -> np.ndarray | None:
        content = text(ending, required)
        return None if content is None else _numbers(content, folder / (prefix + ending))

    def lines(ending: str, required: bool = False) -> list[str] | None:
        content = text(ending, required)
        return None if content is None else [line.strip() for line in content.rstrip().splitlines()]

    endings = {"labels": "labels.txt", "hemisphere": "hemisphere.txt"}
    weights, lengths = table("weights.csv", True), table("lengths.csv", True)
    labels, hemisphere = lines("labels.txt", True), lines("hemisphere.txt")
    position, myelin, fc = table("positions.csv"), table("myelin.csv"), table("fc.csv")
    return _checked(
        where=lambda key: str(folder / (prefix + endings.get(key, f"{key}.csv"))),
        name=name,
        labels=labels,
        weights=weights,
        lengths=lengths,
        hemisphere=None if hemisphere is None else ["" if side == "-" else side for side in hemisphere],
        position=position,
        myelin=myelin.ravel() if myelin is not None and 1 in myelin.shape else myelin,
        fc=fc,
        sha256=total.hexdigest(),
    )


def _numbers(content: str, path: Path) -> np.ndarray:
    """Rows of numbers parted by commas, semicolons, tabs or spaces; "nan" is a number here."""
    rows: list[list[float]] = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        mark = next((mark for mark in ",;\t" if mark in line), None)
        cells = line.split(mark)
        if len(rows) >= REGION_LIMIT or len(cells) > REGION_LIMIT:
            raise UserError(f"{path}:{number}: expected at most {REGION_LIMIT} rows and columns, found more")
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            column, cell = next((k, c) for k, c in enumerate(cells, 1) if not _is_number(c))
            raise UserError(f"{path}:{number}: column {column}: expected a number, found {_shown(cell)}") from None
        if len(rows[-1]) != len(rows[0]):
            raise UserError(f"{path}:{number}: expected {len(rows[0])} numbers, found {len(rows[-1])}")
    if not rows:
        raise UserError(f"{path}: expected rows of numbers, found an empty file")
    return np.array(rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(value: object) -> str:
    text = repr(str(value))
    return text if len(text) <= 60 else text[:57] + "..."


# ---------------------------------------------------------------- checking


def _texts(array: np.ndarray, where: str) -> list[str]:
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise UserError(f"{where}: expected a list of texts, found {array.dtype} of shape {array.shape}")
    try:
        return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in array.tolist()]
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: expected UTF-8 text, found {error.reason}") from error


def _checked_labels(labels: list[str], where: str) -> list[str]:
    labels = [label.strip() for label in labels]
    seen: dict[str, int] = {}
    for number, label in enumerate(labels, 1):
        if not label or not label.isprintable():
            raise UserError(f"{where}: label {number}: expected a printable name, found {_shown(label)}")
        if label in seen:
            raise UserError(f"{where}: expected no label twice, found {_shown(label)} as {seen[label]} and {number}")
        seen[label] = number
    if not 2 <= len(labels) <= REGION_LIMIT:
        raise UserError(f"{where}: expected 2 to {REGION_LIMIT} labels, found {len(labels)}")
    return labels


def _checked_array(
    value: np.ndarray,
    shape: tuple[int, ...],
    where: str,
    nan_allowed: bool = False,
    low: float = -np.inf,
    high: float = np.inf,
) -> np.ndarray:
    """float64 copy of the shape asked for, every value finite (or nan where allowed) and within low..high."""
    if value.dtype.kind not in "fiub":
        raise UserError(f"{where}: expected numbers, found {value.dtype}")
    if value.shape != shape:
        raise UserError(f"{where}: expected {_size(shape)} ({shape[0]} labels), found {_size(value.shape)}")
    with np.errstate(over="ignore", invalid="ignore"):
        out = value.astype(np.float64)
        bad = ~np.isfinite(out) & ~(np.isnan(out) & nan_allowed)
        for wrong, wanted in ((bad, "a finite number"), (out < low, f">= {low:g}"), (out > high, f"<= {high:g}")):
            if wrong.any():
                at = np.unravel_index(int(np.argmax(wrong)), shape)
                place = ", ".join(f"{axis} {k + 1}" for axis, k in zip(("row", "column"), at, strict=False))
                raise UserError(f"{where}: {place}: expected {wanted}, found {out[at]:g}")
    return out


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single value"


def _checked(where, name, labels, weights, lengths, hemisphere, position, myelin, fc, sha256, keep=None) -> Connectome:
    """Everything verified and made consistent; `where(key)` names the place for a message, `keep` picks regions."""
    for key, matrix in (("weights", weights), ("lengths", lengths)):
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise UserError(f"{where(key)}: expected a square matrix, found {_size(matrix.shape)}")
    labels = _checked_labels(labels, where("labels"))
    n = len(labels)
    arrays = {
        "weights": _checked_array(weights, (n, n), where("weights"), low=0.0),
        "lengths_mm": _checked_array(lengths, (n, n), where("lengths"), low=0.0, high=LENGTH_LIMIT_MM),
        "position_mm": np.full((n, 3), np.nan),
        "myelin": np.full(n, np.nan),
    }
    if position is not None:
        arrays["position_mm"] = _checked_array(position, (n, 3), where("positions"), nan_allowed=True)
    if myelin is not None:
        arrays["myelin"] = _checked_array(myelin, (n,), where("myelin"), nan_allowed=True, low=0.0)
    if fc is not None:
        arrays["fc"] = _checked_array(fc, (n, n), where("fc"), low=-1.0 - 1e-6, high=1.0 + 1e-6)
    if hemisphere is None:
        hemisphere = [side_of(label)[1] for label in labels]
    elif len(hemisphere) != n or not set(hemisphere) <= {"L", "R", ""}:
        raise UserError(f"{where('hemisphere')}: expected {n} of L, R or nothing, found {_shown(hemisphere)}")
    rows = np.arange(n)
    if keep is not None:
        if keep.shape != (n,) or keep.dtype != bool:
            raise UserError(
                f"{where('cortical')}: expected {n} of true or false, found {keep.dtype} {_size(keep.shape)}"
            )
        rows = np.flatnonzero(keep)
    for key, value in arrays.items():
        square = value.ndim == 2 and key != "position_mm"
        arrays[key] = np.ascontiguousarray(value[np.ix_(rows, rows)] if square else value[rows])
        arrays[key].flags.writeable = False
    return Connectome(
        name=name,
        labels=[labels[k] for k in rows],
        hemisphere=[hemisphere[k] for k in rows],
        fc=arrays.pop("fc", None),
        sha256=sha256,
        **arrays,
    )


# ---------------------------------------------------------------- partners

_SIDE = re.compile(r"(.+)[_.\- ]([LR])\Z", re.DOTALL)


def side_of(label: str) -> tuple[str, str]:
    """(stem, "L" or "R") by the FINAL suffix, (label, "") without one: Paracentral_Lobule_R is right."""
    hit = _SIDE.match(label)
    return (hit.group(1), hit.group(2)) if hit else (label, "")


def partners(labels: Sequence[str]) -> list[tuple[int, int]]:
    """(left, right) row pairs of the labels that differ in their final suffix only, in order of the left row."""
    at = {side_of(label): row for row, label in enumerate(labels)}
    return [(row, at[stem, "R"]) for (stem, side), row in at.items() if side == "L" and (stem, "R") in at]


# ---------------------------------------------------------------- what the model needs


def normalised(
    weights: Connectome | np.ndarray,
    homotopic: float = HOMOTOPIC,
    labels: Sequence[str] | None = None,
    balanced: bool = True,
) -> np.ndarray:
    """Coupling [n, n] of spectral radius 1 from linear weights; give a Connectome, or weights and their labels.

    Left and right partners are linked by at least `homotopic` times the largest weight, but not by more than
    `homotopic` times the weaker partner's other input (a small region would else see little but its mirror image and
    become bistable with it: OFClat, Heschl); then W_ij / sqrt(s_i s_j)
    (s_i incoming strength of the target, s_j outgoing of the source) evens out hubs: the summed input of our 80
    regions then differs 1.9-fold instead of 28-fold (`balanced=False` skips this); then the whole is scaled to radius
    1. The diagonal is dropped: what a region does to itself is local wiring. Symmetric stays symmetric. A graph
    without loops has radius 0 and is left as it is.
    """
    if isinstance(weights, Connectome):
        weights, labels = weights.weights, weights.labels
    if homotopic and labels is None:
        raise ValueError("homotopic links need the labels: pass a Connectome, or labels=, or homotopic=0")
    if not (np.isfinite(homotopic) and homotopic >= 0):
        raise UserError(f"homotopic: expected a number >= 0, found {homotopic}")
    out = np.array(weights, dtype=np.float64)
    np.fill_diagonal(out, 0.0)
    if out.max() <= 0.0:
        return out
    out /= out.max()
    other = out.sum(axis=1)
    for left, right in partners(labels) if homotopic else ():
        added = homotopic * min(1.0, other[left] - out[left, right], other[right] - out[right, left])
        out[left, right] = max(out[left, right], added)
        out[right, left] = max(out[right, left], added)
    incoming, outgoing = out.sum(axis=1), out.sum(axis=0)
    symmetric = np.array_equal(out, out.T)
    if symmetric:
        outgoing = incoming  # the same numbers summed in the same order
    if balanced:
        out /= np.sqrt(np.where(incoming > 0, incoming, 1.0))[:, None]
        out /= np.sqrt(np.where(outgoing > 0, outgoing, 1.0))[None, :]
        if symmetric:
            out = (out + out.T) / 2.0  # the two divisions round differently on either side of the diagonal
    radius = spectral_radius(out, symmetric)
    if radius <= 1e-6:
        return out
    out /= radius
    return out


def spectral_radius(matrix: np.ndarray, symmetric: bool) -> float:
    """Largest absolute eigenvalue of a matrix without negative entries."""
    if matrix.shape[0] <= DENSE:
        values = np.linalg.eigvalsh(matrix) if symmetric else np.linalg.eigvals(matrix)
        return float(np.abs(values).max())
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import ArpackNoConvergence, eigs, eigsh

    start = np.ones(matrix.shape[0])  # near the eigenvector sought, which has no negative entry; and no chance in it
    try:
        find = eigsh if symmetric else eigs
        return float(np.abs(find(csr_array(matrix), 1, which="LM", v0=start, return_eigenvectors=False)[0]))
    except ArpackNoConvergence:
        values = np.linalg.eigvalsh(matrix) if symmetric else np.linalg.eigvals(matrix)
        return float(np.abs(values).max())


def evened(coupling: np.ndarray, power: float) -> np.ndarray:
    """Rows scaled by (their sum / mean sum) ^ -power; the sum of all stays. 0 changes nothing, 1 makes rows equal.

    What a region hears by tracts all together then differs less between regions; the proportions within a row stay.
    """
    if not 0.0 <= power <= 1.0:
        raise UserError(f"even_input: expected 0 to 1, found {power}")
    rows = coupling.sum(axis=1)
    heard = rows > 0
    if not heard.any():
        return coupling
    factor = np.ones_like(rows)
    factor[heard] = (rows[heard] / rows[heard].mean()) ** -power
    out = coupling * factor[:, None]
    return out * (coupling.sum() / out.sum())


def delay_ticks(lengths_mm: np.ndarray, velocity_m_per_s: float, tick_ms: float = 1.0) -> np.ndarray:
    """Conduction delays as whole ticks [n, n] int32, rounded to nearest, never below 1; mm / (m/s) = ms."""
    for key, value in (("velocity", velocity_m_per_s), ("tick", tick_ms)):
        if not (np.isfinite(value) and value > 0):
            raise UserError(f"connectome {key}: expected a number > 0, found {value}")
    ticks = np.rint(np.asarray(lengths_mm, dtype=np.float64) / (velocity_m_per_s * tick_ms))
    if ticks.size and ticks.max() > np.iinfo(np.int32).max:
        raise UserError(f"connectome velocity: expected one that crosses the brain, found {velocity_m_per_s} m/s")
    return np.maximum(ticks, 1).astype(np.int32)


def delays_ms(lengths_mm: np.ndarray, velocity_m_per_s: float, tick_ms: float = 1.0) -> np.ndarray:
    """Conduction delays in ms [n, n], float64: whole ticks, never below one."""
    return delay_ticks(lengths_mm, velocity_m_per_s, tick_ms) * float(tick_ms)


def tau_region_ms(myelin: Connectome | np.ndarray, labels: Sequence[str] | None = None) -> np.ndarray:
    """Membrane time constant per region [n] in ms: 30 at low T1w/T2w (slow) to 10 at high (fast), linear between.

    The ends are the 5th and 95th percentile, so one outlier does not set the scale. Give a Connectome, or T1w/T2w and
    labels, to have left and right partners share their mean. Regions without a measurement get 20 ms.
    """
    if isinstance(myelin, Connectome):
        myelin, labels = myelin.myelin, myelin.labels
    ratio = np.array(myelin, dtype=np.float64)
    for left, right in partners(labels) if labels is not None else ():
        both = ratio[[left, right]]
        known = both[np.isfinite(both)]
        ratio[[left, right]] = known.mean() if known.size else np.nan
    out = np.full(ratio.shape, TAU_UNKNOWN_MS)
    known = np.isfinite(ratio)
    if not known.any():
        return out
    low, high = np.percentile(ratio[known], (5, 95))
    if high - low > 1e-9 * max(abs(high), 1.0):
        fast_ms, slow_ms = TAU_MS
        out[known] = slow_ms - (slow_ms - fast_ms) * np.clip((ratio[known] - low) / (high - low), 0.0, 1.0)
    return out
