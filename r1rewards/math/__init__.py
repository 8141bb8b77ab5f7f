r"""Is the answer in this response mathematically the gold answer?

    from r1rewards import math
    math.check(r"<think>..</think> so \boxed{0.5}", r"\frac{1}{2}").value     # 1.0

extract -> normalize -> tokens -> expression -> compare (scalars, regions) -> decide -> check.
"""

from __future__ import annotations

from r1rewards.math.check import MathReward, check, check_many, check_trace, equal, explain

__all__ = ["MathReward", "check", "check_many", "check_trace", "equal", "explain"]
