"""
Facts of well-known images, as their own Dockerfiles state them.

`KNOWN` is searched in order by the image's name with its tag and without its registry.
Only what a rule needs stands here; where a fact is not certain it is left out, and the
rules then keep silent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """
    What is known of an image.

    `user` is None where it is not known and `root` for root; `steps_down` means that
    its entry point starts as root and drops to a user of its own. `entrypoint` is
    kept only where it is the program itself, not a script that looks at its
    arguments. `lacks` and `has` are names of binaries, `volumes` the folders of its
    VOLUME lines. `asked` is True when all of
    it comes from a local image, `known` False for an image that nothing is known of.
    """

    user: str | None = None
    steps_down: bool = False
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    has_health: bool | None = None
    lacks: frozenset[str] = frozenset()
    has: frozenset[str] = frozenset()
    volumes: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    asked: bool = False
    known: bool = True


def _known(pattern: str, **facts: object) -> tuple[re.Pattern[str], ImageFacts]:
    for key in ("lacks", "has"):
        if key in facts:
            facts[key] = frozenset(str(facts[key]).split())
    return re.compile(pattern), ImageFacts(**facts)  # type: ignore[arg-type]


_JAMMY = {
    "python3.7": "jammy's own Python is 3.10",
    "python3.8": "jammy's own Python is 3.10",
    "python3.9": "jammy's own Python is 3.10",
    "python3.12": "jammy's own Python is 3.10",
}

KNOWN = (
    _known(
        r"(^|/)memgraph(-mage|-platform)?([:@]|$)|standin-memgraph",
        user="memgraph",
        entrypoint=("/usr/lib/memgraph/memgraph",),
        has_health=False,
        has="mgconsole",
    ),
    _known(
        r"(^|/|-)questdb([:@]|$)",
        steps_down=True,
        has_health=False,
        lacks="curl wget nc",
        has="bash gosu",
    ),
    _known(
        r"(^|/|-)eventstore([:@]|$)",
        user="eventstore",
        has_health=True,
        has="curl",
        volumes=("/var/lib/eventstore", "/var/log/eventstore"),
    ),
    _known(
        r"^python:[^@]*(slim)",
        user="root",
        has_health=False,
        lacks="curl wget nc",
        has="python python3 bash",
        command=("python3",),
    ),
    _known(
        r"^python:[^@]*alpine",
        user="root",
        has_health=False,
        lacks="curl bash",
        has="python python3 wget nc",
    ),
    _known(r"^python([:@]|$)", user="root", has_health=False, has="curl wget python"),
    _known(
        r"^nvidia/cuda:[^@]*ubuntu22\.04",
        user="root",
        has_health=False,
        lacks="curl wget nc python python3 pip pip3",
        packages=_JAMMY,
    ),
    _known(r"^nvidia/cuda[:@]", user="root", has_health=False, lacks="curl wget nc"),
    _known(
        r"^ubuntu:(22\.04|jammy)",
        user="root",
        has_health=False,
        lacks="curl wget nc python python3 pip pip3",
        packages=_JAMMY,
    ),
    _known(
        r"^(debian|ubuntu)([:@]|$)",
        user="root",
        has_health=False,
        lacks="curl wget nc python python3 pip pip3",
    ),
    _known(
        r"^alpine([:@]|$)",
        user="root",
        has_health=False,
        lacks="curl bash python python3",
        has="wget nc",
    ),
    _known(
        r"^node:[^@]*slim",
        user="root",
        has_health=False,
        lacks="curl wget nc",
        has="node npm",
    ),
    _known(
        r"^node:[^@]*alpine",
        user="root",
        has_health=False,
        lacks="curl bash",
        has="node npm wget nc",
    ),
    _known(r"^node([:@]|$)", user="root", has_health=False, has="curl wget node npm"),
    _known(
        r"^postgres:(1[89]|[2-9]\d)[^@]*alpine",
        steps_down=True,
        has_health=False,
        lacks="curl",
        has="pg_isready psql wget nc bash",
        volumes=("/var/lib/postgresql",),
    ),
    _known(
        r"^postgres:(1[89]|[2-9]\d)",
        steps_down=True,
        has_health=False,
        lacks="curl wget nc",
        has="pg_isready psql bash",
        volumes=("/var/lib/postgresql",),
    ),
    _known(
        r"^postgres(:latest|:alpine|$)",
        steps_down=True,
        has_health=False,
        lacks="curl",
        has="pg_isready psql bash",
        volumes=("/var/lib/postgresql",),
    ),
    _known(
        r"^postgres:[^@]*alpine",
        steps_down=True,
        has_health=False,
        lacks="curl",
        has="pg_isready psql wget nc bash",
        volumes=("/var/lib/postgresql/data",),
    ),
    _known(
        r"^postgres([:@]|$)",
        steps_down=True,
        has_health=False,
        lacks="curl wget nc",
        has="pg_isready psql bash",
        volumes=("/var/lib/postgresql/data",),
    ),
    _known(
        r"^(redis|valkey/valkey)([:@]|$)",
        steps_down=True,
        has_health=False,
        lacks="curl",
        has="redis-cli redis-server",
        volumes=("/data",),
    ),
    _known(
        r"^(mysql|mariadb)([:@]|$)",
        steps_down=True,
        has_health=False,
        volumes=("/var/lib/mysql",),
    ),
    _known(
        r"^mongo([:@]|$)",
        steps_down=True,
        has_health=False,
        lacks="curl wget nc",
        volumes=("/data/db",),
    ),
    _known(r"^rabbitmq([:@]|$)", steps_down=True, has_health=False, lacks="curl nc"),
    _known(
        r"^nginx:[^@]*alpine",
        steps_down=True,
        has_health=False,
        lacks="bash",
        command=("nginx", "-g", "daemon off;"),
    ),
    _known(
        r"^nginx([:@]|$)",
        steps_down=True,
        has_health=False,
        has="curl",
        command=("nginx", "-g", "daemon off;"),
    ),
    _known(
        r"(^|/|-)haproxy([:@]|$)",
        user="haproxy",
        has_health=False,
        lacks="curl wget nc",
    ),
    _known(
        r"^prom/prometheus([:@]|$)",
        user="nobody",
        has_health=False,
        entrypoint=("/bin/prometheus",),
        lacks="curl bash",
        has="wget",
        volumes=("/prometheus",),
    ),
    _known(r"^grafana/grafana([:@]|$)", user="472", has_health=False, has="curl wget"),
)


RECENT_DEBIAN = re.compile(r"bookworm|trixie|^debian:1[23]([.-]|$)")
_WITHOUT_NETCAT = {"netcat": "it is netcat-openbsd or netcat-traditional since 12"}
ALPINE = re.compile(r":[^@]*alpine")
BUSYBOX = frozenset({"wget", "nc", "ping", "vi", "telnet", "nslookup"})


def known(image: str) -> ImageFacts:
    """
    Return what is known of an image by name, nothing when it is not in the table.

    An Alpine variant has BusyBox's programs, whatever the image's other variants lack.
    """
    name = plain_name(image)
    facts = next((facts for pattern, facts in KNOWN if pattern.search(name)), NOTHING)
    if facts.known and RECENT_DEBIAN.search(name):
        facts = replace(facts, packages={**facts.packages, **_WITHOUT_NETCAT})
    if ALPINE.search(name):
        return replace(facts, lacks=facts.lacks - BUSYBOX, has=facts.has | BUSYBOX)
    return facts


def plain_name(image: str) -> str:
    """Return an image's name without Docker Hub's own parts."""
    return image.removeprefix("docker.io/").removeprefix("library/")


NOTHING = ImageFacts(known=False)
