"""Which version is current: asked of AWS, never believed of an event.

DescribeSecret and DescribeParameters tell it without giving away any value, so the
invalidator needs no right to read one. A version of "" means: not retrievable any more.
Whatever goes wrong about one secret or parameter leaves the others alone. A secret of
another Region is asked about in this one, where functions read its replica.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotaware.describe import GONE, describe
from rotaware.errors import AwsError, AwsUnavailableError, RotawareError
from rotaware.secret import ARN_SUFFIX_LENGTH, PARAMETER_STORE
from rotaware.sheet import subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from invalidator.decide import Touched
    from rotaware.aws import Aws
    from rotaware.describe import Described

NAMES_PER_CALL = 50
"""What one filter of DescribeParameters takes, and one page of it holds."""


class Judge:
    """Answers for a fixed set of secrets and parameters, anew at each call.

    Args:
        aws: The client to ask.
        touched: What to ask about; each distinct id is asked once a call.
        region: Where AWS is asked.

    Attributes:
        refused: What AWS would not answer, or what failed here, by ``Touched.key``. It
            is not asked again and no call answers for it.
    """

    def __init__(self, aws: Aws, touched: Iterable[Touched], *, region: str) -> None:
        self._aws = aws
        self._region = region
        # Another account may have a parameter of the same name. Of a secret
        # the last event counts: it names the version that a replica has to show.
        self._touched = {
            (*each.key, each.arn if each.service == PARAMETER_STORE else ""): each
            for each in sorted(touched, key=lambda each: each.occurred_at)
        }
        self.refused: dict[tuple[str, str], RotawareError] = {}

    def __call__(self) -> dict[str, str]:
        """Subject to current version, for all that AWS answers about."""
        open_questions = [
            each for each in self._touched.values() if each.key not in self.refused
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
        subject = subject_of(touched.arn)
        found = self._described(_in_region(touched.id, self._region))
        if found is None and touched.id == touched.arn:
            # The same name may live again under an ARN with another suffix: a stamp
            # does not tell them apart.
            found = self._described(_name_in(touched.arn))
        if found is None or found.subject != subject:
            return subject, GONE
        is_replica = _in_region(touched.arn, self._region) != touched.arn
        if is_replica and _lags(found, touched):
            raise RotawareError("its replica here does not show that version yet")
        return subject, found.version

    def _described(self, secret_id: str) -> Described | None:
        try:
            return describe(self._aws, secret_id)
        except AwsError as refusal:
            if refusal.code == "ResourceNotFoundException":
                return None
            raise

    def _parameters(self, touched: list[Touched]) -> dict[str, str]:
        try:
            versions = self._versions(list(dict.fromkeys(each.id for each in touched)))
            subjects = {subject_of(each.arn): each.id for each in touched}
            return {
                subject: versions.get(subject, versions.get(name, GONE))
                for subject, name in subjects.items()
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
        """Subject to version, or name where AWS tells no ARN; some may be missing."""
        request: dict[str, Any] = {
            "ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": names}],
            "MaxResults": NAMES_PER_CALL,
        }
        versions: dict[str, str] = {}
        while True:
            page = self._aws.call(PARAMETER_STORE, "DescribeParameters", request)
            for found in page["Parameters"]:
                arn = found.get("ARN")
                known_as = subject_of(arn) if arn else found["Name"]
                versions[known_as] = str(found["Version"])
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


def _in_region(secret_id: str, region: str) -> str:
    """What a replica is called: its ARN is its primary's but for the Region."""
    if not secret_id.startswith("arn:"):
        return secret_id
    arn, partition, service, _, rest = secret_id.split(":", 4)
    return f"{arn}:{partition}:{service}:{region}:{rest}"


def _lags(replica: Described, touched: Touched) -> bool:
    """Whether a replica is older than the event, and knows another version.

    There is no event when it catches up, so its old version may not be stamped.
    """
    names_another = touched.version not in {"", replica.version}
    return names_another and replica.changed_at < touched.occurred_at


def _name_in(arn: str) -> str:
    return arn.rsplit(":", 1)[1][:-ARN_SUFFIX_LENGTH]
