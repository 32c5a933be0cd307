"""The function under test: pools that live as long as their environment.

An invocation lasts a while; meanwhile two workers of each pool take a connection, ask
the server which session that is, and give it back. It answers with the sessions that
each pool has used, and with what went wrong.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from rotaware.database.psycopg_pool import AsyncConnectionPool, ConnectionPool
from rotaware.database.sqlalchemy import log_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TASKS = 2
PACE_SECONDS = 0.1
POSTGRES, MARIADB = "SELECT pg_backend_pid()", "SELECT -connection_id()"
_loop = asyncio.new_event_loop()
_pools: dict[str, Any] = {}
_lock = Lock()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Let all pools work at a time."""
    secrets, ends_at = event["secrets"], time.monotonic() + event["seconds"]
    with ThreadPoolExecutor(16) as threads:
        running = {
            name: [
                threads.submit(work, ask, secrets[engine], ends_at)
                for _ in range(TASKS)
            ]
            for name, (engine, ask) in SYNC.items()
        }
        found = _loop.run_until_complete(work_on_loop(secrets["postgres"], ends_at))
        found |= {
            name: [each.result() for each in workers]
            for name, workers in running.items()
        }
    return {
        name: {
            "sessions": sorted({session for each, _ in of for session in each}),
            "problems": [problem for _, each in of for problem in each],
        }
        for name, of in found.items()
    }


Found = tuple[list[int], list[str]]


def work(ask: Callable[[str], int], secret: str, ends_at: float) -> Found:
    """One worker in a thread."""
    sessions: list[int] = []
    problems: list[str] = []
    while not sessions or time.monotonic() < ends_at:
        try:
            sessions.append(ask(secret))
        except Exception as fault:  # noqa: BLE001  it is what the test asks for
            problems.append(f"{type(fault).__name__}: {fault}")
            break
        time.sleep(PACE_SECONDS)
    return sessions, problems


async def work_on_loop(secret: str, ends_at: float) -> dict[str, list[Found]]:
    """All workers on the event loop."""

    async def one(ask: Callable[[str], Awaitable[int]]) -> Found:
        sessions: list[int] = []
        problems: list[str] = []
        while not sessions or time.monotonic() < ends_at:
            try:
                sessions.append(await ask(secret))
            except Exception as fault:  # noqa: BLE001  likewise
                problems.append(f"{type(fault).__name__}: {fault}")
                break
            await asyncio.sleep(PACE_SECONDS)
        return sessions, problems

    names = [name for name in ASYNC for _ in range(TASKS)]
    found = await asyncio.gather(*(one(ASYNC[name]) for name in names))
    return {
        name: [each for own, each in zip(names, found, strict=True) if own == name]
        for name in ASYNC
    }


def engine(url: str, secret: str) -> Any:
    """An engine of SQLAlchemy's."""
    made = (create_async_engine if "asyncpg" in url else create_engine)(url)
    log_in(made, secret)
    return made


def kept(name: str, make: Callable[..., Any], *args: str) -> Any:
    """What is made once, for all workers."""
    with _lock:
        if name not in _pools:
            _pools[name] = make(*args)
        return _pools[name]


def by_sqlalchemy(url: str, question: str) -> Callable[[str], int]:
    """The session that a connection of a sync engine is."""

    def ask(secret: str) -> int:
        with kept(url, engine, url, secret).connect() as connection:
            return int(connection.scalar(text(question)))

    return ask


async def by_async_sqlalchemy(secret: str) -> int:
    """The same with an async engine."""
    url = "postgresql+asyncpg://"
    async with kept(url, engine, url, secret).connect() as connection:
        return int(await connection.scalar(text(POSTGRES)))


def by_pool(secret: str) -> int:
    """The same with psycopg's pool."""

    def make() -> Any:
        return ConnectionPool(secret, min_size=1, max_size=TASKS, open=True)

    with kept("pool", make).connection() as connection:
        return int(connection.execute(POSTGRES).fetchone()[0])


async def by_async_pool(secret: str) -> int:
    """The same with its asynchronous one."""

    def make() -> Any:
        return AsyncConnectionPool(secret, min_size=1, max_size=TASKS, open=False)

    pool = kept("async pool", make)
    await pool.open()
    async with pool.connection() as connection:
        row = await (await connection.execute(POSTGRES)).fetchone()
        return int(row[0])


SYNC: dict[str, tuple[str, Callable[[str], int]]] = {
    "SQLAlchemy, psycopg": (
        "postgres",
        by_sqlalchemy("postgresql+psycopg://", POSTGRES),
    ),
    "SQLAlchemy, PyMySQL": ("mariadb", by_sqlalchemy("mysql+pymysql://", MARIADB)),
    "psycopg_pool": ("postgres", by_pool),
}
ASYNC = {
    "SQLAlchemy, asyncpg": by_async_sqlalchemy,
    "psycopg_pool, async": by_async_pool,
}
