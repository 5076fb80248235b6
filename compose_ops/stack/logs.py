"""Show what services wrote."""

from collections.abc import Iterable

from compose_ops.console import is_terminal, say_raw, show_raw
from compose_ops.errors import EngineError
from compose_ops.runtime.context import StackContext


def logs(
    stack: StackContext, services: Iterable[str], *, tail: int | None, follow: bool
) -> None:
    """Print what services wrote; EngineError when Docker refuses."""
    names = stack.model.check_services(services)
    code = stack.engine.follow_logs(
        names,
        tail=tail,
        follow=follow,
        write=show_raw,
        write_error=say_raw,
        colour=is_terminal(),
    )
    if code != 0:
        raise EngineError(
            f"docker compose logs ended with exit code {code}",
            hint="invoke status shows what there is",
        )
