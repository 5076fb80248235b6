"""
What the images of databases do with their settings.

Source: the entry points of the official images of PostgreSQL, MySQL and MariaDB, which
end before the first start of a server whose administrator would have no password.
"""

import re
from pathlib import Path

from compose_ops.lint.rules.product import Product, is_true
from compose_ops.lint.target import Service

OFFICIAL = r"^(docker\.io/)?(library/)?"
INIT = "/docker-entrypoint-initdb.d"


def starts_empty(service: Service, image: str, program: str) -> bool:
    """
    Say whether an official image's own entry point makes the database here.

    False where an environment file, a service that this one extends, another command or
    data that is there already may say otherwise.
    """
    documents, model = service.subject.documents, service.subject.model
    elsewhere = any(
        document.find(service.path(key))
        for document in documents
        for key in ("env_file", "extends", "entrypoint", "build")
    )
    word = (*service.command, program)[0]
    started = word in {program, f"{program}d"} or word.startswith("-")
    declared = model.get("volumes") or {}
    external = any(
        (declared.get(mount.get("source")) or {}).get("external")
        for mount in service.volumes("volume")
    )
    official = re.match(rf"{OFFICIAL}({image})([:@]|$)", service.image)
    there = any(has_files(str(m.get("source"))) for m in service.volumes("bind"))
    return bool(official and started) and not (elsewhere or external or there)


def exits(service: Service) -> str:
    """Return what a server does without a password; a volume may hold a database."""
    held = any(
        service.store is not None and service.store.holds(mount["target"])
        for mount in service.volumes("volume", "bind")
    )
    return "probably exits" if held else "exits"


def has_files(folder: str) -> bool:
    """Say whether a folder holds anything; one that cannot be read is taken to."""
    try:
        return any(Path(folder).iterdir())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def postgres_password(service: Service) -> str:
    given = service.environment.keys() & {
        "POSTGRES_PASSWORD",
        "POSTGRES_PASSWORD_FILE",
        "POSTGRES_HOST_AUTH_METHOD",
    }
    if given or not starts_empty(service, POSTGRES_IMAGES, "postgres"):
        return ""
    return (
        f"PostgreSQL {exits(service)}: it makes no database without POSTGRES_PASSWORD "
        "(or …_FILE)"
    )


def mysql_password(service: Service) -> str:
    given = [one for one in service.environment if ROOT_PASSWORD.match(one)]
    if given or not starts_empty(service, "mysql|mariadb", "mysql"):
        return ""
    name = "MARIADB" if "mariadb" in service.image else "MYSQL"
    return f"it {exits(service)}: no database is made without {name}_ROOT_PASSWORD"


def mysql_root(service: Service) -> str:
    if service.environment.get("MYSQL_USER") != "root":
        return ""
    if not starts_empty(service, "mysql", "mysql"):
        return ""
    return (
        f"MySQL {exits(service)}: MYSQL_USER is a further user, root is there already"
    )


POSTGRES_IMAGES = "postgres|postgis/postgis|pgvector/pgvector"
ROOT_PASSWORD = re.compile(r"(MYSQL|MARIADB)_(ROOT_PASSWORD|ALLOW_EMPTY|RANDOM_ROOT)")

DATABASES = {
    "postgres": Product(
        "PostgreSQL",
        ignored={
            "POSTGRES_DATABASE": "POSTGRES_DB",
            "POSTGRES_DBNAME": "POSTGRES_DB",
            "POSTGRES_NAME": "POSTGRES_DB",
            "POSTGRES_USERNAME": "POSTGRES_USER",
            "POSTGRES_PASS": "POSTGRES_PASSWORD",
            "POSTGRES_PWD": "POSTGRES_PASSWORD",
        },
        fatal={"POSTGRES_PASSWORD": postgres_password},
    ),
    "mysql": Product(
        "This image",
        ignored={
            "MYSQL_DB": "MYSQL_DATABASE",
            "MYSQL_USERNAME": "MYSQL_USER",
            "MYSQL_PASS": "MYSQL_PASSWORD",
            "MYSQL_ROOT_PASS": "MYSQL_ROOT_PASSWORD",
        },
        fatal={"MYSQL_ROOT_PASSWORD": mysql_password, "MYSQL_USER": mysql_root},
    ),
    "redis": Product("Redis", ignored={"REDIS_PASSWORD": "--requirepass"}),
    "elasticsearch": Product(
        "Elasticsearch",
        speaks_tls=lambda service: is_true(
            service.environment.get("xpack.security.http.ssl.enabled")
        ),
    ),
}
DATABASE_IMAGES = {
    "postgres": re.compile(rf"{OFFICIAL}({POSTGRES_IMAGES})([:@]|$)"),
    "mysql": re.compile(rf"{OFFICIAL}(mysql|mariadb)([:@]|$)"),
    "redis": re.compile(rf"{OFFICIAL}redis([:@]|$)"),
    "elasticsearch": re.compile(r"(^|/)elasticsearch([:@]|$)"),
}


def mentions(service: Service, variable: str) -> bool:
    """Say whether a command, a check, settings or a script may read a variable."""
    test = service.get("healthcheck", "test", default=())
    text = " ".join((*service.argv, *map(str, test)))
    settings = re.search(r"\.conf\b", text)
    scripts = any(
        str(mount["target"]).startswith(INIT)
        for mount in service.volumes("bind", "volume")
    )
    return bool(variable in text or settings or scripts or service.get("build"))
