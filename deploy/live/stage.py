"""Two replicas on one new PostgreSQL database, and Envoy before them."""

import asyncio
import json
import os
import signal
import socket
import urllib.parse
import urllib.request
import uuid

import pg8000.dbapi


def free_ports(count):
    """Ports that nobody listens on. They are held together, so that none comes twice."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Database:
    def __init__(self):
        self.url = urllib.parse.urlsplit(os.environ["RAPPORT_TEST_POSTGRES_URL"])
        self.name = f"rolling_{uuid.uuid4().hex[:12]}"
        self._run(f'CREATE DATABASE "{self.name}"')
        self.address = urllib.parse.urlunsplit(self.url._replace(path=f"/{self.name}"))

    def _run(self, sql):
        connection = pg8000.dbapi.connect(
            user=urllib.parse.unquote(self.url.username or "postgres"),
            password=self.url.password and urllib.parse.unquote(self.url.password),
            host=self.url.hostname,
            port=self.url.port or 5432,
            database=self.url.path.lstrip("/") or "postgres",
        )
        connection.autocommit = True
        connection.cursor().execute(sql)
        connection.close()

    def drop(self):
        self._run(f'DROP DATABASE "{self.name}" WITH (FORCE)')


class Replica:
    """One process of the suite. It keeps its ports when it is restarted, as a pod behind its Service keeps its role."""

    def __init__(self, name, scratch, database, options):
        self.name, self.scratch, self.database, self.options = name, scratch, database, options
        self.port, self.admin = free_ports(2)
        self.binary = os.environ["RAPPORT_BINARY"]
        self.process = None

    async def start(self):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RAPPORT__")}
        environment |= {
            "RAPPORT__LISTEN": f"127.0.0.1:{self.port}",
            "RAPPORT__ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
            "RAPPORT__DATA": str(self.scratch / "data"),
            "RAPPORT__STORE__URL": self.database.address,
            "RAPPORT__TELEMETRY__LEVEL": "warn",
        }
        for option in self.options:
            key, _, value = option.partition("=")
            environment[f"RAPPORT__{key.upper()}"] = value
        with open(self.scratch / f"{self.name}.log", "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                self.binary, "serve", env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=log
            )
        await until(lambda: answers(f"http://127.0.0.1:{self.admin}/readyz"), f"{self.name} is ready", self.process)

    async def stop(self):
        """SIGTERM, and how long it took until the process was gone; its exit status must be 0."""
        began = asyncio.get_running_loop().time()
        self.process.send_signal(signal.SIGTERM)
        status = await self.process.wait()
        if status != 0:
            raise SystemExit(f"{self.name} ended with status {status}: {self.log()}")
        return asyncio.get_running_loop().time() - began

    def log(self):
        return (self.scratch / f"{self.name}.log").read_text()


class Envoy:
    """Asks each replica's gRPC health, sends calls to those that say SERVING, and repeats none unless it is told to."""

    def __init__(self, scratch, replicas, retries):
        self.scratch, self.replicas, self.retries = scratch, replicas, retries
        self.port, self.admin = free_ports(2)
        self.process = None

    def configuration(self):
        def address(port):
            return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

        http2 = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
        cluster = {
            "name": "rapport",
            "type": "STATIC",
            "connect_timeout": "1s",
            "lb_policy": "ROUND_ROBIN",
            # Three retries at once, Envoy's default, are fewer than a replica that goes away calls for.
            "circuit_breakers": {"thresholds": [{"max_retries": 1000}]},
            "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
            "typed_extension_protocol_options": http2,
            "load_assignment": {
                "cluster_name": "rapport",
                "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": address(replica.port)}} for replica in self.replicas]}
                ],
            },
            "health_checks": [
                {
                    # A replica that is gone or says NOT_SERVING answers at once; a busy machine alone may be late.
                    "timeout": "5s",
                    "interval": "0.5s",
                    "unhealthy_interval": "0.5s",
                    "no_traffic_interval": "0.5s",
                    "unhealthy_threshold": 1,
                    "healthy_threshold": 1,
                    "grpc_health_check": {},
                }
            ],
        }
        # Streams stay open for as long as they please.
        route = {"cluster": "rapport", "timeout": "0s"}
        if self.retries:
            route["retry_policy"] = {
                "retry_on": "connect-failure,refused-stream,reset-before-request,unavailable",
                "num_retries": 3,
                "retry_host_predicate": [
                    {
                        "name": "envoy.retry_host_predicates.previous_hosts",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                        },
                    }
                ],
                "host_selection_retry_max_attempts": 3,
            }
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "rapport",
            "codec_type": "HTTP2",
            "stream_idle_timeout": "0s",
            "route_config": {
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]
            },
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                }
            ],
        }
        listener = {
            "name": "calls",
            "address": address(self.port),
            "filter_chains": [
                {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
            ],
        }
        return {
            "admin": {"address": address(self.admin)},
            "static_resources": {"listeners": [listener], "clusters": [cluster]},
        }

    async def start(self):
        path = self.scratch / "envoy.json"
        path.write_text(json.dumps(self.configuration()))
        with open(self.scratch / "envoy.log", "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                os.environ["RAPPORT_TEST_ENVOY"], "-c", str(path), "--use-dynamic-base-id", "--concurrency", "1", "-l", "warn",
                stdout=log, stderr=log,
            )  # fmt: skip
        for replica in self.replicas:
            await self.sees(replica)

    async def sees(self, replica):
        """Waits until calls are sent to this replica."""
        mark = f"127.0.0.1:{replica.port}::health_flags::healthy"
        await until(
            lambda: mark in (fetched(f"http://127.0.0.1:{self.admin}/clusters") or ""), f"Envoy sees {replica.name}", self.process
        )

    def counters(self, *names):
        """Envoy's own account of the upstream."""
        lines = (fetched(f"http://127.0.0.1:{self.admin}/stats?filter=cluster.rapport.upstream") or "").splitlines()
        told = dict(line.rsplit(": ", 1) for line in lines if ": " in line)
        return {name: int(told.get(f"cluster.rapport.{name}", 0)) for name in names}

    async def stop(self):
        self.process.terminate()
        await self.process.wait()


def fetched(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return reply.read().decode()
    except OSError:
        return None


def answers(url):
    return fetched(url) is not None


async def until(condition, what, process, seconds=60):
    """Asks until it is so."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await asyncio.to_thread(condition):
        if process.returncode is not None:
            raise SystemExit(f"waiting until {what}: its process ended with status {process.returncode}")
        if loop.time() > deadline:
            raise SystemExit(f"waited {seconds} s in vain until {what}")
        await asyncio.sleep(0.05)
