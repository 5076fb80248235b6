"""Secrets are replaced wherever text goes out, in every form that they take there."""

import html
import json
import re
import shlex
import time
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable, Iterator
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


@pytest.mark.parametrize(
    "said",
    [
        'GET /?token="abc"',
        'password="hunter2 x"',
        'say {"password=\\"hunter2 x\\""}',
        "delete \x7f and \u202e",
    ],
)
def test_json_stays_json_and_tells_no_secret(said: str) -> None:
    text = redaction.json_text({"detail": [said], said: 1})

    assert "hunter2" not in text
    assert "\x7f" not in text
    assert json.loads(text)["detail"] == [clean(said)]


def test_value_of_a_json_object_is_replaced_beside_its_key() -> None:
    redaction.learn("abc", key="--api")
    redaction.learn("12345678", key="PIN")

    text = redaction.json_text({"--api": "abc", "MODE": "abc", "PIN": 12345678})

    assert json.loads(text) == {"--api": MASK, "MODE": "abc", "PIN": MASK}


def learned_from(environment: dict[str, str]) -> str:
    redaction.learn_mapping(environment)
    return clean("tried hidden-1234, hidden-1234")


@pytest.mark.parametrize(
    "name",
    [
        *("REDISCLI_AUTH", "NEO4J_AUTH", "AUTHORIZATION", "BASIC_AUTH", "JWT", "PWD"),
        *("PASSWORD2", "SECRET1", "secretKey", "proxy.token", "db-password-old", "Pwd"),
    ],
)
def test_name_says_that_its_value_is_a_secret(name: str) -> None:
    assert learned_from({name: "hidden-1234"}) == f"tried {MASK}, {MASK}"
    assert redaction.clean_tree({name: "hush"}) == {name: MASK}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("NEO4J_AUTH", "neo4j/hidden-1234"), ("BASIC_AUTH", "me:hidden-1234")),
        *(
            ("AUTHORIZATION", "Bearer hidden-1234"),
            ("JAVA", "-Ddb.password=hidden-1234"),
        ),
        ("AUTHORIZATION", "Basic " + b64encode(b"me:hidden-1234").decode()),
        ("JDBC", "jdbc:postgresql://db/x?user=me&password=hidden-1234&ssl=1"),
        ("ADO", "Server=db;Uid=me;Pwd=hidden-1234;Encrypt=true"),
        ("ADO", "Server=db;User=me;Password=hidden-1234;Encrypt=true"),
        ("CONFIG", "{password: x}\npassword: hidden-1234\n"),
    ],
)
def test_secret_inside_a_value_is_learned(name: str, value: str) -> None:
    assert learned_from({name: value}) == f"tried {MASK}, {MASK}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PWD", "/srv/shop"), ("REQUIRE_AUTH", "true"), ("NEO4J_AUTH", "none")),
        *(("AUTH_METHOD", "scram-sha"), ("JWT_ALGORITHM", "RS256-x")),
        *(("URL", "http://localhost:9000/at/me@here"), ("DONE", "passed=123456")),
        *(("GIT", "ssh://git@github.com/a"), ("RUN", "redis-cli -a $REDIS_PASSWORD")),
    ],
)
def test_what_only_looks_like_a_secret_stays(name: str, value: str) -> None:
    redaction.learn_mapping({name: value})

    assert clean(f"{name}={value}, {value}") == f"{name}={value}, {value}"


@pytest.mark.parametrize(
    "command",
    [
        "redis-server --requirepass hidden-1234",
        "redis-cli -h cache -a hidden-1234 ping",
        "mysqladmin ping -uroot -phidden-1234",
        "mariadb-dump --all -p'hidden-1234' x",
        "curl -fsS -u me:hidden-1234 http://localhost",
        "curl --user=me:hidden-1234 http://localhost",
        "curl -H 'Authorization: Bearer hidden-1234' http://localhost",
        "mongosh -u me -p hidden-1234",
        "Server=db;Pwd=hidden-1234;Encrypt=true",
        "REDISCLI_AUTH=hidden-1234 redis-cli ping",
        "postgres://me:hidden-1234@word/x@db/x",
        "postgres://me:hidden-1234/word@db/x",
        "postgres://me:a/hidden-1234@db/x",
        "POSTGRES://me:hidden-1234@db/x",
        "https://hidden-1234-hidden-1234@github.com/a/b",
        "https://hidden-1234-hidden-1234:x-oauth-basic@github.com/a/b",
    ],
)
def test_secret_of_a_command_is_replaced_and_learned(command: str) -> None:
    words = shlex.split(command)

    assert "1234" not in clean(command)
    assert "1234" not in json.dumps(redaction.clean_tree({"command": words}))
    assert any("hidden-1234" in word for word in redaction.words_in(command))


def test_url_keeps_what_is_no_secret() -> None:
    text = "https://me:hush@registry/pkg/@scope and redis://:a@one,redis://:b@two"

    assert clean(text) == (
        f"https://me:{MASK}@registry/pkg/@scope and "
        f"redis://:{MASK}@one,redis://:{MASK}@two"
    )


@pytest.mark.parametrize(
    "text",
    [
        "export DB_PASSWORD=hidden-1234\nHOST=database\n",
        "# the login\ndb:5432:*:me:hidden-1234\n",
        "me:hidden-1234\n",
        "db:\n  host: database\n  password: 'hidden-1234'\n",
        "[client]\nuser = database\npassword = hidden-1234\n",
        "claude=hidden-1234-5678\n",
    ],
)
def test_values_of_a_secret_file_are_learned(text: str) -> None:
    redaction.learn_file(text, key="login")

    hidden = "hidden-1234-5678" if "5678" in text else "hidden-1234"
    assert clean(f"database {hidden}") == f"database {MASK}"


@pytest.mark.parametrize(
    "encode",
    [
        quote,
        lambda text: quote(text, safe="!~*'()"),
        lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
        lambda text: (
            json.dumps(text)[1:-1]
            .replace("&", "\\u0026")
            .replace("<", "\\u003c")
            .replace(">", "\\u003e")
        ),
        html.escape,
        lambda text: html.escape(text).replace("&quot;", "&#34;"),
        lambda text: encodebytes(b"x" * 50 + text.encode() * 2).decode(),
    ],
    ids=["url", "script", "lower", "go", "html", "go-html", "mime"],
)
def test_value_is_replaced_as_other_programs_write_it(
    encode: Callable[[str], str],
) -> None:
    value = '<wd>:4/ +"&é!uncommon(1)'
    redaction.learn(value, key="DB_PASSWORD")

    cleaned = clean(f"before {encode(value)} after")

    assert cleaned.startswith("before ")
    assert MASK in cleaned
    assert "uncommon" not in cleaned
    assert not re.search(r"\n\w{8}", cleaned)


def test_long_text_is_cleaned_in_time() -> None:
    for number in range(30):
        redaction.learn(f"secret+value/{number}")
    texts = ["a.b" * 40_000, "http://a:" * 12_000, "mysql " * 18_000, "x=" * 50_000]

    begin = time.process_time()
    for text in [*texts, "A" * 100_000, "password=" * 10_000, "a:b@" * 25_000]:
        clean(text)

    assert time.process_time() - begin < 3
