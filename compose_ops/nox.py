"""
The session `lint` for a project's noxfile.

    import compose_ops.nox

    compose_ops.nox.lint_session()
"""

import sys
from collections.abc import Callable

import nox

Step = Callable[[nox.Session], None]


def lint_session(*before: Step, name: str = "lint") -> None:
    """
    Register the session *name*, which runs *before* and then `compose-ops lint`.

    It runs in nox's own environment, in which compose-ops is installed; what follows
    `--` on nox's command line goes to the task. Fails where the task finds something.
    """

    @nox.session(name=name, venv_backend="none")
    def lint(session: nox.Session) -> None:
        """Run the linters, and the rules on every combination of compose files."""
        for step in before:
            step(session)
        words = (sys.executable, "-m", "compose_ops", "lint", *session.posargs)
        session.run(*words)
