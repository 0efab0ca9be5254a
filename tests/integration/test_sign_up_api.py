"""`/api/sign-up`: the rules of the page for programs, and for scripts of the right web origin."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from sender.store.engine import Store, open_store
from sender.web.headers import SECURITY_HEADERS
from tests.support.sign_up_hall import ANN, MONEY, NEWS, Hall, open_hall

PATH = "/api/sign-up"
ORIGIN = "https://riverside.example.org"
BODY: dict[str, Any] = {
    "controller": "riverside", "form": "web", "notice": 2, "email": ANN, "agree": [NEWS],
}  # fmt: skip


@pytest.fixture
def hall(sqlite_url: str, tmp_path: Path) -> Iterator[Hall]:
    store = open_store(sqlite_url)
    with open_hall(store, tmp_path) as opened:
        yield opened
    store.close()


@pytest.fixture
def both(store: Store, tmp_path: Path) -> Iterator[Hall]:
    with open_hall(store, tmp_path) as opened:
        yield opened


def call(hall: Hall, method: str = "POST", path: str = PATH, **more: Any) -> requests.Response:
    return requests.request(method, hall.url + path, timeout=30, **more)


def test_it_is_the_same_as_the_page(both: Hall) -> None:
    answer = call(both, json={**BODY, "agree": [NEWS, MONEY]})
    assert answer.status_code == 202
    assert answer.json()["status"] == "asked"
    assert both.keep().sent == 1
    both.press(both.link(), "confirm")
    assert both.kinds() == ["requested", "requested", "given", "given"]


def test_a_program_reads_what_it_has_to_show(hall: Hall) -> None:
    answer = call(hall, "GET", f"{PATH}/riverside/web")
    assert answer.status_code == 200
    told = answer.json()
    assert told["wording"] == "Yes, riverside may write to me."
    assert told["notice"] == 2
    assert {box["agree"] for box in told["boxes"]} >= {NEWS, MONEY}
    assert call(hall, "GET", f"{PATH}/riverside/nothing").status_code == 404


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({"form": "paper"}, 404, "closed"),
        ({"controller": "nobody"}, 404, "closed"),
        ({"notice": 1}, 409, "changed"),
        ({"agree": []}, 422, "wrong"),
        ({"email": "no address"}, 422, "wrong"),
        ({"email": ""}, 422, "wrong"),
    ],
)
def test_what_is_wrong_is_told_by_the_words_of_the_page(
    hall: Hall, changed: dict[str, Any], status: int, told: str
) -> None:
    before = hall.rows()
    answer = call(hall, json={**BODY, **changed})
    assert (answer.status_code, answer.json()["status"]) == (status, told)
    assert answer.json()["message"]
    assert hall.rows() == before


def test_each_problem_names_its_field(hall: Hall) -> None:
    answer = call(hall, json={**BODY, "email": "x", "mobile": "020 7946 0018"})
    problems = {one["field"]: one["code"] for one in answer.json()["problems"]}
    assert problems == {"email": "address-malformed", "mobile": "not-mobile"}


@pytest.mark.parametrize(
    "changed", [{"more": 1}, {"notice": "x"}, {"email": 7}, {"agree": "all"}, {"form": "x" * 65}]
)
def test_another_shape_is_refused(hall: Hall, changed: dict[str, Any]) -> None:
    assert call(hall, json={**BODY, **changed}).status_code == 400
    assert hall.sign_ups() == []


def test_what_is_not_sent_as_json_is_not_read_as_json(hall: Hall) -> None:
    """A form of another site can send this without being asked beforehand."""
    for media in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = call(hall, data=json.dumps(BODY), headers={"Content-Type": media})
        assert answer.status_code in {400, 415}
    assert hall.sign_ups() == []


class TestOrigins:
    """Scripts of the web origins that the form lists, and of no other."""

    def test_a_listed_one_may(self, hall: Hall) -> None:
        asked = call(
            hall,
            "OPTIONS",
            headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"},
        )
        assert asked.status_code == 204
        assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert asked.headers["Access-Control-Allow-Headers"] == "Content-Type"
        answer = call(hall, json=BODY, headers={"Origin": ORIGIN})
        assert answer.status_code == 202
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "https://riverside.example.org.evil.example",
            "null",
            ORIGIN + "/",
        ],
    )
    def test_another_may_not(self, hall: Hall, origin: str) -> None:
        asked = call(hall, "OPTIONS", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in asked.headers
        for method, path in (("POST", PATH), ("GET", f"{PATH}/riverside/web")):
            answer = call(hall, method, path, json=BODY, headers={"Origin": origin})
            assert answer.status_code == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert hall.sign_ups() == []

    def test_another_controllers_may_not(self, hall: Hall) -> None:
        """The browser is let through for the one form, and refused for the other."""
        headers = {"Origin": "https://mayor.example.org"}
        assert call(hall, "OPTIONS", headers=headers).headers["Access-Control-Allow-Origin"]
        assert call(hall, json=BODY, headers=headers).status_code == 403


def test_a_day_has_so_many_for_programs_too(hall: Hall) -> None:
    statuses = {
        call(hall, json={**BODY, "email": f"p{number}@example.org"}).status_code
        for number in range(20)
    }
    assert statuses == {202}
    answer = call(hall, json=BODY)
    assert (answer.status_code, answer.json()["status"]) == (429, "full")
    assert "office@riverside.example.org" in answer.json()["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*BODY, "mobile", "x"]), inner, max_size=6)
    ),
    max_leaves=10,
)


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(document=JSON)
def test_whatever_is_posted_nothing_fails(hall: Hall, document: Any) -> None:
    answer = call(hall, json=document)
    assert answer.status_code in {202, 400, 404, 409, 422, 429}
    assert not {name for name in SECURITY_HEADERS if name.lower() not in answer.headers}
