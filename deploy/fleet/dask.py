"""The workers of an existing Dask cluster, for a fleet: starts no cluster, ends none. Imported only when asked for.

One task a host. Its events come back through the scheduler under this client's own name, which the scheduler
bounds (1,000 messages) and forgets when the client is gone; they keep their order and come before the result.
Dask begins a lost worker's tasks again elsewhere. Here a host is started once: a flag on the scheduler says so, and
the second worker reports the first as lost.
"""

from __future__ import annotations

import importlib
import logging
import pickle
import re
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from deploy.engine.events import Emit, Event
from deploy.errors import HostError, InputError
from deploy.fleet.job import Ended, Parcel, carry_out
from deploy.fleet.run import Distant

try:
    distributed: Any = importlib.import_module("distributed")
except ModuleNotFoundError as error:
    raise InputError(
        f"--executor needs Dask, and {error.name} is not installed here: pip install 'barehost[dask]'"
    ) from error

CONNECT_SECONDS = 10
"""How long the scheduler may take to answer."""

ALONE_SECONDS = 15
"""How long a run waits for a worker when the cluster has none left: a nanny brings one back within seconds."""


@contextmanager
def joined(address: str) -> Iterator[Cluster]:
    """The cluster at ``dask://host:port`` or ``tls://host:port``, left again at the end.

    Certificates for TLS are those of Dask's own configuration. Raises InputError for what is no such address or
    lacks certificates, HostError when no scheduler answers or it has no workers.
    """
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is in the report
    client = _client(address)
    try:
        cluster = Cluster(address, client)
        try:
            yield cluster
        finally:
            cluster.leave()
    finally:
        client.close(timeout=2)


def _client(address: str) -> Any:
    place = _place(address)
    security = distributed.Security()
    if place.startswith("tls://"):
        _check_certificates(address, security)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions of what we do not use
            return distributed.Client(
                place, security=security, timeout=CONNECT_SECONDS, set_as_default=False, name="barehost"
            )
    except (OSError, TimeoutError) as error:
        raise HostError(
            f"{address}: no Dask scheduler answers there within {CONNECT_SECONDS} s, or it does not speak "
            f"{place.partition(':')[0]}; start one, or leave out --executor"
        ) from error


def _check_certificates(address: str, security: Any) -> None:
    """Raises InputError when Dask's configuration does not name certificates that can be read."""
    problem = "none are named"
    try:
        if security.get_connection_args("client").get("ssl_context") is not None:
            return
    except OSError as error:  # ssl.SSLError is one too
        problem = str(error)
    raise InputError(
        f"{address}: TLS needs certificates, and {problem}; name them in Dask's configuration: "
        "distributed.comm.tls.ca-file, .client.cert and .client.key"
    )


def _place(address: str) -> str:
    """The address as Dask says it; an InputError when it is none."""
    match = re.fullmatch(r"(dask|tcp|tls)://([\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})/?", address, re.ASCII)
    if match is None:
        raise InputError(f"--executor takes dask://HOST:PORT or tls://HOST:PORT, not {address!r}")
    scheme, host, port = match.groups()
    return f"{'tls' if scheme == 'tls' else 'tcp'}://{host}:{port}"


class Cluster(Distant):
    """The cluster as this run sees it."""

    def __init__(self, address: str, client: Any) -> None:
        self.name = address
        self._client = client
        self._run = uuid4().hex
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Future[Ended], Emit]] = {}
        self._began_on: dict[str, str] = {}
        workers = list(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise HostError(
                f"{address}: the cluster has no workers; start some: dask worker {_place(address)}"
            )
        self.private = all(one.startswith("tls://") for one in [_place(address), *workers])
        client.subscribe_topic(client.id, self._hear)
        threading.Thread(target=self._watch, name="cluster", daemon=True).start()

    def send(self, parcel: Parcel, emit: Emit) -> Future[Ended]:
        promise: Future[Ended] = Future()
        with self._lock:
            self._open[parcel.host] = (promise, emit)
        task = self._client.submit(
            _once, parcel, self._run, self._client.id, key=f"{parcel.host}-{self._run}", pure=False
        )
        task.add_done_callback(lambda done: self._settle(parcel.host, done))
        return promise

    def leave(self) -> None:
        """Hear no more: a scheduler that would tell a client of its own leaving logs a failure."""
        if self._client.status == "running":
            self._client.unsubscribe_topic(self._client.id)

    def _settle(self, host: str, done: Any) -> None:
        """The task has ended, in one way or another."""
        error: BaseException | None = None
        if done.status == "finished":
            ended: Ended | None = done.result()
            if ended is not None:
                return self._close(host, ended)
            error = self._lost(host)
        elif done.status == "error":
            error = done.exception()
            if isinstance(error, distributed.KilledWorker):
                error = self._lost(host)
        else:
            error = BrokenExecutor(f"the scheduler {self.name} let go of it")
        return self._close(host, error or self._lost(host))

    def _close(self, host: str, result: Ended | BaseException) -> None:
        with self._lock:
            promise, _ = self._open.pop(host, (None, None))
        if promise is None:
            return
        if isinstance(result, Ended):
            promise.set_result(result)
        else:
            promise.set_exception(result)

    def _lost(self, host: str) -> BrokenExecutor:
        return BrokenExecutor(f"{self._began_on.get(host, 'a worker')} of {self.name} went away")

    def _hear(self, message: tuple[float, Any]) -> None:
        """An event from a worker; the scheduler's own remarks about this client come the same way."""
        event = message[1]
        if not isinstance(event, dict) or event.get("run") != self._run:
            return
        host = event["host"]
        self._began_on.setdefault(host, event["worker"])
        with self._lock:
            _, emit = self._open.get(host, (None, None))
        if emit is not None and event["event"]:
            emit(pickle.loads(event["event"]))

    def _watch(self) -> None:
        """Give up what is open when no worker is left, or the scheduler itself is gone."""
        seen = monotonic()
        while monotonic() - seen < ALONE_SECONDS and self._client.status in ("running", "connecting"):
            sleep(1)
            if self._open and not self._workers():
                continue
            seen = monotonic()
        with self._lock:
            hosts = list(self._open)
        for host in hosts:
            self._close(host, BrokenExecutor(f"{self.name} has no worker left"))

    def _workers(self) -> list[str]:
        """Where the workers are; none, too, while the scheduler does not answer."""
        try:
            return list(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, TimeoutError):
            return []


def _once(parcel: Parcel, run: str, topic: str) -> Ended | None:
    """Run on a worker: carry out the parcel, unless another worker has started it; None then."""
    worker = distributed.get_worker()

    def say(event: Event | None) -> None:
        data = b"" if event is None else pickle.dumps(event)
        worker.log_event(topic, {"run": run, "host": parcel.host, "worker": worker.address, "event": data})

    started = distributed.Event(f"barehost-{run}-{parcel.host}")
    if started.is_set():
        started.clear()
        return None
    started.set()
    say(None)
    try:
        return carry_out(parcel, say)
    finally:
        started.clear()
