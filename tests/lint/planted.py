"""
Forty faults planted in ten shapes of well-known projects, one at a time.

Each is a shape, a file, a text there, what stands there instead, and the rule that
has to find it.
"""

# ruff: noqa: E501, ISC004 - a table

DJANGO = ("django-celery", "docker-compose.yml")
FLASK = ("nginx-flask-mysql", "compose.yaml")
FLASK_BUILD = ("nginx-flask-mysql", "backend/Dockerfile")
GITEA = ("gitea-postgres", "docker-compose.yml")
METRICS = ("prometheus-grafana", "compose.yaml")
WORDPRESS = ("wordpress", "compose.yaml")
VOTING = ("voting-app", "docker-compose.yml")
VOTING_BUILD = ("voting-app", "vote/Dockerfile")
ELASTIC = ("elastic", "docker-compose.yml")
REACT = ("react-express-mongo", "compose.yaml")
REACT_BUILD = ("react-express-mongo", "backend/Dockerfile")
RAILS = ("rails", "docker-compose.yml")
RAILS_BUILD = ("rails", "Dockerfile")
KAFKA = ("kafka", "docker-compose.yml")

PLANTED = (
    (*DJANGO, "pg_isready -U $${POSTGRES_USER:-postgres}", "pg_isready || true",
     "health-cannot-fail"),
    (*DJANGO, '["CMD-SHELL", "pg_isready -U $${POSTGRES_USER:-postgres}"]',
     '["CMD-SHELL", "pg_isready", "-U", "postgres"]', "health-shell-words"),
    (*DJANGO, "image: postgres:15", "image: postgres:18", "data-folder-moved"),
    (*DJANGO, 'volumes: ["redis:/data"]',
     'volumes: ["redis:/data"]\n    ports: ["6379:6379"]', "port-on-all-interfaces"),
    (*DJANGO, 'volumes: ["redis:/data"]',
     'volumes: ["redis:/data"]\n    tmpfs: [/data]', "volume-under-tmpfs"),
    (*FLASK, "    build: proxy\n",
     "    build: proxy\n    environment: {DB_URL: 'mysql://db:3306/'}\n",
     "no-common-network"),
    (*FLASK, "      target: builder", "      target: bilder", "target-missing"),
    (*FLASK_BUILD, "COPY requirements.txt /code", "COPY requirement.txt /code",
     "copy-source-missing"),
    (*FLASK, "- 80:80", "- 8000:80", "port-taken-twice"),
    (*FLASK, "    build: proxy\n", "    image: nginx:1.25-alpine\n    command: nginx\n",
     "daemonises"),
    (*FLASK, "    file: db/password.txt", "    file: db/password.txt\n  left: {file: x}",
     "declared-unused"),
    (*GITEA, "GITEA__database__PASSWD=gitea",
     "GITEA__database__PASSWD=gitea\n      - DSN=postgres://gitea:s3cr3t@db/gitea",
     "secret-in-environment"),
    (*GITEA, "    image: postgres:14",
     "    image: postgres:14\n    healthcheck: {test: [CMD, pg_isready]}",
     "dependency-not-awaited"),
    (*GITEA, "  db:\n    image: postgres:14",
     "  db:\n    container_name: gitea\n    image: postgres:14", "name-taken-twice"),
    (*GITEA, "      - ./gitea:/data",
     "      - ./gitea:/data\n      - ./app.ini:/etc/gitea/app.ini", "bind-source-missing"),
    (*GITEA, "      - POSTGRES_DB=gitea", "      - POSTGRES_DB=${GITEA_NAME}",
     "variable-empty"),
    (*GITEA, '"222:22"', '"222:22"\n    privileged: true', "privileged"),
    (*METRICS, "      - prom_data:/prometheus\n", "", "volume-unmapped"),
    (*METRICS, "    container_name: grafana\n",
     "    container_name: grafana\n    deploy: {replicas: 2}\n", "fixed-name-doubled"),
    (*METRICS, "volumes: ['/:/host:ro,rslave']",
     "volumes: ['/var/run/docker.sock:/var/run/docker.sock']", "docker-socket"),
    (*METRICS, "image: prom/prometheus",
     "image: prom/prometheus\n    healthcheck: {test: [CMD, curl, -f, 'http://x']}",
     "missing-binary"),
    (*WORDPRESS, "  wordpress:\n    image: wordpress:latest",
     "  second:\n    image: mariadb:10.6.4-focal\n    volumes: ['db_data:/var/lib/mysql']\n"
     "  wordpress:\n    image: wordpress:latest", "volume-shared-by-stores"),
    (*WORDPRESS, "- MYSQL_ROOT_PASSWORD=somewordpress", "- MYSQL_ROOT_PASSWORD=root",
     "well-known-password"),
    (*WORDPRESS, "- 80:80", "- 80:80\n    deploy: {update_config: {parallelism: 1}}",
     "key-ignored"),
    (*VOTING, '["CMD", "curl", "-f", "http://localhost"]',
     '["CMD", "curl", "http://localhost"]', "health-curl-without-fail"),
    (*VOTING, '["CMD", "curl", "-f", "http://localhost"]',
     '["CMD", "curl", "-f", "http://localhost", "||", "exit", "1"]',
     "health-shell-operators"),
    (*VOTING, "test: /healthchecks/postgres.sh", "disable: true",
     "health-waited-for-missing"),
    (*VOTING_BUILD, "COPY requirements.txt ./requirements.txt", "COPY . .",
     "layer-order"),
    (*VOTING_BUILD, "FROM base AS dev", "FROM base AS dev\nENV API_KEY=0f1e2d3c",
     "secret-in-build"),
    (*VOTING, "      target: dev", "      target: dev\n      args: {VERSIN: '2'}",
     "build-arg-unread"),
    (*ELASTIC, "mem_limit: 1073741824", "mem_limit: 1073741824\n    mem_reservation: 2g",
     "reservation-above-limit"),
    (*ELASTIC, "  certs:\n    driver: local\n", "", "used-undeclared"),
    (*ELASTIC, "- ${KIBANA_PORT:-5601}:5601",
     "- ${KIBANA_PORT:-5601}:5601\n    restat: always", "refused-by-compose"),
    (*REACT, "image: mongo:4.2.0", "image: mongo:latest", "image-unpinned"),
    (*REACT, "    expose:\n      - 27017\nnetworks:\n  react-express:\n  express-mongo:\n",
     "    ports: ['127.0.0.1:27017:27017']\nnetworks:\n  react-express:\n"
     "  express-mongo: {internal: true}\n",
     "ports-on-internal"),
    (*REACT_BUILD, 'CMD [ "npm", "run", "dev" ]',
     'HEALTHCHECK CMD ["wget", "-q", "http://localhost"]\nCMD [ "npm", "run", "dev" ]',
     "missing-binary"),
    (*RAILS_BUILD, 'CMD ["rails"', 'USER root\nCMD ["rails"', "root-user"),
    (*RAILS, "    build: .",
     "    build: {context: ., args: {RUBY_VERSION: 3.10}}", "version-as-number"),
    (*KAFKA, "    hostname: registry", "    hostname: registry\n    scale: 3",
     "fixed-port-doubled"),
    (*KAFKA, "    hostname: registry", "    hostname: registry\n    network_mode: host",
     "host-namespace"),
)  # fmt: skip
