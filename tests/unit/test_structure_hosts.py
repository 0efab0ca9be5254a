"""No file of the project names a package index, a mirror, or a place on somebody's machine."""

import re

import pytest

from tests.support.tracked import project_files, relative

# One letter of each stands in brackets, so that this file does not find itself.
HOSTS = (
    r"p[y]pi\.org",
    r"python[h]osted\.org",
    r"registry\.[n]pmjs",
    r"crates\.[i]o",
    r"deb\.[d]ebian",
)
OPTIONS = (
    "--(?:extra-)?[i]ndex-url",
    "--[f]ind-links",
    "PIP_[I]NDEX_URL",
    "https?://[^ ]+/[s]imple/",
)
PLACES = (r"(?<![\w.\-])/(?:root|work|home|Users)/\w",)
FORBIDDEN = re.compile("|".join([*HOSTS, *OPTIONS, *PLACES]), re.IGNORECASE)


def offences(text: str) -> list[str]:
    return [match[0] for match in FORBIDDEN.finditer(text)]


def test_no_file_names_an_index_or_a_machine() -> None:
    found = {relative(path): offences(path.read_text(errors="replace")) for path in project_files()}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "pieces",
    [
        ("https://files.pythonhosted", ".org/packages"),
        ("pip install --index", "-url=http://mirror"),
        ("see ", "/", "work/main/sender"),
        ('"/', 'root/cache"'),
        ("http://10.0.0.1", "/simple", "/boto3"),
    ],
)
def test_what_is_forbidden_is_found(pieces: tuple[str, ...]) -> None:
    assert offences("".join(pieces))


@pytest.mark.parametrize("text", ["docs/work/flow.md", "https://example.org/home/page", "/usr/lib"])
def test_what_is_harmless_is_left_alone(text: str) -> None:
    assert not offences(text)
