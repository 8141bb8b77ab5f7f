"""A reward spec over HTTP: `r1rewards serve rewards.yaml`.

    POST /score       {"rows": [flat rows], "step": 100} -> {"scores": [one for each row, in order]}
    POST /get_reward  {"query": [..], "prompts": [..], "labels": [..]} -> {"rewards", "scores", "extra_logs"},
                      as OpenRLHF asks a remote reward model
    GET  /health      what is waiting, how much was graded; 503 while grading is stuck

One process grades in batches whatever has come in meanwhile, so that many small requests cost as little as
one large one. What waits is bounded: a request too many is answered with 429 and Retry-After. Every error is
`{"error": "a sentence"}`. A score depends on its row alone, never on who else asked.
"""

from r1rewards.core.errors import UserError

try:
    from r1rewards.serve.app import Settings, create_app, serve
except ImportError as error:
    if (error.name or "").partition(".")[0] not in ("fastapi", "starlette", "uvicorn"):
        raise
    raise UserError("the server needs the extra `serve`: pip install 'r1kit[serve]'") from None

__all__ = ["Settings", "create_app", "serve"]
