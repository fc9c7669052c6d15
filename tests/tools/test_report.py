"""The report page: parsed, its numbers those of the results, its figures pictures; opened where there is a browser."""

import base64
import json
import shutil
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import yaml

from tests.tools.test_verdicts import GREATER, RANGE, SAME, scene, trials
from tools import verdicts

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Text by tag, images, anchors and links; every tag is closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.cells, self.rows, self.images, self.ids, self.links, self.all = [], [], [], [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        if tag == "img":
            self.images.append(given)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.all += data
        if self.rows and any(tag in self.open for tag in ("td", "th")):
            self.rows[-1][-1] += data


@pytest.fixture
def folder(tmp_path):
    """Two experiments as `encephagen experiment` would leave them, one that fails, and one unfinished."""
    reference = {"value": "20 Hz", "note": "claimed <elsewhere>"}
    made = scene([{**RANGE, "reference": reference, "source": "theirs & ours"}, GREATER, SAME])
    runs = {
        "good": {"function": [21.0, 22.0, 20.5, 23.0, 21.5, 22.5, 20.0],
                 "sham": [20.9, 21.8, 20.3, 22.7, 21.2, 22.1, 19.5]},
        "bad": {"function": [5.0, 4.0, 6.0, 5.5, 4.5, 5.2, 4.9], "sham": [9.0, 2.0, 7.0, 3.0, 1.0, 8.0, 9.9]},
    }  # fmt: skip
    for name, rows in runs.items():
        held = trials(made, **rows)
        results = verdicts.judged({name: (made, [*range(1, 8)], held, [])})[name] | {"wall_s": 3.0}
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(results))
        lines = ({"condition": c, "seed": s, **trial} for (c, s), trial in held.items())
        (tmp_path / name / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        config = {"versions": {"numpy": "2"}, "sources": "abc", "commit": "0123456789abcdef", "resolved": {
            "experiment": {"conditions": {"function": {}, "sham": {"silence": ["a.*"]}}}}}  # fmt: skip
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "config.yaml").write_text("{}\n")
    return tmp_path


def test_the_page_says_what_the_results_say(folder, command):
    code, out, err = command("report", str(folder))
    assert code == 0 and "2 experiments, 1 hold" in out, err
    page = Page((folder / "report.html").read_text())
    results = json.loads((folder / "good" / "results.json").read_text())
    _, greater, same = results["claims"]
    rows = {row[0]: row for row in page.rows}
    first = rows["a in function: 10 to ... Hztheirs & ours"]
    assert first[1:4] == ["a band", "7 of 7 in it", "21.5 Hz"]
    low, high = results["outcomes"]["a"]["conditions"]["function"]["interval"]
    assert first[4] == f"{low:.4g} to {high:.4g} Hz" and first[8] == "20 Hzclaimed <elsewhere>" and first[9] == "holds"
    found = rows["a: function > sham"]
    assert found[1:4] == ["sham", "7 pairs", f"{greater['value']:.4g} Hz"]
    assert found[5:8] == [f"{greater[key]:.2g}" for key in ("p", "q", "dz")] and "80 % power" in found[9]
    found = rows["a: function = sham within 2 Hz"]
    assert found[9].startswith("holds") and "power to confirm" in found[9] and found[5] == f"{same['p']:.2g}"
    assert (
        sum("FAILS" in cell for row in page.rows for cell in row) >= 2 and "Not finished, so not here: open" in page.all
    )
    assert '{"silence": ["a.*"]}' in page.all
    assert {link[1:] for link in page.links} == set(page.ids) == {"experiment-0", "experiment-1"}


def test_figures_are_pictures_with_what_they_should_show(folder, command):
    command("report", str(folder), "--quiet")
    page = Page((folder / "report.html").read_text())
    assert len(page.images) == 2  # one outcome is claimed of, in two experiments
    for image in page.images:
        head, data = image["src"].split(",", 1)
        assert head == "data:image/svg+xml;base64" and image["alt"] == "a by condition"
        root = ElementTree.fromstring(base64.b64decode(data))
        assert root.tag.endswith("svg") and float(root.get("width").removesuffix("pt")) > 150
        drawn = base64.b64decode(data).decode()
        assert drawn.count("<use ") >= 14 and "#e08214" in drawn  # a dot per seed and condition; the reference's line


def test_the_same_results_give_the_same_page(folder, command, tmp_path):
    pages = []
    for name in ("one.html", "two.html"):
        assert command("report", str(folder), "--html", str(tmp_path / name), "--quiet")[0] == 0
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("nowhere",), "expected a folder with experiments, found nothing"),
        (("open",), "holds no finished experiment"),
        (("good", "--html", "nowhere/x.html"), "folder nowhere does not exist"),
        (("broken",), "results.json: cannot be read"),
        (("exam",), "expected the results of an experiment"),
    ],
)
def test_bad_input_is_one_line(folder, command, monkeypatch, words, part):
    monkeypatch.chdir(folder)
    for name, text in (("broken", "{"), ("exam", '{"items": []}')):
        (folder / name).mkdir()
        (folder / name / "config.yaml").write_text("{}\n")
        (folder / name / "results.json").write_text(text)
    code, out, err = command("report", *words)
    assert code == 2 and out == "" and part in err and len(err.strip().splitlines()) == 1, err


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="needs a browser")
def test_it_opens_in_a_browser(folder, command, tmp_path):
    """The browser's own reading of the page: all images were loaded, the table stands."""
    command("report", str(folder), "--quiet")
    page = folder / "report.html"
    script = (
        "<script>document.title = [...document.images].map(i => i.complete && i.naturalWidth > 100).join()</script>"
    )
    page.write_text(page.read_text().replace("</body>", script + "</body>"))
    done = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000",
                           f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
                          capture_output=True, text=True, timeout=120, check=True)  # fmt: skip
    assert "<title>true,true</title>" in done.stdout and done.stdout.count("<td>") > 40
