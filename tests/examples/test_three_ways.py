"""examples/three_ways: what each way of keeping a secret does when it changes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.support.example import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.examples.conftest import Account, Running

FUNCTION = "licensed"
SECRET, PARAMETER = "ways/licence", "/ways/licence"


def encrypted(account: Account, value: str) -> dict[str, str]:
    """The template's parameters: a key, and the value encrypted for the function."""
    keys = account.stand_in.client("kms")
    key = keys.create_key()["KeyMetadata"]["Arn"]
    answer = keys.encrypt(
        KeyId=key,
        Plaintext=value.encode(),
        EncryptionContext={"LambdaFunctionName": FUNCTION},
    )
    ciphertext = base64.b64encode(answer["CiphertextBlob"]).decode()
    return {"Key": key, "EncryptedLicence": ciphertext}


def test_each_way_changes_by_itself(
    account: Account, start: Callable[..., Running]
) -> None:
    """Secret and parameter are read anew after a change; the variable stands."""
    account.put_secret(SECRET, "canary-secret")
    account.put_parameter(PARAMETER, "canary-parameter", "SecureString")
    function = start(
        "three_ways",
        parameters=encrypted(account, "canary-variable"),
        AWS_LAMBDA_FUNCTION_NAME=FUNCTION,
    )
    first = {
        "secret": digest("canary-secret"),
        "parameter": digest("canary-parameter"),
        "variable": digest("canary-variable"),
    }

    assert first == function.invoke()
    assert function.fetches() == [
        "kms.Decrypt",
        f"secretsmanager.GetSecretValue {SECRET}",
        f"ssm.GetParameter {PARAMETER}",
    ]
    assert first == function.invoke()
    assert function.fetches() == []

    account.rotate(SECRET, "canary-new-secret")
    second = first | {"secret": digest("canary-new-secret")}

    assert second == function.invoke()
    assert function.fetches() == [f"secretsmanager.GetSecretValue {SECRET}"]

    account.put_parameter(PARAMETER, "canary-new-parameter", "SecureString")

    assert second | {"parameter": digest("canary-new-parameter")} == function.invoke()
    assert function.fetches() == [f"ssm.GetParameter {PARAMETER}"]
