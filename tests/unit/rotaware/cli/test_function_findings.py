"""Each fact about a function that is not right is a finding with its fix."""

from __future__ import annotations

import pytest

from rotaware.cli import function_findings
from rotaware.cli.findings import ERROR, OK, WARNING
from rotaware.cli.function import Answer, Function, Layer, Place, Question

PLACE = Place("aws", "eu-west-1", "123456789012")
ARN = "arn:aws:lambda:eu-west-1:123456789012:layer"
GOOD = Layer(f"{ARN}:rotaware-arm64:3", "rotaware-arm64", 3, True, ("arm64",), 3)  # noqa: FBT003
SOURCES = GOOD._replace(name="rotaware-python")
FUNCTION = Function("f", "arn", "role", "python3.13", "arm64", False, {}, (GOOD,))  # noqa: FBT003
OLD = FUNCTION._replace(runtime="python3.11")


@pytest.mark.parametrize(
    ("function", "layer", "state", "words"),
    [
        (FUNCTION, GOOD, OK, ""),
        (FUNCTION, GOOD._replace(newest=None), OK, ""),
        (FUNCTION._replace(runtime="python3.12"), SOURCES, OK, ""),
        (OLD, GOOD, OK, ""),
        (OLD, SOURCES, ERROR, "build/layer.zip"),
        (FUNCTION._replace(runtime="nodejs22.x"), SOURCES, ERROR, "build/layer.zip"),
        (FUNCTION, GOOD._replace(known=False), WARNING, "publish the layer"),
        (FUNCTION, GOOD._replace(architectures=()), WARNING, "architectures arm64"),
        (FUNCTION, GOOD._replace(architectures=("x86_64",)), ERROR, "ARCH=arm64"),
        (FUNCTION, GOOD._replace(newest=4), WARNING, f"{ARN}:rotaware-arm64:4"),
    ],
)
def test_layers(function: Function, layer: Layer, state: str, words: str) -> None:
    """Unknown, for another processor or Python, old, or good."""
    (finding,) = function_findings.of_layers(function, [layer])

    assert state == finding.state
    assert words in finding.fix


def test_no_layer() -> None:
    """Another layer is not it; AWS's own is in the way."""
    aws = Layer("arn", "AWS-Parameters-and-Secrets-Lambda-Extension", 1)
    function = FUNCTION._replace(layers=(aws,))
    missing, in_the_way = function_findings.of_layers(function, [aws])

    assert "--function-name f --layers" in missing.fix
    assert "remove it" in in_the_way.fix


def test_an_image() -> None:
    """It cannot be looked into."""
    (finding,) = function_findings.of_layers(FUNCTION._replace(is_image=True), [])

    assert WARNING == finding.state


def test_good_settings() -> None:
    """They name a sheet and secrets; what is encrypted is no secret's name."""
    chosen = function_findings.of_settings(
        {
            "SECRET_DB": "app/db",
            "SECRET_KEY": "AQIDBA==",
            "ROTAWARE_KMS_ENV": "SECRET_KEY",
            "ROTAWARE_NAMESPACE": "team",
            "OTHER": "x",
        }
    )

    assert chosen.usable
    assert "/rotaware/team/stamps" == chosen.sheet
    assert {"SECRET_DB": "app/db"} == chosen.secrets
    assert [OK] == [each.state for each in chosen.findings]


def test_wrong_settings() -> None:
    """Each problem is a finding, and no value of a secret is quoted."""
    chosen = function_findings.of_settings(
        {
            "SECRET_DB": "canary with blanks",
            "SECRET_KEY": "no base64!",
            "ROTAWARE_KMS_ENV": "SECRET_KEY",
            "ROTAWARE_NAMESPCE": "x",
            "ROTAWARE_CHECK_INTERVAL": "5s",
        }
    )

    assert not chosen.usable
    assert 4 == len(chosen.findings)
    assert {ERROR} == {each.state for each in chosen.findings}
    assert all(each.fix for each in chosen.findings)
    assert "canary" not in str(chosen)


def test_a_problem_without_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets a general one."""

    def complain(_: object) -> tuple[dict[str, str], list[str]]:
        return {}, ["X: wrong"]

    monkeypatch.setattr(function_findings, "parsed", complain)
    (finding,) = function_findings.of_settings({}).findings

    assert ("X: wrong", "correct it") == finding[2:]


def test_unreadable_settings() -> None:
    """Their key is not for who asks."""
    chosen = function_findings.of_settings(None)

    assert not chosen.usable
    assert [WARNING] == [each.state for each in chosen.findings]


@pytest.mark.parametrize(
    ("own", "written", "state", "fix"),
    [
        ("/rotaware/a/stamps", "/rotaware/a/stamps", OK, ""),
        (None, "/rotaware/a/stamps", WARNING, "remove"),
        ("/other", "/rotaware/a/stamps", ERROR, "set ROTAWARE_NAMESPACE=a, and"),
        ("/other", "/my/sheet", ERROR, "set ROTAWARE_STAMPS=ssm:///my/sheet"),
        (
            "/other",
            "dynamodb://t/a",
            ERROR,
            "set ROTAWARE_STAMPS=dynamodb://t and ROTAWARE_NAMESPACE=a",
        ),
    ],
)
def test_sheets(own: str | None, written: str, state: str, fix: str) -> None:
    """None, another one, or the one that is written."""
    finding = function_findings.of_sheets(own, written)

    assert state == finding.state
    assert fix in finding.fix


def test_names() -> None:
    """Each secret that a variable names is there."""
    arns = {"app/db": "arn"}
    (none,) = function_findings.of_names({}, arns, PLACE)
    (good,) = function_findings.of_names({"SECRET_A": "app/db"}, arns, PLACE)
    (wrong,) = function_findings.of_names({"SECRET_A": "app/d"}, arns, PLACE)

    assert (OK, OK, ERROR) == (none.state, good.state, wrong.state)
    assert "variable SECRET_A" == wrong.about


@pytest.mark.parametrize(
    ("account", "state"), [("123456789012", ERROR), ("999999999999", OK)]
)
def test_another_accounts_secret(account: str, state: str) -> None:
    """Whether it is there is not known here."""
    arn = f"arn:aws:secretsmanager:eu-west-1:{account}:secret:app/db-AbCdEf"
    (found,) = function_findings.of_names({"SECRET_A": arn}, {}, PLACE)

    assert state == found.state


def test_roles() -> None:
    """It may read what it should, and no more."""
    read = Question("ssm:GetParameter", "arn", "the sheet", should=True)
    more = Question("ssm:PutParameter", "arn", "the sheet", should=False)
    any_secret = Question("secretsmanager:GetSecretValue", "arn", "all", should=False)

    def found(*answers: tuple[Question, bool]) -> list[tuple[str, str]]:
        return [
            (each.state, each.text)
            for each in function_findings.of_role(
                "arn:aws:iam::1:role/path/r", [Answer(*each) for each in answers]
            )
        ]

    assert [OK] == [state for state, _ in found((read, True), (more, False))]
    assert [
        (ERROR, "may not read the sheet"),
        (WARNING, "may write the sheet"),
        (WARNING, "may read all"),
    ] == found((read, False), (more, True), (any_secret, True))
