"""`encephagen exam` on eight cortical regions: items, negative controls, exit codes, resuming."""

import base64
import json
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

import encephagen
from tools import exam, exam_lesions, exam_traces

ITEM = """\
title: A driven region answers
seed: 3
duration: 120 ms
brain: {profile: newborn, connectome: eight.npz, circuits: [cortex]}
timeline:
  - {at: 60 ms, last: 50 ms, stimulate: {population: cortex.Calcarine_L.*, drive: 40 mV}}
probes:
  - {name: answer, measure: rate_hz, of: cortex.Calcarine_L.*, from: 60 ms, to: 110 ms}
expect:
  - {probe: answer, between: [%s, 500 Hz], source: "by hand"}
experiment:
  conditions:
    function: {}
    sham: {set: {timeline.0.stimulate.drive: 0.001 mV}}
    deafferented: {silence: ["cortex.Calcarine_L.*"]}
"""


@pytest.fixture
def folder(scenes, tmp_path):
    shutil.copy(scenes / "eight.npz", tmp_path)
    made = tmp_path / "exam"
    made.mkdir()
    shutil.copy(scenes / "eight.npz", made)
    (made / "answer.yaml").write_text(ITEM % "30 Hz")
    return made


def examined(folder, *more, out="out"):
    file = folder.parent / f"{out}.json"
    code = encephagen.main(["exam", "--scenes", str(folder), "--out", str(folder.parent / out), "--seeds", "2",
                            "--workers", "1", "--json", str(file), "--quiet", *more])  # fmt: skip
    return code, json.loads(file.read_text()) if file.exists() else None


def test_an_item_holds_with_its_controls_and_is_resumed(folder):
    code, found = examined(folder)
    assert code == 0
    (item,) = found["items"]
    assert (item["name"], item["unit"], item["band"], item["seeds"]) == ("answer", "Hz", [30.0, 500.0], 2)
    assert item["pass_fraction"] == 1.0 and item["source"] == "by hand"
    assert {c["condition"]: c["pass_fraction"] for c in found["controls"]} == {"sham": 0.0, "deafferented": 0.0}
    trials = folder.parent / "out" / "answer" / "trials.jsonl"
    before = trials.read_bytes()
    assert examined(folder)[0] == 2  # not empty
    assert examined(folder, "--resume") == (0, found) and trials.read_bytes() == before


class Page(HTMLParser):
    """Texts of the cells of each table by its rows, pictures, and whether every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.rows, self.pictures, self.links, self.ids = [], [], [], [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id"))
        if tag == "a":
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append(given)
        elif tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append(given | {"text": ""})

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open) and self.rows:
            self.rows[-1][-1]["text"] += data.strip()


def test_the_report_is_one_page_that_holds_all(folder):
    (folder / "never.yaml").write_text(ITEM % "499 Hz" + 'description: "<b> & more"\n')
    _, found = examined(folder, "--lesions", "--nuclei", "cortex")
    root = folder.parent / "out"
    text = (root / "report.html").read_text()
    page = Page(text)
    assert page.open == [] and "http" not in text.replace("https://www.w3.org", "")
    rows = {tuple(cell["text"] for cell in row[:2]): row for row in reversed(page.rows) if row}
    held = rows["answer", "answer"]
    assert "30 Hz to 500 Hz" in held[3]["text"] and held[5]["text"] == "holds" and held[6]["text"] == "by hand"
    values = next(i["values"] for i in found["items"] if i["scene"] == "answer")
    assert held[7]["text"] == ", ".join(f"{value:.3g} Hz" for value in values)
    assert rows["never", "answer"][5]["text"] == "FAILS"
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    silent = next(row for row in page.rows if row and row[0]["text"] == "cortex")
    assert [cell["text"] for cell in silent[1:]] == ["0", "0"]
    assert silent[1]["class"] == "gone" and "class" not in silent[2], "what is not there cannot be abolished"
    drawn = [base64.b64decode(p["src"].removeprefix("data:image/png;base64,")) for p in page.pictures]
    assert len(drawn) == 2 and all(data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 5000 for data in drawn)
    assert (root / "answer" / "answer.png").read_bytes() == drawn[0]
    assert found["about"]["seeds"] == [1001, 1002] and "numpy" in found["about"]["versions"]


def test_time_courses_are_those_of_the_probe(folder):
    examined(folder)
    whole, sham = (exam_traces.kept(folder.parent / "out" / "answer", c) for c in ("function", "sham"))
    lines = [json.loads(x) for x in (folder.parent / "out" / "answer" / "trials.jsonl").read_text().splitlines()]
    line, still = (next(x for x in lines if x["condition"] == c and x["seed"] == 1001) for c in ("function", "sham"))
    rate = whole["of/answer"][:, 0]
    assert rate.shape == (12,) and list(whole["names/answer"]) == ["cortex.Calcarine_L.*"]
    assert rate[6:11].mean() == pytest.approx(line["probes"]["answer"]) and rate[:5].mean() < 0.5 * rate[6:11].mean()
    untouched = sham["of/answer"][6:11].mean()
    assert untouched == pytest.approx(still["probes"]["answer"]) and untouched < rate[6:11].mean()


def test_a_failing_item_is_listed(folder):
    (folder / "never.yaml").write_text(ITEM % "499 Hz")
    code, found = examined(folder)
    assert code == 1
    assert {i["scene"]: i["pass"] for i in found["items"]} == {"answer": True, "never": False}


def test_long_scenes_wait_to_be_asked(folder):
    (folder / "slow.yaml").write_text(ITEM % "10 Hz" + "exam: {long: true}\n")
    assert [i["scene"] for i in examined(folder)[1]["items"]] == ["answer"]
    assert [i["scene"] for i in examined(folder, "--long", out="long")[1]["items"]] == ["answer", "slow"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--only", "nothing"], "expected one of answer"),
        (["--nuclei", "cortex"], "goes with --lesions"),
        (["--lesions", "--nuclei", "nothing"], "expected a name or a glob of cortex"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, more, text):
    assert examined(folder, *more)[0] == 2
    assert text in capsys.readouterr().err


def lesioned(name: str, shares: dict[str, float], spontaneous: bool = False):
    """A scene whose value is 1 in so many of ten seeds of each condition, else 0."""
    seeds = list(range(10))
    trials = {(c, s): {"outcomes": {"x": float(s < 10 * share)}} for c, share in shares.items() for s in seeds}
    claim = SimpleNamespace(probe="x", passes=lambda value: value > 0.5)
    scene = SimpleNamespace(expect=[claim], exam=SimpleNamespace(spontaneous=spontaneous))
    return SimpleNamespace(name=name, seeds=seeds, trials=trials, conditions=dict.fromkeys(shares), scene=scene)


def test_lesions_tell_own_nuclei_from_shared_ones():
    """Worked by hand: n cuts a alone, m cuts both reflexes and what goes on by itself; c is never there."""
    rows = ("function", "deafferented", "n", "m", "motor_pools", "cortex")
    found = exam_lesions.judged([
        lesioned("a", dict(zip(rows, (1.0, 0.0, 0.0, 0.0, 0.0, 1.0), strict=True))),
        lesioned("b", dict(zip(rows, (1.0, 0.1, 0.8, 0.0, 0.0, 0.7), strict=True))),
        lesioned("c", dict(zip(rows, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0), strict=True))),
        lesioned("by_itself", dict(zip(rows, (1.0, 1.0, 1.0, 0.0, 0.0, 1.0), strict=True)), spontaneous=True),
    ], "function", exam.pass_fraction)  # fmt: skip
    assert found["abolished"]["n"] == ["a"] and found["abolished"]["m"] == ["a", "b", "by_itself"]
    assert found["own_nuclei"] == {"a": ["n"], "b": [], "c": []} and found["shared_nuclei"] == ["m"]
    assert found["spared"]["m"] == {"a": 1 / 3, "b": 1 / 3, "by_itself": 1 / 3}
    lacking = {v["name"].split(" ")[0]: v["lacking"] for v in found["verdicts"]}
    assert lacking["a"] == ["b", "c"] and lacking["deafferented:"] == ["b", "c"]
    assert lacking["motor_pools"] == ["c"] and lacking["cortex"] == ["b"]
    assert not any(v["pass"] for v in found["verdicts"])


def test_a_trial_that_failed_abolishes_nothing():
    one = lesioned("a", {"function": 1.0, "deafferented": 0.0, "n": 0.0, "cortex": 1.0})
    for condition in ("deafferented", "n", "cortex"):
        del one.trials[condition, 3]
    found = exam_lesions.judged([one], "function", exam.pass_fraction)
    assert found["matrix"]["n"] == {"a": {"x": None}} and found["abolished"]["n"] == []
    assert not any(v["pass"] for v in found["verdicts"])
    (control,) = exam.controls([one])
    assert control["pass_fraction"] == 0.0 and not control["pass"]


def test_a_lesion_matrix_is_cut_short_where_the_items_are_measured(folder):
    """One of the groups of the file."""
    code, found = examined(folder, "--lesions", "--nuclei", "cor*", out="lesions")
    assert code == 1  # eight regions are no reflex that a cortex leaves alone
    assert found["lesions"]["matrix"] == {"function": {"answer": {"answer": 1.0}},
                                          "deafferented": {"answer": {"answer": 0.0}},
                                          "cortex": {"answer": {"answer": 0.0}}}  # fmt: skip


def test_a_scene_without_controls_is_warned_of(folder, capsys):
    text = ITEM % "10 Hz"
    (folder / "answer.yaml").write_text(text[: text.index("    sham")])
    code, found = examined(folder)
    assert code == 0 and [line.split(" condition")[0] for line in found["warnings"]] == [
        "answer: has no deafferented", "answer: has no sham"]  # fmt: skip
    (folder / "answer.yaml").write_text(text[: text.index("    sham")] + "exam: {spontaneous: true}\n")
    assert examined(folder, out="spontaneous")[1]["warnings"] == []
