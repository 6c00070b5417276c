"""Writes what the binary is made of as SPDX 2.3 JSON, from Cargo.lock and cargo's own account of the dependencies.

    python3 deploy/sbom.py [TARGET] > sbom.spdx.json

The same tree gives the same bytes: the time is that of the last commit (or SOURCE_DATE_EPOCH).
"""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def told(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def created():
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or told("git", "log", "-1", "--format=%ct").strip()
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def linked(metadata):
    """The ids of what is linked into the binary: no tools of the build, no dependencies of tests."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(package["id"] for package in metadata["packages"] if package["name"] == "rapport")
    edges, waiting, seen = [], [root], {root}
    while waiting:
        one = waiting.pop()
        for dependency in nodes[one]["deps"]:
            if all(kind["kind"] is not None for kind in dependency["dep_kinds"]):
                continue
            edges.append((one, dependency["pkg"]))
            if dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    return root, seen, sorted(edges)


def spdx(target):
    metadata = json.loads(told("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sums = {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}
    root, seen, edges = linked(metadata)
    names, packages = {}, []
    for package in sorted(metadata["packages"], key=lambda one: (one["name"], one["version"])):
        if package["id"] not in seen:
            continue
        key = f"{package['name']}-{package['version']}"
        names[package["id"]] = f"SPDXRef-{''.join(c if c.isalnum() or c in '.-' else '-' for c in key)}"
        entry = {
            "SPDXID": names[package["id"]],
            "name": package["name"],
            "versionInfo": package["version"],
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": (package["license"] or "NOASSERTION").replace("/", " OR "),
            "copyrightText": "NOASSERTION",
            "externalRefs": [
                {
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": f"pkg:cargo/{package['name']}@{package['version']}",
                }
            ],
        }
        if checksum := sums.get((package["name"], package["version"])):
            entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": checksum}]
        packages.append(entry)
    relationships = [
        {"spdxElementId": names[one], "relationshipType": "DEPENDS_ON", "relatedSpdxElement": names[other]}
        for one, other in edges
    ]
    relationships.insert(
        0, {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": names[root]}
    )
    digest = hashlib.sha256(json.dumps([packages, relationships]).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{names[root].removeprefix('SPDXRef-')}-{target}",
        "documentNamespace": f"https://spdx.org/spdxdocs/rapport-{digest}",
        "creationInfo": {"created": created(), "creators": ["Tool: deploy/sbom.py"]},
        "packages": packages,
        "relationships": relationships,
    }


def main():
    target = sys.argv[1] if len(sys.argv) > 1 else "x86_64-unknown-linux-gnu"
    json.dump(spdx(target), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
