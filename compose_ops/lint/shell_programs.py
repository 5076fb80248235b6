"""Which programs a command really starts, also through a shell."""

import re
from collections.abc import Sequence

SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
BUILTINS = frozenset(
    [
        ".",
        ":",
        "[",
        "[[",
        "alias",
        "break",
        "builtin",
        "case",
        "cd",
        "command",
        "continue",
        "do",
        "done",
        "echo",
        "elif",
        "else",
        "esac",
        "eval",
        "exec",
        "exit",
        "export",
        "false",
        "fi",
        "for",
        "function",
        "hash",
        "if",
        "in",
        "kill",
        "let",
        "local",
        "printf",
        "pwd",
        "read",
        "readonly",
        "return",
        "set",
        "shift",
        "source",
        "test",
        "then",
        "time",
        "times",
        "trap",
        "true",
        "type",
        "ulimit",
        "umask",
        "unset",
        "until",
        "wait",
        "while",
        "!",
    ]
)
TRANSPARENT = frozenset(
    {"exec", "time", "nohup", "env", "!", "if", "then", "while", "do"}
)
_CUT = re.compile(r"\|\||&&|[|;\n(){}]|(?<![<>&\d])&(?!\d)|\$\(|`")
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
_ASSIGNMENT = re.compile(r"\w+=\S*")


def base_name(word: str) -> str:
    """Return a path's last part."""
    return word.rpartition("/")[2]


def script_of(argv: Sequence[str]) -> str | None:
    """Return the script of a `sh -c` argv, None when no shell is called."""
    if not argv or base_name(argv[0]) not in SHELLS:
        return None
    for index, word in enumerate(argv[1:], start=1):
        if word.startswith("-") and word.endswith("c"):
            return argv[index + 1] if index + 1 < len(argv) else ""
        if not word.startswith("-"):
            return None
    return None


def programs(argv: Sequence[str]) -> list[str]:
    """Return the names of the programs that an argv starts, builtins left out."""
    if not argv:
        return []
    script = script_of(argv)
    if script is None:
        return [argv[0]]
    return [argv[0], *programs_of_script(script)]


def programs_of_script(script: str) -> list[str]:
    """Return the programs that a shell script starts, in order, builtins left out."""
    found: list[str] = []
    for part in _CUT.split(_QUOTED.sub("''", script.replace("\\\n", " "))):
        name = program_of(part.split())
        if name and name not in BUILTINS and name not in found:
            found.append(name)
    return found


def program_of(words: Sequence[str]) -> str:
    """Return the word in command position, empty for none or a variable."""
    for word in words:
        if _ASSIGNMENT.fullmatch(word) or word in TRANSPARENT or word.startswith("-"):
            continue
        plain = re.fullmatch(r"[\w./+-]+|\[\[?|:", word)
        return word if plain else ""
    return ""


SERVER = re.compile(
    r"\b(runserver|gunicorn|uvicorn|hypercorn|daphne|http\.server|artisan serve)\b"
)


def stated_ports(argv: Sequence[str]) -> set[int]:
    """Return the ports that a web server's command states, none for another program."""
    text = " ".join(argv)
    if len(SERVER.findall(text)) != 1 or "$" in text:
        return set()
    stated = SERVER.split(text)[-1]
    if not re.search(r"(?<=[:\s=])\d{2,5}\b", stated) or re.search(
        r"\s(-c|--config)\b", stated
    ):
        return set()
    return {int(one) for one in re.findall(r"(?<!\d)\d{2,5}(?![\d.])", text)}
