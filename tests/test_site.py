"""The static pages: is everything of the lessons there, does every link lead somewhere, and is nothing overwritten?"""

import json
import os
import re
import shutil
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode, v4
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from typer.testing import CliRunner, Result

from course_lib import lessons, site
from course_lib._site_check import problems
from course_lib._site_folder import MARKER, fresh_folder
from course_lib._site_links import SiteError

ROOT = Path(__file__).resolve().parents[1]
PAGE = (
    '<!DOCTYPE html>\n<html lang="en"><head><title>T</title></head><body><main><h1 id="a">T</h1>{}</main></body></html>'
)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="  # one pixel


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the real course, made once."""
    folder = tmp_path_factory.mktemp("whole site")
    site.build_site(folder)
    return folder


def soup(path: Path) -> BeautifulSoup:
    return parsed(path.read_text(encoding="utf-8"))


@cache
def parsed(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def command(*arguments: object) -> Result:
    """Run the command as the shell would, in this process."""
    return CliRunner().invoke(site.app, [str(word) for word in arguments], catch_exceptions=False)


def squeezed(text: str) -> str:
    return "".join(text.split())


# The real course


def test_every_page_is_whole(whole: Path) -> None:
    """Links, anchors, alt texts, resources and leftovers, as the checker sees them; and what a plain search sees."""
    assert problems(whole) == []
    pages = sorted(whole.glob("*.html"))
    assert len([page for page in pages if re.match(r"\d\d_", page.name)]) == len(lessons.lessons()) >= 13
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.count("<h1") == 1, page.name
        assert not re.search(r"<(?!a )[^<>]*\b(?:src|href|srcset|data|action)=[\"']?(?:https?:)?//", text), page.name
        assert not re.search(r"<(?:iframe|object|embed|base)\b", text), page.name


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "solutions").glob("[0-9]*.ipynb"))])
def test_a_lesson_is_all_there(whole: Path, name: str) -> None:
    """Every output, every picture with its alt text, and for each exercise the starter with the solution folded."""
    page = soup(whole / f"{name}.html")
    shown = squeezed(page.get_text())
    pictures: list[str] = []
    exercises: list[str] = []
    for cell in nbformat.read(ROOT / "solutions" / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            assert squeezed(cell.source) in shown
        if cell.metadata.get("role") == "check":
            exercises.append(cell.metadata["exercise"])
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                assert squeezed(output.text) in shown
            elif "image/png" in output.data:
                pictures.append(output.metadata["image/png"]["alt"])
            else:
                html = output.data.get("text/html")
                text = BeautifulSoup(html, "html.parser").get_text() if html else output.data["text/plain"]
                assert squeezed(text) in shown
    assert [str(image["alt"]) for image in page.find_all("img")] == pictures
    for image in page.find_all("img"):
        assert int(str(image["width"])) > 100 < int(str(image["height"]))

    starters, solutions = page.find_all(class_="starter"), page.find_all("details", class_="solution")
    assert len(starters) == len(solutions) == len(page.find_all("details", class_="verdict")) == len(exercises) > 0
    for exercise, starter, solution in zip(exercises, starters, solutions, strict=True):
        assert squeezed(lessons.cell_source(exercise, "starter") or "?") in squeezed(starter.get_text())
        assert squeezed(lessons.cell_source(exercise, "solution") or "?") in squeezed(solution.get_text())
        assert starter.find_next("details") is solution and "open" not in solution.attrs


def test_contents_are_those_of_the_lessons(whole: Path) -> None:
    """Title, minutes, promise and exercises of each lesson, in order, each with its link."""
    page = soup(whole / "index.html")
    entries = page.select(".lessons > li")
    for lesson, entry in zip(lessons.lessons(), entries, strict=True):
        title = entry.h3 and entry.h3.a
        assert isinstance(title, Tag) and title["href"] == f"{lesson.name}.html"
        assert title.get_text() == f"{lesson.number:02d} {lesson.title}"
        assert f"{lesson.minutes} minutes" in entry.get_text()
        links = [link.get_text() for link in entry.select("ul a")]
        assert [text.partition(":")[0] for text in links] == [f"Exercise {each}" for each in lesson.exercises]
        first = soup(whole / f"{lesson.name}.html").select_one("h1 + p")
        assert first is not None and first.get_text() in entry.get_text()


def test_lessons_lead_to_their_neighbours(whole: Path) -> None:
    """From the first lesson to the last by "next", and back by "previous"."""
    names = [f"{lesson.name}.html" for lesson in lessons.lessons()]
    for one, other in pairwise(names):
        following, previous = soup(whole / one).find("a", rel="next"), soup(whole / other).find("a", rel="prev")
        assert isinstance(following, Tag) and isinstance(previous, Tag)
        assert (following["href"], previous["href"]) == (other, one)
    assert soup(whole / names[0]).find("a", rel="prev") is soup(whole / names[-1]).find("a", rel="next") is None


def test_pages_have_landmarks(whole: Path) -> None:
    """A language, a skip link that comes first, a banner, a main part, a search and named navigation."""
    for path in whole.glob("*.html"):
        page = soup(path)
        assert page.html and page.html["lang"] == "en" and page.find("meta", attrs={"name": "viewport"})
        first = page.find("a")
        assert isinstance(first, Tag) and first["href"] == "#content" and page.find("main", id="content")
        assert page.find("header") and page.find("footer") and len(page.find_all(role="search")) == 1
        names = [str(nav["aria-label"]) for nav in page.find_all("nav")]
        assert len(set(names)) == len(names)


def test_nothing_of_this_machine(whole: Path) -> None:
    """No page names the project's folder, the home folder or the environment."""
    private = {str(ROOT), str(Path.home()), sys.prefix, str(whole)}
    for path in [*whole.glob("*.html"), *whole.glob("*.js")]:
        text = path.read_text(encoding="utf-8")
        assert [name for name in private if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.-])", text)] == []


def luminance(colour: str) -> float:
    """Relative luminance: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(whole: Path, theme: str) -> None:
    """Each text colour on each ground: 4.5 to 1 or more; each line and border on the page: 3 to 1."""
    css = (whole / "style.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", light if theme == "light" else dark))
    assert len(colours) == 17
    assert not re.search(r"#[0-9a-f]{3,6}\b", re.sub(r"--[a-z0-9-]+: #[0-9a-f]{6};", "", css)), "a colour has no name"

    def ratio(one: str, other: str) -> float:
        low, high = sorted((luminance(colours[one]), luminance(colours[other])))
        return (high + 0.05) / (low + 0.05)

    texts = ("text", "quiet", "link", "keyword", "string", "number", "name", "comment")
    for text in texts:
        assert min(ratio(text, "page"), ratio(text, "shade")) >= 4.5, text
    assert ratio("text", "mark") >= 4.5
    for line in [name for name in colours if name == "line" or name.startswith("jp-")]:
        assert ratio(line, "page") >= 3, line


def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "no Chromium on this machine: install your system's chromium package to run the browser tests"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def opened(context: BrowserContext, seen: list[str]) -> Page:
    """A page whose requests that leave the file system, and whose errors, are noted in `seen`."""
    page = context.new_page()
    page.on("request", lambda sent: seen.append(sent.url) if not sent.url.startswith(("file:", "data:")) else None)
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("console", lambda said: seen.append(said.text) if said.type in ("error", "warning") else None)
    return page


def test_search_and_themes_in_a_browser(whole: Path) -> None:
    """From the file system: the search finds a term, leads to its section, shows no solution; both themes; a phone."""
    seen: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = opened(browser.new_context(color_scheme="light"), seen)
        page.goto((whole / "index.html").as_uri())
        page.get_by_role("searchbox").fill("event LOOP")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("status")).to_contain_text("sections with “event LOOP”")
        first = page.locator("#hits > li").first
        expect(first.locator("mark").first).to_have_text(re.compile("event|loop", re.IGNORECASE))
        page.get_by_role("link", name="One event loop for each engine").click()
        expect(page).to_have_url(re.compile(r"03_engine_creation\.html#One-event-loop-for-each-engine$"))
        expect(page.get_by_role("heading", name="One event loop for each engine")).to_be_in_viewport()

        field = page.get_by_role("searchbox")
        field.fill('<img src=x onerror="alert(1)">')
        field.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("No section has “<img src=x")
        solution = (lessons.cell_source("03.1", "solution") or "").splitlines()[-1]
        page.get_by_role("searchbox").fill(solution)
        expect(page.get_by_role("status")).to_contain_text("No section has")
        starter = (lessons.cell_source("03.1", "starter") or "").splitlines()[-3]
        page.get_by_role("searchbox").fill(starter)
        expect(page.locator("#hits a").first).to_contain_text("Exercise 03.1")

        grounds = []
        for theme in ("light", "dark"):
            phone = opened(browser.new_context(color_scheme=theme, viewport={"width": 360, "height": 740}), seen)
            for path in sorted(whole.glob("*.html"))[theme == "dark" :: 2]:
                phone.goto(path.as_uri())
                assert phone.evaluate("document.documentElement.scrollWidth") == 360, path.name
            grounds.append(phone.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert grounds == ["rgb(255, 255, 255)", "rgb(22, 25, 29)"]
        browser.close()
    assert seen == []


# The checker itself


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="gone.html">x</a>', "leads to no page"),
        ('<a href="#gone">x</a>', "leads to no heading"),
        ('<a href="page.html#b">x</a>', "leads to no heading"),
        ('<a href="/etc">x</a>', "leads out of the site"),
        ('<a href="file:///etc">x</a>', "leads out of the site"),
        ('<a href="javascript:x">x</a>', "leads out of the site"),
        ('<img src="page.html">', "no alt text"),
        ('<img src="page.html" alt=" ">', "no alt text"),
        ('<img src="gone.png" alt="x">', "gone.png is missing"),
        ('<img src="https://example.org/x.png" alt="x">', "loaded from elsewhere"),
        ('<img src="page.html" srcset="//example.org/x.png 2x" alt="x">', "loaded from elsewhere"),
        ('<script src="https://example.org/x.js"></script>', "loaded from elsewhere"),
        ("<script>x</script>", "in the page itself"),
        ('<p style="background: url(https://example.org)">x</p>', "a style loads something"),
        ("<style>@import 'x.css';</style>", "a style loads something"),
        ('<p onclick="x">x</p>', "a script in onclick"),
        ("<h1>Two</h1>", "2 <h1>"),
        ("<h3>Deep</h3>", "level 3 follows one of level 1"),
        ('<p id="a">x</p>', "the id a occurs twice"),
        ("<div><p>x</div>", "</div> closes <p>"),
        ("<p><table></table></p>", "<table> stands in a paragraph"),
        ("<p>x</p></p>", "</p> closes <main>"),
        ("<p>{ref}`x`</p>", "MyST is left over"),
        ("<p>\n::: note</p>", "MyST is left over"),
        ("<p>\n+++\n</p>", "MyST is left over"),
        ("<p>[x](y)</p>", "Markdown is left over"),
        ("<p>&lt;div class='x'&gt;</p>", "HTML is left over"),
    ],
)
def test_the_checker_finds(tmp_path: Path, body: str, said: str) -> None:
    """Does one fault in a page that is otherwise fine give a message about it?"""
    page = tmp_path / "page.html"
    page.write_text(PAGE.format('<p>{a: 1} a &lt; b <code>&lt;p&gt;</code><br/><a href="#a">x</a></p>'))
    assert problems(tmp_path) == []
    page.write_text(PAGE.format(body))
    assert said in "\n".join(problems(tmp_path))


# A course of one lesson


class SmallCourse:
    """A course whose one lesson can be changed."""

    def __init__(self, root: Path) -> None:
        self.root, self.output = root, root / "made"
        (root / "README.md").write_text("# Small course\n\nIts promise.\n\n[Begin](notebooks/00_only.ipynb#Task)\n")
        (root / "notes.py").write_text("x = '```'\n")
        (root / "dot.png").write_bytes(b"\x89PNG")
        self.write([])

    def write(self, outputs: list[Any], text: str = "") -> None:
        about = {"exercise": "00.1"}
        intro = "# Only\n\nOne thing.\n\n**Time:** 5 minutes\n\n## Task\n\n### Exercise 00.1: Do it\n\n"
        for folder in ("notebooks", "solutions"):
            starter = folder == "notebooks"
            role: dict[str, str] = {"role": "starter", "starter": "x = ..."} if starter else {"role": "solution"}
            answer = "x = ..." if starter else "x = 'secret'"
            cells: list[NotebookNode] = [
                v4.new_markdown_cell(intro + text, id="intro"),
                v4.new_code_cell(answer, metadata=about | role, id="answer"),
                v4.new_code_cell("check(x)", metadata=about | {"role": "check"}, outputs=outputs, id="check"),
            ]
            path = self.root / folder / "00_only.ipynb"
            path.parent.mkdir(exist_ok=True)
            nbformat.write(v4.new_notebook(cells=cells), path)

    def build(self) -> Result:
        return command("--output", self.output)

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.output)): path.read_bytes() for path in self.output.rglob("*.*")}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallCourse:
    root = tmp_path / "course"
    root.mkdir()
    monkeypatch.setenv("COURSE_ROOT", str(root))
    return SmallCourse(root)


def test_a_second_run_replaces_the_first_as_a_whole(small: SmallCourse) -> None:
    """The same pages each time, nothing of an older site left, and no scratch folder beside it."""
    assert small.build().exit_code == 0
    first = small.files()
    (small.output / "old.html").write_text("old")
    listed = json.loads((small.output / MARKER).read_text())
    (small.output / MARKER).write_text(json.dumps({"files": [*listed["files"], "old.html"]}))
    assert small.build().exit_code == 0
    assert small.files() == first and {"index.html", "00_only.html", "readme.html"} < set(first)
    assert [path.name for path in small.root.iterdir() if path.name.startswith(".")] == []
    assert small.output.stat().st_mode & 0o777 == (small.root / "notebooks").stat().st_mode & 0o777


def test_folders_of_others_are_refused(small: SmallCourse, tmp_path: Path) -> None:
    """A folder that it didn't make, a file, a link, and a file that somebody put into the site: all stay."""
    folder, file, link = tmp_path / "folder", tmp_path / "file", tmp_path / "link"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    file.write_text("mine")
    link.symlink_to(folder)
    for output in (folder, file, link, small.root):
        done = command("--output", output)
        assert done.exit_code == 1 and "--output" in done.stderr and "Traceback" not in done.output
    assert (folder / "mine.txt").read_text() == file.read_text() == "mine" and link.is_symlink()
    assert small.build().exit_code == 0
    (small.output / "mine.txt").write_text("mine")
    done = small.build()
    assert done.exit_code == 1 and "also holds mine.txt" in done.stderr and (small.output / "mine.txt").exists()


def test_check_keeps_nothing(small: SmallCourse) -> None:
    """`--check` says what is wrong, and writes nothing into the course."""
    before = sorted(small.root.rglob("*"))
    done = command("--check")
    assert done.exit_code == 0 and "every link leads somewhere" in done.stdout
    small.write([], "[x](#nowhere)\n")
    done = command("--check")
    assert done.exit_code == 1 and "00_only.html: the link to #nowhere leads to no heading" in done.stderr
    assert sorted(small.root.rglob("*")) == before


def test_an_interrupted_run_changes_nothing(small: SmallCourse) -> None:
    """Does the old site stay as it was when the making of the new one breaks off?"""
    assert small.build().exit_code == 0
    before = small.files()
    with pytest.raises(KeyboardInterrupt), fresh_folder(small.output) as folder:
        (folder / "half.html").write_text("half")
        raise KeyboardInterrupt
    assert small.files() == before and [p.name for p in small.root.iterdir() if p.name.startswith(".")] == []


def test_links_to_files_of_the_course(small: SmallCourse) -> None:
    """A source gets a page, the README is one, a picture is copied, a folder's link becomes text."""
    small.write(
        [],
        "[readme](../README.md), [code](../notes.py), [all](../notebooks), [here](#Task), ![A dot](../dot.png)\n",
    )
    assert small.build().exit_code == 0
    page = soup(small.output / "00_only.html")
    main = page.main
    assert main is not None
    links = {link.get_text(): link["href"] for link in main.find_all("a")}
    assert links == {"readme": "readme.html", "code": "file_notes.py.html", "here": "#Task"}
    assert "x = '```'" in soup(small.output / "file_notes.py.html").get_text()
    assert (small.output / "pictures" / "dot.png").read_bytes() == b"\x89PNG"
    begin = soup(small.output / "readme.html").find("a", string="Begin")
    assert isinstance(begin, Tag) and begin["href"] == "00_only.html#Task"


def test_the_index_holds_no_solution(small: SmallCourse) -> None:
    """The starter can be searched; the solution and what the check says of it can't."""
    small.write([v4.new_output("execute_result", {"text/plain": "Correct: 'secret'"})])
    assert small.build().exit_code == 0
    index = (small.output / "search-index.js").read_text()
    assert "x = ..." in index and "check(x)" in index and "secret" not in index
    assert "Correct: 'secret'" in soup(small.output / "00_only.html").get_text()


def result(**data: str) -> NotebookNode:
    return v4.new_output("execute_result", {name.replace("_", "/", 1): value for name, value in data.items()})


@pytest.mark.parametrize(
    ("output", "text", "said"),
    [
        (None, "[x](../gone.py)", "notebooks/00_only.ipynb: the link to ../gone.py leads to no file"),
        (None, "[x](../../course)", "leads to no file of the course"),
        (None, "![](../dot.png)", "has no alt text"),
        (None, "![x](https://example.org/x.png)", "lies on another server"),
        (None, "# Twice", "2 headings of level 1"),
        (None, "[x](../dot.png)", "can't be shown as text"),
        (result(image_png=PNG, text_plain="x"), "", "solutions/00_only.ipynb, cell 3: a picture has no alt text"),
        (result(application_json="1"), "", "no text, HTML or PNG"),
        (result(text_plain=f"{ROOT}/x"), "", "the project's path"),
        (result(text_html="<script>x</script>"), "", "a script stands in the page itself"),
        (v4.new_output("error", ename="ValueError", evalue="", traceback=[]), "", "it ended in ValueError"),
    ],
)
def test_what_cannot_be_shown_is_refused(small: SmallCourse, output: NotebookNode | None, text: str, said: str) -> None:
    """Does the message say where and what, and does the old site stay?"""
    assert small.build().exit_code == 0
    before = small.files()
    small.write([output] if output else [], text)
    done = small.build()
    assert done.exit_code == 1 and said in done.stderr and "Traceback" not in done.output
    assert small.files() == before


def test_a_widget_is_shown_by_its_text(small: SmallCourse) -> None:
    """A live widget needs a kernel; on a page its text stands for it."""
    small.write([result(**{"application_vnd.jupyter.widget-view+json": "{}", "text_plain": "Pool: 3 in use"})])
    assert small.build().exit_code == 0
    assert "Pool: 3 in use" in soup(small.output / "00_only.html").get_text()


@pytest.mark.parametrize(
    ("gone", "said"),
    [("README.md", "README.md can't be read"), ("solutions/00_only.ipynb", "Run `make notebooks`"),
     ("notebooks/00_only.ipynb", "There are no lessons")],
)  # fmt: skip
def test_a_missing_file_is_named(small: SmallCourse, gone: str, said: str) -> None:
    """Half a checkout: what is missing, and what to do."""
    (small.root / gone).unlink()
    done = small.build()
    assert done.exit_code == 1 and said in done.stderr and not small.output.exists()


def test_a_place_that_cannot_be_written(small: SmallCourse) -> None:
    """A file where a folder should be."""
    done = command("--output", small.root / "README.md" / "site")
    assert done.exit_code == 1 and "can't be written" in done.stderr
    with pytest.raises(SiteError, match="--output"), fresh_folder(small.root / "README.md" / "site"):
        pass
