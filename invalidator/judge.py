"""Which version is current: asked of AWS, never believed of an event.

DescribeSecret and DescribeParameters tell it without giving away any value, so the
invalidator needs no right to read one. A version of "" means: not retrievable any more.
Whatever goes wrong about one secret or parameter leaves the others alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotaware.errors import AwsError, AwsUnavailableError, RotawareError
from rotaware.secret import (
    ARN_SUFFIX_LENGTH,
    AWSCURRENT,
    PARAMETER_STORE,
    SECRETS_MANAGER,
)
from rotaware.sheet import subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from invalidator.decide import Touched
    from rotaware.aws import Aws

GONE = ""
NAMES_PER_CALL = 50
"""What one filter of DescribeParameters takes, and one page of it holds."""


class Judge:
    """Answers for a fixed set of secrets and parameters, anew at each call.

    Args:
        aws: The client to ask.
        touched: What to ask about; each distinct id is asked once a call.

    Attributes:
        refused: What AWS would not answer, or what failed here, by ``Touched.key``. It
            is not asked again and no call answers for it.
    """

    def __init__(self, aws: Aws, touched: Iterable[Touched]) -> None:
        self._aws = aws
        self._touched = {each.key: each for each in touched}
        self.refused: dict[tuple[str, str], RotawareError] = {}

    def __call__(self) -> dict[str, str]:
        """Subject to current version, for all that AWS answers about."""
        open_questions = [
            each for key, each in self._touched.items() if key not in self.refused
        ]
        answers: dict[str, str] = {}
        names = []
        for each in open_questions:
            if each.service == PARAMETER_STORE:
                names.append(each)
                continue
            try:
                subject, version = self._secret(each)
            except Exception as fault:  # noqa: BLE001  it must not fail the others
                self.refused[each.key] = _refusal(fault)
            else:
                answers[subject] = version
        for start in range(0, len(names), NAMES_PER_CALL):
            answers |= self._parameters(names[start : start + NAMES_PER_CALL])
        return answers

    def _secret(self, touched: Touched) -> tuple[str, str]:
        gone = subject_of(touched.arn), GONE
        found = self._described(touched.id)
        if found is None and touched.id == touched.arn:
            # The same name may live again under an ARN with another suffix, or the
            # event came from another Region: a stamp does not tell them apart.
            found = self._described(_name_in(touched.arn))
            if found is not None and found[0] != gone[0]:
                return gone
        return found or gone

    def _described(self, secret_id: str) -> tuple[str, str] | None:
        try:
            answer = self._aws.call(
                SECRETS_MANAGER, "DescribeSecret", {"SecretId": secret_id}
            )
        except AwsError as refusal:
            if refusal.code == "ResourceNotFoundException":
                return None
            raise
        return subject_of(answer["ARN"]), _current_version(answer)

    def _parameters(self, touched: list[Touched]) -> dict[str, str]:
        try:
            versions = self._versions([each.id for each in touched])
            return {
                subject_of(each.arn): versions.get(each.id, GONE) for each in touched
            }
        except Exception as fault:  # noqa: BLE001  it must not fail the others
            if len(touched) == 1 or _concerns_all(fault):
                self.refused |= {each.key: _refusal(fault) for each in touched}
                return {}
        answers: dict[str, str] = {}
        for each in touched:
            answers |= self._parameters([each])
        return answers

    def _versions(self, names: list[str]) -> dict[str, str]:
        """Name to version; names that do not exist are missing."""
        request: dict[str, Any] = {
            "ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": names}],
            "MaxResults": NAMES_PER_CALL,
        }
        versions: dict[str, str] = {}
        while True:
            page = self._aws.call(PARAMETER_STORE, "DescribeParameters", request)
            for found in page["Parameters"]:
                versions[found["Name"]] = str(found["Version"])
            # A page may be empty and still not be the last one.
            if not page.get("NextToken"):
                return versions
            request["NextToken"] = page["NextToken"]


def _concerns_all(fault: Exception) -> bool:
    """Whether each name of a question would fail alike if it were asked alone."""
    # The right to describe parameters cannot be given for some of them.
    denied = isinstance(fault, AwsError) and fault.code == "AccessDeniedException"
    return denied or isinstance(fault, AwsUnavailableError)


def _refusal(fault: Exception) -> RotawareError:
    """The error to hand back; of what nobody foresaw it tells the kind alone."""
    if isinstance(fault, RotawareError):
        return fault
    return RotawareError(f"unforeseen: {type(fault).__name__}")


def _current_version(answer: Mapping[str, Any]) -> str:
    if answer.get("DeletedDate") is not None:
        return GONE
    for version, stages in (answer.get("VersionIdsToStages") or {}).items():
        if AWSCURRENT in stages:
            return str(version)
    return GONE


def _name_in(arn: str) -> str:
    return arn.rsplit(":", 1)[1][:-ARN_SUFFIX_LENGTH]
