"""Writes an OCI image of one static binary as an archive. Started by deploy/image."""

import argparse
import datetime
import hashlib
import io
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tarfile
import tomllib

import sbom

ROOT = pathlib.Path(__file__).resolve().parent.parent
# No user of any distribution. Clusters that give their own find /data open to the group 0.
USER = 65532
# Compressed, in bytes: what a node has to fetch before the first pod starts.
LARGEST = 15_000_000


def is_static(binary):
    """Whether the ELF file asks for no interpreter: in an empty image there is none."""
    if binary[:5] != b"\x7fELF\x02":
        return False
    offset, size, count = struct.unpack_from("<Q", binary, 32) + struct.unpack_from("<HH", binary, 54)
    kinds = [struct.unpack_from("<I", binary, offset + n * size)[0] for n in range(count)]
    return 3 not in kinds


def archive(entries, mtime):
    """A tar of (name, content or None for a folder, mode, user, group): the same entries give the same bytes."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content, mode, user, group in entries:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid, entry.mtime = mode, user, group, mtime
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.size = len(content or b"")
            tar.addfile(entry, io.BytesIO(content or b""))
    return written.getvalue()


def compressed(layer):
    """A third smaller than by gzip; containerd, CRI-O, Docker since 23 and podman read it. One thread: the same bytes."""
    # Nobody waits for it but whoever builds a release. The size is told, so that a reader needs no more memory than the layer has.
    command = ["zstd", "--ultra", "-22", "--single-thread", f"--stream-size={len(layer)}", "--stdout"]
    return subprocess.run(command, input=layer, check=True, capture_output=True).stdout


def image(binary, target, epoch):
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    parts = (json.dumps(sbom.spdx(target), indent=1) + "\n").encode()
    layer = archive(
        [
            ("rapport", binary, 0o755, 0, 0),
            ("data", None, 0o770, USER, 0),
            ("usr/share/doc/rapport/LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644, 0, 0),
            ("usr/share/doc/rapport/sbom.spdx.json", parts, 0o644, 0, 0),
        ],
        epoch,
    )
    blobs = {}

    def blob(kind, content):
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        blobs[digest] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": len(content)}

    document = lambda value: json.dumps(value, sort_keys=True).encode()
    packed = blob("layer.v1.tar+zstd", compressed(layer))
    created = datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        "created": created,
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[target.partition("-")[0]],
        "os": "linux",
        "config": {
            "User": f"{USER}:0",
            # SQLite puts what it sorts into the working folder where there is no /tmp.
            "WorkingDir": "/data",
            "Entrypoint": ["/rapport"],
            "Cmd": ["serve", "--data", "/data"],
            "ExposedPorts": {"50051/tcp": {}, "9464/tcp": {}},
            "Volumes": {"/data": {}},
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": "rapport",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": created, "created_by": "deploy/image"}],
    }
    manifest = blob(
        "manifest.v1+json",
        document(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob("config.v1+json", document(config)),
                "layers": [packed],
            }
        ),
    )
    name = f"docker.io/library/rapport:{version}"
    manifest["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]}
    entries = [("oci-layout", document({"imageLayoutVersion": "1.0.0"}), 0o644, 0, 0), ("index.json", document(index), 0o644, 0, 0)]
    entries += [(f"blobs/sha256/{digest[7:]}", content, 0o644, 0, 0) for digest, content in sorted(blobs.items())]
    return archive(entries, epoch), packed["size"], manifest["digest"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    binary = arguments.binary.read_bytes()
    if not is_static(binary):
        sys.exit(f"{arguments.binary} is not a static binary: nothing in an empty image would start it")
    if not shutil.which("zstd"):
        sys.exit("zstd is not on the PATH (sudo apt-get install zstd)")
    epoch = int(datetime.datetime.fromisoformat(sbom.created()).timestamp())
    written, size, digest = image(binary, arguments.target, epoch)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(written)
    print(f"{arguments.output}: binary {len(binary) / 1e6:.1f} MB, image {size / 1e6:.1f} MB compressed, {digest}")
    if size > LARGEST:
        sys.exit(f"the image is larger than {LARGEST / 1e6:.0f} MB compressed")


if __name__ == "__main__":
    main()
