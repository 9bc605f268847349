"""The lessons in docs/course: their commands write what the lessons show, and the notebooks are made of the lessons."""

import json
import re

import pytest
from command_line import ROOT
from test_docs import maker

TIME = re.compile(r" +\d+(\.\d)? (s|m \d\d s)$", re.MULTILINE)  # the last column of a table: it differs each time


def without_times(page):
    return TIME.sub("", page)


@pytest.fixture
def course(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return maker("make_course")


def test_commands_and_examples_write_what_the_lessons_show(course, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for lesson in course.lessons():
        page = lesson.read_text("utf-8")
        assert without_times(course.remade(page, tmp_path)) == without_times(page), lesson.name


def test_there_are_nine_lessons_with_exercises_and_answers(course):
    pages = [lesson.read_text("utf-8") for lesson in course.lessons()]
    assert len(pages) == 9
    index = (course.COURSE / "README.md").read_text("utf-8")
    for lesson, page in zip(course.lessons(), pages, strict=True):
        assert f"]({lesson.name})" in index
        exercises, answers = page.split("## Exercises")[1].split("<summary>Answers</summary>")
        numbers = [re.findall(r"^(\d)\. ", part, re.MULTILINE) for part in (exercises, answers)]
        assert numbers[0] == numbers[1] == ["1", "2", "3"]
        assert "    $ charrnn " in page or "```python" in page


def test_the_notebooks_are_made_of_the_lessons(course):
    for lesson in course.lessons():
        page = lesson.read_text("utf-8")
        written = (course.NOTEBOOKS / f"{lesson.stem}.ipynb").read_text("utf-8")
        assert written == course.notebook(page), "run docs/make_course.py"
        cells = json.loads(written)["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        commands = [source[1:] for source in sources if source.startswith("!")]
        assert commands == re.findall(r"^    \$ (charrnn .*)$", page, re.MULTILINE)
        for source in set(sources) - {f"!{command}" for command in commands}:
            compile(source, lesson.name, "exec")


def test_an_example_with_another_result_is_said(course):
    course.run(">>> 1 + 1\n2\n", {})
    with pytest.raises(SystemExit, match="Expected"):
        course.run(">>> 1 + 1\n3\n", {})
