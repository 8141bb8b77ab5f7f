"""The two kinds of failure that r1kit tells apart.

Everything else is a defect and may show a traceback.
"""

from __future__ import annotations


class UserError(Exception):
    """What the user gave cannot work: a file, a key, a model, a machine.

    Its text is one sentence that says what is wrong, where, and what to do next. Every command prints
    that sentence and exits with status 2; nobody sees a traceback.
    """


class GraderError(Exception):
    """A grader failed (dead worker, missed deadline, broken reference): nothing is known of the response.

    It becomes an *error verdict*, never a reward of 0.
    """
