"""What goes wrong in the helper, as one line for a person."""


class Failed(Exception):  # noqa: N818 - names an outcome
    """
    A request that could not be carried out; nothing is left half done.

    `kind` is a word for the task where it must tell this failure from others.
    """

    def __init__(self, text: str, *, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


def reason(fault: OSError) -> str:
    """Return what the system says of a failure, and of which file."""
    return f"{fault.strerror}: {fault.filename or ''}".rstrip(": ")


class Refused(Failed):
    """An archive that must not be unpacked."""
