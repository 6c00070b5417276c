"""Starts what the chart's manifests say, as processes of this machine, and makes a call that needs all of them: without TLS, then
with certificates on both sides."""

import asyncio
import base64
import json
import os
import pathlib
import subprocess
import sys
import time
import uuid

import grpc
import yaml
from rapport.interactions.v1 import agent_context_pb2, desk_service_pb2, desk_service_pb2_grpc
from rapport.stakeholders.v1 import party_pb2, party_service_pb2, party_service_pb2_grpc
from stage import Database, answers, free_ports, until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "deploy/helm/rapport"
TOKEN, PEER_TOKEN = uuid.uuid4().hex, uuid.uuid4().hex
# The values of the chart, and what no machine without a cluster has: TLS of the database and a collector of traces.
SHAPES = {
    "services": ["database.sslMode=disable", "database.caSecret.name=", "telemetry.otlpEndpoint="],
    "secured": [],
}
# One of the names that the values admit.
CALLER = "gateway.example.com"


def manifests(shape):
    values = str(CHART / f"ci/{shape}.yaml")
    command = ["helm", "template", "rapport", str(CHART), "--namespace", "rapport", "--values", values]
    command += ["--set", ",".join(SHAPES[shape])] if SHAPES[shape] else []
    return [one for one in yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True).stdout) if one]


def certificates(folder, names):
    """One certificate that bears all names, as cert-manager would write it. Where the processes really are is one of them."""
    folder.mkdir()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    (folder / "names").write_text(f"subjectAltName = IP:127.0.0.1, {', '.join(f'DNS:{name}' for name in names)}\n")
    for command in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=rehearsal"],
        ["req", *key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=rapport"],
        "x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -extfile names -out tls.crt".split(),
    ):
        done = subprocess.run(["openssl", *command], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"openssl makes no certificate: {done.stderr}")
    return {name: (folder / name).read_text() for name in ("ca.crt", "tls.crt", "tls.key")}


def secrets(database, tls):
    """The Secrets that the values name, as their owners would make them."""
    url = database.url
    parts = {
        "host": url.hostname,
        "port": str(url.port or 5432),
        "username": url.username or "postgres",
        "password": url.password or "none",
        "dbname": database.name,
    }
    tokens = [
        {"token": TOKEN, "tenant": "acme", "principal": "users/ana", "roles": ["admin"]},
        {"token": PEER_TOKEN, "tenant": "acme", "principal": "services/rapport", "roles": ["service"]},
    ]
    text = ",".join("{" + ",".join(f"{key}={json.dumps(value)}" for key, value in one.items()) + "}" for one in tokens)
    return {
        "pg-app": parts,
        "pg-owner": parts,
        "rapport-database": {"url": database.address},
        "rapport-tls": tls,
        "rapport-auth": {"tokens": f"[{text}]", "peer-token": PEER_TOKEN},
        "rapport-key": {"rapport.key": base64.b64encode(os.urandom(32)).decode() + "\n"},
    }


class Container:
    """The one container of a Deployment or Job, without a kubelet."""

    def __init__(self, document, scratch, given, configuration, ports):
        self.name = document["metadata"]["name"]
        pod = document["spec"]["template"]["spec"]
        spec = pod["containers"][0]
        self.folder = scratch / self.name
        self.folder.mkdir()
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("RAPPORT__", "PG"))}
        self.grpc, self.admin = ports.get(self.name, (0, 0))
        for variable in spec["env"]:
            value = variable.get("value")
            if value is None:
                reference = variable["valueFrom"]["secretKeyRef"]
                value = given[reference["name"]][reference["key"]]
            self.environment[variable["name"]] = value
        # What the kubelet, the network and the volumes would do.
        self.environment |= {
            "RAPPORT__LISTEN": f"127.0.0.1:{self.grpc}",
            "RAPPORT__ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
            "RAPPORT__DATA": str(self.folder / "data"),
            "RAPPORT__TELEMETRY__LEVEL": "warn",
        }
        for key, value in self.environment.items():
            scheme, _, host = value.partition("://")
            if key.startswith("RAPPORT__PEERS__") and scheme in ("http", "https"):
                self.environment[key] = f"{scheme}://127.0.0.1:{ports[host.partition(':')[0]][0]}"
        volumes = {one["name"]: one for one in pod["volumes"]}
        mounted = {}
        for mount in spec["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "secret" in volume:
                mounted[mount["mountPath"]] = self.files(mount["name"], given[volume["secret"]["secretName"]])
            elif "configMap" in volume:
                mounted[mount["mountPath"]] = self.files(mount["name"], configuration)
        placed = lambda text: next((text.replace(path, folder, 1) for path, folder in mounted.items() if path in text), text)
        self.environment |= {key: placed(value) for key, value in self.environment.items() if key.startswith("RAPPORT__")}
        self.arguments = [placed(one) for one in spec["args"]]
        self.process = None

    def files(self, name, content):
        folder = self.folder / name
        folder.mkdir()
        for file, text in content.items():
            (folder / file).write_text(text)
        return str(folder)

    async def start(self):
        with open(self.folder / "log", "wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                os.environ["RAPPORT_BINARY"], *self.arguments, env=self.environment, stdout=log, stderr=log
            )

    async def finish(self):
        status = await asyncio.wait_for(self.process.wait(), 120)
        if status:
            raise SystemExit(f"{self.name} ended with status {status}: {(self.folder / 'log').read_text()}")


async def asked(ports, tls):
    """A party is made in one service; then the desk, in another, tells of it what it has from all four."""
    credential = [("authorization", f"Bearer {TOKEN}")]
    shown = tls and grpc.ssl_channel_credentials(*(tls[name].encode() for name in ("ca.crt", "tls.key", "tls.crt")))

    def at(service):
        address = f"127.0.0.1:{ports[f'rapport-{service}'][0]}"
        return grpc.aio.secure_channel(address, shown) if shown else grpc.aio.insecure_channel(address)

    async with at("stakeholders") as stakeholders, at("interactions") as interactions:
        party = await party_service_pb2_grpc.PartyServiceStub(stakeholders).CreateParty(
            party_service_pb2.CreatePartyRequest(
                party=party_pb2.Party(kind=party_pb2.PARTY_KIND_INDIVIDUAL, display_name="Ana Souza"),
                request_id=str(uuid.uuid4()),
            ),
            metadata=credential,
            timeout=20,
        )
        desk = desk_service_pb2_grpc.DeskServiceStub(interactions)
        request = desk_service_pb2.GetAgentContextRequest(party=party.name, medium=1, budget_ms=5000)
        deadline = time.monotonic() + 30
        while True:
            context = await desk.GetAgentContext(request, metadata=credential, timeout=20)
            states = {
                section: agent_context_pb2.SectionState.Name(getattr(context, section).status.state).removeprefix("SECTION_STATE_")
                for section in ("card", "history", "scores", "loyalty", "network")
            }
            # Each peer is called for the first time: what it could not say within the budget, it says the next time.
            if all(state == "FRESH" for state in states.values()) or time.monotonic() > deadline:
                return context, states


async def rehearse(shape, scratch):
    scratch.mkdir()
    docs = manifests(shape)
    deployments = [one for one in docs if one["kind"] == "Deployment"]
    names = [one["metadata"]["name"] for one in deployments]
    taken = iter(free_ports(2 * len(names)))
    ports = {name: (next(taken), next(taken)) for name in names}
    configuration = next((one["data"] for one in docs if one["kind"] == "ConfigMap"), {})
    container = deployments[0]["spec"]["template"]["spec"]["containers"][0]
    secured = any(variable["name"] == "RAPPORT__TLS__CERTIFICATE" for variable in container["env"])
    tls = certificates(scratch / "certificates", [*names, CALLER]) if secured else {}
    database = Database()
    given = secrets(database, tls)
    make = lambda document: Container(document, scratch, given, configuration, ports)
    running = []
    try:
        for document in [one for one in docs if one["kind"] == "Job"]:
            job = make(document)
            await job.start()
            await job.finish()
            print(f"{job.name}: migrated")
        for document in deployments:
            one = make(document)
            await one.start()
            running.append(one)
        for one in running:
            await until(lambda: answers(f"http://127.0.0.1:{one.admin}/readyz"), f"{one.name} is ready", one.process)
        context, states = await asked(ports, tls)
    except SystemExit:
        for one in running:
            print(f"{one.name}: {(one.folder / 'log').read_text()[-2000:]}", file=sys.stderr)
        raise
    finally:
        for one in running:
            if one.process.returncode is None:
                one.process.terminate()
        for one in running:
            await one.finish()
        database.drop()
    print(f"{shape}: {', '.join(names)}: ready, asked{' over TLS' if tls else ''}, ended in order")
    print(f"GetAgentContext of {context.card.display_name}: {', '.join(f'{k} {v.lower()}' for k, v in states.items())}")
    if context.card.display_name != "Ana Souza" or set(states.values()) != {"FRESH"}:
        sys.exit("a service did not answer another")


for one in SHAPES:
    asyncio.run(rehearse(one, pathlib.Path(sys.argv[1]) / one))
