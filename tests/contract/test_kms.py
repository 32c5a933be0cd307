"""Variables are decrypted by an implementation of KMS that minds context and role."""

from __future__ import annotations

import random
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.aws import AwsClient
from rotaware.clock import SystemClock
from rotaware.errors import AwsError
from rotaware.kms import KmsSource
from rotaware.secret import Query
from tests.support.stand_in import REGION, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTION = "billing"
IN_CONTEXT = {"EncryptionContext": {"LambdaFunctionName": FUNCTION}}


class Keys:
    """Keys of the stand-in, and a role that may decrypt with all but ``forbidden``."""

    def __init__(self, stand_in: StandIn) -> None:
        self._kms = stand_in.client("kms")
        self.usable, self.forbidden, self.disabled, self.deleted = (
            self._kms.create_key()["KeyMetadata"]["Arn"] for _ in range(4)
        )
        allowed = [self.usable, self.disabled, self.deleted]
        role = stand_in.assume(
            [{"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": allowed}]
        )
        self._aws = AwsClient.from_environ(
            {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": stand_in.url, **role},
            clock=SystemClock(),
            random=random.random,
            max_connections=1,
            services=["kms"],
        )
        self._unusable = {
            self.disabled: self._encrypted(self.disabled, b"a", IN_CONTEXT),
            self.deleted: self._encrypted(self.deleted, b"a", IN_CONTEXT),
        }
        self._kms.disable_key(KeyId=self.disabled)
        self._kms.schedule_key_deletion(KeyId=self.deleted, PendingWindowInDays=7)

    def value(self, plaintext: bytes, options: dict[str, Any]) -> Any:
        """What becomes of a plaintext, encrypted with these options."""
        return self._read(self._encrypted(self.usable, plaintext, options))

    def refusal(self, key: str, options: dict[str, Any] = IN_CONTEXT) -> AwsError:
        """What is said of a variable under this key."""
        blob = self._unusable.get(key) or self._encrypted(key, b"a", options)
        with pytest.raises(AwsError) as raised:
            self._read(blob)
        return raised.value

    def _encrypted(self, key: str, plaintext: bytes, options: dict[str, Any]) -> str:
        answer = self._kms.encrypt(KeyId=key, Plaintext=plaintext, **options)
        return b64encode(answer["CiphertextBlob"]).decode()

    def _read(self, blob: str) -> Any:
        source = KmsSource(self._aws, {"KEY": blob}, FUNCTION)
        return source.fetch(Query.variable("KEY")).value.reveal()


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    """Four of them."""
    with StandIn() as stand_in:
        yield Keys(stand_in)


@pytest.mark.parametrize("options", [IN_CONTEXT, {}], ids=["console", "bare"])
@pytest.mark.parametrize(
    ("plaintext", "document"),
    [
        ("p\u00e4ss".encode(), {"Name": "KEY", "Value": "p\u00e4ss", "Blob": None}),
        (b"\xff\x00", {"Name": "KEY", "Value": None, "Blob": "/wA="}),
        (b"a" * 4096, {"Name": "KEY", "Value": "a" * 4096, "Blob": None}),
    ],
    ids=["text", "binary", "longest"],
)
def test_what_was_encrypted_comes_back(
    keys: Keys, plaintext: bytes, document: object, options: dict[str, Any]
) -> None:
    """In the context of the console's helper, and without one."""
    assert document == keys.value(plaintext, options)


@pytest.mark.parametrize(
    "context", [{"LambdaFunctionName": "payments"}, {"Purpose": "test"}]
)
def test_of_another_context(keys: Keys, context: dict[str, str]) -> None:
    """What was encrypted for another function is not for this one."""
    error = keys.refusal(keys.usable, {"EncryptionContext": context})

    assert ("InvalidCiphertextException", 400) == (error.code, error.status)
    assert error.message.startswith("KEY: KMS decrypts it neither in this function's")


def test_under_a_key_that_the_role_may_not_use(keys: Keys) -> None:
    """Of a key of somebody else's, the error names the permission."""
    error = keys.refusal(keys.forbidden)

    assert "AccessDeniedException" == error.code
    assert "allow kms:Decrypt on its key" in error.message
    assert "is not authorized to perform: kms:Decrypt" in error.message


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("disabled", "DisabledException", "is disabled"),
        ("deleted", "KMSInvalidStateException", "is pending deletion"),
    ],
)
def test_under_a_key_that_nobody_can_use(
    keys: Keys, name: str, code: str, words: str
) -> None:
    """KMS's own words follow what to do."""
    error = keys.refusal(getattr(keys, name))

    assert (code, 400) == (error.code, error.status)
    assert error.message.startswith("KEY: its KMS key cannot be used now; enable")
    assert words in error.message
