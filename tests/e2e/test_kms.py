"""Variables that KMS encrypted: decrypted at the start, read at the port."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment
    from tests.support.stand_in import StandIn

pytestmark = pytest.mark.parametrize(
    "runtime", ["python-on-this-machine"], indirect=True
)

FUNCTION = "billing"
PATH = "/kms/get?name="


@pytest.fixture
def variables(stand_in: StandIn) -> dict[str, str]:
    """Of three contexts; and credentials that allow to decrypt all but ``DENIED``."""
    kms = stand_in.client("kms")
    own, foreign = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))

    def encrypted(key: str, value: str, **context: str) -> str:
        options: dict[str, Any] = {"EncryptionContext": context} if context else {}
        answer = kms.encrypt(KeyId=key, Plaintext=value.encode(), **options)
        return b64encode(answer["CiphertextBlob"]).decode()

    statement = {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [own]}
    return {
        "ROTAWARE_KMS_ENV": "CONSOLE,BARE,FOREIGN,DENIED",
        "ROTAWARE_STAMPS": "off",
        "AWS_LAMBDA_FUNCTION_NAME": FUNCTION,
        "CONSOLE": encrypted(own, "canary-console", LambdaFunctionName=FUNCTION),
        "BARE": encrypted(own, "canary-bare"),
        "FOREIGN": encrypted(own, "canary-foreign", LambdaFunctionName="payments"),
        "DENIED": encrypted(foreign, "canary-denied", LambdaFunctionName=FUNCTION),
        **stand_in.assume([statement]),
    }


def test_variables_are_decrypted_once(
    start: Callable[..., Environment], variables: dict[str, str]
) -> None:
    """What can be decrypted is before the first read, and for ever; the rest is told.

    The function starts all the same, and the log says at once what would not do.
    """
    environment = start(environ=variables)
    answers = environment.ask(
        PATH + "CONSOLE",
        PATH + "BARE",
        PATH + "FOREIGN",
        PATH + "DENIED",
        PATH + "HOME",
    )

    assert [200, 200, 400, 403, 404] == [answer["status"] for answer in answers]
    assert ["canary-console", "canary-bare"] == [
        answer["body"] for answer in answers[:2]
    ]
    assert [
        "InvalidCiphertextException",
        "AccessDeniedException",
        "VariableNotListed",
    ] == [answer["body"]["__type"] for answer in answers[2:]]
    for name, answer in zip(("FOREIGN", "DENIED"), answers[2:], strict=False):
        assert answer["body"]["message"].startswith(f"{name}: KMS ")
        assert "rotaware; hit; detail=refused" == answer["cache_status"]
        assert any(
            json.dumps(answer["body"]["message"]) in line
            for line in environment.sandbox.lines
        )
    # One for each, and one more where the context was another.
    assert 6 == environment.calls.counts["kms.Decrypt"]

    environment.forget_calls()
    again = environment.ask(PATH + "CONSOLE", PATH + "BARE")

    assert all("; hit" in answer["cache_status"] for answer in again)
    assert [] == environment.fetches()


def test_a_variable_that_cannot_be_is_refused_at_the_start(
    start: Callable[..., Environment],
) -> None:
    """The message names each, and shows nothing of what it holds."""
    environment = start(
        environ={"ROTAWARE_KMS_ENV": "PLAIN,UNSET", "PLAIN": "canary-plain"}
    )
    environment.sandbox.invoke()

    line = environment.sandbox.wait_for(lambda line: "rotaware cannot start" in line)
    assert "PLAIN: is no base64" in line
    assert "ROTAWARE_KMS_ENV: lists UNSET, which is not set" in line
