"""What goes wrong in the helper, as one line for a person."""


class Failed(Exception):  # noqa: N818 - names an outcome
    """A request that could not be carried out; nothing is left half done."""


class Refused(Failed):
    """An archive that must not be unpacked."""
