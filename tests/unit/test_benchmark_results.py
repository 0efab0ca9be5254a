"""The page of figures keeps what was not measured anew, and says what never was."""

from pathlib import Path

from benchmarks.results import Section, machine, read_sections, write_results

TABLE = "| a | b |\n|---|---|\n| 1 | **2** |\n\nand a remark"


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    sections = {"one": Section("here, today", TABLE), "two": Section("there", "| x |")}
    rows = [(name, name.title(), "fast", section) for name, section in sections.items()]
    write_results(path, [*rows, ("three", "Three", "faster", None)])
    assert read_sections(path) == sections
    assert "Not run yet: `python -m benchmarks three`." in path.read_text(encoding="utf-8")


def test_a_page_that_is_not_there_has_no_sections(tmp_path: Path) -> None:
    assert read_sections(tmp_path / "RESULTS.md") == {}


def test_the_machine_is_named_on_one_line() -> None:
    assert len(machine().splitlines()) == 1
