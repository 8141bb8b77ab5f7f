"""Endpoints as they are: slow, overloaded, half dead. Against real HTTP servers on this machine."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows
from r1rewards.core.template import get_template
from r1rewards.llm import Completion, Form, Request, RequestsFailed, Sampling
from r1rewards.llm.endpoint import Endpoint, EndpointError
from r1rewards.llm.recorded import Recorded

Behave = Callable[[dict[str, Any], int], tuple[int, Any]]


class Server(ThreadingHTTPServer):
    """Answers with what `behave` makes of the body and the number of the request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behave: Behave) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave = behave
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.lock = threading.Lock()
        self.now = self.most = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: dict[str, Any]) -> None:
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append({"path": self.path, **body})
            self.server.headers.append(dict(self.headers))
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        try:
            status, said = self.server.behave(body, number)
        finally:
            with self.server.lock:
                self.server.now -= 1
        if status == 0:  # the line is cut
            self.close_connection = True
            return
        data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        cut = status < 0  # the line is cut in the middle of the body
        self.send_response(200 if cut else status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # of those who left early
            super().handle()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(behave: Behave) -> Iterator[Server]:
    server = Server(behave)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(body: dict[str, Any], **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": f"said {body['messages'][-1]['content']}", **message}
    usage = {"prompt_tokens": 5, "completion_tokens": 7}
    return {"choices": [{"message": said, "finish_reason": "stop"}], "usage": usage}


def fine(body: dict[str, Any], number: int) -> tuple[int, Any]:
    return 200, reply(body)


def requests(count: int) -> list[Request]:
    return [
        Request([{"role": "user", "content": f"q{n}"}], Sampling(0.7, 0.9, 33, seed=n)) for n in range(count)
    ]


def endpoint(*servers: Server, **settings: Any) -> Endpoint:
    given: dict[str, Any] = {"model": "m", "first_pause_s": 0.01, "timeout_s": 5.0, **settings}
    return Endpoint([server.url for server in servers], given.pop("model"), **given)


def texts(model: Any, count: int) -> list[str]:
    found = dict(model.generate(requests(count)))
    assert sorted(found) == list(range(count))
    return [found[n].text for n in range(count)]


SAID = [f"said q{n}" for n in range(40)]


def test_requests_are_spread_and_no_more_than_agreed_are_in_flight() -> None:
    def slow(body: dict[str, Any], number: int) -> tuple[int, Any]:
        time.sleep(0.02)
        return fine(body, number)

    with serving(slow) as one, serving(slow) as two, endpoint(one, two, concurrency=6) as model:
        assert texts(model, 40) == SAID
        assert one.most + two.most <= 7  # a thread counts itself out after it has answered
        assert min(len(one.asked), len(two.asked)) >= 10
        asked = next(body for body in one.asked + two.asked if body["seed"] == 3)
        assert asked["path"] == "/v1/chat/completions"
        assert (asked["temperature"], asked["top_p"], asked["max_tokens"], asked["model"]) == (
            0.7,
            0.9,
            33,
            "m",
        )


@pytest.mark.parametrize("fault", [(503, "busy"), (429, "slow down"), (0, ""), (200, "{"), (200, {})])
def test_what_passes_is_tried_again(fault: tuple[int, Any]) -> None:
    with serving(lambda body, number: fault if number % 3 == 0 else fine(body, number)) as server:
        assert texts(endpoint(server, concurrency=4, tries=20), 40) == SAID


def test_a_dead_server_leaves_the_work_to_the_other() -> None:
    with serving(fine) as alive, serving(fine) as dead:
        url = dead.url
    with serving(fine) as alive:
        with Endpoint([url, alive.url], "m", first_pause_s=0.01, concurrency=4) as model:
            assert texts(model, 40) == SAID
        assert len(alive.asked) == 40


def test_a_server_that_hangs_is_left_when_the_time_is_over() -> None:
    def hangs(body: dict[str, Any], number: int) -> tuple[int, Any]:
        if number == 0:
            time.sleep(1.0)
        return fine(body, number)

    with serving(hangs) as server:
        assert texts(endpoint(server, timeout_s=0.3), 4) == SAID[:4]


def test_no_server_at_all_is_said_at_once() -> None:
    with serving(fine) as server:
        url = server.url
    with (
        Endpoint([url], "m", first_pause_s=0.001, tries=3) as model,
        pytest.raises(EndpointError, match=rf"no server answers .{url}/v1: ConnectError"),
    ):
        list(model.generate(requests(200)))


def test_one_request_that_always_fails_does_not_keep_the_others() -> None:
    def poison(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return (500, "boom") if body["seed"] == 3 else fine(body, number)

    with serving(poison) as bad, endpoint(bad, tries=3, concurrency=2) as model:
        landed: list[int] = []
        with pytest.raises(EndpointError, match=r"1 of 40 requests failed.*status 500 \(boom\), 3 times"):
            landed.extend(index for index, _ in model.generate(requests(40)))
        assert sorted(landed) == [n for n in range(40) if n != 3]


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_no_matter_of_patience(status: int) -> None:
    with serving(lambda body, number: (status, "no such model")) as server, endpoint(server) as model:
        with pytest.raises(EndpointError, match=rf"refuses: status {status} \(no such model\)"):
            list(model.generate(requests(1)))
        assert len(server.asked) == 1


def test_a_request_that_is_refused_does_not_keep_the_others() -> None:
    def filtered(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return (400, "content policy") if body["seed"] in (3, 30) else fine(body, number)

    with serving(filtered) as server, endpoint(server, concurrency=2) as model:
        landed: list[int] = []
        with pytest.raises(
            RequestsFailed, match=r"2 of 40 requests failed.*status 400 \(content policy\)"
        ) as told:
            landed.extend(index for index, _ in model.generate(requests(40)))
        assert sorted(told.value.failures) == [3, 30]
        assert len(landed) == 38
        assert len(server.asked) == 40  # a refusal is not asked again


def test_a_server_that_refuses_everything_is_left_soon() -> None:
    with serving(lambda body, number: (400, "no such parameter")) as server:
        with (
            endpoint(server, concurrency=4) as model,
            pytest.raises(EndpointError, match="no such parameter"),
        ):
            list(model.generate(requests(500)))
        assert len(server.asked) < 60


FORM = Form(str, {"type": "object"})


def with_form(count: int) -> list[Request]:
    return [Request(one.prompt, one.sampling, FORM) for one in requests(count)]


def test_a_schema_goes_along_and_a_server_that_refuses_it_is_asked_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def old(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return (400, "unknown field response_format") if "response_format" in body else fine(body, number)

    with serving(fine) as server:
        list(endpoint(server).generate(with_form(3)))
        form = server.asked[0]["response_format"]
        assert (form["type"], form["json_schema"]["schema"]) == ("json_schema", {"type": "object"})
    with serving(old) as server, endpoint(server, concurrency=1) as model:
        assert len(dict(model.generate(with_form(10)))) == 10
        assert sum("response_format" in body for body in server.asked) == 1
    assert "asked without a JSON schema" in caplog.text


def test_the_time_out_is_for_the_whole_reply() -> None:
    """A server that sends a byte now and then would keep a request for ever."""

    def listen(one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(one.accept()[0],), daemon=True).start()

    def drip(one: socket.socket) -> None:
        with contextlib.suppress(OSError), one:
            one.recv(65536)
            one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                one.sendall(b" ")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Endpoint([url], "m", first_pause_s=0.01, timeout_s=0.3, tries=2) as model:
            began = time.monotonic()
            with pytest.raises(EndpointError, match="not all of the reply came in"):
                list(model.generate(requests(1)))
            assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"choices": []},
        {"choices": "abc"},
        {"choices": [{}]},
        {"choices": [{"message": "text"}]},
        {"choices": [{"message": {"content": {"a": 1}}}]},
        {"choices": [{"message": {"content": "x"}}], "usage": {"completion_tokens": "many"}},
    ],
)
def test_a_reply_in_a_wrong_form_is_asked_for_again(said: Any) -> None:
    with serving(lambda body, number: (200, said) if number % 2 else fine(body, number)) as server:
        assert texts(endpoint(server, concurrency=1, tries=10), 6) == SAID[:6]


def test_content_in_parts_is_put_together() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    with serving(lambda body, number: (200, reply(body, content=parts))) as server:
        ((_, completion),) = endpoint(server).generate(requests(1))
    assert completion.text == "ab"


def test_a_prompt_that_is_too_long_is_an_answer() -> None:
    said = {"error": {"message": "This model's maximum context length is 64 tokens."}}
    with serving(lambda body, number: (400, said)) as server, endpoint(server) as model:
        ((_, completion),) = model.generate(requests(1))
    assert (completion.finish_reason, completion.text, completion.tokens) == ("prompt_too_long", "", 0)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thinking_that_comes_apart_is_joined(name: str) -> None:
    template = get_template("think-summary")
    with serving(lambda body, number: (200, reply(body, content="5", **{name: "Add."}))) as server:
        ((_, completion),) = endpoint(server, template=template).generate(requests(1))
    trace = template.parse(completion.text)
    assert (trace.reasoning, trace.answer, trace.well_formed) == ("Add.", "5", True)
    assert (completion.tokens, completion.prompt_tokens) == (7, 5)


def test_thinking_that_was_cut_off_stays_open() -> None:
    def cut(body: dict[str, Any], number: int) -> tuple[int, Any]:
        said = reply(body, content=None, reasoning_content="Add")
        said["choices"][0]["finish_reason"] = "length"
        return 200, said

    with serving(cut) as server:
        ((_, completion),) = endpoint(server).generate(requests(1))
    assert completion.finish_reason == "length"
    assert get_template("think-answer").parse(completion.text).faults[0] == "unclosed_reasoning"


def test_the_model_is_the_one_that_is_served_and_the_key_goes_along() -> None:
    def behave(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return (200, {"data": [{"id": "served"}]}) if not body else fine(body, number)

    with serving(behave) as server, endpoint(server, model=None, key="secret") as model:
        assert model.model == "served"
        assert texts(model, 1) == SAID[:1]
        assert server.asked[-1]["model"] == "served"
        assert {headers["Authorization"] for headers in server.headers} == {"Bearer secret"}


def test_token_ids_go_to_the_plain_completions() -> None:
    def behave(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return 200, {"choices": [{"text": str(body["prompt"]), "finish_reason": "stop"}]}

    with serving(behave) as server, endpoint(server) as model:
        ((_, completion),) = model.generate([Request([1, 2, 3], Sampling())])
        assert server.asked[0]["path"] == "/v1/completions"
    assert completion.text == "[1, 2, 3]"


def test_who_leaves_early_leaves_no_work_behind() -> None:
    def slow(body: dict[str, Any], number: int) -> tuple[int, Any]:
        time.sleep(0.05)
        return fine(body, number)

    with serving(slow) as server, endpoint(server, concurrency=2) as model:
        answers = model.generate(requests(40))
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        time.sleep(0.3)
        assert len(server.asked) <= 6


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "http://", "nonsense"])
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(UserError, match="no URL"):
        Endpoint([url])


class Counting:
    """A model that counts how often it is asked what."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def generate(self, requests: Any) -> Iterator[tuple[int, Completion]]:
        for index in reversed(range(len(requests))):
            words = requests[index].prompt[-1]["content"]
            self.asked[words] += 1
            yield index, Completion(f"said {words}", (1, 2), "stop", 1)


def test_recorded_answers_are_not_asked_for_again(tmp_path: Path) -> None:
    model = Counting()
    log = tmp_path / "calls.jsonl"
    with Recorded(lambda: model, log, "m") as recorded:
        some = recorded.generate(requests(10))
        seen = [next(some) for _ in range(4)]
        some.close()  # type: ignore[attr-defined]
    assert len(seen) == 4
    written = log.read_bytes()
    with Recorded(lambda: model, log, "m") as recorded:
        assert texts(recorded, 10) == SAID[:10]
        assert texts(recorded, 10) == SAID[:10]
    assert log.read_bytes().startswith(written)
    assert sum(model.asked.values()) == 10
    twice = [*requests(3), *requests(3)]
    with Recorded(lambda: model, log, "other") as recorded:
        assert len(dict(recorded.generate(twice))) == 6
    assert max(model.asked.values()) == 2


def test_a_call_is_written_down_with_what_it_asked_and_what_was_read_in_it(tmp_path: Path) -> None:
    form = Form(lambda text: text if text.endswith("0") else None, {"type": "string"})
    asked = [Request(one.prompt, one.sampling, form) for one in requests(2)]
    with Recorded(Counting, tmp_path / "calls.jsonl", "m") as recorded:
        assert len(dict(recorded.generate(asked))) == 2
    lines = {line["text"]: line for line in read_rows(tmp_path / "calls.jsonl")}
    assert (lines["said q0"]["read"], lines["said q1"]["read"]) == ("said q0", None)
    assert lines["said q1"]["request"] == {
        "model": "m",
        "prompt": [{"role": "user", "content": "q1"}],
        "sampling": {"temperature": 0.7, "top_p": 0.9, "max_tokens": 33, "seed": 1},
        "schema": {"type": "string"},
    }


def test_what_did_not_fit_is_asked_for_again_next_time(tmp_path: Path) -> None:
    class Small(Counting):
        def generate(self, requests: Any) -> Iterator[tuple[int, Completion]]:
            for index, completion in super().generate(requests):
                yield index, completion if index else Completion("", (), "prompt_too_long", 9000)

    log = tmp_path / "calls.jsonl"
    with Recorded(Small, log, "m") as recorded:
        assert [one.finish_reason for _, one in sorted(recorded.generate(requests(2)))] == [
            "prompt_too_long",
            "stop",
        ]
    larger = Counting()
    with Recorded(lambda: larger, log, "m") as recorded:
        assert texts(recorded, 2) == ["said q0", "said q1"]
    assert larger.asked == {"q0": 1}


def test_what_failed_is_told_by_its_place_and_asked_again_next_time(tmp_path: Path) -> None:
    class Half(Counting):
        def generate(self, requests: Any) -> Iterator[tuple[int, Completion]]:
            bad = [i for i, one in enumerate(requests) if one.prompt[-1]["content"] in ("q1", "q2")]
            for i in range(len(requests)):
                if i not in bad:
                    yield i, Completion("fine", (), "stop", 1)
            if bad:
                raise RequestsFailed(dict.fromkeys(bad, "gone"), len(requests))

    with Recorded(Half, tmp_path / "calls.jsonl", "m") as recorded:
        assert len(dict(recorded.generate(requests(1)))) == 1
        with pytest.raises(RequestsFailed) as told:
            list(recorded.generate([*requests(4), *requests(2)]))
    assert told.value.failures == {1: "gone", 2: "gone", 5: "gone"}
    with Recorded(Counting, tmp_path / "calls.jsonl", "m") as recorded:
        assert texts(recorded, 4) == ["fine", "said q1", "said q2", "fine"]
