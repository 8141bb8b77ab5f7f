"""The server's answers: what is asked is there, model text stays text, and others are refused."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from r1train.view import create_app


@pytest.fixture(scope="module")
def client(run: Path) -> TestClient:
    return TestClient(create_app(run), base_url="http://localhost")


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def links(self, kind: str) -> list[str]:
        found = (attrs for tag, attrs in self.elements if tag == "a" and kind in (attrs.get("class") or ""))
        return [attrs["href"] or "" for attrs in found]


def get(client: TestClient, address: str) -> Page:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def test_the_list_is_filtered_and_goes_on(client: TestClient) -> None:
    page = get(client, "/rollouts?place=2-reasoning-rl/train")
    assert "64 responses of 16 groups" in page.text
    assert len(page.links("row")) == 60
    (more,) = page.links("more")
    rest = get(client, f"/{more}")
    assert len(rest.links("row")) == 4 and not rest.links("more")
    assert "Nothing matches" in get(client, "/rows?text=nobody+says+this").text
    assert get(client, "/rows?first_step=x&lowest=y").links("row")


def test_news_says_how_many_responses_there_are(client: TestClient) -> None:
    page = get(client, "/rollouts")
    assert f"{client.get('/news').json()['responses']:,} responses" in page.text


def test_a_group_tells_why_each_reward_was_given(client: TestClient) -> None:
    link = get(client, "/rows?place=2-reasoning-rl/train&said=math: 1").links("row")[0]
    page = get(client, "/" + link.replace("rollouts?", "group?"))
    assert sum(tag == "section" for tag, _ in page.elements) == 4
    assert "reward" in page.text and "equal" in page.text and "9 of 10 words" in page.text
    assert "The same problem elsewhere" in page.text
    assert "Let me see" not in page.text.replace(page.text[page.text.find("As it was written") :], "")
    (first, *_) = [
        attrs["data-from"] for tag, attrs in page.elements if tag == "details" and "data-from" in attrs
    ]
    assert "Let me see" in get(client, f"/{first}").text
    assert get(client, "/" + link).text.count("advantage") >= 0
    assert "not there any more" in get(client, "/group?open=nothing").text


@pytest.mark.parametrize(
    "address", ["/rollouts?text=onerror", "/curation?step=1-cold-start/curate&fate=unclosed"]
)
def test_what_a_model_wrote_is_never_markup(client: TestClient, address: str) -> None:
    pages = [get(client, address)]
    pages += [get(client, "/" + link.replace("rollouts?", "group?")) for link in pages[0].links("row")[:6]]
    for page in pages:
        for tag, attrs in page.elements:
            assert tag not in ("img", "iframe", "object", "style")
            assert tag != "script" or attrs == {"src": "view.js", "defer": None}
            assert not any(name.startswith("on") or name == "style" for name in attrs)
            assert not (attrs.get("href") or "").startswith("javascript")
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x1b]", page.text)
    assert any("<img src=x onerror" in page.text for page in pages)


def test_curation_shows_rules_rows_and_the_story_of_each(client: TestClient) -> None:
    page = get(client, "/curation")
    assert {"wrong_answer", "mixed_language", "unclosed", "kept"} <= set(page.text.split())
    (link,) = [one for one in page.links("fate") if "mixed_language" in one and "1-cold" in one]
    chosen = get(client, f"/{link}")
    assert "22 rows" in chosen.text and "measured 0.25, threshold 0.95" in chosen.text
    (story, *_) = [attrs["data-from"] for tag, attrs in chosen.elements if attrs.get("data-from")]
    assert "1-cold-start/curate" in get(client, f"/{story}").text
    assert "1 rows" in get(client, f"/curation/rows?{link.split('?')[1]}&text=language-7").text


def test_only_this_machine_is_answered_and_only_our_script_runs(client: TestClient, run: Path) -> None:
    assert client.get("/rollouts", headers={"host": "elsewhere.example"}).status_code == 400
    answer = client.get("/rollouts")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert client.get("/", follow_redirects=False).headers["location"] == "rollouts"
    assert client.post("/rollouts").status_code == 405
    for name, kind in (("view.js", "javascript"), ("view.css", "css")):
        assert kind in client.get(f"/{name}").headers["content-type"]
    anywhere = TestClient(create_app(run, host="0.0.0.0"), base_url="http://elsewhere.example")
    assert anywhere.get("/rollouts").status_code == 200


def test_a_huge_line_is_cut_and_says_so(client: TestClient) -> None:
    link = get(client, "/rows?text=xxxxxxxxxxxxxxxxxxxx").links("row")[0]
    answer = client.get("/" + html.unescape(link).replace("rollouts?", "group?"))
    assert "this line goes on for" in answer.text and len(answer.text) < 400_000
