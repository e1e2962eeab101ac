"""The HTML of a certificate: any text is only text, and a real browser shows, filters, sorts and copies."""

import json
import os
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import browser
from tests.test_cli import check_snapshot
from tests.test_report import made
from verify.certificate import Cell, Certificate, FindingRecord, write_json
from verify.cli import main
from verify.derived import derived
from verify.report.html import fragment, html, index
from verify.report.mathml import mathml
from verify.report.page import shown
from verify.report.scripts import MOST_CHARACTERS, script_text

HOSTILE = "</script><script>document.title='taken'</script><!-- \"'><img src=x onerror=\"document.title='taken'\">"
FAMILIES = ("rule", "groups", "state", "parity", "precision", "contract")
DTYPES = ("float64", "float32", "complex64", "complex128", "bfloat16", "float16")
VOID = {"meta", "input", "img", "br", "hr", "link"}


class Page(HTMLParser):
    """The elements of a page, and what its text says."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def structure(self) -> list[tuple[str, str]]:
        return [(tag, attributes.get("class", "")) for tag, attributes in self.elements]

    def text(self, tag: str = "") -> str:
        return "".join(data for within, data in self.texts if tag in ("", within))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def full(text: str = "it <is> wrong") -> Certificate:
    """Somebody's text at every place that may hold some."""
    whole = made(text)
    whole.rule = whole.rule_title = whole.rule_source = text
    whole.derivation = [{"text": text, "latex": text}]
    whole.notes = [text]
    whole.cells[0].notes = [text]
    whole.cells[0].worst_quantity = text
    whole.cells[0].curve = [[-3, 0.0, 1e-9], [0, 2e-8, 1e-8], [1, 1e-9, 1e-8]]
    whole.expected[0].issue = whole.expected[0].cell = whole.expected[0].origin = text or "x"
    whole.expected[0].triggers = [text]
    whole.power = {"known": 3, "caught": 2, "missed": [{"variant": "v", "sentence": text, "why": text}]}
    whole.performance = {text: {"step_seconds": 1e-4, "state_bytes_per_parameter": 8.0, "rival": text}}
    return whole


def large(cells: int = 500, findings: int = 50) -> Certificate:
    """As many cells and findings as a thorough run on several devices, each with a full curve."""
    whole = full()
    curve = [[b, 1.23e-12 * 2.0**b, 4.56e-12 * 2.0**b] for b in range(-32, 32)]
    curve = [[b, float(f"{e:.3g}"), float(f"{a:.3g}")] for b, e, a in curve]
    places = [(dtype, implementation) for implementation in ("for-loop", "foreach", "fused") for dtype in DTYPES]
    whole.cells = [
        Cell(
            f"{FAMILIES[k // 90]}.check_{'abcde'[k // 18 % 5]}",
            *(places[k % 18][0], "cpu", places[k % 18][1]),
            *("passed", "", 0.002 * (k % 400), "exp_avg_sq", 0, 23, 78_848, 0.5),
            curve=curve,
            notes=[f"bit for bit equal to for-loop ({k} of 500 programs bit for bit)"],
        )
        for k in range(cells)
    ]
    for cell in whole.cells[:findings]:
        cell.status, cell.reason = (
            "failed",
            "after step 1, parameter 0, element 0: the parameter is not what it should be",
        )
    program = whole.findings[0].program
    whole.findings = [
        FindingRecord(
            *cell.key, f"finding {k}: {cell.reason}\nsmallest    build {k}", program, f"r/{k}.json", f"r/{k}.py"
        )
        for k, cell in enumerate(whole.cells[:findings])
    ]
    whole.derivation = derived_of("adam")
    whole.decide()
    return whole


def derived_of(name: str) -> list[dict[str, str]]:
    from reference import RULES

    return derived(RULES[name])


def write_large(folder: Path) -> Path:
    """The page of a large certificate, with a script of usual length beside it for each finding."""
    (folder / "r").mkdir(exist_ok=True)
    for k in range(50):
        (folder / "r" / f"{k}.py").write_text("import torch  # and what else a script says\n" * 100)
    write_json(folder / "large.json", large().to_json())
    assert main(["report", str(folder / "large.json"), "--html"]) == 0
    return folder / "large.html"


# ---- what is written


def test_structure():
    whole = full()
    page = Page(html(whole))
    assert page.open == []
    assert "✗ Not certified" in page.text().replace("\n", "").replace("  ", " ")
    buttons = [b for b in page.all("button") if "data-cell" in b]
    assert [int(b["data-cell"]) for b in buttons] == list(range(len(whole.cells)))
    for button, cell in zip(buttons, whole.cells, strict=True):
        assert button["aria-label"].startswith(f"{cell.check}, {cell.dtype}, cpu, for-loop: {cell.status}")
        assert cell.status in button["class"].split()
    data = json.loads("".join(t for tag, t in page.texts if tag == "script").partition('"use strict"')[0])
    assert [c["name"] for c in data] == [f"{c.check}[{c.dtype}-cpu-for-loop]" for c in whole.cells]
    ids = Counter(a["id"] for _, a in page.elements if "id" in a)
    assert set(ids.values()) == {1}
    assert {a["href"].removeprefix("#") for a in page.all("a")} <= set(ids)


def test_counts_add_up():
    page = Page(html(full()))
    words = page.text("b")
    counts = full().counts
    assert str(counts["planned"]) in words
    assert counts["planned"] == sum(n for status, n in counts.items() if status != "planned")


def test_nothing_is_loaded():
    page = Page(html(full()))
    assert not [a for _, a in page.elements if "src" in a or a.get("rel") == "stylesheet" or "style" in a]
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


@given(st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from([HOSTILE, "]]>", "{{ 1 }}", "\\"]))
@settings(max_examples=40)
def test_any_text_is_only_text(text):
    plain = Page(html(full("words")))
    page = Page(html(full(text)))
    # LaTeX may become any mathematics; an empty reason or note takes an element away
    tags = Counter(t for t, _ in page.structure)
    assert tags["script"] == 2
    for tag in ("img", "iframe", "style", "form", "input", "object", "base", "link"):
        assert tags[tag] == Counter(t for t, _ in plain.structure)[tag]
    assert page.open == []
    seen = "".join(shown(text).split())
    assert seen in "".join(page.text("bdi").split())
    assert Page(fragment(full(text))).open == []


@pytest.mark.parametrize(
    "latex",
    [
        r"\text{<img src=x>}",
        r"\text{<script>a</script>}",
        r"\href{javascript:alert(1)}{x}",
        r"\style{color:red}{x}",
        r"\text{</math><b>}",
        "{" * 3000,
        r"\begin{align*}",
    ],
)
def test_latex_makes_nothing_but_mathematics(latex):
    page = Page(mathml(latex))
    assert {tag for tag, _ in page.elements} <= {"math", "mrow", "mi", "mo", "mtext", "pre"}
    assert not [a for _, a in page.elements if set(a) - {"display", "mathvariant", "stretchy", "fence", "form"}]


def test_every_derivation_is_typeset():
    from reference import RULES
    from reference.derivations import DERIVED

    for name in (n for n in DERIVED if n in RULES):
        steps = derived_of(name)
        assert len(steps) > 1
        for step in steps:
            assert mathml(step["latex"]).startswith("<math"), step["latex"]


def test_a_rule_of_ones_own_has_its_step():
    from reference import RULES

    own = replace(RULES["sgd"], title="mine")
    (step,) = derived(own)
    assert "align" in step["latex"]


def test_scripts_come_from_beside_the_certificate_only(tmp_path):
    folder = tmp_path / "reports"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "a.py").write_text("import torch\n")
    (folder / "mine" / "a.txt").write_text("secret")
    (folder / "long.py").write_text("x" * 2 * MOST_CHARACTERS)
    (tmp_path / "out.py").write_text("secret")
    (folder / "link.py").symlink_to(tmp_path / "out.py")
    assert script_text("reports/mine/a.py", folder) == "import torch\n"
    assert script_text("/elsewhere/reports/mine/a.py", folder) == "import torch\n"
    assert len(script_text("long.py", folder)) < MOST_CHARACTERS + 100
    for script in ("../out.py", str(tmp_path / "out.py"), "link.py", "mine/a.txt", "none.py", "a\0b.py", "/", ".."):
        assert script_text(script, folder) == ""


def test_size(tmp_path):
    size = write_large(tmp_path).stat().st_size
    assert size < 2_000_000, size


def test_a_certificate_without_anything():
    page = Page(html(Certificate("mine.Adam", "", environment={"devices": ["cpu"], "seed": 0, "budget": "quick"})))
    assert page.open == []
    assert "0" in page.text("b")


def test_index():
    text = index(
        "all of <them>", [(full(HOSTILE), "a/b c.html", {"JSON": "a.json"}), (replace(full(), cells=[]), "", {})]
    )
    page = Page(text)
    assert page.open == []
    assert [a["href"] for a in page.all("a")][:2] == ["a/b c.html", "a.json"]
    assert "all of <them>" in page.text("h1")
    assert len(page.all("script")) == 1


def test_fragment_as_it_is():
    check_snapshot("fragment.html", full()._repr_html_())


# ---- what a browser makes of it


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_large(folder)
    (folder / "hostile.html").write_text(html(full(HOSTILE)), encoding="utf-8")
    (folder / "fragment.html").write_text(fragment(full(HOSTILE)), encoding="utf-8")
    (folder / "index.html").write_text(
        index("all", [(large(), "large.html", {}), (made("b"), "b.html", {})]), encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def chromium():
    if browser.MISSING:
        pytest.skip(browser.MISSING)
    tab = browser.Browser()
    yield tab
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 360])
def test_a_browser_has_no_complaints(chromium, pages, width, scheme):
    for name in ("large", "hostile", "fragment", "index"):
        chromium.open(pages / f"{name}.html", width=width, scheme=scheme)
        assert chromium.complaints() == []
        assert "taken" not in chromium.run("return document.title.replace(/'taken'/g, '')")
        if name != "fragment":
            assert chromium.run("return document.documentElement.scrollWidth <= innerWidth")
            light = chromium.run("return getComputedStyle(document.body).backgroundColor") == "rgb(247, 248, 249)"
            assert light == (scheme == "light")
        if shots := os.environ.get("OPTIM_VERIFY_SCREENSHOTS"):
            chromium.screenshot(Path(shots) / f"{name}-{width}-{scheme}.png")


def test_time_to_interactive(chromium, pages, capsys):
    """Printed, not asserted: a busy machine is slow."""
    seen = []
    for _ in range(5):
        chromium.open(pages / "large.html")
        seen.append(chromium.run("return performance.getEntriesByName('interactive')[0].startTime"))
    with capsys.disabled():
        print(f"\ninteractive after {min(seen):.0f} ms at best, {max(seen):.0f} ms at worst of {len(seen)}")


def test_hostile_text_is_seen(chromium, pages):
    chromium.open(pages / "hostile.html")
    assert chromium.run("return document.querySelector('h1').textContent") == HOSTILE
    chromium.run("document.querySelector('.matrix button').click()")
    assert HOSTILE in chromium.run("return document.querySelector('#cell').textContent")
    assert chromium.run("return document.querySelectorAll('img, script').length") == 2


def test_the_policy_stops_a_script(chromium, pages):
    """Should a template ever forget to escape."""
    page = pages / "broken.html"
    page.write_text(html(full()).replace("</header>", f"{HOSTILE}</header>", 1), encoding="utf-8")
    chromium.open(page)
    assert chromium.run("return document.title") != "taken"
    assert any("Content Security Policy" in text for text in chromium.complaints())


def test_filter(chromium, pages):
    chromium.open(pages / "large.html")
    told = "return document.querySelector('.filter output').textContent"
    assert chromium.run(told) == "500 of 500 cells"
    choose = """
        const field = document.querySelector('.filter').elements[arguments[0]];
        field.value = arguments[1];
        field.dispatchEvent(new Event('input', {bubbles: true}));
    """
    chromium.run(choose, "implementation", "fused")
    chromium.run(choose, "dtype", "float32")
    assert chromium.run(told) == f"{sum(k % 18 == 13 for k in range(500))} of 500 cells"
    visible = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).length"
    assert chromium.run(visible, ".matrix thead tr + tr th") == 1
    assert chromium.run(visible, "article.finding") == sum(k % 18 == 13 for k in range(50))
    chromium.run(choose, "status", "failed")
    chromium.run(choose, "text", "CHECK_C")
    assert chromium.run(told) == "1 of 500 cells"
    chromium.run("document.querySelector('.filter [type=reset]').click(); return new Promise(r => setTimeout(r, 50))")
    assert chromium.run(told) == "500 of 500 cells"


def test_sort(chromium, pages):
    chromium.open(pages / "large.html")
    column = """
        document.querySelector('details.all').open = true;
        document.querySelectorAll('.list.sortable thead button')[arguments[0]].click();
        return [...document.querySelectorAll('.list.sortable tbody tr')].map(r => r.cells[arguments[0]].textContent);
    """
    ratios = [float(text) for text in chromium.run(column, 5)]
    assert ratios == sorted(ratios)
    ratios = [float(text) for text in chromium.run(column, 5)]
    assert ratios == sorted(ratios, reverse=True)
    names = chromium.run(column, 1)
    assert names == sorted(names)
    heading = "return document.querySelector('.list.sortable th:nth-child(2)').getAttribute('aria-sort')"
    assert chromium.run(heading) == "ascending"


def test_copied_text_is_the_command(chromium, pages):
    chromium.open(pages / "hostile.html")
    copied = """
        let copied = null;
        navigator.clipboard.writeText = async (text) => { copied = text; };
        const button = document.querySelector('[aria-label="copy the replay"]');
        button.click();
        return new Promise(r => setTimeout(() => r([copied, button.textContent]), 50));
    """
    import shlex

    text, label = chromium.run(copied)
    assert shlex.split(text) == ["optim-verify", "replay", f"reports/{HOSTILE}.json"]
    assert label == "copied"


def test_a_cell_shows_its_plot_and_is_in_the_address(chromium, pages):
    chromium.open(pages / "large.html")
    chromium.run("document.querySelectorAll('.matrix button')[60].click()")
    panel = "return document.querySelector('#cell').textContent"
    assert "0.12 (exp_avg_sq)" in chromium.run(panel)
    assert "bit for bit equal to for-loop (60 of" in chromium.run(panel)
    assert chromium.run("return document.querySelectorAll('#cell .error').length") == 65  # with the one in the key
    assert "all inside" in chromium.run("return document.querySelector('.plot').getAttribute('aria-label')")
    address = chromium.run("return location.hash")
    chromium.run("document.querySelector('#cell .close').click()")
    assert chromium.run("return document.querySelector('#cell').hidden && location.hash === ''")
    chromium.run("location.hash = arguments[0]; location.reload(); return 1", address)
    assert "0.12 (exp_avg_sq)" in chromium.run(panel)


def test_a_point_outside_is_marked(chromium, pages):
    chromium.open(pages / "hostile.html")
    chromium.run("document.querySelector('.matrix button').click()")
    assert "1 outside" in chromium.run("return document.querySelector('.plot').getAttribute('aria-label')")


def test_arrow_keys_move_through_the_matrix(chromium, pages):
    chromium.open(pages / "large.html")
    chromium.run("document.querySelector('.matrix button').focus()")
    right, down, escape = "\ue014", "\ue015", "\ue00c"
    for key in (right, right, down):
        chromium.press(key)
    assert chromium.run("return document.activeElement.dataset.cell") == "20"
    assert chromium.run("return document.querySelector('#cell h3').textContent").startswith("rule.check_b")
    chromium.press(escape)
    assert chromium.run("return document.querySelector('#cell').hidden")


def test_everything_is_open_on_paper(chromium, pages):
    chromium.open(pages / "large.html")
    shut = "return document.querySelectorAll('details:not([open])').length"
    before = chromium.run(shut)
    assert before > 50
    chromium.run("dispatchEvent(new Event('beforeprint'))")
    assert chromium.run(shut) == 0
    chromium.run("dispatchEvent(new Event('afterprint'))")
    assert chromium.run(shut) == before


def test_it_prints(pages, tmp_path):
    if browser.MISSING:
        pytest.skip(browser.MISSING)
    subprocess.run(
        [
            str(browser.BINARY),
            *("--headless=new", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={tmp_path / 'a.pdf'}"),
            (pages / "hostile.html").as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
