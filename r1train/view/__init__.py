"""The browser of a run's rollouts: `r1train view RUN` serves pages to a browser on this machine.

    /rollouts   every scored response, filtered; a problem's whole group side by side
    /curation   what each rule of curation dropped and kept, row by row

The pages work on what lies in the run folder and ask nothing of the network. Model-written text reaches them
escaped, as in the report, and the policy of every answer lets the browser run this server's script only.
"""

from r1rewards.core.errors import UserError

try:
    from r1train.view.app import create_app, view
except ImportError as error:
    if (error.name or "").partition(".")[0] not in (
        "jinja2",
        "latex2mathml",
        "markupsafe",
        "plotly",
        "starlette",
        "uvicorn",
    ):
        raise
    raise UserError("the browser needs the extra `view`: pip install 'r1kit[view]'") from None

__all__ = ["create_app", "view"]
