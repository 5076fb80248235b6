"""What the task about destinations does and prints."""

from compose_ops.cli.task import emit
from compose_ops.console import show
from compose_ops.errors import UsageError
from compose_ops.library.stack import Stack


def run(
    stack: Stack, trust: str, rotate: str, *, fingerprint: str = "", json: bool = False
) -> None:
    """Trust the server *trust*, or change the password of the repository *rotate*."""
    if bool(trust) == bool(rotate) or (rotate and fingerprint):
        raise UsageError(
            "one thing is done at a time",
            hint="invoke destination --trust HOST [--fingerprint SHA256:…], or "
            "invoke destination --rotate NAME",
        )
    if rotate:
        _rotate(stack, rotate, json=json)
    else:
        _trust(stack, trust, fingerprint=fingerprint, json=json)


def _rotate(stack: Stack, name: str, *, json: bool) -> None:
    changed = stack.rotate_password(name)
    if json:
        emit({"rotated": list(changed)})
    else:
        words = "would get a" if stack.dry else "now has a"
        show(f"{', '.join(changed)} {words} new password")


def _trust(stack: Stack, host: str, *, fingerprint: str, json: bool) -> None:
    found = stack.trust_host(host, fingerprint=fingerprint)
    if json:
        emit(
            {
                "server": found.server,
                "fingerprints": dict(found.fingerprints),
                "known_before": found.is_known,
            }
        )
    elif stack.dry:
        for kind, print_ in found.fingerprints.items():
            show(f"{found.server} shows {kind} {print_}")
    else:
        before = "already " if found.is_known else ""
        show(f"the host keys of {found.server} are {before}confirmed")
