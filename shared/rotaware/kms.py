"""Environment variables that hold KMS ciphertext: what is set, and what it stands for.

The console's encryption helpers encrypt in the context of the function's name, others
in none, so a ciphertext is tried with it and then without. A variable cannot change
while its environment lives: what was decrypted is good for as long. Neither ciphertext
nor plaintext is ever quoted, and no plaintext is put into the environment.
"""

from __future__ import annotations

from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.lean import TYPE_CHECKING
from rotaware.parsers import YEAR_SECONDS, shown_name
from rotaware.secret import KMS, Fetched, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from rotaware.aws import Aws
    from rotaware.secret import Query

TTL_SECONDS = float(YEAR_SECONDS)
"""Longer than any execution environment lives."""

_OTHER_CONTEXT = "InvalidCiphertextException"
_STATE = (
    "its KMS key cannot be used now; enable the key, cancel its deletion, or encrypt"
    " the variable with another one"
)
_HINTS = {
    "AccessDeniedException": "KMS does not let this function decrypt it; allow"
    " kms:Decrypt on its key to the function's role, and see that the key is of this"
    " Region",
    "DisabledException": _STATE,
    "KMSInvalidStateException": _STATE,
    "NotFoundException": "KMS does not find its key; encrypt it with a key of this"
    " Region",
}
_HINT = "KMS does not decrypt it; encrypt it anew"
_NEITHER = (
    "KMS decrypts it neither in this function's encryption context, LambdaFunctionName,"
    " nor without one; encrypt it anew, for this function"
)
_MALFORMED = (LookupError, TypeError, ValueError)


def encrypted_variables(
    environ: Mapping[str, str], names: Iterable[str]
) -> tuple[dict[str, str], list[str]]:
    """What the variables of these names hold, in base64; and every problem."""
    found: dict[str, str] = {}
    problems = []
    for name in names:
        shown = shown_name(name)
        # Tools that print base64 break its lines.
        text = "".join(environ.get(name, "").split())
        if not text:
            problems.append(
                f"ROTAWARE_KMS_ENV: lists {shown}, which is not set; set that to KMS"
                " ciphertext in base64, or do not list it"
            )
            continue
        try:
            _decoded(text)
        except ValueError:
            problems.append(
                f"{shown}: is no base64, which KMS ciphertext has to be; encrypt it, or"
                " take it out of ROTAWARE_KMS_ENV"
            )
        else:
            found[name] = text
    return found, problems


class KmsSource:
    """KMS as the store's source of variables.

    Args:
        aws: The client to call.
        ciphertexts: What the variables hold, by name.
        function_name: Whose helper may have encrypted them; None for no function.
    """

    __slots__ = ("_aws", "_ciphertexts", "_function_name")

    def __init__(
        self, aws: Aws, ciphertexts: Mapping[str, str], function_name: str | None
    ) -> None:
        self._aws = aws
        self._ciphertexts = ciphertexts
        self._function_name = function_name

    def fetch(self, query: Query, *, timeout_seconds: float | None = None) -> Fetched:
        """One Decrypt, or two where the first knows another context.

        Raises:
            AwsError: KMS refused, or could not be reached; or the variable is not one
                of those that were listed.
        """
        name = query.id
        if name not in self._ciphertexts:
            raise AwsError(
                "VariableNotListed",
                f"{name} is not listed in ROTAWARE_KMS_ENV; list it there, or give it"
                " to in_process, if it holds KMS ciphertext",
                404,
            )
        answer = self._decrypted(name, timeout_seconds)
        try:
            return _fetched(name, answer)
        except _MALFORMED as fault:
            kind = type(fault).__name__
        # Error reporters print what frames hold; so this is not chained, either.
        del answer
        raise AwsUnavailableError(
            "MalformedResponse",
            f"KMS's answer for {name} is not as documented ({kind})",
        )

    def batches(self, queries: Iterable[Query]) -> list[list[Query]]:
        """Each by itself: KMS decrypts one at a time."""
        return [[query] for query in queries]

    def fetch_many(self, batch: Sequence[Query]) -> dict[Query, Fetched | AwsError]:
        """None of them."""
        del batch
        return {}

    def _decrypted(self, name: str, timeout_seconds: float | None) -> dict[str, Any]:
        request: dict[str, Any] = {"CiphertextBlob": self._ciphertexts[name]}
        if not self._function_name:
            return self._answer(name, request, timeout_seconds)
        context = {"LambdaFunctionName": self._function_name}
        in_context = {**request, "EncryptionContext": context}
        try:
            return self._answer(name, in_context, timeout_seconds)
        except AwsError as error:
            if error.code != _OTHER_CONTEXT:
                raise
        return self._answer(name, request, timeout_seconds, _NEITHER)

    def _answer(
        self,
        name: str,
        request: Mapping[str, Any],
        timeout_seconds: float | None,
        hint: str | None = None,
    ) -> dict[str, Any]:
        """KMS's answer; a refusal names the variable and says what to do."""
        try:
            return self._aws.call(
                KMS, "Decrypt", request, timeout_seconds=timeout_seconds
            )
        except AwsUnavailableError:
            raise
        except AwsError as error:
            refusal = error
        hint = hint or _HINTS.get(refusal.code, _HINT)
        message = f"{name}: {hint} (AWS: {refusal.message})"
        raise AwsError(refusal.code, message, refusal.status)


def _fetched(name: str, answer: Mapping[str, Any]) -> Fetched:
    """The plaintext in the port's shape; raises one of ``_MALFORMED``."""
    blob = answer["Plaintext"]
    text = _text(_decoded(blob))
    document = {"Name": name, "Value": text, "Blob": blob if text is None else None}
    # No stamp outdates it, and it is nobody else's: its name stands for all of these.
    return Fetched(Value(document), arn=name, subject=None, version="", current=False)


def _text(plaintext: bytes) -> str | None:
    """What it says, if it is UTF-8."""
    try:
        return plaintext.decode()
    except UnicodeDecodeError:
        return None  # and the error is gone: it holds the bytes


def _decoded(text: str) -> bytes:
    """What base64 stands for; ValueError unless it is that to the last bit."""
    from binascii import a2b_base64, b2a_base64  # noqa: PLC0415  most starts need none

    data = a2b_base64(text)
    if not data or b2a_base64(data, newline=False) != text.encode():
        raise ValueError
    return data
