"""What an event means: which secret or parameter it touches, or why it touches none.

Rule 1. An event is a hint: it says what to ask about, never which version is current.
Rule 2. Whatever may have moved AWSCURRENT touches; a false hint costs one question.
Rule 3. A sheet's own writes touch nothing, or each would cause the next.
Rule 4. Any JSON gets an answer. An event without a field that it should have is
        malformed, and the reason names the field. Reasons are few and quote no event.
Rule 5. What touches has a subject on the sheet: what has none is malformed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rotaware.parsers import SECRET_NAME_CHARACTERS
from rotaware.secret import AWSCURRENT, PARAMETER_STORE, SECRETS_MANAGER
from rotaware.sheet import subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Touched:
    """A secret or parameter whose current version may have changed.

    Attributes:
        service: ``secretsmanager`` or ``ssm``.
        id: What AWS is asked about: a secret's ARN or name, a parameter's name.
        arn: The ARN under which the sheet knows it, for when AWS knows it no more;
            with a made-up suffix where the event gives a secret's name alone.
        occurred_at: When, in epoch seconds.
        version: Which version the event names, or "". It stamps none; it tells whether
            another Region's replica has it yet.
    """

    service: str
    id: str
    arn: str
    occurred_at: float
    version: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Equal for all events that ask the same question."""
        return self.service, self.id


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that stamps nothing."""

    reason: str


Decision = Touched | Ignored

UNKNOWN = Ignored("unknown event")
OTHER_LABEL = Ignored("another label than AWSCURRENT")
NO_CHANGE = Ignored("changes no current value")
FAILED_CALL = Ignored("the call failed")
OWN_SHEET = Ignored("a stamp sheet")

TOUCHING = frozenset(
    {
        "CancelSecretVersionDelete",
        "CreateSecret",
        "DeleteSecret",
        "EndSecretVersionDelete",
        "PutSecretValue",
        "RestoreSecret",
        "RotationAbandoned",  # somebody made a new version by hand meanwhile
        "RotationSucceeded",
        "StartSecretVersionDelete",
        "UpdateSecret",  # perhaps its description only: the value is never shown
        "UpdateSecretVersionStage",
    }
)
_HARMLESS = frozenset(
    {
        "CancelRotateSecret",
        "RemoveRegionsFromReplication",
        "ReplicateSecretToRegions",
        "RotateSecret",  # starts a rotation; its end is another event
        "RotationFailed",
        "RotationStarted",
        "StopReplicationToReplica",
    }
)
_OPERATIONS = frozenset({"Create", "Update", "Delete", "LabelParameterVersion"})

_IN_SECRET_NAME = f"[{re.escape(''.join(sorted(SECRET_NAME_CHARACTERS)))}]"
_SECRET_NAME = re.compile(rf"{_IN_SECRET_NAME}{{1,512}}")
_SECRET_ARN = re.compile(
    r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:"
    rf"{_IN_SECRET_NAME}{{1,519}}"
)
_SUFFIXED = re.compile(r".+[^:]-[A-Za-z0-9]{6}")
# No stamp depends on a secret's suffix; this one only has the right length.
_ANY_SUFFIX = "-??????"
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_.\-/]{1,1011}")
_PARAMETER_ARN = re.compile(
    r"arn:[a-z-]+:ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9_.\-/]{1,1011}"
)
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


class _MalformedError(Exception):
    """Holds the path of the field that is missing or wrong."""


def decide(event: Any, *, sheet: str) -> Decision:
    """Read one EventBridge event.

    Args:
        event: Any JSON value.
        sheet: The name of the parameter that holds the sheet, if one does.
    """
    try:
        match event:
            case {"source": "aws.secretsmanager", "detail-type": str(kind)}:
                return _secret_changed(event, kind)
            case {"source": "aws.ssm", "detail-type": "Parameter Store Change"}:
                return _parameter_changed(event, sheet)
            case _:
                return UNKNOWN
    except _MalformedError as field:
        return Ignored(f"malformed: {field}")
    except Exception as fault:  # noqa: BLE001  the rest of its batch must not fail too
        return Ignored(f"unforeseen: {type(fault).__name__}")


def decide_text(body: str, *, sheet: str) -> Decision:
    """Read one EventBridge event from the body of a queue's message."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return Ignored("malformed: body")
    return decide(event, sheet=sheet)


def _secret_changed(event: Mapping[str, Any], kind: str) -> Decision:
    match kind:
        case "Secret Label Updated":
            return _label_updated(event)
        case "AWS API Call via CloudTrail":
            return _recorded(event, "requestParameters.secretId")
        case "AWS Service Event via CloudTrail":
            return _recorded(event, "additionalEventData.SecretId")
        case _:
            return UNKNOWN


def _label_updated(event: Mapping[str, Any]) -> Decision:
    detail = _mapping(event, "detail")
    if _text(detail, "labelUpdated", "detail.") != AWSCURRENT:
        return OTHER_LABEL
    touched = _secret(event, [_first(event), detail.get("name")], "detail.name")
    version = detail.get("versionId")
    return replace(touched, version=version if isinstance(version, str) else "")


def _recorded(event: Mapping[str, Any], usual: str) -> Decision:
    """What CloudTrail recorded; ``usual`` is where this kind names the secret."""
    detail = _mapping(event, "detail")
    name = _text(detail, "eventName", "detail.")
    if name in _HARMLESS:
        return NO_CHANGE
    if name not in TOUCHING:
        return UNKNOWN
    if detail.get("errorCode") is not None:
        return FAILED_CALL
    request = _part(detail, "requestParameters")
    if not _may_move_current(name, request):
        return OTHER_LABEL
    answer = _part(detail, "responseElements")
    extra = _part(detail, "additionalEventData")
    if name == "CreateSecret":
        usual = "requestParameters.name"
    # The ARN that AWS answered with goes before what a caller wrote, which may be a
    # name or a part of an ARN.
    candidates = [
        *(answer.get(key) for key in ("arn", "aRN", "ARN")),
        *(extra.get(key) for key in ("SecretId", "secretId", "ARN", "arn")),
        _part(detail, "serviceEventDetails").get("secretId"),
        request.get("secretId"),
        request.get("name"),
        _first(event),
    ]
    return _secret(event, candidates, f"detail.{usual}")


def _may_move_current(name: str, request: Mapping[str, Any]) -> bool:
    if name == "UpdateSecretVersionStage":
        stage = _text(request, "versionStage", "detail.requestParameters.")
        return stage == AWSCURRENT
    stages = request.get("versionStages")
    if name != "PutSecretValue" or stages is None:
        return True
    if not isinstance(stages, list):
        raise _MalformedError("detail.requestParameters.versionStages")
    return AWSCURRENT in stages


def _parameter_changed(event: Mapping[str, Any], sheet: str) -> Decision:
    detail = _mapping(event, "detail")
    name = _text(detail, "name", "detail.")
    if not _PARAMETER_NAME.fullmatch(name):
        raise _MalformedError("detail.name")
    if name == sheet or (name.startswith("/rotaware/") and name.endswith("/stamps")):
        return OWN_SHEET
    if _text(detail, "operation", "detail.") not in _OPERATIONS:
        return UNKNOWN
    arn = _first(event)
    if not isinstance(arn, str) or not _PARAMETER_ARN.fullmatch(arn):
        arn = f"{_home(event, 'ssm')}:parameter/{name.removeprefix('/')}"
    try:
        subject_of(arn)
    except ValueError:
        raise _MalformedError("detail.name") from None
    return Touched(PARAMETER_STORE, name, arn, _occurred_at(event))


def _secret(
    event: Mapping[str, Any], candidates: Iterable[object], field: str
) -> Touched:
    """The first candidate that can be a secret's id; ``field`` is to blame for none."""
    for secret_id in candidates:
        if not isinstance(secret_id, str):
            continue
        if _SECRET_ARN.fullmatch(secret_id):
            suffix = "" if _SUFFIXED.fullmatch(secret_id) else _ANY_SUFFIX
            arn = secret_id + suffix
        elif _SECRET_NAME.fullmatch(secret_id):
            arn = f"{_home(event, 'secretsmanager')}:secret:{secret_id}{_ANY_SUFFIX}"
        else:
            continue
        return Touched(SECRETS_MANAGER, secret_id, arn, _occurred_at(event))
    raise _MalformedError(field)


def _home(event: Mapping[str, Any], service: str) -> str:
    """The beginning of an ARN where the event happened; no stamp knows partitions."""
    account, region = _text(event, "account"), _text(event, "region")
    if not _ACCOUNT.fullmatch(account):
        raise _MalformedError("account")
    if not _REGION.fullmatch(region):
        raise _MalformedError("region")
    return f"arn:aws:{service}:{region}:{account}"


def _occurred_at(event: Mapping[str, Any]) -> float:
    try:
        moment = datetime.fromisoformat(_text(event, "time"))
    except ValueError as fault:
        raise _MalformedError("time") from fault
    if moment.tzinfo is None:
        raise _MalformedError("time")
    return moment.timestamp()


def _first(event: Mapping[str, Any]) -> object:
    """The first resource; CloudTrail's events have none."""
    match event.get("resources"):
        case [resource, *_]:
            return resource
        case _:
            return None


def _part(detail: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a CloudTrail record that may be null or absent."""
    part = detail.get(name)
    return part if isinstance(part, dict) else {}


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise _MalformedError(name)
    return value


def _text(parent: Mapping[str, Any], name: str, path: str = "") -> str:
    value = parent.get(name)
    if not isinstance(value, str):
        raise _MalformedError(path + name)
    return value
