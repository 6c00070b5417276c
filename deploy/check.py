"""Renders the chart and the Kustomize folders, and holds them to deploy/rules.py. Started by deploy/check."""

import concurrent.futures
import copy
import json
import pathlib
import re
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

import guide
import rules

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy/helm/rapport"
KUSTOMIZE = ROOT / "deploy/kustomize"
SERVICES = ("stakeholders", "interactions", "scoring", "loyalty")
# The oldest that the chart allows, one between, the newest there is a schema of.
MINORS = ("1.30", "1.33", "1.37")
# Kinds that Kubernetes itself does not define. They are held to the rules alone.
FOREIGN = {"GRPCRoute", "PodMonitor"}

problems = []


def problem(text):
    problems.append(text)


def helm(*arguments):
    return subprocess.run(
        ["helm", "template", "rapport", str(CHART), "--namespace", "rapport", *arguments], capture_output=True, text=True
    )


def rendered(*arguments):
    done = helm(*arguments)
    if done.returncode:
        sys.exit(f"helm template {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


# --- what is made from other files ------------------------------------------------------------------------------------


def migrations():
    lines = ["# Every migration of this version: what the Job's name stands for. Written by deploy/check --write."]
    for service in SERVICES:
        names = sorted(path.stem for path in (ROOT / f"services/{service}/src/migration").glob("m2*.rs"))
        lines += [f"{service}/{name}" for name in names]
    schema = (ROOT / "shared/store/src/schema.rs").read_text()
    lines += [f"store/{name}" for name in re.findall(r'"(m\d{8}_\d{6}_\w+)"', schema)]
    return "\n".join(lines) + "\n"


def routes():
    lines = ["# The gRPC services of each service's process, as proto/ has them. Written by deploy/check --write."]
    for service in SERVICES:
        lines.append(f"{service}:")
        text = "".join(path.read_text() for path in (ROOT / f"proto/rapport/{service}/v1").glob("*.proto"))
        lines += [f"  - rapport.{service}.v1.{name}" for name in sorted(re.findall(r"^service (\w+)", text, re.M))]
    return "\n".join(lines) + "\n"


def base(folder):
    """The chart's own rendering, without what only Helm needs and without a namespace, which the overlay gives."""
    text = rendered("--values", str(KUSTOMIZE / folder / "values.yaml"))
    drop = re.compile(r"^(# Source: .*| *helm\.sh/chart: .*| *app\.kubernetes\.io/managed-by: Helm|  namespace: rapport)\n", re.M)
    return "# Written by deploy/check --write from the chart and values.yaml.\n" + drop.sub("", text)


MADE = {
    CHART / "files/migrations.txt": migrations,
    CHART / "files/routes.yaml": routes,
    KUSTOMIZE / "base/rapport.yaml": lambda: base("base"),
    KUSTOMIZE / "services/rapport.yaml": lambda: base("services"),
}


def made(write):
    for path, make in MADE.items():
        text = make()
        if write:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            problem(f"{path.relative_to(ROOT)} is out of date: deploy/check --write")


# --- manifests --------------------------------------------------------------------------------------------------------


def schemas(shape, docs):
    for document in docs:
        if document["kind"] in FOREIGN:
            continue
        for minor in MINORS:
            try:
                kubernetes_validate.validate(document, minor, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = "/".join(str(part) for part in error.path)
                yield f"{shape}: {document['kind']} {document['metadata']['name']} is no {minor}: {where}: {error.message}"
            except Exception as error:  # a schema that is not there, mostly
                yield f"{shape}: {document['kind']} {document['metadata']['name']}, {minor}: {error!r}"


def manifests():
    """Every shape in which Rapport is deployed, by name."""
    shapes = {}
    for values in sorted((CHART / "ci").glob("*.yaml")):
        name = f"helm {values.stem}"
        text = rendered("--values", str(values))
        if text != rendered("--values", str(values)):
            problem(f"{name}: rendered twice, the bytes differ")
        shapes[name] = documents(text)
    for folder in ("base", "services", "overlays/postgres"):
        done = subprocess.run(["kubectl", "kustomize", str(KUSTOMIZE / folder)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"kubectl kustomize {folder}: {done.stderr}")
        shapes[f"kustomize {folder}"] = documents(done.stdout)
    return shapes


# --- Compose ----------------------------------------------------------------------------------------------------------


def compose():
    schema = json.loads((ROOT / "target/tools/compose-schema/compose/config/compose_spec.json").read_text())
    file = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    # The schema is of a time when a file had no name and durations no pattern; what it knows, it is asked about.
    file.pop("name")
    for error in jsonschema.Draft7Validator(schema).iter_errors(file):
        problem(f"deploy/compose.yaml: {'/'.join(map(str, error.path))}: {error.message}")
    rapport = file["services"]["rapport"]
    for key in rapport["environment"]:
        path = key.lower().split("__")
        if path[0] == "rapport" and not rules.known(path[1:]):
            problem(f"deploy/compose.yaml: {key} sets an option that does not exist")
    if not rapport.get("read_only") or rapport.get("cap_drop") != ["ALL"]:
        problem("deploy/compose.yaml: rapport may write its root file system or has capabilities")
    for name, service in file["services"].items():
        if service["image"].rpartition(":")[2] in ("", "latest"):
            problem(f"deploy/compose.yaml: the image of {name} has no tag that stays")
    version = (ROOT / "Cargo.toml").read_text().partition("[workspace.package]")[2].split('"')[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    if not {rapport["image"]} == {f"rapport:{version}"} or chart["appVersion"] != version:
        problem(f"deploy/compose.yaml and the chart's appVersion do not name the version {version}")


# --- the chart's manners ----------------------------------------------------------------------------------------------


def refuses(says, *arguments):
    done = helm("--values", str(CHART / "ci/single.yaml"), *arguments)
    if done.returncode == 0:
        problem(f"helm template {' '.join(arguments)} is not refused")
    elif says not in done.stderr:
        problem(f"helm template {' '.join(arguments)} is refused without the words \"{says}\": {done.stderr}")


def job_name(*arguments):
    docs = documents(rendered("--values", str(CHART / "ci/services.yaml"), *arguments))
    return next(document["metadata"]["name"] for document in docs if document["kind"] == "Job")


def job_is_named_by_what_it_does():
    if job_name() == job_name("--set", "image.tag=other"):
        problem("the Job of another image has the same name")
    if job_name() != job_name("--set", "replicas=7"):
        problem("the Job's name changes with what is not its affair")


def manners():
    removed = yaml.safe_load((CHART / "files/removed.yaml").read_text())
    tasks = [(refuses, f"write {new}", "--set", f"{old}=x") for old, new in removed.items()]
    tasks += [
        (refuses, "replicass", "--set", "replicass=3"),
        (refuses, "tag", "--set", "image.tag=latest"),
        (refuses, "auth.existingSecret", "--set", "auth.existingSecret="),
        (refuses, "database.existingSecret", "--set", "mode=services"),
        (refuses, "encryptionKey.existingSecret", "--set", "mode=replicated,database.existingSecret=d"),
        (refuses, "SQLite has one process", "--set", "autoscaling.enabled=true"),
        (refuses, "SQLite has one process", "--set", "migrations.job.enabled=true"),
        (refuses, "mode", "--set", "mode=cluster"),
        (refuses, "tls.existingSecret and tls.caKey", "--set", "tls.clientCertificates=true"),
        (refuses, "names stand in certificates", "--set", "tls.clientNames={a}"),
        (refuses, "grpcRoute.parentRefs", "--set", "grpcRoute.enabled=true"),
        (job_is_named_by_what_it_does,),
    ]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(*task) for task in tasks]:
            done.result()
    return len(tasks)


def main():
    made("--write" in sys.argv[1:])
    shapes = manifests()
    count = 0
    for shape, docs in shapes.items():
        count += len(docs)
        problems.extend(schemas(shape, docs))
        problems.extend(f"{shape}: {text}" for text in rules.broken(docs))
    # A rule that finds nothing in a broken manifest would find nothing in ours.
    blind = rules.blind(copy.deepcopy(shapes["helm services"]))
    problems.extend(f"the rule does not see what it is for: {name}" for name in blind)
    compose()
    asked = manners()
    problems.extend(guide.problems())
    for text in problems:
        print(text, file=sys.stderr)
    if problems:
        sys.exit(f"deploy/check: {len(problems)} problems")
    print(
        f"deploy/check: {len(shapes)} shapes, {count} manifests valid on Kubernetes {', '.join(MINORS)}; "
        f"{len(rules.RULES)} rules, each seen to bite; {asked} questions to the chart answered; {guide.PAGE} is true"
    )


main()
