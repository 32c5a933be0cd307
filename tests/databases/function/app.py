"""The function under test: workers that log in all the time, each in one way.

An invocation lasts a while; all workers of all ways log in again and again meanwhile,
at an even pace. It answers with every login: when it began, how long it took, and what
it raised. Nothing else is told of an exception than what user code would log.
"""

from __future__ import annotations

import json
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import rotaware
from rotaware import database

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 5
OPTIONS: dict[str, dict[str, Any]] = {
    "postgres": {"connect_timeout": SECONDS},
    # Else each login would read the machine's certificates first, for 25 ms.
    "mariadb": {"connect_timeout": SECONDS, "ssl_disabled": True},
}
_clients: dict[str, Any] = {}
_lock = Lock()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Let the workers work for a while."""
    ends_at = time.monotonic() + event["seconds"]
    with ThreadPoolExecutor(64) as pool:
        running = [
            pool.submit(work, event, way, number, ends_at)
            for way, workers in event["workers"].items()
            for number in range(workers)
        ]
        logins = [login for each in running for login in each.result()]
    return {"logins": logins}


def work(
    event: dict[str, Any], way: str, number: int, ends_at: float
) -> list[dict[str, Any]]:
    """One worker: it logs in, leaves, and waits for its next turn."""
    logins = []
    turn = time.monotonic() + event["pace"] * number / event["workers"][way]
    while turn < ends_at:
        time.sleep(max(0.0, turn - time.monotonic()))
        began_at, started_at = time.time(), time.monotonic()
        problem = None
        try:
            WAYS[way](event)
        except Exception as fault:  # noqa: BLE001  it is what the test asks for
            # What user code, or an error reporter of its own, may come to print.
            print(f"{fault!r}\n{traceback.format_exc()}")  # noqa: T201  the log
            problem = f"{type(fault).__name__}: {fault}"
        seconds = time.monotonic() - started_at
        logins.append(
            {"way": way, "worker": number, "at": began_at, "seconds": seconds}
            | {"problem": problem}
        )
        turn = max(turn + event["pace"], time.monotonic())
    return logins


def with_rotaware(event: dict[str, Any]) -> None:
    """Through ``rotaware.database``, which waits for the end of a rotation."""
    budget: dict[str, Any] = {"budget_seconds": event.get("budget")}
    connect = CONNECT.get(event["engine"])
    if connect is None:
        # redis-py logs in with the first command only, so the function does it itself.
        connection = database.with_login(event["secret"], **budget)(connect_to_redis)()
    else:
        options = {**OPTIONS[event["engine"]], **budget}
        connection = database.connect(connect, event["secret"], **options)
    connection.close()


def with_eviction(event: dict[str, Any]) -> None:
    """With the cached secret, which is evicted as soon as the label has moved."""
    log_in(rotaware.get_secret(event["secret"], transform="json"))


def with_powertools(event: dict[str, Any]) -> None:
    """With Powertools' cache, for 5 s: its usual 300 would outlive many rotations."""
    value = kept("provider", provider, event).get(event["secret"], max_age=5)
    log_in(json.loads(str(value)))


def with_fresh_value(event: dict[str, Any]) -> None:
    """With a secret that is fetched for this very login."""
    answer = kept("manager", manager, event).get_secret_value(SecretId=event["secret"])
    log_in(json.loads(answer["SecretString"]))


def log_in(login: dict[str, Any]) -> None:
    """Once, and with this login."""
    options = {name: login[name] for name in ("host", "port", "password")}
    if login["engine"] == "postgres":
        psycopg.connect(
            user=login["username"],
            dbname=login["dbname"],
            **OPTIONS["postgres"],
            **options,
        ).close()
    elif login["engine"] == "redis":
        connect_to_redis(SimpleNamespace(**login)).close()
    else:
        pymysql.connect(
            user=login["username"],
            database=login["dbname"],
            **OPTIONS["mariadb"],
            **options,
        ).close()


def connect_to_redis(login: Any) -> redis.Redis:
    """A client that has logged in, at the first attempt or not at all."""
    client = redis.Redis(
        host=login.host,
        port=login.port,
        username=login.username,
        password=login.password,
        socket_connect_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    client.ping()
    return client


def manager(event: dict[str, Any]) -> Any:
    """A client of Secrets Manager, past the recorder that counts the extension's."""
    import boto3  # noqa: PLC0415  slow, and for controls alone

    return boto3.client("secretsmanager", endpoint_url=event["endpoint"])


def provider(event: dict[str, Any]) -> Any:
    """Powertools', with such a client."""
    from aws_lambda_powertools.utilities.parameters import (  # noqa: PLC0415  as above
        SecretsProvider,
    )

    return SecretsProvider(boto3_client=manager(event))


def kept(
    name: str, make: Callable[[dict[str, Any]], Any], event: dict[str, Any]
) -> Any:
    """What is made once, at the first use."""
    with _lock:
        if name not in _clients:
            _clients[name] = make(event)
        return _clients[name]


CONNECT: dict[str, Callable[..., Any]] = {
    "postgres": psycopg.connect,
    "mariadb": pymysql.connect,
}
WAYS = {
    "rotaware.database": with_rotaware,
    "eviction alone": with_eviction,
    "Powertools, 5 s": with_powertools,
    "fetched each time": with_fresh_value,
}
