"""The README's pictures: are they there, described, small and sharp, and made by `make pictures`?"""

import re
from pathlib import Path

import pytest
from PIL import Image

from course_lib import pictures

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.findall(r"!\[([^\]]*)\]\(pictures/([^)]+)\)", (ROOT / "README.md").read_text())
MADE = [name for name, _, _ in pictures.PICTURES]
WIDTH = 800  # pixels: what a README has


def test_readme_script_and_folder_name_the_same_pictures() -> None:
    assert sorted(name for _, name in SHOWN) == sorted(MADE)
    assert sorted(each.name for each in (ROOT / "pictures").iterdir()) == sorted(MADE)


def test_each_picture_has_a_text_of_its_own_that_says_what_is_seen() -> None:
    texts = [text for text, _ in SHOWN]
    assert [text for text in texts if len(text.split()) < 12] == []
    assert len(set(texts)) == len(texts) == len(MADE)


@pytest.mark.parametrize("name", MADE)
def test_a_picture_is_small_sharp_and_without_metadata(name: str) -> None:
    path = ROOT / "pictures" / name
    assert path.stat().st_size <= pictures.LARGEST
    with Image.open(path) as image:
        assert (image.format, image.info) == ("PNG", {})
        assert image.width >= WIDTH


@pytest.mark.parametrize(("name", "lesson"), [each[:2] for each in pictures.PICTURES])
def test_the_lesson_of_a_picture_exists(name: str, lesson: str) -> None:
    assert (ROOT / "notebooks" / f"{lesson}.ipynb").is_file(), name


def test_without_a_browser_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pictures.shutil, "which", lambda name: None)
    with pytest.raises(pictures.PictureError, match="Install your system's package `chromium`"):
        pictures.make_pictures(tmp_path / "pictures")
    assert list(tmp_path.iterdir()) == []
