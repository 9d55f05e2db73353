"""A lesson as a learner meets it: real JupyterLab, real Chromium, a wrong answer, a hint, a right answer."""

from notebook_page import JupyterLab, NotebookPage
from playwright.sync_api import Browser, expect

from course_lib.lessons import cell_source

LESSON = "02_url_conversion.ipynb"
WRONG = '''\
def get_async_database_url(url: str) -> str:
    """Replace the scheme's name wherever it stands."""
    return url.replace("postgresql", "postgresql+asyncpg").replace("sqlite", "sqlite+aiosqlite")
'''


def test_an_exercise_is_refused_helped_and_solved(browser: Browser, jupyterlab: JupyterLab) -> None:
    """All cells run, the untouched exercise is waiting; a wrong answer is refused, a hint helps, a right one passes."""
    lesson = NotebookPage(browser, jupyterlab.address(LESSON))
    lesson.run_all()
    assert lesson.error_outputs() == []
    answer = lesson.cell("def get_async_database_url(")
    check = lesson.cell("await q1.check(get_async_database_url)")
    expect(check.locator(".jp-OutputArea")).to_contain_text("Not attempted yet")

    lesson.type_into(answer, WRONG)
    lesson.run(answer)
    refused = lesson.run(check)
    expect(refused).to_contain_text("Not yet")
    expect(refused).to_contain_text("Expected")

    helping = lesson.cell("q1.hint()")
    lesson.type_into(helping, "q1.hint()")
    expect(lesson.run(helping)).to_contain_text("Hint 1 of")

    solution = cell_source("02.1", "solution")
    assert solution is not None
    lesson.type_into(answer, solution)
    lesson.run(answer)
    accepted = lesson.run(check)
    expect(accepted).to_contain_text("Correct")
    expect(accepted).to_contain_text("02.1")
    assert lesson.error_outputs() == []
    assert lesson.problems == []


def test_a_prediction_is_chosen_with_its_buttons(browser: Browser, jupyterlab: JupyterLab) -> None:
    """The buttons are rendered, can be used from the keyboard, and the guess stands beside the measurement."""
    lesson = NotebookPage(browser, jupyterlab.address("00_start_here.ipynb"))
    lesson.run_all()
    asking = lesson.page.locator(".jp-OutputArea", has_text="Predict:").first
    button = asking.get_by_role("button").first
    guess = button.inner_text()
    button.focus()
    lesson.page.keyboard.press("Enter")
    expect(asking).to_contain_text(f"Your guess: {guess}")
    comparing = lesson.run(lesson.cell(".compare("))
    expect(comparing).to_contain_text("Your guess")
    expect(comparing.locator("table")).to_contain_text(guess)
