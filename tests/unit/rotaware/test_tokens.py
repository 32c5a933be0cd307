"""The port's token is found wherever this environment has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rotaware.clock import Deadline, SystemClock
from rotaware.errors import AwsUnavailableError, SettingsError
from rotaware.tokens import Tokens
from tests.support.local_port import Answer, Asked, LocalPort

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-b7f3a1"
CLOCK = SystemClock()


def deadline() -> Deadline:
    """Ten seconds from now."""
    return Deadline(CLOCK, 10)


def test_the_session_token_goes_first(tmp_path: Path) -> None:
    """Where Lambda sets the variable, it is the token, and is read each time."""
    environ = {
        "AWS_SESSION_TOKEN": "one",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/unused",
        "ROTAWARE_TOKEN_FILE": str(tmp_path / "unused"),
    }
    tokens = Tokens(environ, CLOCK)

    assert "one" == tokens.current(deadline())
    environ["AWS_SESSION_TOKEN"] = "two"
    assert "two" == tokens.current(deadline())
    assert "two" == tokens.renewed(deadline())


def test_container_credentials_have_the_token() -> None:
    """With SnapStart, their token is kept, and renewed after a refusal."""
    count = 0

    def respond(asked: Asked) -> Answer:
        nonlocal count
        count += 1
        assert asked.headers["authorization"] == "pass"
        document = {"AccessKeyId": "AKIA", "SecretAccessKey": "key"}
        return Answer(200, {**document, "Token": f"token-{count}"})

    with LocalPort(respond) as port:
        tokens = Tokens(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port.number}/",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pass",
            },
            CLOCK,
        )

        assert "token-1" == tokens.current(deadline())
        assert "token-1" == tokens.current(deadline())
        assert "token-2" == tokens.renewed(deadline())
        assert "token-2" == tokens.current(deadline())


def test_a_failing_container_endpoint_is_told() -> None:
    """What the credentials endpoint refuses is no missing token, but its own error."""
    with LocalPort(lambda _: Answer(500)) as port:
        uri = f"http://127.0.0.1:{port.number}/"
        tokens = Tokens({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}, CLOCK)

        with pytest.raises(
            AwsUnavailableError, match=r"container credentials endpoint"
        ):
            tokens.current(deadline())


def test_a_far_container_endpoint_is_refused() -> None:
    """Credentials are not asked for over http from another machine."""
    relative = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/x"}

    with pytest.raises(SettingsError, match=r"AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        Tokens(relative, CLOCK).current(deadline())


def test_a_relative_container_endpoint_counts() -> None:
    """The relative variable, too, says that there are container credentials."""
    relative = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "no/slash:x"}

    with pytest.raises(SettingsError, match=r"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        Tokens(relative, CLOCK).current(deadline())


def test_a_file_may_hold_the_token(tmp_path: Path) -> None:
    """The file is read each time, without its line end."""
    file = tmp_path / "token"
    tokens = Tokens({"ROTAWARE_TOKEN_FILE": str(file)}, CLOCK)

    file.write_text("one\n")
    assert "one" == tokens.current(deadline())
    file.write_text("two")
    assert "two" == tokens.renewed(deadline())


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    """A file that is not there, or is no text, is a problem of its variable."""
    file = tmp_path / "token"
    tokens = Tokens({"ROTAWARE_TOKEN_FILE": str(file)}, CLOCK)

    with pytest.raises(
        SettingsError, match=r"^ROTAWARE_TOKEN_FILE: the file cannot be"
    ):
        tokens.current(deadline())
    file.write_bytes(b"\xff")
    with pytest.raises(
        SettingsError, match=r"^ROTAWARE_TOKEN_FILE: the file cannot be"
    ):
        tokens.current(deadline())


def test_no_token_is_told() -> None:
    """Outside Lambda the message says what to set."""
    with pytest.raises(SettingsError, match=r"^AWS_SESSION_TOKEN: is not set, nor are"):
        Tokens({}, CLOCK).current(deadline())


@pytest.mark.parametrize("token", [f"{CANARY}\r\nHost: x", f"{CANARY}\u00e9", "\x00"])
def test_a_token_that_is_no_header_is_refused(token: str) -> None:
    """A token cannot smuggle in another header, and the refusal does not show it."""
    with pytest.raises(SettingsError, match=r"is not printable ASCII") as raised:
        Tokens({"AWS_SESSION_TOKEN": token}, CLOCK).current(deadline())

    assert CANARY not in repr(raised.value)


@pytest.mark.parametrize(
    ("environ", "accepted"),
    [
        ({}, ()),
        ({"AWS_SESSION_TOKEN": "s"}, ("s",)),
        ({"AWS_SESSION_TOKEN": "s", "AWS_TOKEN": "a"}, ("s", "a")),
        ({"AWS_SESSION_TOKEN": "", "AWS_TOKEN": "a"}, ("a",)),
        (
            {"AWS_SESSION_TOKEN": "s", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "c"},
            ("s", "c"),
        ),
        ({"AWS_SESSION_TOKEN": "s", "ROTAWARE_TOKEN_FILE": "one"}, ("s",)),
        ({"ROTAWARE_TOKEN_FILE": "one"}, ("from a file",)),
        ({"AWS_TOKEN": "a", "ROTAWARE_TOKEN_FILE": "one"}, ("a", "from a file")),
        ({"AWS_SESSION_TOKEN": "file://one"}, ("from a file",)),
        ({"AWS_SESSION_TOKEN": "file://none", "AWS_TOKEN": "a"}, ("a",)),
        ({"AWS_SESSION_TOKEN": "s", "AWS_TOKEN": "file://one"}, ("s", "from a file")),
        ({"AWS_SESSION_TOKEN": "s", "AWS_TOKEN": "file://none"}, ("s",)),
        ({"AWS_SESSION_TOKEN": "s", "AWS_TOKEN": "file://"}, ("s",)),
        ({"AWS_SESSION_TOKEN": "s", "AWS_TOKEN": "file://\0"}, ("s",)),
        ({"AWS_SESSION_TOKEN": "s", "AWS_TOKEN": "a\nb"}, ("s",)),
    ],
)
def test_what_opens_the_port(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    accepted: tuple[str, ...],
) -> None:
    """Each token that a client of either extension would send; what is none is not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").write_text(" from a file\n")

    assert accepted == Tokens(environ, CLOCK).accepted(deadline())


@pytest.mark.parametrize(
    ("environ", "fixed"),
    [
        ({"AWS_SESSION_TOKEN": "s"}, True),
        ({"AWS_SESSION_TOKEN": "s", "AWS_TOKEN": "a"}, True),
        ({"AWS_SESSION_TOKEN": "s", "AWS_TOKEN": "file:///a"}, False),
        ({"AWS_SESSION_TOKEN": "file:///a"}, False),
        ({"AWS_TOKEN": "a"}, False),
        ({}, False),
    ],
)
def test_which_tokens_stay_as_they_are(environ: dict[str, str], *, fixed: bool) -> None:
    """Files are written again, and other sources than the variable may have to wait."""
    assert fixed == Tokens(environ, CLOCK).are_fixed


def test_a_token_of_the_agents_kind_is_sent_where_there_is_no_other(
    tmp_path: Path,
) -> None:
    """The port takes it."""
    (tmp_path / "token").write_text("t\n")
    environ = {"AWS_TOKEN": f"file://{tmp_path}/token"}
    tokens = Tokens(environ, CLOCK)

    assert ("t",) == (tokens.current(deadline()),) == tokens.accepted(deadline())

    environ["AWS_SESSION_TOKEN"] = "s"

    assert "s" == tokens.current(deadline())


def test_container_credentials_open_the_port() -> None:
    """So does the token with which they are asked for; each is the current one."""
    tokens_made = iter(("token-1", "token-2"))
    failing = False

    def respond(_: Asked) -> Answer:
        document = {"AccessKeyId": "AKIA", "SecretAccessKey": "key"}
        if failing:
            return Answer(500)
        return Answer(200, {**document, "Token": next(tokens_made)})

    with LocalPort(respond) as port:
        environ = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port.number}/",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pass",
        }
        tokens = Tokens(environ, CLOCK)

        assert ("pass", "token-1") == tokens.accepted_anew(deadline())
        assert ("pass", "token-1") == tokens.accepted(deadline())
        assert ("pass", "token-2") == tokens.accepted_anew(deadline())

        failing = True

        assert "pass" in tokens.accepted_anew(deadline())


def test_an_unreadable_token_file_is_named() -> None:
    """By its variable, and not by what that holds."""
    with pytest.raises(SettingsError, match=r"^AWS_SESSION_TOKEN: the file cannot be"):
        Tokens({"AWS_SESSION_TOKEN": f"file:///{CANARY}"}, CLOCK).current(deadline())
