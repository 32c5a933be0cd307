"""What the commands take, say and refuse; tests/cli runs them on the stand-in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rotaware.cli import commands
from rotaware.cli.findings import ERROR, OK, Finding
from rotaware.errors import AwsError
from rotaware.sheet import Sheet, Stamp, encode, subject_of, version_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from click.testing import Result

HERE = "eu-west-1:123456789012"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:app/db-AbCdEf"
DESCRIBED = {
    "ARN": SECRET,
    "VersionIdsToStages": {"v2": ["AWSCURRENT"]},
    "LastChangedDate": 5.0,
}
LISTED = {
    "ARN": SECRET,
    "Name": "app/db",
    "SecretVersionsToStages": {"v2": ["AWSCURRENT"]},
}


def sheet(version: str | None = None) -> dict[str, Any]:
    """What Parameter Store answers: a sheet with a stamp of this version, if any."""
    digest = version_digest(version or "")
    stamps = {subject_of(SECRET): Stamp(digest, 1000)} if version else {}
    value = encode(
        Sheet(stamps={**stamps, "unknown": Stamp("x", 1)} if version else {})
    )
    return {"Parameter": {"Version": 3, "Value": value}}


def test_the_doctor(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error makes the status 1; as lines, or as JSON."""
    found = [Finding(OK, "stack", "is there")]
    monkeypatch.setattr(commands, "diagnose", lambda *_: found)
    good = run("doctor")
    found.append(Finding(ERROR, "rule", "gone", "do it"))
    bad = run("doctor", "--json")

    assert (0, 1) == (good.exit_code, bad.exit_code)
    assert "ok      stack: is there\n" == good.stdout
    assert ["ok", "error"] == [each["state"] for each in json.loads(bad.stdout)]


def test_stamps(run: Callable[..., Result]) -> None:
    """All that is listed, and what is not."""
    answers = {
        "ssm__GetParameter": sheet("v1"),
        "ssm__DescribeParameters": {"Parameters": []},
        "secretsmanager__ListSecrets": {"SecretList": [LISTED]},
    }
    shown = run("stamps", **answers)
    document = json.loads(run("stamps", "--json", **answers).stdout)

    assert 0 == shown.exit_code
    assert "/rotaware/default/stamps: generation 3, horizon 0, 3% full" in shown.stdout
    assert "differs" in shown.stdout
    assert ["differs", "unknown"] == [row["state"] for row in document["rows"]]
    assert (3, 0, 2) == (
        document["generation"],
        document["horizon"],
        document["overwritten"],
    )


def test_stamps_of_names(run: Callable[..., Result]) -> None:
    """Only these, on the sheet that is named."""
    answers = {
        "ssm__GetParameter": sheet("v2"),
        "secretsmanager__DescribeSecret": DESCRIBED,
    }
    result = run("stamps", "--namespace", "team", "app/db", **answers)

    assert result.stdout.startswith("/rotaware/team/stamps: ")
    assert "same" in result.stdout
    assert "unknown" not in result.stdout


def test_a_sheet_without_stamps(run: Callable[..., Result]) -> None:
    """Nothing was ever stamped."""
    answers = {
        "ssm__GetParameter": sheet(),
        "secretsmanager__DescribeSecret": DESCRIBED,
    }

    assert "last stamp never" in run("stamps", "app/db", **answers).stdout


def test_no_sheet(run: Callable[..., Result]) -> None:
    """It may be another one that is meant."""
    result = run("stamps", ssm__GetParameter=AwsError("ParameterNotFound", "none"))

    assert 1 == result.exit_code
    assert "there is no sheet /rotaware/default/stamps here; deploy" in result.stderr


def test_stamp(run: Callable[..., Result]) -> None:
    """At the version that is current; none has an empty one."""
    answers = {
        "ssm__GetParameter": sheet("v2"),
        "ssm__PutParameter": {"Version": 4},
        "secretsmanager__DescribeSecret": DESCRIBED,
    }
    shown = run("stamp", "app/db", **answers)
    gone = run(
        "stamp",
        "app/db",
        **{**answers, "secretsmanager__DescribeSecret": {"ARN": SECRET}},
    )
    document = json.loads(run("stamp", "--json", "app/db", **answers).stdout)

    assert "app/db: v2\n" == shown.stdout
    assert "app/db: no current version\n" == gone.stdout
    assert {
        "sheet": "/rotaware/default/stamps",
        "stamped": {"app/db": "v2"},
    } == document


def test_one_wrong_name_stamps_nothing(run: Callable[..., Result]) -> None:
    """All are looked at first."""
    missing = AwsError("ResourceNotFoundException", "no such secret")

    def write(_: object) -> None:
        raise AssertionError("it wrote")

    result = run(
        "stamp",
        "app/db",
        "nope",
        secretsmanager__DescribeSecret=lambda request: (
            DESCRIBED if request["SecretId"] == "app/db" else missing
        ),
        ssm__GetParameter=sheet("v1"),
        ssm__PutParameter=write,
    )

    assert 1 == result.exit_code
    assert "no such secret" in result.stderr


def test_cost(run: Callable[..., Result]) -> None:
    """As lines, or as JSON."""
    options = ("cost", "--invocations", "1000", "--environments", "1")
    shown = run(*options)
    document = json.loads(run(*options, "--json").stdout)

    assert "take ssm: " in shown.stdout
    assert "prices: November 2026" in shown.stdout
    assert ("ssm", [20, 1000]) == (document["store"], document["checks"])
