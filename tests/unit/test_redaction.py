"""Secrets are replaced wherever text goes out, in every form that they take there."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from compose_ops import redaction
from compose_ops.errors import DataError
from compose_ops.redaction import MASK, clean

MARKER = 'wd:4 /+"$é?=uncommon'


@pytest.fixture(autouse=True)
def _nothing_learned() -> Iterator[None]:
    redaction.forget()
    yield
    redaction.forget()


@pytest.mark.parametrize(
    "form",
    [
        MARKER,
        json.dumps(MARKER)[1:-1],
        json.dumps({"deep": [MARKER]}),
        quote(MARKER, safe=""),
        quote_plus(MARKER),
        b64encode(MARKER.encode()).decode(),
        urlsafe_b64encode(b"user:" + MARKER.encode() + b":tail").decode(),
        b64encode(b"u:" + MARKER.encode()).decode(),
        b64encode(b"us:" + MARKER.encode() + b"x").decode(),
        MARKER.replace("$", "$$"),
    ],
)
def test_value_is_replaced_in_every_encoding(form: str) -> None:
    redaction.learn(MARKER, key="DB_PASSWORD")

    cleaned = clean(f"before {form} after")

    assert MASK in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert "uncommon" not in cleaned


def test_short_value_is_replaced_only_beside_its_key() -> None:
    redaction.learn_mapping({"DB_PASS": "abc", "MODE": "abc"})

    assert clean("DB_PASS: abc, abc DB_PASS=abc") == (
        f"DB_PASS: {MASK}, abc DB_PASS={MASK}"
    )
    assert clean('{"DB_PASS": "abc", "MODE": "abc"}') == (
        f'{{"DB_PASS": "{MASK}", "MODE": "abc"}}'
    )


def test_common_word_is_replaced_only_beside_its_key() -> None:
    redaction.learn_mapping({"POSTGRES_PASSWORD": "postgres"})
    redaction.spare(["postgres"])

    assert clean("postgres is healthy") == "postgres is healthy"
    assert clean("POSTGRES_PASSWORD: postgres") == f"POSTGRES_PASSWORD: {MASK}"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("postgres://me:hush@db/x", f"postgres://me:{MASK}@db/x"),
        ("redis://:hush@cache", f"redis://:{MASK}@cache"),
        ("server --password hush -v", f"server --password {MASK} -v"),
        ("server --db-password=hush", f"server --db-password={MASK}"),
        ("API_TOKEN=hush docker up", f"API_TOKEN={MASK} docker up"),
        ("docker compose up --wait", "docker compose up --wait"),
        ("http://localhost:9000/exec", "http://localhost:9000/exec"),
    ],
)
def test_secrets_show_by_where_they_stand(text: str, cleaned: str) -> None:
    """Nothing of these was learned before."""
    assert clean(text) == cleaned


def test_password_of_a_url_is_known_elsewhere_too() -> None:
    redaction.learn_mapping({"DATABASE_URL": "postgres://me:a%2Fb-hidden@db/x"})

    assert clean("tried a/b-hidden") == f"tried {MASK}"
    assert clean("tried a%2Fb-hidden") == f"tried {MASK}"


def test_each_line_of_a_key_is_replaced() -> None:
    redaction.learn("-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n", key="tls")

    assert clean("log: kqhkiG9w0BAQEF!") == f"log: {MASK}!"


def test_words_of_a_json_file_are_learned() -> None:
    redaction.learn_file('{"anthropic": "sk-ant-123456"}', key="api_keys")

    assert clean("key sk-ant-123456") == f"key {MASK}"


def test_secret_that_is_split_between_two_pieces_is_replaced() -> None:
    redaction.learn("sesame-sesame")
    stream = redaction.Stream()

    parts = [stream.feed("open ses"), stream.feed("ame-sesame\nnext "), stream.end()]
    assert "".join(parts) == f"open {MASK}\nnext "


def test_paths_of_secrets_are_none() -> None:
    redaction.learn_mapping(
        {"DB_PASSWORD": "/run/secrets/db", "TOKEN_FILE": "/etc/token"}
    )

    assert clean("reads /run/secrets/db and /etc/token") == (
        "reads /run/secrets/db and /etc/token"
    )


def test_current_folder_is_no_password() -> None:
    """The shell's PWD would hide every path below the checkout, in repairs too."""
    redaction.learn_mapping(
        {"PWD": "/srv/shop", "OLDPWD": "/srv", "DB_PWD": "hunter22"}
    )

    assert clean("rm /srv/shop/secrets/a hunter22") == f"rm /srv/shop/secrets/a {MASK}"


def test_error_never_prints_a_secret() -> None:
    redaction.learn("sesame-sesame")
    error = DataError("no sesame-sesame", hint="sesame-sesame", detail="sesame-sesame")

    assert "sesame" not in str(error)
