"""What every manifest of Rapport must keep to, and for each rule a way to break it, so that it is known to see."""

import copy
import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPTIONS = tomllib.loads((ROOT / "shared/server/src/rapport.default.toml").read_text())
# Tables whose keys are the user's own.
FREE = (("peers",), ("auth", "roles"), ("store", "failpoints"))
RUNNING = ("Deployment", "StatefulSet")

RULES = {}


def rule(breaking):
    """Names a function of all documents that yields what is wrong, and what to do to a Deployment or all to break it."""

    def add(check):
        RULES[check.__name__] = (check, breaking)
        return check

    return add


def of(docs, *kinds):
    return [document for document in docs if document["kind"] in kinds]


def name(document):
    return f"{document['kind']} {document['metadata']['name']}"


def template(document):
    return document["spec"]["template"]


def containers(document):
    spec = template(document)["spec"]
    return spec.get("initContainers", []) + spec["containers"]


def selects(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def labels(document):
    return template(document)["metadata"]["labels"]


def first(docs, kind):
    return of(docs, kind)[0]


def container(docs):
    return containers(first(docs, "Deployment"))[0]


@rule(lambda docs: first(docs, "Job")["metadata"].update(annotations={"helm.sh/hook": "pre-upgrade"}))
def no_hooks(docs):
    for document in docs:
        for key in document["metadata"].get("annotations") or {}:
            if "hook" in key:
                yield f"{name(document)} is a hook ({key}): GitOps tools run it otherwise, or not at all"


@rule(lambda docs: container(docs).update(image="rapport:latest"))
def images_are_pinned(docs):
    for document in of(docs, *RUNNING, "Job"):
        for one in containers(document):
            image = one["image"]
            tag = image.rsplit("/", 1)[-1].partition(":")[2]
            if not tag or tag == "latest":
                yield f"{name(document)}: image {image} has no tag that stays"


@rule(lambda docs: container(docs)["livenessProbe"]["httpGet"].update(path="/readyz"))
def probes_ask_the_admin_port(docs):
    for document in of(docs, *RUNNING):
        for one in containers(document):
            ports = {port["name"] for port in one["ports"]}
            for probe, path in (("startupProbe", "/startupz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
                get = one.get(probe, {}).get("httpGet", {})
                if get.get("path") != path or get.get("port") != "admin" or "admin" not in ports:
                    yield f"{name(document)}: {probe} is not {path} on the port admin"


@rule(lambda docs: template(first(docs, "Deployment"))["spec"].update(terminationGracePeriodSeconds=30))
def pods_go_gently(docs):
    for document in of(docs, *RUNNING):
        for one in containers(document):
            stop = one.get("lifecycle", {}).get("preStop", {})
            seconds = stop.get("sleep", {}).get("seconds", 0)
            if set(stop) != {"sleep"} or seconds < 1:
                yield f"{name(document)}: preStop is not a native sleep"
            told = {v["name"]: v.get("value", "0s") for v in one["env"]}
            wanted = sum(int(told[f"RAPPORT__STOP__{key}"].rstrip("s")) for key in ("NOTICE", "GRACE"))
            # The workers may take five seconds more.
            if template(document)["spec"].get("terminationGracePeriodSeconds", 30) <= seconds + wanted + 5:
                yield f"{name(document)} is killed before it has drained"


@rule(lambda docs: container(docs)["resources"].pop("requests"))
def resources_are_asked_for(docs):
    for document in of(docs, *RUNNING, "Job"):
        for one in containers(document):
            resources = one.get("resources", {})
            if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
                yield f"{name(document)}: {one['name']} asks for no cpu or memory, or has no limit of memory"


@rule(lambda docs: container(docs)["securityContext"].pop("seccompProfile") and template(first(docs, "Deployment"))["spec"].pop("securityContext"))
def pods_are_restricted(docs):
    """The profile `restricted` of the Pod Security Standards, and a root file system that is not written."""
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for document in of(docs, *RUNNING, "Job"):
        spec = template(document)["spec"]
        pod = spec.get("securityContext", {})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(key):
                yield f"{name(document)}: {key}"
        for volume in spec.get("volumes", []):
            for kind in set(volume) - {"name"} - allowed:
                yield f"{name(document)}: volume {volume['name']} is a {kind}"
        for one in containers(document):
            context = one.get("securityContext", {})
            profile = context.get("seccompProfile", pod.get("seccompProfile", {})).get("type")
            wrong = [
                key
                for key, bad in (
                    ("allowPrivilegeEscalation", context.get("allowPrivilegeEscalation") is not False),
                    ("privileged", bool(context.get("privileged"))),
                    ("capabilities", context.get("capabilities") != {"drop": ["ALL"]}),
                    ("seccompProfile", profile not in ("RuntimeDefault", "Localhost")),
                    ("runAsNonRoot", context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True),
                    ("readOnlyRootFilesystem", context.get("readOnlyRootFilesystem") is not True),
                    ("hostPort", any("hostPort" in port for port in one.get("ports", []))),
                )
                if bad
            ]
            if wrong:
                yield f"{name(document)}: {one['name']} is not restricted: {', '.join(wrong)}"


@rule(lambda docs: container(docs)["securityContext"].update(runAsUser=65532))
def the_user_is_the_images_own(docs):
    for document in of(docs, *RUNNING, "Job"):
        contexts = [template(document)["spec"].get("securityContext", {})]
        contexts += [one.get("securityContext", {}) for one in containers(document)]
        if any("runAsUser" in context or "runAsGroup" in context for context in contexts):
            yield f"{name(document)} names a user, which clusters that give their own refuse"


@rule(lambda docs: template(first(docs, "Deployment"))["spec"].pop("automountServiceAccountToken"))
def no_token_of_the_cluster(docs):
    for document in of(docs, "ServiceAccount"):
        if document.get("automountServiceAccountToken") is not False:
            yield f"{name(document)} has its token mounted"
    for document in of(docs, *RUNNING, "Job"):
        if template(document)["spec"].get("automountServiceAccountToken") is not False:
            yield f"{name(document)} has a token of the cluster mounted"


@rule(lambda docs: docs.remove(first(docs, "PodDisruptionBudget")))
def drains_take_one_pod_at_a_time(docs):
    for document in of(docs, *RUNNING):
        budgets = [
            budget["spec"]
            for budget in of(docs, "PodDisruptionBudget")
            if selects(budget["spec"]["selector"]["matchLabels"], labels(document))
        ]
        if len(budgets) != 1:
            yield f"{name(document)} has {len(budgets)} PodDisruptionBudgets"
        elif budgets[0].get("maxUnavailable") != 1 or budgets[0].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield f"{name(document)}: its PodDisruptionBudget is not maxUnavailable 1, AlwaysAllow"


@rule(lambda docs: first(docs, "Deployment")["spec"].pop("strategy"))
def rollouts_take_no_pod_away(docs):
    for document in of(docs, "Deployment"):
        if document["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
            yield f"{name(document)}: a rollout takes pods away before others are there"


@rule(lambda docs: template(first(docs, "Deployment"))["spec"]["topologySpreadConstraints"].pop())
def pods_are_spread(docs):
    for document in of(docs, *RUNNING):
        keys = {
            one["topologyKey"]
            for one in template(document)["spec"].get("topologySpreadConstraints", [])
            if selects(one["labelSelector"]["matchLabels"], labels(document))
        }
        if keys != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
            yield f"{name(document)} is not spread over zones and nodes"


@rule(lambda docs: first(docs, "NetworkPolicy")["spec"].update(policyTypes=["Ingress"]))
def the_network_is_closed(docs):
    for document in of(docs, *RUNNING, "Job"):
        directions = set()
        for policy in of(docs, "NetworkPolicy"):
            if selects(policy["spec"]["podSelector"].get("matchLabels", {}), labels(document)):
                directions |= set(policy["spec"]["policyTypes"])
                for entry in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
                    if not entry.get("ports"):
                        yield f"{name(policy)} opens every port"
        if directions != {"Ingress", "Egress"}:
            yield f"{name(document)} has no NetworkPolicy for both directions"


def speaks_tls(document):
    return any(one["name"] == "RAPPORT__TLS__CERTIFICATE" for one in containers(document)[0]["env"])


@rule(lambda docs: first(docs, "Service")["spec"]["ports"][0].pop("appProtocol"))
def services_say_that_it_is_http2(docs):
    for document in of(docs, *RUNNING):
        headless = []
        wanted = "https" if speaks_tls(document) else "kubernetes.io/h2c"
        for service in of(docs, "Service"):
            if not selects(service["spec"]["selector"], labels(document)):
                continue
            headless.append(service["spec"].get("clusterIP") == "None")
            for port in service["spec"]["ports"]:
                if port.get("appProtocol") != wanted:
                    yield f"{name(service)}: port {port['name']} does not say {wanted}"
        if sorted(headless) != [False, True]:
            yield f"{name(document)} has not one Service and a headless one"


@rule(lambda docs: first(docs, "Deployment")["spec"]["selector"]["matchLabels"].update(extra="x"))
def selectors_select(docs):
    for document in of(docs, *RUNNING):
        if not selects(document["spec"]["selector"]["matchLabels"], labels(document)):
            yield f"{name(document)} does not select its own pods"
    pods = [labels(document) for document in of(docs, *RUNNING)]
    for service in of(docs, "Service"):
        if sum(selects(service["spec"]["selector"], one) for one in pods) != 1:
            yield f"{name(service)} does not select the pods of one workload"


@rule(lambda docs: [document["spec"].update(replicas=3) for document in of(docs, "Deployment")])
def who_scales_says_how_many(docs):
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of(docs, "HorizontalPodAutoscaler")}
    for document in of(docs, *RUNNING):
        if ("replicas" in document["spec"]) == (document["metadata"]["name"] in scaled):
            yield f"{name(document)}: replicas belong to the manifest or to the autoscaler, not to both or none"
    missing = scaled - {document["metadata"]["name"] for document in of(docs, "Deployment")}
    for one in missing:
        yield f"the autoscaler of {one} scales nothing"


@rule(lambda docs: docs.append({"kind": "Secret", "metadata": {"name": "made-up"}}))
def secrets_are_the_users(docs):
    for document in of(docs, "Secret"):
        yield f"{name(document)} is in the manifests"
    for document in of(docs, *RUNNING, "Job"):
        for one in containers(document):
            for variable in one["env"]:
                secret = re.search("TOKEN|PASSWORD", variable["name"]) and not variable["name"].endswith("_FILE")
                if secret and "valueFrom" not in variable:
                    yield f"{name(document)}: {variable['name']} is not from a Secret"


@rule(lambda docs: docs.remove(first(docs, "ConfigMap")))
def what_is_mounted_is_there(docs):
    known = {document["metadata"]["name"] for document in of(docs, "ConfigMap")}
    for document in of(docs, *RUNNING, "Job"):
        spec = template(document)["spec"]
        for volume in spec.get("volumes", []):
            if "configMap" in volume and volume["configMap"]["name"] not in known:
                yield f"{name(document)}: there is no ConfigMap {volume['configMap']['name']}"
        claims = {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"] for volume in spec.get("volumes", [])} | claims
        for one in containers(document):
            for mount in one.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{name(document)}: there is no volume {mount['name']}"
            paths = {mount["mountPath"] for mount in one.get("volumeMounts", [])}
            if "/data" not in paths:
                yield f"{name(document)}: /data is not writable"


@rule(lambda docs: container(docs)["env"].append({"name": "RAPPORT__STORE__URLL", "value": "x"}))
def options_exist(docs):
    for document in of(docs, *RUNNING, "Job"):
        for one in containers(document):
            for variable in one["env"]:
                path = variable["name"].lower().split("__")
                if path.pop(0) == "rapport" and path and not known(path):
                    yield f"{name(document)}: {variable['name']} sets an option that does not exist"
    for document in of(docs, "ConfigMap"):
        for path in leaves(tomllib.loads(document["data"]["rapport.toml"])):
            if not known(path):
                yield f"{name(document)}: {'.'.join(path)} is an option that does not exist"


@rule(lambda docs: [v.update(value="http://rapport-interaction:50051") for v in container(docs)["env"] if v["name"] == "RAPPORT__PEERS__INTERACTIONS"])
def peers_are_there(docs):
    for document in of(docs, *RUNNING):
        scheme = "https" if speaks_tls(document) else "http"
        addresses = {f"{scheme}://{one['metadata']['name']}:{one['spec']['ports'][0]['port']}" for one in of(docs, "Service")}
        for one in containers(document):
            for variable in one["env"]:
                peer = variable["name"].startswith("RAPPORT__PEERS__") and "__TLS__" not in variable["name"]
                if peer and "value" in variable:
                    if variable["value"] not in addresses:
                        yield f"{name(document)}: {variable['name']} is {variable['value']}, where no Service is"


@rule(lambda docs: [one for one in container(docs)["env"] if one["name"] in ("RAPPORT__TLS__OFFLOADED", "RAPPORT__TLS__CERTIFICATE")][0].update(name="RAPPORT__TLS__HANDSHAKE"))
def who_serves_others_says_where_tls_ends(docs):
    """A process that can be reached refuses to start unless it has a certificate or is told that TLS ends before it."""
    for document in of(docs, *RUNNING):
        for one in containers(document):
            told = {variable["name"]: variable.get("value") for variable in one["env"]}
            own = {"RAPPORT__TLS__CERTIFICATE", "RAPPORT__TLS__KEY"} <= set(told)
            if own == (told.get("RAPPORT__TLS__OFFLOADED") == "true"):
                yield f"{name(document)} does not say where TLS ends, or says it twice"


@rule(lambda docs: [mount.update(subPath="tokens") for mount in container(docs)["volumeMounts"] if mount["name"] == "auth"])
def secrets_change_without_a_restart(docs):
    for document in of(docs, *RUNNING):
        for one in containers(document):
            mounts = {mount["name"]: mount for mount in one.get("volumeMounts", [])}
            for volume in ("auth", "tls"):
                if "subPath" in mounts.get(volume, {}):
                    yield f"{name(document)}: {volume} is mounted by subPath, which never changes"
            files = [variable["value"] for variable in one["env"] if re.search("TOKENS_FILE|__TLS__(CERT|KEY|CA|CLIENT_CA)", variable["name"])]
            for file in files:
                if not any(file.startswith(mount["mountPath"] + "/") for mount in mounts.values()):
                    yield f"{name(document)}: nothing is mounted where {file} should be"


@rule(lambda docs: docs.append(copy.deepcopy(first(docs, "Deployment"))))
def names_are_one_things(docs):
    seen = set()
    for document in docs:
        key = (document["kind"], document["metadata"]["name"])
        if key in seen:
            yield f"{name(document)} is there twice"
        seen.add(key)


def known(path):
    at = OPTIONS
    for index, part in enumerate(path):
        if tuple(path[:index]) in FREE:
            return True
        if not isinstance(at, dict) or part not in at:
            return False
        at = at[part]
    return True


def leaves(table, path=()):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield [*path, key]


def broken(docs):
    return [text for check, _ in RULES.values() for text in check(docs)]


def blind(docs):
    """The rules that do not notice that they are broken. The documents must be those of the four services."""
    names = []
    for key, (check, breaking) in RULES.items():
        mine = copy.deepcopy(docs)
        breaking(mine)
        if not list(check(mine)):
            names.append(key)
    return names
