"""Which variables hold secrets, by their name and by what they are set to."""

import re

from compose_ops.lint.docker_variables import fill
from compose_ops.project.interpolation import is_literal

_SECRET = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIALS?|"
    r"ACCESS_?KEY|ENCRYPTION_?KEY|SIGNING_?KEY|MASTER_?KEY|AUTH_?KEY|LICENSE_?KEY|"
    r"SECRET_?KEY_?BASE|APP_KEY|JWT_?KEY|SALT)(_[A-Z0-9]+)?$|(?<=_)(PASS|PWD|PAT)$",
    re.IGNORECASE,
)
_HARMLESS_END = re.compile(
    r"(_FILE|_PATH|_DIR|_ENABLED?|_DISABLED?|_LENGTH|_TTL|_NAME|_URL|_URI|_HOST|_PORT|"
    r"_ENDPOINT|_EXPIRY|_EXPIRES?(_IN)?|_EXPIRATION|_LIFETIME|_TIMEOUT|_DURATION|_AGE|"
    r"_ALGORITHM|_ALG|_ISSUER|_AUDIENCE|_HEADER|_TYPE|_ID|_POLICY|_REQUIRED|_PREFIX|"
    r"_METHOD|_FIELD|_LIMIT|_COUNT|_STORE|_PROVIDER|_ROTATION|_LOGIN|_ENCRYPTION|"
    r"_MINUTES|_SECONDS|_HOURS|_DAYS|_SIZE|_USER|_USERNAME|_FORMAT|_MODE|_REFRESH|"
    r"_MANAGER|_BACKEND|_ENGINE|_DRIVER|_SSL_[A-Z]+_CREDENTIALS)$",
    re.IGNORECASE,
)
_SWITCH = re.compile(
    r"(^|_)(RANDOM|ALLOW|DISABLE|ENABLE|REQUIRE|SKIP|FORCE|RESET|GENERATE|CHANGE|USE|"
    r"NO|HAS|IS|SHOW|MIN|MAX|PUBLIC)_",
    re.IGNORECASE,
)
_PUBLIC = re.compile(
    r"^(NEXT_PUBLIC|VITE|REACT_APP|NUXT_PUBLIC|VUE_APP|GATSBY|EXPO_PUBLIC|PUBLIC)_",
    re.IGNORECASE,
)
_HARMLESS_VALUE = re.compile(
    r"(yes|no|true|false|on|off|none|null|enabled|disabled|required|optional|\d{1,5}[smhd]?|"
    r"(file|env|vault|aws|gcp):.*|/[^\s:@]*|\./\S*|https?://[^@\s]*)",
    re.IGNORECASE,
)
_IN_URL = re.compile(
    r"[a-z][a-z0-9+.-]*://(?P<user>[^:@/\s]*):(?P<password>\$\{[^}]*\}|[^@/\s]+)@",
    re.IGNORECASE,
)
WELL_KNOWN = frozenset(
    [
        "admin",
        "admin123",
        "adminpassword",
        "adminadmin",
        "administrator",
        "changeit",
        "changeme",
        "change-me",
        "change_me",
        "changethis",
        "default",
        "demo",
        "dev",
        "example",
        "guest",
        "letmein",
        "local",
        "mariadb",
        "minio",
        "minioadmin",
        "minio123",
        "mongo",
        "mysql",
        "mypassword",
        "mysecretpassword",
        "pass",
        "pass123",
        "passw0rd",
        "password",
        "password1",
        "password123",
        "p@ssw0rd",
        "postgres",
        "postgresql",
        "postgrespw",
        "qwerty",
        "rabbitmq",
        "redis",
        "root",
        "root123",
        "rootpass",
        "rootpassword",
        "secret",
        "secret123",
        "supersecret",
        "test",
        "test123",
        "toor",
        "user",
        "userpassword",
        "welcome",
        "wordpress",
        "12345",
        "123456",
        "1234",
        "12345678",
        "guest123",
        "elastic",
        "grafana",
        "keycloak",
        "dbpassword",
        "db_password",
        "secretpassword",
        "yourStrong(!)Password",
    ]
)


def is_secret(name: str) -> bool:
    """Say whether a variable's name says that it holds a secret."""
    return (
        bool(_SECRET.search(name))
        and not _HARMLESS_END.search(name)
        and not _SWITCH.search(name)
        and not _PUBLIC.search(name)
    )


def is_secret_value(value: str) -> bool:
    """Say whether a value may be a secret: no switch, number of seconds or path."""
    return bool(value) and _HARMLESS_VALUE.fullmatch(value) is None


def password_in(value: str) -> str:
    """Return the password inside an address such as `postgres://user:word@host`."""
    match = _IN_URL.search(value)
    return match["password"] if match else ""


def is_well_known(value: str) -> bool:
    """Say whether a password is one of those that everybody tries first."""
    return value.strip().lower() in WELL_KNOWN or value.strip() in WELL_KNOWN


def is_password(name: str) -> bool:
    """Say whether a variable's name says that it holds a password."""
    return is_secret(name) and bool(re.search(r"PASS|PWD", name, re.IGNORECASE))


def literal_part(text: str) -> str:
    """Return what a written value is when nobody sets its variables."""
    return fill(text.replace("$$", "\0"), {}).replace("\0", "$")


def shown_secret(text: str) -> str:
    """Return how a secret is given: written out, or from a variable."""
    return "is written out in the file" if is_literal(text) else "is in the environment"
