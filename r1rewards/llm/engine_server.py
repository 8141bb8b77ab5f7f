"""The process behind `r1rewards.llm.engine.Engine`; run as a module, never imported by others."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any, Protocol

from r1rewards.core.lifetime import die_with
from r1rewards.llm import Completion, Request, sampler

#: What a generator of completions is: one that can be closed before its end.
Completions = Generator[tuple[int, Completion], None, None]


class Backend(Protocol):
    def generate(self, requests: list[Request]) -> Completions: ...

    def load(self, model: str) -> None: ...


class Vllm:
    """vLLM, in this process: requests are stepped by hand so that each completion leaves as it finishes."""

    def __init__(self, model: str, settings: dict[str, str]) -> None:
        import torch
        from vllm import LLM

        from r1rewards.llm import kernels

        sampler.install()
        threads, set_threads = torch.get_num_threads(), torch.set_num_threads
        self._max_length = int(settings["max_length"])
        self._llm = LLM(
            model=model,
            dtype=settings["dtype"],
            max_model_len=int(settings["max_length"]),
            max_num_seqs=int(settings["max_batch"]),
            enforce_eager=not torch.cuda.is_available(),
            # after a part of a long prompt vLLM rewinds a seeded generator, which one of the CPU cannot do
            enable_chunked_prefill=torch.cuda.is_available(),
            max_num_batched_tokens=max(int(settings["max_length"]), 8192),
            # prompts are shared by whole blocks only; the CPU's own 128 tokens are longer than most prompts
            block_size=None if torch.cuda.is_available() else 32,
            gpu_memory_utilization=0.3,
            seed=0,
            disable_log_stats=True,
            trust_remote_code=False,
            ir_op_priority=kernels.install(),
        )
        # vLLM leaves one thread behind on the CPU, and nothing where the function was that sets another
        torch.set_num_threads = set_threads
        torch.set_num_threads(threads)
        self._tokenizer = self._llm.get_tokenizer()

    def generate(self, requests: list[Request]) -> Completions:
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt
        from vllm.sampling_params import StructuredOutputsParams

        engine = self._llm.llm_engine
        try:
            for index, request in enumerate(requests):
                s = request.sampling
                # without the spaces that JSON allows between its parts, a small model cannot get lost in them
                held = (
                    StructuredOutputsParams(json=dict(request.schema), disable_any_whitespace=True)
                    if (request.schema)
                    else None
                )
                params = SamplingParams(
                    temperature=s.temperature,
                    top_p=s.top_p,
                    max_tokens=s.max_tokens,
                    seed=s.seed,
                    structured_outputs=held,
                )
                ids = prompt_ids(self._tokenizer, request)
                if len(ids) >= self._max_length:
                    yield index, Completion("", (), "prompt_too_long", len(ids))
                    continue
                engine.add_request(str(index), TokensPrompt(prompt_token_ids=ids), params)
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        yield int(output.request_id.split("-")[0]), _completion(output)
        finally:  # what a client that left has asked for would come up in the next one's answer
            engine.abort_request([str(index) for index in range(len(requests))])

    def load(self, model: str) -> None:
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": list(_weights(Path(model)))})
        self._llm.reset_prefix_cache()
        if (Path(model) / "tokenizer_config.json").exists():
            self._tokenizer = load_tokenizer(model)


def _completion(output: Any) -> Completion:
    """A finished request of vLLM; its one sample is what was asked for."""
    best = output.outputs[0]
    reason = "length" if best.finish_reason == "length" else "stop"
    return Completion(best.text, tuple(best.token_ids), reason, len(output.prompt_token_ids or ()))


class Transformers:
    """transformers, where vLLM has no build: slower, with a generator per row, so that seeds hold."""

    def __init__(self, model: str, settings: dict[str, str]) -> None:
        self._settings = settings
        self.load(model)
        self._tokenizer = load_tokenizer(model)

    def load(self, model: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        dtype = torch.float32 if self._settings["dtype"] == "float32" else torch.bfloat16
        self._model = AutoModelForCausalLM.from_pretrained(model, dtype=dtype).eval()
        if torch.cuda.is_available():
            self._model.to("cuda")
        if (Path(model) / "tokenizer_config.json").exists():
            self._tokenizer = load_tokenizer(model)

    def generate(self, requests: list[Request]) -> Completions:
        size, longest = int(self._settings["max_batch"]), int(self._settings["max_length"])
        prompts = [prompt_ids(self._tokenizer, request) for request in requests]
        room = [min(r.sampling.max_tokens, longest - len(p)) for r, p in zip(requests, prompts, strict=True)]
        for index, prompt in enumerate(prompts):
            if len(prompt) >= longest:
                yield index, Completion("", (), "prompt_too_long", len(prompt))
        order = sorted((i for i, p in enumerate(prompts) if len(p) < longest), key=lambda i: room[i])
        for start in range(0, len(order), size):
            chunk = order[start : start + size]
            batch = self._batch(
                [requests[i] for i in chunk], [prompts[i] for i in chunk], [room[i] for i in chunk]
            )
            yield from zip(chunk, batch, strict=True)

    def _batch(self, requests: list[Request], ids: list[list[int]], room: list[int]) -> list[Completion]:
        """Complete these prompts side by side, each by at most as many tokens as it has room for."""
        import torch

        ends = self._end_tokens()
        width, device = max(map(len, ids)), self._model.device
        rows = torch.tensor([[ends[0]] * (width - len(row)) + row for row in ids], device=device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids], device=device)
        generators = {i: torch.Generator().manual_seed(r.sampling.seed or 0) for i, r in enumerate(requests)}
        greedy = torch.tensor([r.sampling.temperature == 0 for r in requests])
        temperature = torch.tensor([[r.sampling.temperature or 1.0] for r in requests])
        top_p = torch.tensor([r.sampling.top_p for r in requests])
        out: list[list[int]] = [[] for _ in requests]
        done = [tokens == 0 for tokens in room]
        cache: Any = None
        with torch.inference_mode():
            while not all(done):
                positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -rows.shape[1] :]
                answer = self._model(
                    rows, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
                )
                cache, logits = answer.past_key_values, answer.logits[:, -1].float().cpu()
                drawn = sampler.draw(logits / temperature, generators, top_p)
                tokens = torch.where(greedy, logits.argmax(-1), drawn).tolist()
                for i, token in enumerate(tokens):
                    if done[i]:
                        continue
                    out[i].append(token)
                    done[i] = token in ends or len(out[i]) >= room[i]
                rows = torch.tensor(tokens, device=device)[:, None]
                mask = torch.cat([mask, torch.ones_like(rows)], dim=1)
        return [
            Completion(
                self._tokenizer.decode(tokens, skip_special_tokens=True),
                tuple(tokens),
                "stop" if tokens and tokens[-1] in ends else "length",
                len(row),
            )
            for tokens, row in zip(out, ids, strict=True)
        ]

    def _end_tokens(self) -> list[int]:
        ends = self._model.generation_config.eos_token_id
        found = ends if isinstance(ends, list) else [ends]
        return [t for t in [self._tokenizer.eos_token_id, *found] if t is not None]


def _weights(folder: Path) -> Iterator[tuple[str, Any]]:
    """The weights of a folder; tied output embeddings also under their own name.

    vLLM keeps a packed copy of those on the CPU, and a reload that does not name them leaves the old ones.
    """
    from safetensors.torch import load_file

    tied = json.loads((folder / "config.json").read_text()).get("tie_word_embeddings", False)
    for file in sorted(folder.glob("*.safetensors")):
        for name, value in load_file(file).items():
            yield name, value
            if tied and name.endswith("embed_tokens.weight"):
                yield "lm_head.weight", value


def load_tokenizer(model: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def prompt_ids(tokenizer: Any, request: Request) -> list[int]:
    """The prompt's tokens: as given, or through the chat template up to where the model begins."""
    prompt = list(request.prompt)
    if prompt and isinstance(prompt[0], int):
        return [int(token) for token in prompt]  # type: ignore[call-overload]
    return list(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False))


#: A client's pipe and what it asks for.
Asked = tuple[Pipe, str, Any]


def _receive(listener: Listener, asked: queue.SimpleQueue[Asked]) -> None:
    """Accept clients for ever; each has a thread that reads its requests, one after the other's answer."""

    def read(pipe: Pipe) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                asked.put((pipe, *pipe.recv()))

    while True:
        threading.Thread(target=read, args=(listener.accept(),), daemon=True).start()


def _answer(backend: Backend, pipe: Pipe, kind: str, argument: Any) -> None:
    try:
        if kind == "load":
            backend.load(argument)
        else:
            with contextlib.closing(backend.generate(argument)) as completions:
                for item in completions:
                    pipe.send(("item", item))
        pipe.send(("end", None))
    except ConnectionError:
        pass  # this client is gone; the engine is there for the others
    except Exception as error:  # noqa: BLE001 - the client must hear of any failure
        pipe.send(("error", f"{type(error).__name__}: {error}"))
        os._exit(1)  # requests may be left in the engine: a fresh one is the only known state


def main() -> None:
    die_with(os.getppid())
    model, folder = sys.argv[1], Path(sys.argv[2])
    settings = dict(argument.split("=", 1) for argument in sys.argv[3:])
    key = bytes.fromhex(sys.stdin.readline().strip())
    backend: Backend = (Vllm if settings["backend"] == "vllm" else Transformers)(model, settings)
    asked: queue.SimpleQueue[Asked] = queue.SimpleQueue()
    with Listener(str(folder / "socket"), family="AF_UNIX", authkey=key) as listener:
        (folder / "ready").touch()
        threading.Thread(target=_receive, args=(listener, asked), daemon=True).start()
        while True:  # here and not in a thread: each thread that computes has helpers of its own on the CPU
            _answer(backend, *asked.get())


if __name__ == "__main__":
    main()
