"""
Servers that keep data, by image: their ports and the folders that hold the data.

The folders and ports are those of the images' own Dockerfiles.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Store:
    """A server that keeps data: a pattern of image names, its ports and folders."""

    name: str
    pattern: re.Pattern[str]
    ports: frozenset[int]
    folders: tuple[str, ...]

    @property
    def is_cache(self) -> bool:
        """Whether it is often run without anything to keep."""
        return self.name in {"Redis", "memcached"}

    def holds(self, target: str) -> bool:
        """Say whether a mount at this folder holds the data."""
        plain = target.rstrip("/")
        return any(plain == one or one.startswith(f"{plain}/") for one in self.folders)


def _store(name: str, images: str, ports: str, *folders: str) -> Store:
    pattern = re.compile(rf"(^|/)({images})([:@]|$)")
    return Store(name, pattern, frozenset(map(int, ports.split())), folders)


STORES = (
    _store(
        "PostgreSQL",
        "postgres|postgis|postgresql|pgvector|timescaledb(-ha)?",
        "5432",
        "/var/lib/postgresql/data",
        "/bitnami/postgresql",
    ),
    _store(
        "MySQL",
        "mysql|mariadb|percona|percona-server|mysql-server",
        "3306",
        "/var/lib/mysql",
        "/bitnami/mysql",
        "/bitnami/mariadb",
    ),
    _store(
        "MongoDB", "mongo|mongodb|mongodb-community-server", "27017 27018", "/data/db"
    ),
    _store(
        "Redis",
        "redis|redis-stack|redis-stack-server|valkey|keydb|dragonfly",
        "6379",
        "/data",
        "/bitnami/redis/data",
    ),
    _store(
        "Elasticsearch",
        "elasticsearch|opensearch",
        "9200 9300",
        "/usr/share/elasticsearch/data",
        "/usr/share/opensearch/data",
    ),
    _store("RabbitMQ", "rabbitmq", "5672", "/var/lib/rabbitmq"),
    _store(
        "ClickHouse",
        "clickhouse|clickhouse-server",
        "8123 9000 9440",
        "/var/lib/clickhouse",
    ),
    _store("InfluxDB", "influxdb", "8086", "/var/lib/influxdb", "/var/lib/influxdb2"),
    _store(
        "Cassandra", "cassandra|scylla", "9042", "/var/lib/cassandra", "/var/lib/scylla"
    ),
    _store("Neo4j", "neo4j", "7687 7474", "/data"),
    _store("Memgraph", "memgraph|memgraph-mage", "7687", "/var/lib/memgraph"),
    _store("QuestDB", "questdb", "8812 9009", "/var/lib/questdb"),
    _store(
        "EventStore",
        "eventstore|kurrentdb",
        "1113 2113",
        "/var/lib/eventstore",
        "/var/lib/kurrentdb",
    ),
    _store("CouchDB", "couchdb", "5984", "/opt/couchdb/data"),
    _store("CockroachDB", "cockroach", "26257", "/cockroach/cockroach-data"),
    _store("SQL Server", "mssql/server|azure-sql-edge", "1433", "/var/opt/mssql"),
    _store("memcached", "memcached", "11211"),
    _store("etcd", "etcd", "2379"),
    _store("Meilisearch", "meilisearch", "7700", "/meili_data"),
    _store("Qdrant", "qdrant", "6333 6334", "/qdrant/storage"),
    _store("ArangoDB", "arangodb", "8529", "/var/lib/arangodb3"),
)


def store_of(image: str) -> Store | None:
    """Return the store that an image runs, None for another program."""
    return next((one for one in STORES if one.pattern.search(image)), None)
