"""Holds docs/guide/platform.md to what there is: its commands are run as far as that goes without a cluster, and whatever it
sets as code is a value, an option, a file, a command or a word that the sources have. Used by deploy/check."""

import base64
import functools
import json
import pathlib
import re
import subprocess
import tempfile
import tomllib

import yaml

import rules

ROOT = rules.ROOT
PAGE = "docs/guide/platform.md"
CHART = ROOT / "deploy/helm/rapport"

# Stand-ins for the programs that change a cluster: the same words, asked what they would do. Each leaves what it answers.
SHELL = """
set -euo pipefail
answer() { cat >"answers/$(ls answers | wc -l).$1"; }
helm() { command helm "$@" --dry-run=client --output json </dev/null | answer json; }
kubectl() {
  case " $* " in
    *' create '*) command kubectl "$@" --dry-run=client --output yaml | answer yaml ;;
    ' apply -k '*) command kubectl kustomize "${@:3}" | answer yaml ;;
    *) echo "kubectl $*: nothing here knows how to try that" >&2; return 1 ;;
  esac
}
# Docker is not asked for: the file is checked by its schema, these words are all that may follow it.
docker() { [ "$*" = 'compose -f deploy/compose.yaml up --detach --wait' ]; }
openssl() { printf '%032d\\n' 0; }
"""

# Words of others, which nothing here can look up: the programs and settings that they belong to are named beside them.
OTHERS = {
    "<cluster>-app",  # Secrets of CloudNativePG
    "<cluster>-ca",
    "<host>",  # of the reader
    "<service>.<host>",
    "docker load",
    "podman load",
    "skopeo copy",
    "max_connections",  # of PostgreSQL
    "max_retries",  # of Envoy
    "/usr/share/doc/rapport/sbom.spdx.json",  # in the image
    "target/rapport.oci.tar",  # what deploy/image writes
    "https://",
}


# Each is seen to be noticed: a value, a flag, files, a key of a Secret; then words in the text.
TYPOS = (
    ("auth.existingSecret=", "auth.existingSecrets="),
    ("--set image.repository", "--sets image.repository"),
    ("ci/services.yaml", "ci/service.yaml"),
    ("deploy/kustomize/overlays/postgres", "deploy/kustomize/overlays/postgresql"),
    ("--from-literal=rapport.key=", "--from-literal=rapport-key="),
    ("deploy/compose.yaml up", "deploy/composes.yaml up"),
    ("`stop.noticeSeconds`", "`stop.noticeSecond`"),
    ("`limits.connection_begin`", "`limits.connections_begin`"),
    ("`deploy/checkov.yaml`", "`deploy/checkof.yaml`"),
    ("`kubectl rollout restart`", "`kubectl rollout restarts`"),
    ("`[quota] requests_per_second`", "`[quota] request_per_second`"),
)


def blocks(page):
    return re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)


def spans(page):
    """What is set as code within the lines, once each, in order."""
    return list(dict.fromkeys(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S))))


# --- commands ---------------------------------------------------------------------------------------------------------


def run(page):
    """What the commands of the page answer: manifests, and the Secrets that it lets one make."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "deploy").symlink_to(ROOT / "deploy")
        (folder / "answers").mkdir()
        script = "\n".join(blocks(page))
        # The reader's own file, which the page likens to one of ours.
        for own, like in re.findall(r"-f (\S+) +# as (\S+)", script):
            if not (ROOT / like).is_file():
                return [], [f"{like} is no file"]
            (folder / own).write_text((ROOT / like).read_text())
        done = subprocess.run(["bash", "-c", SHELL + script], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            return [], [f"a command fails: {done.stderr.strip()}"]
        answers = sorted((folder / "answers").iterdir(), key=lambda path: int(path.stem))
        if len(answers) < 6:
            return [], [f"only {len(answers)} commands answered: {', '.join(path.name for path in answers)}"]
        texts = [
            json.loads(path.read_text())["manifest"] if path.suffix == ".json" else path.read_text() for path in answers
        ]
        return [[document for document in yaml.safe_load_all(text) if document] for text in texts], []


def asked(docs):
    """The keys that manifests ask of Secrets: (Secret, key)."""
    if isinstance(docs, list):
        return {pair for one in docs for pair in asked(one)}
    if not isinstance(docs, dict):
        return set()
    pairs = {pair for one in docs.values() for pair in asked(one)}
    reference, volume = docs.get("secretKeyRef"), docs.get("secret")
    if reference:
        pairs.add((reference["name"], reference["key"]))
    if isinstance(volume, dict):
        name = volume.get("secretName") or volume.get("name")
        pairs |= {(name, item["key"]) for item in volume.get("items", [])}
    return pairs


def commands(page):
    answers, wrong = run(page)
    yield from wrong
    for docs in answers:
        if rules.of(docs, *rules.RUNNING):
            yield from rules.broken(docs)
    wanted = asked(answers)
    for secret in (document for docs in answers for document in rules.of(docs, "Secret")):
        name = secret["metadata"]["name"]
        for key, value in secret["data"].items():
            if (name, key) not in wanted:
                yield f"nothing that it installs reads {key} of the Secret {name}"
            if key == "tokens":
                yield from tokens(base64.b64decode(value).decode())


def tokens(text):
    try:
        found = [set(one) for one in tomllib.loads(f"tokens = {text}")["tokens"]]
    except tomllib.TOMLDecodeError as error:
        yield f"its tokens are no TOML: {error}"
        return
    if found != [{"token", "tenant", "principal", "roles"}]:
        yield f"its tokens have {found}"


# --- words ------------------------------------------------------------------------------------------------------------


def within(tree, path):
    """Whether the path leads to a value of the chart. Below what is empty everything is the user's."""
    for part in path:
        if not isinstance(tree, dict):
            return False
        if tree and part not in tree:
            return False
        tree = tree.get(part, {})
    return True


def subcommand(words):
    done = subprocess.run([*words, "--help"], capture_output=True, text=True)
    return done.returncode == 0 and re.search(rf"^Usage:\s+{re.escape(' '.join(words))}\b", done.stdout, re.M)


@functools.cache
def sources():
    """Everything that words may come from: what is built and deployed, and not what is written about it."""
    folders = ("proto", "shared", "services", "connectors", "deploy", "clients")
    kept = subprocess.run(["git", "-C", str(ROOT), "ls-files", *folders], capture_output=True, text=True, check=True)
    files = [ROOT / line for line in kept.stdout.splitlines() if not line.endswith((".md", ".csv")) and "guide.py" not in line]
    return "\n".join(path.read_text(errors="replace") for path in files if path.is_file())


def words(page):
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    text = sources()
    for span in spans(page):
        said = re.sub(r"(: | = ).*", "", span)
        table = re.fullmatch(r"\[([\w.]+)\](?: (\w+))?", said)
        said = ".".join(filter(None, table.groups())) if table else said
        path = said.split(".")
        first = said.split()[0]
        if span in OTHERS:
            there = True
        elif first in ("helm", "kubectl"):
            there = subcommand(said.split())
        elif first == "rapport":
            there = True  # The affair of the binary's own tests: services/rapport/tests/help.
        elif said.startswith("RAPPORT__"):
            there = rules.known(said.lower().split("__")[1:])
        elif "/" in first and (ROOT / (first.split("/")[0] or "-")).exists():
            there = (ROOT / first).exists() and (first == said or said.split()[1] in (ROOT / first).read_text())
        elif (table or len(path) > 1) and (path[0] in values or path[0] in rules.OPTIONS):
            there = within(values, path) and path[0] in values or rules.known(path)
        else:
            there = re.search(rf"(?<![\w-]){re.escape(said)}(?![\w-])", text) is not None
        if not there:
            yield f"there is no `{span}`"


def problems():
    page = (ROOT / PAGE).read_text()
    found = [*commands(page), *words(page)]
    # Who looks at nothing finds nothing either.
    for right, typo in TYPOS:
        broken = page.replace(right, typo)
        if broken == page:
            found.append(f"no longer says {right}: name another in TYPOS of deploy/guide.py")
        elif not any(words(broken) if right.startswith("`") else commands(broken)):
            found.append(f"{typo} for {right} goes unnoticed")
    return [f"{PAGE}: {text}" for text in found]
