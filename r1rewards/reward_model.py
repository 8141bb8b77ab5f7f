"""A reward model as a reward: one number for a prompt and a response, from a sequence-classification model.

DeepSeek-R1 (arXiv 2501.12948) has two. Helpfulness is scored on the final summary only (`scope: answer`), so
that it cannot be won in the thinking; harmlessness on the whole response (`scope: response`), by a model
trained point-wise on safe and unsafe, so that the `sigmoid` of its output is the probability of safe:

    helpfulness:
      {use: reward-model, tasks: [general], scope: answer, options: {model: FOLDER, empty: -5}}
    harmlessness:
      {use: reward-model, tasks: [safety], scope: response, options: {model: FOLDER, output: sigmoid}}
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Reward, Sample, Scope
from r1rewards.core.rows import Message
from r1rewards.core.verdict import Verdict

Output = Literal["raw", "sigmoid"]

_log = logging.getLogger(__name__)
#: Stands where the response goes while the chat template is applied; templates may rewrite a real one.
_MARK = "\u2063response\u2063"


class RewardModel(Reward):
    """Scores `prompt + scoped text`, laid out by the model's chat template.

    model        a Hugging Face folder with a sequence-classification model of one output and its tokenizer
    output       "raw", the logit; or "sigmoid" of it
    empty        the value of a response of which the scope is empty, such as one without a summary. It has
                 to be the worst there is: an abstention would pay better than a bad answer. 0 with sigmoid;
                 a raw score has no lowest value, so there it must be said
    max_length   longest input in tokens; what is over is cut from its beginning, counted in the verdict and
                 said in the log
    micro_batch  texts in one forward pass
    """

    tasks = frozenset({"general", "safety"})
    scope: Scope = "answer"
    copies = False

    def __init__(
        self,
        model: str | Path,
        *,
        output: Output = "raw",
        empty: float | None = None,
        max_length: int = 8192,
        micro_batch: int = 8,
    ) -> None:
        if output not in ("raw", "sigmoid"):
            raise UserError(f"output of a reward model is 'raw' or 'sigmoid', not {output!r}")
        if empty is None and output == "raw":
            raise UserError(
                "a raw score has no lowest value: say with `empty` what a response without text gets"
            )
        if max_length < 2 or micro_batch < 1:
            raise UserError("max_length of a reward model must be at least 2 and micro_batch at least 1")
        self.model = Path(model)
        self.output, self.empty = output, 0.0 if empty is None else float(empty)
        self.max_length, self.micro_batch = max_length, micro_batch

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        inputs: dict[int, tuple[list[int], int]] = {}
        for i, sample in enumerate(samples):
            text = sample.scoped(self.scope).strip()
            if text:
                inputs[i] = encode(self._tokenizer, sample.prompt, text, self.max_length)
            else:
                reason = f"the {self.scope} is empty, which is worth {self.empty:g}"
                verdicts[i] = Verdict.of(self.empty, reason, "empty")
        if truncated := sum(cut > 0 for _, cut in inputs.values()):
            message = "%s: %d of %d texts were longer than %d tokens and were cut"
            _log.warning(message, self.model, truncated, len(inputs), self.max_length)
        order = sorted(
            inputs, key=lambda i: len(inputs[i][0])
        )  # neighbours of like length need little padding
        for start in range(0, len(order), self.micro_batch):
            chunk = order[start : start + self.micro_batch]
            for i, logit in zip(chunk, self._logits([inputs[i][0] for i in chunk]), strict=True):
                verdicts[i] = self._verdict(logit, *inputs[i])
        return [verdicts[i] for i in range(len(samples))]

    def _verdict(self, logit: float, ids: list[int], cut: int) -> Verdict:
        value = _sigmoid(logit) if self.output == "sigmoid" else logit
        reason = f"the reward model gives {value:.4g}" + (f"; {cut} tokens were cut" if cut else "")
        return Verdict.of(value, reason, self.output, tokens=len(ids), truncated=cut)

    def _logits(self, rows: Sequence[list[int]]) -> list[float]:
        import torch

        width, device = max(map(len, rows)), self._network.device
        pad = self._network.config.pad_token_id
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
        with torch.inference_mode():
            logits = self._network(input_ids=ids, attention_mask=mask).logits
        return [float(value) for value in logits[:, 0].float().cpu()]

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        if not (self.model / "config.json").is_file():
            raise UserError(f"{self.model} is no reward model: it has no config.json")
        tokenizer = AutoTokenizer.from_pretrained(self.model)
        if not tokenizer.chat_template:
            raise UserError(
                f"the reward model {self.model} has no chat template; save one with its tokenizer"
            )
        return tokenizer

    @cached_property
    def _network(self) -> Any:
        import torch
        from transformers import AutoModelForSequenceClassification

        network, info = AutoModelForSequenceClassification.from_pretrained(
            self.model,
            dtype=torch.float32,  # in bfloat16 a score would move with the padding of its batch
            output_loading_info=True,
        )
        if info["missing_keys"] or network.config.num_labels != 1:  # a missing head is filled with noise
            raise UserError(f"{self.model} is no reward model with one output: it lacks a trained head")
        if network.config.pad_token_id is None:
            network.config.pad_token_id = self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0
        return network.eval().to("cuda" if torch.cuda.is_available() else "cpu")

    def close(self) -> None:
        self.__dict__.pop("_network", None)
        self.__dict__.pop("_tokenizer", None)


def encode(tokenizer: Any, prompt: Sequence[Message], text: str, max_length: int) -> tuple[list[int], int]:
    """The input of a reward model, and how many tokens of it were cut; training and scoring share it.

    The chat template sees a mark in place of the text, because some templates drop the thinking from what
    the assistant said. The text is tokenized apart, so that a special token spelled out in it stays text.
    Over `max_length` the beginning is cut: what is judged stands at the end.
    """
    turns = [*prompt, {"role": "assistant", "content": _MARK}]
    head, mark, tail = tokenizer.apply_chat_template(turns, tokenize=False).rpartition(_MARK)
    if not mark:
        raise UserError("the chat template of the reward model leaves out what the assistant says")
    ids = tokenizer(head, add_special_tokens=False)["input_ids"]
    ids += tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    ids += tokenizer(tail, add_special_tokens=False)["input_ids"]
    cut = max(0, len(ids) - max_length)
    return ids[cut:], cut


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else 1 - 1 / (1 + math.exp(logit))
