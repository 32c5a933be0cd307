"""The credentials or the clock that requests are signed with.

Where AWS refuses the keys for good, see the section before: it says nothing about the
secret, so the held value bridges that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.extension_process import read
from tests.support.fault_rig import (
    CHECK_SECONDS,
    READ,
    RECOVERY_SECONDS,
    TOKEN_HEADER,
    World,
)
from tests.support.fault_table import row
from tests.support.hostile_aws import HostileAws, answer, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.hostile_aws import Received, Step

    Start = Callable[..., World]


class Provider:
    """A container credentials endpoint.

    Attributes:
        key: The access key that it hands out now; None when it fails.
    """

    def __init__(self) -> None:
        self.key: str | None = "KEY1"
        self.server = HostileAws(respond=self._respond)

    def environ(self) -> dict[str, str]:
        """For a process that has its credentials from here."""
        without = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        uri = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.server.url}/credentials"}
        return dict.fromkeys(without, "") | uri

    def _respond(self, _: Received) -> Step:
        if self.key is None:
            return refuse("InternalServerError", status=500)
        return answer(
            {
                "AccessKeyId": self.key,
                "SecretAccessKey": "canary-container-key",
                "Token": "canary-container-token",
                "Expiration": "2100-01-01T00:00:00Z",
            }
        )


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A container credentials endpoint that works."""
    made = Provider()
    with made.server:
        yield made


def seen(world: World, name: str) -> tuple[int, str]:
    """What a reader with the container's token sees."""
    token = {TOKEN_HEADER: "canary-container-token"}
    got = read(world.port, f"{READ}{name}", token)
    answered = got.document.get("SecretString") or got.document["__type"]
    return got.status, answered


@row(
    "container credentials expire, or are others after a restore",
    "the value: they are asked for again, and the request is signed once more",
)
def test_credentials_that_were_renewed(start: Start, provider: Provider) -> None:
    """A reader notices nothing."""
    world = start(environ=provider.environ())
    value, other = world.account.put("a"), world.account.put("b")
    world.account.accepted_key = "KEY1"

    assert (200, value) == seen(world, "a")

    provider.key = world.account.accepted_key = "KEY2"

    assert (200, other) == seen(world, "b")


@row(
    "container credentials expire and their provider fails",
    "the held value, `stale-if-error`; without one 502 CredentialsUnavailable",
    "the container credentials endpoint: it answered with status 500",
)
def test_credentials_without_a_provider(start: Start, provider: Provider) -> None:
    """It is as if AWS could not be reached, and passes with the provider's failure."""
    world = start(environ=provider.environ())
    old = world.account.put("a")
    other = world.account.put("b")
    world.account.accepted_key = "KEY1"

    assert (200, old) == seen(world, "a")

    new = world.account.rotate("a")
    world.tick(CHECK_SECONDS)
    world.assert_alive()
    provider.key, world.account.accepted_key = None, "KEY2"

    assert (200, old) == seen(world, "a")
    assert (502, "CredentialsUnavailable") == seen(world, "b")

    world.assert_alive()
    provider.key = "KEY2"
    world.tick(RECOVERY_SECONDS)

    assert (200, new) == seen(world, "a")
    assert (200, other) == seen(world, "b")
    assert any("answered with status 500" in line for line in world.lines)


@pytest.mark.parametrize("hours", [-3, 3])
@row(
    "the environment's clock is hours off, and AWS refuses the signature",
    "the value: requests are signed with the time of AWS's `Date` header",
)
def test_a_clock_that_is_off(start: Start, hours: int) -> None:
    """It is corrected by the first answer, and stays so."""
    world = start(environ={"ROTAWARE_STAMPS": "off"})
    world.step(wall=hours * 3600.0)
    one, two = world.account.put("a"), world.account.put("b")

    assert f"{one} fwd=miss" == world.seen("a")
    assert f"{two} fwd=miss" == world.seen("b")
    assert ["GetSecretValue"] * 3 == world.account.calls
