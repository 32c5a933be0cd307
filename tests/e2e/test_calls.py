"""How often AWS is asked: as seldom as possible, counted at the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment
    from tests.support.deployment import Deployment

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

FAR_AWAY = {"ROTAWARE_CHECK_INTERVAL": "300"}


def test_31_secrets_are_fetched_by_two_calls(
    deployment: Deployment, start: Start, make_secrets: MakeSecrets
) -> None:
    """Prefetching 31 secrets is two BatchGetSecretValue and one look at the sheet."""
    names = make_secrets(*(f"canary-{i}" for i in range(31)))
    environment = start(*names, environ=FAR_AWAY)
    values = environment.read(*names)

    assert values == [f"canary-{i}" for i in range(31)]
    assert environment.calls.counts == {
        "secretsmanager.BatchGetSecretValue": 2,
        "ssm.GetParameter": 1,
    }
    assert sorted(
        len(call.request["SecretIdList"])
        for call in environment.calls.calls
        if call.name == "secretsmanager.BatchGetSecretValue"
    ) == [11, 20]
    assert deployment.sheet_version() > 0


def test_hits_make_no_call(start: Start, make_secrets: MakeSecrets) -> None:
    """Any number of reads of what is cached asks AWS nothing."""
    names = make_secrets("canary-one", "canary-two", "canary-three")
    environment = start(*names, environ=FAR_AWAY)
    environment.read(*names)
    environment.forget_calls()
    environment.read(*names * 100)
    environment.read(*names)

    assert environment.calls.counts == {}


def test_a_check_is_one_get_parameter(
    deployment: Deployment, start: Start, make_secrets: MakeSecrets
) -> None:
    """However many secrets are held, a check asks for the one parameter alone."""
    names = make_secrets(*(f"canary-{letter}" for letter in "abcdefgh"))
    environment = start(*names)
    environment.read(*names)
    environment.forget_calls()
    for _ in range(5):
        environment.read(names[0])

    assert environment.fetches() == []
    assert environment.checks() >= 5
    assert [call.request["Name"] for call in environment.calls.calls] == (
        [deployment.sheet] * environment.checks()
    )


def test_no_check_within_the_interval(start: Start, make_secrets: MakeSecrets) -> None:
    """Invocations that follow within the interval ask AWS nothing at all."""
    names = make_secrets("canary-one", "canary-two")
    environment = start(*names, environ={"ROTAWARE_CHECK_INTERVAL": "60"})
    environment.read(*names)
    environment.forget_calls()
    for _ in range(20):
        environment.read(*names)

    assert environment.calls.counts == {}


def test_with_stamps_off_the_sheet_is_left_alone(
    start: Start, make_secrets: MakeSecrets
) -> None:
    """ROTAWARE_STAMPS=off works by TTL, without any call to Parameter Store."""
    names = make_secrets("canary-one", "canary-two")
    environment = start(*names, environ={"ROTAWARE_STAMPS": "off"})

    assert environment.read(*names) == ["canary-one", "canary-two"]
    assert environment.read(*names) == ["canary-one", "canary-two"]
    assert environment.calls.counts == {"secretsmanager.BatchGetSecretValue": 1}


def test_what_was_not_prefetched_is_fetched_once(
    start: Start, make_secrets: MakeSecrets
) -> None:
    """The first read of an unlisted secret is one call; the next ones are hits."""
    (name,) = make_secrets("canary-value")
    environment = start(environ=FAR_AWAY)
    path = f"/secretsmanager/get?secretId={name}"
    first, second = environment.ask(path, path)

    assert first["body"]["SecretString"] == "canary-value"
    assert "fwd=miss" in first["cache_status"]
    assert second["body"] == first["body"]
    assert "hit" in second["cache_status"]
    assert environment.calls.counts["secretsmanager.GetSecretValue"] == 1
