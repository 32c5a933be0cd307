"""Credentials: from the environment, and from the container endpoint over time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.clock import Deadline
from rotaware.connection import Connections
from rotaware.credentials import CredentialProvider, Credentials, from_environ
from rotaware.errors import AwsTimeoutError, AwsUnavailableError, SettingsError
from rotaware.sigv4 import amz_date
from tests.support.clock import ManualClock
from tests.support.hostile_aws import (
    PATIENCE_SECONDS,
    HostileAws,
    answer,
    hold,
    silence,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.hostile_aws import Peer, Step

CLOCK_START = 1_790_000_000.0


@pytest.fixture
def clock() -> ManualClock:
    """Stands at CLOCK_START."""
    return ManualClock(CLOCK_START)


class Endpoint(HostileAws):
    """A container credentials endpoint, and who asks it."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.asking = Connections(clock=clock, max_connections=3)

    def provider(self, **environ: str) -> CredentialProvider:
        """A provider whose environment names this endpoint."""
        return from_environ(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/2021/creds",
                **environ,
            },
            clock=self.clock,
            connections=self.asking,
        )


@pytest.fixture
def server(clock: ManualClock) -> Iterator[Endpoint]:
    """A container credentials endpoint."""
    with Endpoint(clock) as running:
        yield running
        running.asking.close_idle()


def _iso(epoch_seconds: float) -> str:
    date = amz_date(epoch_seconds)
    day, moment = date[:8], date[9:15]
    return (
        f"{day[:4]}-{day[4:6]}-{day[6:]}T{moment[:2]}:{moment[2:4]}:{moment[4:]}.123Z"
    )


def _handed_out(name: str, valid_seconds: float = 3600, **more: Any) -> Step:
    return answer(
        {
            "AccessKeyId": name,
            "SecretAccessKey": "canary-secret",
            "Token": "canary-token",
            "Expiration": _iso(CLOCK_START + valid_seconds),
            **more,
        }
    )


def _in(clock: ManualClock, seconds: float = 5.0) -> Deadline:
    return Deadline(clock, seconds)


def _from(environ: dict[str, str]) -> CredentialProvider:
    clock = ManualClock()
    return from_environ(
        environ, clock=clock, connections=Connections(clock=clock, max_connections=1)
    )


def test_keys_of_the_environment_never_change(clock: ManualClock) -> None:
    """What Lambda put there at the start is used for ever, refused or not."""
    provider = _from(
        {
            "AWS_ACCESS_KEY_ID": "AKID",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/",
        }
    )

    credentials = provider.current(_in(clock))

    assert credentials.access_key_id == "AKID"
    assert credentials.secret_access_key == "secret"
    assert credentials.session_token == "token"
    assert credentials is provider.refresh(credentials, _in(clock))


def test_a_session_token_is_optional(clock: ManualClock) -> None:
    """Long-term keys have none; an empty variable is none."""
    provider = _from(
        {
            "AWS_ACCESS_KEY_ID": "AKID",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "",
        }
    )

    assert provider.current(_in(clock)).session_token is None


@given(st.text(min_size=3), st.text(min_size=3))
def test_keys_never_show(secret: str, token: str) -> None:
    """Neither a repr nor a refusal gives the secret key or the token away."""
    try:
        shown = repr(Credentials("AKIDEXAMPLE", f"se{secret}", f"to{token}"))
    except ValueError as error:
        shown = str(error)

    assert shown in {
        "<credentials of AKIDEXAMPLE>",
        "a key or token is empty or not plain text",
    }


@pytest.mark.parametrize(
    "environ",
    [
        {"AWS_ACCESS_KEY_ID": "AKID"},
        {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "canary\n"},
        {"AWS_ACCESS_KEY_ID": "AK ID", "AWS_SECRET_ACCESS_KEY": "canary"},
        {
            "AWS_ACCESS_KEY_ID": "AKID",
            "AWS_SECRET_ACCESS_KEY": "canary",
            "AWS_SESSION_TOKEN": "canary\r\nX-Injected: 1",
        },
    ],
)
def test_half_or_broken_keys_are_a_bad_setting(environ: dict[str, str]) -> None:
    """The problem names the variables and does not quote them."""
    with pytest.raises(SettingsError) as caught:
        _from(environ)

    (problem,) = caught.value.problems
    assert (
        problem == "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN:"
        " a key or token is empty or not plain text; set them as Lambda does"
    )


def test_no_credentials_are_a_bad_setting() -> None:
    """The problem says which variables would do."""
    with pytest.raises(SettingsError, match=r"^AWS_ACCESS_KEY_ID: .*FULL_URI; set "):
        _from({})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9001/creds",
        "http://127.0.0.1/creds",
        "http://127.9.9.9/creds",
        "http://[::1]/creds",
        "http://169.254.170.2/creds",
        "http://169.254.170.23/creds?id=1",
        "http://[fd00:ec2::23]/creds",
        "https://far.test/creds",
    ],
)
def test_near_hosts_may_be_asked_over_http(url: str) -> None:
    """This machine and the link's own addresses; any host over https."""
    _from({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url})


@pytest.mark.parametrize(
    "url",
    [
        "http://far.test/",
        "http://127.evil.test/",
        "http://169.254.169.254/",
        "http://[::2]/",
        "http://localhost.evil.test/",
    ],
)
def test_far_hosts_may_not_be_asked_over_http(url: str) -> None:
    """Else whoever sets a variable could have the token sent anywhere."""
    with pytest.raises(SettingsError, match=r"_FULL_URI: names a far host; over"):
        _from({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url})


def test_a_container_uri_must_be_a_url() -> None:
    """The problem names the variable that holds it."""
    with pytest.raises(SettingsError, match=r"^AWS_CONTAINER.*RELATIVE_URI: is no URL"):
        _from({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/a b"})
    with pytest.raises(SettingsError, match=r"^AWS_CONTAINER.*FULL_URI: is no URL"):
        _from({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "localhost"})


def test_a_relative_uri_belongs_to_the_link_address() -> None:
    """It wins over a full one, as with botocore."""
    provider: Any = _from(
        {
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/creds",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/",
        }
    )

    assert provider._endpoint[1:] == ("169.254.170.2", 80, "/v2/creds")


def test_the_endpoint_is_asked_once_with_its_token(
    server: Endpoint, clock: ManualClock
) -> None:
    """One GET with the plain token serves until expiry is near."""
    server.script = [_handed_out("A")]
    provider = server.provider(AWS_CONTAINER_AUTHORIZATION_TOKEN="Bearer canary")

    first = provider.current(_in(clock))
    clock.tick(3299)
    second = provider.current(_in(clock))

    assert first is second
    assert (first.access_key_id, first.secret_access_key, first.session_token) == (
        "A",
        "canary-secret",
        "canary-token",
    )
    (request,) = server.requests
    assert request.line == "GET /2021/creds HTTP/1.1"
    assert request.headers["authorization"] == "Bearer canary"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"


def test_no_token_no_authorization(server: Endpoint, clock: ManualClock) -> None:
    """Without a token variable the header is left out."""
    server.script = [_handed_out("A")]

    server.provider().current(_in(clock))

    assert "authorization" not in server.requests[0].headers


def test_a_token_file_is_read_each_time(
    server: Endpoint, clock: ManualClock, tmp_path: Path
) -> None:
    """It is rotated by others, and wins over the variable."""
    server.script = [_handed_out("A"), _handed_out("B")]
    file = tmp_path / "token"
    provider = server.provider(
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file),
        AWS_CONTAINER_AUTHORIZATION_TOKEN="old",
    )

    file.write_text("one")
    first = provider.current(_in(clock))
    file.write_text("two")
    provider.refresh(first, _in(clock))

    assert [sent.headers["authorization"] for sent in server.requests] == ["one", "two"]


@pytest.mark.parametrize("content", [None, b"canary\r\nX: y", b"\xff", "ä".encode()])
def test_a_token_that_is_no_header_value_is_not_sent(
    server: Endpoint, clock: ManualClock, tmp_path: Path, content: bytes | None
) -> None:
    """A missing file or a broken token is an error that does not quote it."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    provider = server.provider(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file))

    with pytest.raises(AwsUnavailableError) as caught:
        provider.current(_in(clock))

    assert caught.value.code == "CredentialsUnavailable"
    assert "canary" not in str(caught.value)
    assert str(file) not in str(caught.value)
    assert server.requests == []


def test_credentials_are_renewed_before_they_expire(
    server: Endpoint, clock: ManualClock
) -> None:
    """From five minutes before their end, the next use fetches new ones."""
    server.script = [_handed_out("A", 3600), _handed_out("B", 7200)]
    provider = server.provider()
    provider.current(_in(clock))

    clock.tick(3300)

    assert provider.current(_in(clock)).access_key_id == "B"
    assert len(server.requests) == 2


def test_while_renewal_fails_the_old_ones_are_used(
    server: Endpoint, clock: ManualClock
) -> None:
    """They are good until they expire; the endpoint is asked once a minute."""
    server.script = [
        _handed_out("A", 3600),
        answer({}, 500),
        answer({}, 403),
        answer(b"oops"),
    ]
    provider = server.provider()
    provider.current(_in(clock))

    clock.tick(3310)
    assert provider.current(_in(clock)).access_key_id == "A"
    clock.tick(59)
    assert provider.current(_in(clock)).access_key_id == "A"
    assert len(server.requests) == 2
    clock.tick(1)
    assert provider.current(_in(clock)).access_key_id == "A"
    assert len(server.requests) == 3
    clock.tick(230)
    with pytest.raises(AwsUnavailableError):
        provider.current(_in(clock))
    assert len(server.requests) == 4


def test_expired_credentials_are_asked_for_at_each_use(
    server: Endpoint, clock: ManualClock
) -> None:
    """A restored snapshot may hold keys that ended long ago: no minute is waited."""
    server.script = [_handed_out("A", 10), _handed_out("B", 20), _handed_out("C", 900)]
    provider = server.provider()
    provider.current(_in(clock))

    clock.tick(10)
    assert provider.current(_in(clock)).access_key_id == "B"
    clock.tick(10)
    assert provider.current(_in(clock)).access_key_id == "C"


def test_credentials_without_an_expiration_are_kept(
    server: Endpoint, clock: ManualClock
) -> None:
    """Only a refusal by AWS makes the provider ask again."""
    server.script = [_handed_out("A", Expiration=None), _handed_out("B")]
    provider = server.provider()
    first = provider.current(_in(clock))

    clock.tick(1e9)
    assert provider.current(_in(clock)) is first
    assert provider.refresh(first, _in(clock)).access_key_id == "B"


def test_refused_credentials_are_renewed_once_for_all(
    server: Endpoint, clock: ManualClock
) -> None:
    """Who comes with credentials that another thread has renewed gets those."""
    server.script = [_handed_out("A"), _handed_out("B")]
    provider = server.provider()
    first = provider.current(_in(clock))

    second = provider.refresh(first, _in(clock))
    third = provider.refresh(first, _in(clock))

    assert second.access_key_id == "B"
    assert second is third
    assert len(server.requests) == 2


NO_CREDENTIALS = {
    "refused": answer({}, 403),
    "empty": answer({}),
    "a list": answer(b"[]"),
    "no JSON": answer(b"canary"),
    "too deep": answer(b"[" * 100000),
    "a key with a space": _handed_out("A B"),
    "no secret key": _handed_out("A", SecretAccessKey=None),
    "a number for a date": _handed_out("A", Expiration=5),
    "no date": _handed_out("A", Expiration="canary"),
    "no offset": _handed_out("A", Expiration="2026-11-20T10:00:00"),
    "no seconds": _handed_out("A", Expiration="2026-11-20T10:00Z"),
    "no time": _handed_out("A", Expiration="2026-11-20Z"),
}


@pytest.mark.parametrize("case", NO_CREDENTIALS)
def test_an_answer_without_credentials_is_an_error_that_does_not_quote_it(
    server: Endpoint, clock: ManualClock, case: str
) -> None:
    """Neither in its text nor in the exceptions that it came from."""
    server.script = [NO_CREDENTIALS[case]]

    with pytest.raises(AwsUnavailableError) as caught:
        server.provider().current(_in(clock))

    assert caught.value.code == "CredentialsUnavailable"
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-20T08:48:55Z",
        "2026-11-20T08:48:55+00:00",
        "2026-11-20T08:48:55.5Z",
        "2026-11-20T08:48:55.999999999Z",
        "2026-11-20T10:18:55+01:30",
        "2026-11-19T23:48:55.1-09:00",
    ],
)
def test_expirations_are_understood(
    server: Endpoint, clock: ManualClock, moment: str
) -> None:
    """In any offset from UTC, with or without fractions."""
    server.script = [_handed_out("A", Expiration=moment)]

    credentials = server.provider().current(_in(clock))

    assert credentials.expires_at == 1795164535


def test_the_endpoint_has_two_seconds(server: Endpoint, clock: ManualClock) -> None:
    """An answer that drags on ends as a time-out, long before the caller's own."""

    def drag(peer: Peer) -> bool:
        clock.tick(2)
        peer.socket.sendall(b"HTTP/1.1 ")
        return False

    server.script = [drag]

    with pytest.raises(AwsTimeoutError):
        server.provider().current(_in(clock, 60))


def test_the_callers_deadline_holds_too(server: Endpoint, clock: ManualClock) -> None:
    """A silent endpoint takes no more than the call has left."""
    server.script = [silence()]

    with pytest.raises(AwsTimeoutError):
        server.provider().current(_in(clock, 0.05))


def test_one_thread_asks_and_the_others_wait(
    server: Endpoint, clock: ManualClock
) -> None:
    """Many first uses are one request; who cannot wait that long is told so."""
    arrived, released = threading.Event(), threading.Event()
    server.script = [hold(arrived, released, _handed_out("A"))]
    provider = server.provider()
    got: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: got.append(provider.current(_in(clock)).access_key_id)
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert arrived.wait(PATIENCE_SECONDS)

    with pytest.raises(AwsTimeoutError, match="another thread"):
        provider.current(_in(clock, 0.01))
    released.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert got == ["A", "A", "A"]
    assert len(server.requests) == 1
