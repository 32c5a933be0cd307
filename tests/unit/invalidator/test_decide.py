"""What each event means: A table of AWS's events, and a law for everything else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invalidator.decide import Ignored, Touched, decide, decide_text
from rotaware.parsers import resource_id
from rotaware.sheet import subject_of
from tests.support.events import (
    ACCOUNT,
    API_CALL,
    OCCURRED_AT,
    PARAMETER_ARN,
    REGION,
    SECRET_ARN,
    SERVICE_EVENT,
    VERSION,
    Event,
    envelope,
    label_updated,
    parameter_changed,
    put_secret_value,
    recorded,
    rotation,
)

if TYPE_CHECKING:
    from invalidator.decide import Decision

SHEET = "/rotaware/default/stamps"
NAME = "prod/db"
# What the sheet calls the secret does not depend on these six characters.
NAMED = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{NAME}-??????"
PARAMETER_HOME = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"
PARTIAL_ARN = SECRET_ARN.removesuffix("-AbCdEf")
BY_ARN = Touched("secretsmanager", SECRET_ARN, SECRET_ARN, OCCURRED_AT)
BY_NAME = Touched("secretsmanager", NAME, NAMED, OCCURRED_AT)
LABELLED = replace(BY_ARN, version=VERSION)
LABELLED_BY_NAME = replace(BY_NAME, version=VERSION)
PARAMETER = Touched("ssm", "/prod/flag", PARAMETER_ARN, OCCURRED_AT)

SHARED_ARN = PARAMETER_ARN.replace(ACCOUNT, "999999999999")
BY_REQUEST: dict[str, Any] = {"requestParameters": {"secretId": NAME}}


def answering(key: str) -> dict[str, Any]:
    """A call by name, answered with the ARN under one of its spellings."""
    return {
        "requestParameters": {"secretId": NAME},
        "responseElements": {key: SECRET_ARN, "name": NAME},
    }


def staging(stage: object) -> dict[str, Any]:
    """The request of UpdateSecretVersionStage."""
    return {"requestParameters": {"secretId": NAME, "versionStage": stage}}


def extra(key: str, part: str = "additionalEventData") -> dict[str, Any]:
    """The part of a service event that names the secret."""
    return {part: {key: SECRET_ARN}}


def versioned(version: object) -> Event:
    """Secrets Manager's own event, with that for a version id."""
    event = label_updated()
    event["detail"]["versionId"] = version
    return event


TOUCHING: dict[str, tuple[Event, Touched]] = {
    "native": (label_updated(), LABELLED),
    "native, no resources": (
        {**label_updated(), "resources": []},
        LABELLED_BY_NAME,
    ),
    "native, resources null": (
        {**label_updated(), "resources": None},
        LABELLED_BY_NAME,
    ),
    "native, no version": (versioned(None), BY_ARN),
    "put": (put_secret_value(), BY_ARN),
    "put, stages null": (
        recorded("PutSecretValue", **answering("arn")),
        BY_ARN,
    ),
    "put, AWSCURRENT among others": (put_secret_value(["X", "AWSCURRENT"]), BY_ARN),
    "update": (recorded("UpdateSecret", **answering("arn")), BY_ARN),
    "update, ARN as it was spelt before 2024": (
        recorded("UpdateSecret", **answering("aRN")),
        BY_ARN,
    ),
    "update, ARN in capitals": (recorded("UpdateSecret", **answering("ARN")), BY_ARN),
    "stage moved": (
        recorded("UpdateSecretVersionStage", **staging("AWSCURRENT")),
        BY_NAME,
    ),
    "rotated": (rotation("RotationSucceeded"), BY_ARN),
    "rotated, small key": (
        recorded("RotationSucceeded", SERVICE_EVENT, **extra("secretId")),
        BY_ARN,
    ),
    "rotated by RDS": (
        recorded(
            "RotationSucceeded",
            SERVICE_EVENT,
            **extra("secretId", "serviceEventDetails"),
        ),
        BY_ARN,
    ),
    "rotation abandoned": (rotation("RotationAbandoned"), BY_ARN),
    "create": (
        recorded("CreateSecret", requestParameters={"name": NAME}),
        BY_NAME,
    ),
    "delete": (recorded("DeleteSecret", **answering("aRN")), BY_ARN),
    "restore": (recorded("RestoreSecret", **BY_REQUEST), BY_NAME),
    "deletion begun": (
        recorded("StartSecretVersionDelete", SERVICE_EVENT, **extra("ARN")),
        BY_ARN,
    ),
    "deletion done": (
        recorded("EndSecretVersionDelete", SERVICE_EVENT, **extra("arn")),
        BY_ARN,
    ),
    "deletion cancelled": (rotation("CancelSecretVersionDelete"), BY_ARN),
    "an ARN without its suffix": (
        recorded("RestoreSecret", requestParameters={"secretId": PARTIAL_ARN}),
        Touched("secretsmanager", PARTIAL_ARN, NAMED, OCCURRED_AT),
    ),
    "what is no id is passed over": (
        recorded(
            "RestoreSecret",
            responseElements={"arn": "not: an ARN"},
            **BY_REQUEST,
        ),
        BY_NAME,
    ),
    "only resources name it": (
        {**recorded("UpdateSecret"), "resources": [SECRET_ARN]},
        BY_ARN,
    ),
    "parameter created": (parameter_changed(operation="Create"), PARAMETER),
    "parameter updated": (parameter_changed(), PARAMETER),
    "parameter deleted": (parameter_changed(operation="Delete"), PARAMETER),
    "parameter labelled": (
        parameter_changed(operation="LabelParameterVersion"),
        PARAMETER,
    ),
    "parameter, no resources": ({**parameter_changed(), "resources": []}, PARAMETER),
    "parameter, another resource": (
        {**parameter_changed(), "resources": [SECRET_ARN]},
        PARAMETER,
    ),
    "parameter of one level": (
        parameter_changed("/flag"),
        Touched(
            "ssm",
            "/flag",
            f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/flag",
            OCCURRED_AT,
        ),
    ),
    "advanced parameter": (
        parameter_changed()
        | {"detail": {"operation": "Update", "name": "/prod/flag", "tier": "Advanced"}},
        PARAMETER,
    ),
    "another account's parameter": (
        {**parameter_changed(arn=SHARED_ARN), "account": "999999999999"},
        Touched("ssm", "/prod/flag", SHARED_ARN, OCCURRED_AT),
    ),
    "another account's parameter, no resources": (
        {**parameter_changed(), "account": "999999999999", "resources": []},
        Touched("ssm", "/prod/flag", SHARED_ARN, OCCURRED_AT),
    ),
    "parameter without levels": (
        parameter_changed("flag"),
        Touched(
            "ssm",
            "flag",
            f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/flag",
            OCCURRED_AT,
        ),
    ),
}

OTHER_LABEL = "another label than AWSCURRENT"
NO_CHANGE = "changes no current value"

IGNORED: dict[str, tuple[Any, str]] = {
    "native, own label": (label_updated(label="BLUE"), OTHER_LABEL),
    "put of a rotation": (put_secret_value(["AWSPENDING"]), OTHER_LABEL),
    "put without any stage": (put_secret_value([]), OTHER_LABEL),
    "another stage moved": (
        recorded("UpdateSecretVersionStage", **staging("AWSPENDING")),
        OTHER_LABEL,
    ),
    "rotation starts": (recorded("RotateSecret", **BY_REQUEST), NO_CHANGE),
    "rotation started": (rotation("RotationStarted"), NO_CHANGE),
    "rotation failed": (rotation("RotationFailed"), NO_CHANGE),
    "rotation cancelled": (recorded("CancelRotateSecret", **BY_REQUEST), NO_CHANGE),
    "replicated": (recorded("ReplicateSecretToRegions", **BY_REQUEST), NO_CHANGE),
    "failed call": (
        recorded("PutSecretValue", errorCode="AccessDenied", **BY_REQUEST),
        "the call failed",
    ),
    "a read": (recorded("GetSecretValue", **BY_REQUEST), "unknown event"),
    "a tag": (recorded("TagResource", **BY_REQUEST), "unknown event"),
    "another detail-type": (
        {**label_updated(), "detail-type": "Secret Label Added"},
        "unknown event",
    ),
    "detail-type is a number": ({**label_updated(), "detail-type": 7}, "unknown event"),
    "another source": ({**label_updated(), "source": "aws.kms"}, "unknown event"),
    "another parameter event": (
        {**parameter_changed(), "detail-type": "Parameter Store Policy Action"},
        "unknown event",
    ),
    "another operation": (parameter_changed(operation="Rename"), "unknown event"),
    "the sheet itself": (parameter_changed(SHEET), "a stamp sheet"),
    "another namespace's sheet": (
        parameter_changed("/rotaware/other/stamps"),
        "a stamp sheet",
    ),
    "nothing": ({}, "unknown event"),
    "null": (None, "unknown event"),
    "a list": ([label_updated()], "unknown event"),
}

MALFORMED: dict[str, tuple[Event, str]] = {
    "native without detail": ({**label_updated(), "detail": None}, "detail"),
    "native without label": (
        envelope("aws.secretsmanager", "Secret Label Updated", {}, (SECRET_ARN,)),
        "detail.labelUpdated",
    ),
    "native without secret": (
        {**label_updated(name="no such name: it has blanks"), "resources": []},
        "detail.name",
    ),
    "recorded without detail": ({**rotation("X"), "detail": "text"}, "detail"),
    "recorded without name": (
        envelope("aws.secretsmanager", API_CALL, {"eventName": None}),
        "detail.eventName",
    ),
    "call without secret": (
        recorded("UpdateSecret"),
        "detail.requestParameters.secretId",
    ),
    "creation without name": (
        recorded("CreateSecret"),
        "detail.requestParameters.name",
    ),
    "rotation without secret": (
        recorded("RotationSucceeded", SERVICE_EVENT),
        "detail.additionalEventData.SecretId",
    ),
    "stages are text": (
        put_secret_value("AWSCURRENT"),
        "detail.requestParameters.versionStages",
    ),
    "stage moved, none named": (
        recorded("UpdateSecretVersionStage", **staging(None)),
        "detail.requestParameters.versionStage",
    ),
    "time missing": ({**label_updated(), "time": None}, "time"),
    "time is no time": ({**label_updated(), "time": "yesterday"}, "time"),
    "time without zone": ({**label_updated(), "time": "2026-01-31T12:00:00"}, "time"),
    "account missing": (
        {**recorded("RestoreSecret", **BY_REQUEST), "account": None},
        "account",
    ),
    "account is no account": (
        {**recorded("RestoreSecret", **BY_REQUEST), "account": "12"},
        "account",
    ),
    "region is no region": (
        {**recorded("RestoreSecret", **BY_REQUEST), "region": "eu:west"},
        "region",
    ),
    "parameter without detail": ({**parameter_changed(), "detail": []}, "detail"),
    "parameter without name": (
        envelope("aws.ssm", "Parameter Store Change", {"operation": "Update"}),
        "detail.name",
    ),
    "parameter with an impossible name": (parameter_changed("a b"), "detail.name"),
    "parameter of slashes only": (
        {**parameter_changed("/"), "resources": []},
        "detail.name",
    ),
    "parameter whose ARN names none": (
        {**parameter_changed("/"), "resources": [f"{PARAMETER_HOME}//"]},
        "detail.name",
    ),
    "parameter without operation": (
        envelope("aws.ssm", "Parameter Store Change", {"name": "/a"}),
        "detail.operation",
    ),
}


def decided(event: object) -> Decision:
    """Both ways in must agree."""
    decision = decide(event, sheet=SHEET)

    assert decision == decide_text(json.dumps(event), sheet=SHEET)

    return decision


@pytest.mark.parametrize(("event", "touched"), TOUCHING.values(), ids=TOUCHING)
def test_what_may_move_awscurrent_touches(event: Event, touched: Touched) -> None:
    """Every event after which another value may be current names its secret."""
    assert touched == decided(event)


@pytest.mark.parametrize(("event", "reason"), IGNORED.values(), ids=IGNORED)
def test_what_moves_nothing_is_ignored(event: object, reason: str) -> None:
    """Events that change no current value stamp nothing, and say why."""
    assert Ignored(reason) == decided(event)


@pytest.mark.parametrize(("event", "field"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_event_names_the_field(event: Event, field: str) -> None:
    """An event without a field that it should have is dropped, by the field's name."""
    assert Ignored(f"malformed: {field}") == decided(event)


class Broken(dict[str, Any]):
    """An event that raises what nobody foresaw."""

    def get(self, *_: object) -> object:
        """Fail."""
        raise LookupError("canary")


def test_a_fault_of_ours_is_the_events_own() -> None:
    """Whatever goes wrong with an event, it is dropped and its batch goes on."""
    event = Broken(label_updated())

    assert Ignored("unforeseen: LookupError") == decide(event, sheet=SHEET)


@pytest.mark.parametrize("name", ["rds!cluster-3ce4f6", "a/b_+=.@-"])
def test_every_name_that_can_be_prefetched_can_be_stamped(name: str) -> None:
    """Events and settings know the same characters of a secret's name."""
    arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"

    assert [name, arn] == [resource_id(name), resource_id(arn)]
    decision = decided(label_updated(arn, name))
    assert Touched("secretsmanager", arn, arn, OCCURRED_AT, VERSION) == decision
    by_name = decided({**label_updated(arn, name), "resources": []})
    assert isinstance(by_name, Touched)
    assert name == by_name.id


def test_a_sheet_of_any_name_is_recognised() -> None:
    """The invalidator never answers its own write, whatever its sheet is called."""
    event = parameter_changed("/team/stamps")

    assert Ignored("a stamp sheet") == decide(event, sheet="/team/stamps")
    assert isinstance(decide(event, sheet=SHEET), Touched)


def test_a_parameter_beside_the_sheet_touches() -> None:
    """Only sheets are left out, not all that lies near them."""
    assert isinstance(decided(parameter_changed("/rotaware/default/other")), Touched)


def test_name_and_arn_mean_one_subject() -> None:
    """A secret known by name alone has the stamp that its ARN has."""
    assert subject_of(BY_ARN.arn) == subject_of(BY_NAME.arn)


def test_equal_questions_have_equal_keys() -> None:
    """Two events about one id ask one question; another service asks another."""
    later = Touched("secretsmanager", SECRET_ARN, SECRET_ARN, OCCURRED_AT + 1)

    assert BY_ARN.key == later.key
    assert BY_ARN.key != Touched("ssm", SECRET_ARN, SECRET_ARN, OCCURRED_AT).key


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, '"\\ud800'])
def test_a_body_that_is_no_json_is_malformed(body: str) -> None:
    """A message that is no JSON is dropped, not retried."""
    assert Ignored("malformed: body") == decide_text(body, sheet=SHEET)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
SAMPLES = [event for event, _ in (*TOUCHING.values(), *MALFORMED.values())]


@st.composite
def damaged(draw: st.DrawFn) -> Event:
    """A sample of which one field, at any depth, holds something else."""
    event: Event = json.loads(json.dumps(draw(st.sampled_from(SAMPLES))))
    part = event
    while True:
        key = draw(st.sampled_from(sorted(part)))
        if isinstance(part[key], dict) and part[key] and draw(st.booleans()):
            part = part[key]
            continue
        part[key] = draw(JSON)
        return event


@given(JSON | damaged())
def test_any_json_gets_an_answer(event: object) -> None:
    """No event raises; what it touches always has a subject."""
    decision = decide(event, sheet=SHEET)

    if isinstance(decision, Touched):
        subject_of(decision.arn)
    else:
        assert decision.reason
