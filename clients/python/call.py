"""A call from the ring to its end, over gRPC.

The messages and stubs are generated from proto/ when the program starts, into a temporary folder; a project of yours would
keep them: python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. $(find proto -name '*.proto')
"""

import importlib
import os
import pathlib
import sys
import tempfile
import uuid

import grpc
from grpc_tools import protoc

CLIENTS = pathlib.Path(__file__).resolve().parent.parent
PROTO = CLIENTS.parent / "proto"


def generate(folder):
    """Writes the Python modules of the contract into a folder and makes them importable."""
    include = pathlib.Path(protoc.__file__).parent / "_proto"
    files = [str(path) for path in PROTO.rglob("*.proto")]
    arguments = ["protoc", f"-I{PROTO}", f"-I{include}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(arguments + files) != 0:
        sys.exit("the contract does not compile")
    sys.path.insert(0, folder)


def connect(address):
    """A channel: over TLS where RAPPORT_CA names the authorities (PEM) that sign the server's certificate."""
    # Retries are safe because every write carries a request_id.
    options = [("grpc.service_config", (CLIENTS / "service-config.json").read_text())]
    authorities = os.environ.get("RAPPORT_CA")
    if not authorities:
        return grpc.insecure_channel(address, options=options)
    # Without an argument: the authorities that gRPC brings.
    credentials = grpc.ssl_channel_credentials(pathlib.Path(authorities).read_bytes())
    return grpc.secure_channel(address, credentials, options=options)


def main():
    with tempfile.TemporaryDirectory() as folder:
        generate(folder)
        parties = importlib.import_module("rapport.stakeholders.v1.party_pb2")
        party_service = importlib.import_module("rapport.stakeholders.v1.party_service_pb2")
        party_stub = importlib.import_module("rapport.stakeholders.v1.party_service_pb2_grpc")
        interactions = importlib.import_module("rapport.interactions.v1.interaction_pb2")
        calls = importlib.import_module("rapport.interactions.v1.call_pb2")
        desk_service = importlib.import_module("rapport.interactions.v1.desk_service_pb2")
        desk_stub = importlib.import_module("rapport.interactions.v1.desk_service_pb2_grpc")

        address = os.environ.get("RAPPORT_ADDRESS", "127.0.0.1:50051")
        token = os.environ.get("RAPPORT_TOKEN")
        metadata = [("authorization", f"Bearer {token}")] if token else []
        with connect(address) as channel:
            number = f"+1202555{os.getpid() % 10000:04d}"
            party = party_stub.PartyServiceStub(channel).CreateParty(
                party_service.CreatePartyRequest(
                    request_id=str(uuid.uuid4()),
                    party=parties.Party(
                        kind=parties.PARTY_KIND_INDIVIDUAL,
                        display_name="Python Example",
                        contact_media=[parties.ContactMedium(kind=parties.MEDIUM_KIND_PHONE, value=number)],
                    ),
                ),
                metadata=metadata,
            )
            print("created ", party.name)

            desk = desk_stub.DeskServiceStub(channel)
            call = desk.BeginCall(
                desk_service.BeginCallRequest(
                    budget_ms=5000,
                    request_id=str(uuid.uuid4()),
                    call=calls.Call(
                        call_id=f"python-{uuid.uuid4()}",
                        direction=interactions.DIRECTION_INBOUND,
                        agent="users/ana",
                        identifier_used=interactions.Identifier(scheme="tel", value=number),
                    ),
                ),
                metadata=metadata,
            )
            assert call.resolution.party == party.name, call.resolution
            print("ringing ", number, "is known")

            request = desk_service.GetAgentContextRequest(call=call.name, budget_ms=5000)
            context = desk.GetAgentContext(request, metadata=metadata)
            assert "Python Example" in str(context), context
            print("context ", context.ByteSize(), "bytes about Python Example")

            ended = desk.EndCall(
                desk_service.EndCallRequest(
                    request_id=str(uuid.uuid4()),
                    call=calls.Call(call_id=call.call_id),
                    disposition=calls.CALL_DISPOSITION_HANDLED,
                    wrap_up="asked for the opening hours",
                ),
                metadata=metadata,
            )
            assert ended.interaction.startswith("interactions/"), ended
            print("ended    and recorded")


if __name__ == "__main__":
    main()
