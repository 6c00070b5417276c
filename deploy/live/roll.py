"""A rolling restart under load: every call is counted, and every stream's events against what was acknowledged."""

import argparse
import asyncio
import collections
import contextlib
import itertools
import pathlib
import sys
import time
import uuid

import grpc
from rapport.events.v1 import events_pb2, events_pb2_grpc
from rapport.interactions.v1 import interaction_pb2, interaction_service_pb2, interaction_service_pb2_grpc
from stage import Database, Envoy, Replica

RECORDED = "rapport.interactions.v1.InteractionRecorded"
# No retries of the client's own: what fails shall show.
OPTIONS = [("grpc.enable_retries", 0)]


class Book:
    """What callers know."""

    def __init__(self):
        self.acknowledged = set()
        self.failed = collections.Counter()
        self.seconds = []

    def calls(self):
        return len(self.seconds) + sum(self.failed.values())


def request(party):
    return interaction_service_pb2.RecordInteractionRequest(
        request_id=str(uuid.uuid4()),
        interaction=interaction_pb2.Interaction(
            kind="inquiry",
            channel=interaction_pb2.Channel(medium=interaction_pb2.MEDIUM_PHONE),
            direction=interaction_pb2.DIRECTION_INBOUND,
            participants=[interaction_pb2.Participant(party=party, function=interaction_pb2.FUNCTION_INITIATOR)],
            occurred_time={"seconds": int(time.time())},
        ),
    )


async def caller(channel, book, ended):
    """Writes, and reads what it wrote, one call after the other."""
    stub = interaction_service_pb2_grpc.InteractionServiceStub(channel)
    party = f"parties/{uuid.uuid4()}"

    async def call(method, message):
        began = time.monotonic()
        try:
            reply = await method(message, timeout=10)
        except grpc.aio.AioRpcError as error:
            book.failed[f"{error.code().name}: {error.details()[:120]}"] += 1
            return None
        book.seconds.append(time.monotonic() - began)
        return reply

    while not ended.is_set():
        recorded = await call(stub.RecordInteraction, request(party))
        if recorded is not None:
            book.acknowledged.add(recorded.name)
            await call(stub.GetInteraction, interaction_service_pb2.GetInteractionRequest(name=recorded.name))


class Reader:
    """One open stream after the other, each from the cursor at which the last one ended."""

    def __init__(self, what):
        self.what = what
        self.cursor = ""
        self.resumed = 0
        self.seen = []
        self.problems = []
        self.open = asyncio.Event()

    async def read(self, channel):
        while True:
            try:
                async for reply in self.streamed(channel):
                    self.open.set()
                    self.take(reply)
                    self.cursor = reply.cursor
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    self.problems.append(f"{self.what} ended with {error.code().name}: {error.details()}")
                    return
            self.resumed += 1


class Feed(Reader):
    """Subscribe: the positions of one source have no gap and no repeat."""

    def __init__(self, number):
        super().__init__(f"Subscribe {number}")
        self.position = 0

    def streamed(self, channel):
        stub = events_pb2_grpc.EventServiceStub(channel)
        return stub.Subscribe(events_pb2.SubscribeRequest(source="interactions", cursor=self.cursor))

    def take(self, reply):
        for event in reply.events:
            if event.position != self.position + 1:
                self.problems.append(f"{self.what}: position {event.position} after {self.position}")
            self.position = event.position
            if event.type == RECORDED:
                self.seen.append(event.aggregate)


class Watch(Reader):
    """WatchInteractions: every interaction once."""

    def __init__(self, number):
        super().__init__(f"WatchInteractions {number}")

    def streamed(self, channel):
        stub = interaction_service_pb2_grpc.InteractionServiceStub(channel)
        return stub.WatchInteractions(interaction_service_pb2.WatchInteractionsRequest(cursor=self.cursor))

    def take(self, reply):
        if reply.WhichOneof("change") == "recorded":
            self.seen.append(reply.recorded.name)


async def roll(arguments, scratch):
    database = Database()
    replicas = [Replica(name, scratch, database, [f"STOP__NOTICE={arguments.notice}", *arguments.set]) for name in ("first", "second")]
    # The version that each round goes to: forwards, back, forwards ...
    versions = itertools.cycle([replicas[0].binary, arguments.previous or replicas[0].binary])
    for replica in replicas:
        replica.binary = arguments.previous or replica.binary
    envoy = Envoy(scratch, replicas, arguments.retries)
    book, readers, ended, stops = Book(), [], asyncio.Event(), []
    channels, tasks = [], []
    try:
        for replica in replicas:
            await replica.start()
        await envoy.start()
        target = f"127.0.0.1:{envoy.port}"
        # Streams on a connection of their own, callers on a few, as many clients would have them.
        channels = [grpc.aio.insecure_channel(target, options=[*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]) for _ in range(5)]
        readers = [make(number) for number in range(1, arguments.streams + 1) for make in (Feed, Watch)]
        reading = [asyncio.create_task(reader.read(channels[0])) for reader in readers]
        tasks += reading
        # A watch begins with what comes next, so it must be open before anything comes.
        for reader in readers:
            if isinstance(reader, Watch):
                await asyncio.wait_for(reader.open.wait(), 30)
        calling = [asyncio.create_task(caller(channels[1 + n % 4], book, ended)) for n in range(arguments.callers)]
        tasks += calling
        began = time.monotonic()
        await asyncio.sleep(arguments.pause)
        for _, version in zip(range(arguments.rounds), versions):
            for replica in replicas:
                before = book.calls()
                stops.append(await replica.stop())
                replica.binary = version
                await replica.start()
                await envoy.sees(replica)
                await asyncio.sleep(arguments.pause)
                if book.calls() - before < 20:
                    raise SystemExit("too few calls during a restart to say anything")
        ended.set()
        await asyncio.gather(*calling)
        spent = time.monotonic() - began
        deadline = time.monotonic() + 30
        while any(not book.acknowledged <= set(reader.seen) for reader in readers) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        told = envoy.counters("upstream_rq_retry", "upstream_cx_connect_fail", "upstream_rq_rx_reset")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in channels:
            await channel.close()
        for one in [envoy, *replicas]:
            if one.process is not None and one.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    await one.stop()
        database.drop()
    status = report(book, readers, stops, spent, told)
    for replica in replicas if status else []:
        lines = replica.log().splitlines()
        print(f"  the log of the {replica.name} replica, {len(lines)} lines, ends with:", *lines[-20:], sep="\n    ")
    return status


def report(book, readers, stops, spent, told):
    ordered = sorted(book.seconds)
    at = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000
    print(f"{len(stops)} restarts, {book.calls()} calls in {spent:.1f} s, {sum(book.failed.values())} failed")
    print(f"  latency: p50 {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms, longest {at(1):.1f} ms; a stop took {max(stops):.1f} s at most")
    print(f"  Envoy: {', '.join(f'{name} {value}' for name, value in told.items())}")
    for text, count in book.failed.most_common():
        print(f"  {count} x {text}")
    wrong = 0
    for reader in readers:
        lost = len(book.acknowledged - set(reader.seen))
        twice = len(reader.seen) - len(set(reader.seen))
        print(f"  {reader.what}: {len(reader.seen)} events, resumed {reader.resumed} times, {lost} lost, {twice} repeated")
        for problem in reader.problems:
            print(f"    {problem}")
        wrong += lost + twice + len(reader.problems)
    if not sum(reader.resumed for reader in readers):
        print("  no stream was cut: nothing is shown about resuming")
        wrong += 1
    return 1 if wrong or book.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scratch", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3, help="how often each of the two is restarted")
    parser.add_argument(
        "--from", dest="previous", metavar="BINARY", help="begin with this one, of the version before: odd rounds go forwards, even ones back"
    )
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--streams", type=int, default=4, help="open streams of each kind")
    parser.add_argument("--notice", default="2500ms", help="stop.notice of the server")
    parser.add_argument("--pause", type=float, default=1.5, help="seconds between two restarts")
    parser.add_argument("--set", action="append", default=[], metavar="STORE__ACQUIRE_TIMEOUT=5s", help="an option of the server")
    parser.add_argument("--retries", action="store_true", help="let Envoy repeat what was refused")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(roll(arguments, arguments.scratch)))


main()
