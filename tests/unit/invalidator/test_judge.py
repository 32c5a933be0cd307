"""What AWS says is current, and what it will not say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from invalidator.decide import Touched
from invalidator.judge import NAMES_PER_CALL, Judge
from rotaware.describe import GONE
from rotaware.errors import AwsError, AwsThrottledError
from rotaware.sheet import subject_of
from tests.support.account import Account
from tests.support.events import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterable


def secret(name: str, *, arn: str | None = None) -> Touched:
    """A secret touched by its ARN, or by its name alone."""
    made_up = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-??????"
    return Touched("secretsmanager", arn or name, arn or made_up, 0.0)


def parameter(name: str, account: str = ACCOUNT) -> Touched:
    """A parameter touched by its name."""
    arn = f"arn:aws:ssm:{REGION}:{account}:parameter/{name.removeprefix('/')}"
    return Touched("ssm", name, arn, 0.0)


def judge_of(account: Account, touched: Iterable[Touched]) -> Judge:
    """A judge in the account's own Region."""
    return Judge(account, touched, region=REGION)


def test_the_version_labelled_awscurrent_is_the_answer() -> None:
    """DescribeSecret's AWSCURRENT counts, whatever other labels there are."""
    account = Account()
    arn = account.put_secret("a", "v2")

    assert {subject_of(arn): "v2"} == judge_of(account, [secret("a", arn=arn)])()


def test_a_name_is_resolved_to_the_subject_of_its_arn() -> None:
    """An event that names a secret stamps what an event with its ARN stamps."""
    account = Account()
    arn = account.put_secret("a", "v2")

    assert {subject_of(arn): "v2"} == judge_of(account, [secret("a")])()


@pytest.mark.parametrize(
    "change",
    [
        {"DeletedDate": 1769860800.0},
        {"VersionIdsToStages": {"v": ["AWSPENDING"]}},
        {"VersionIdsToStages": None},
    ],
    ids=["waits for deletion", "no current version", "no version"],
)
def test_what_has_no_value_to_give_is_gone(change: dict[str, object]) -> None:
    """A secret that cannot be read is stamped as such, so that readers let go of it."""
    account = Account()
    arn = account.put_secret("a", "v1")
    account.change_secret("a", **change)

    assert {subject_of(arn): GONE} == judge_of(account, [secret("a", arn=arn)])()


def test_a_deleted_secret_is_gone_by_arn_and_by_name() -> None:
    """A secret that AWS does not know is gone, under the subject that it had."""
    account = Account()
    arn = account.put_secret("a", "v1")
    account.delete_secret("a")

    for touched in (secret("a", arn=arn), secret("a")):
        assert {subject_of(arn): GONE} == judge_of(account, [touched])()
    # By name there is nothing more to ask.
    assert [arn, "a", "a"] == account.names("DescribeSecret")


def test_a_name_that_lives_again_is_not_gone() -> None:
    """The late event of a deleted secret does not hide its successor's version."""
    account = Account()
    old = account.put_secret("a", "v1", suffix="111111")
    account.delete_secret("a")
    new = account.put_secret("a", "v9", suffix="222222")

    assert {subject_of(new): "v9"} == judge_of(account, [secret("a", arn=old)])()


def test_another_accounts_secret_is_not_confused_with_ours() -> None:
    """A foreign ARN that AWS does not know is gone, though we have such a name."""
    account = Account()
    foreign = account.put_secret("a", "v1").replace(ACCOUNT, "999999999999")

    assert {subject_of(foreign): GONE} == judge_of(
        account, [secret("a", arn=foreign)]
    )()


def replicated(account: Account, version: str, changed_at: float) -> Touched:
    """The event of a rotation to v2 elsewhere, at 100 s, and what is here by now."""
    arn = account.put_secret("a", version)
    account.change_secret("a", LastChangedDate=changed_at)
    primary = arn.replace(REGION, "us-east-1")
    return Touched("secretsmanager", primary, primary, 100.0, "v2")


@pytest.mark.parametrize(
    ("version", "changed_at"),
    [("v2", 50.0), ("v2", 101.0), ("v3", 101.0), ("v3", 100.0)],
    ids=["its version", "its version, later", "a later version", "at the same time"],
)
def test_a_replica_answers_for_its_primary(version: str, changed_at: float) -> None:
    """An event forwarded from another Region is judged by the copy that is here."""
    account = Account()
    touched = replicated(account, version, changed_at)

    assert {subject_of(touched.arn): version} == judge_of(account, [touched])()
    assert [touched.arn.replace("us-east-1", REGION)] == account.names("DescribeSecret")


def test_a_replica_that_lags_is_asked_again_later() -> None:
    """No event tells when it catches up, so the event itself has to come again."""
    account = Account()
    touched = replicated(account, "v1", 99.0)
    judge = judge_of(account, [touched])

    assert {} == judge()
    assert "its replica here does not show that version yet" == str(
        judge.refused[touched.key]
    )


def test_the_last_event_says_which_version_to_wait_for() -> None:
    """Of two rotations elsewhere in one batch, the replica may show the first alone."""
    account = Account()
    first = replicated(account, "v2", 101.0)
    second = replace(first, occurred_at=102.0, version="v3")
    judge = judge_of(account, [second, first])

    assert {} == judge()
    assert {first.key} == judge.refused.keys()


@pytest.mark.parametrize("version", ["", "v2"])
def test_what_happened_here_is_believed_at_once(version: str) -> None:
    """In its own Region a secret has no lag, whatever its event names."""
    account = Account()
    arn = account.put_secret("a", "v1")
    touched = Touched("secretsmanager", arn, arn, 100.0, version)

    assert {subject_of(arn): "v1"} == judge_of(account, [touched])()


def test_an_event_without_a_version_believes_the_replica() -> None:
    """Those of CloudTrail name none; they are a hint, as everywhere."""
    account = Account()
    touched = replace(replicated(account, "v1", 99.0), version="")

    assert {subject_of(touched.arn): "v1"} == judge_of(account, [touched])()


def test_parameters_are_asked_about_together() -> None:
    """One question covers 50 names, follows every page, and misses those deleted."""
    account = Account()
    names = [f"/p{number}" for number in range(NAMES_PER_CALL + 1)]
    for name in names[1:]:
        account.put_parameter(name)
    account.put_parameter(names[2])

    answers = judge_of(account, map(parameter, names))()

    assert [
        answers[subject_of(parameter(name).arn)] for name in (*names[:3], names[-1])
    ] == [GONE, "1", "2", "1"]
    assert len(names) == len(answers)
    asked = account.names("DescribeParameters")
    assert {tuple(names[:NAMES_PER_CALL]), tuple(names[NAMES_PER_CALL:])} == set(asked)


@pytest.mark.parametrize("tells_arn", [True, False])
def test_another_accounts_parameter_is_not_confused_with_ours(
    *, tells_arn: bool
) -> None:
    """Its events may be forwarded here; whoever holds it reads it anew after each."""
    account = Account()
    account.tells_arn = tells_arn
    account.put_parameter("/p")
    ours, theirs = parameter("/p"), parameter("/p", "999999999999")
    answers = judge_of(account, [ours, theirs])()

    assert {
        subject_of(ours.arn): "1",
        subject_of(theirs.arn): GONE if tells_arn else "1",
    } == answers
    assert [("/p",)] == account.names("DescribeParameters")[:1]


def test_each_id_is_asked_about_once_a_call() -> None:
    """Duplicates cost nothing; a second call asks AWS anew."""
    account = Account()
    arn = account.put_secret("a", "v1")
    judge = judge_of(account, [secret("a", arn=arn)] * 3 + [parameter("/p")] * 3)

    before = judge()
    account.put_secret("a", "v2")
    account.put_parameter("/p")
    after = judge()

    assert [{"v1", GONE}, {"v2", "1"}] == [set(before.values()), set(after.values())]
    assert [arn] * 2 == account.names("DescribeSecret")


def test_a_refusal_concerns_its_secret_alone() -> None:
    """What AWS refuses is remembered and not asked again; the rest is answered."""
    account = Account()
    arns = [account.put_secret(name, "v1") for name in "ab"]
    denied = AwsError("AccessDeniedException", "denied")
    account.refusals["DescribeSecret", arns[0]] = denied
    touched = [secret(name, arn=arn) for name, arn in zip("ab", arns, strict=True)]
    judge = judge_of(account, touched)

    assert [{subject_of(arns[1]): "v1"}] * 2 == [judge(), judge()]
    assert {touched[0].key: denied} == judge.refused
    assert [arns[0], arns[1], arns[1]] == account.names("DescribeSecret")


@pytest.mark.parametrize(
    "refusal",
    [
        AwsThrottledError("ThrottlingException", "slow down"),
        AwsError("AccessDeniedException", "no right to describe"),
    ],
    ids=["throttled", "denied"],
)
def test_a_refusal_of_parameters_concerns_all_that_were_asked_about(
    refusal: AwsError,
) -> None:
    """Names that share a question share its refusal; secrets do not."""
    account = Account()
    arn = account.put_secret("a", "v1")
    account.refusals["DescribeParameters", ("/p", "/q")] = refusal
    judge = judge_of(account, [parameter("/p"), secret("a", arn=arn), parameter("/q")])

    assert {subject_of(arn): "v1"} == judge()
    assert {("ssm", "/p"): refusal, ("ssm", "/q"): refusal} == judge.refused
    assert [("/p", "/q")] == account.names("DescribeParameters")


def test_a_name_that_aws_refuses_is_refused_alone() -> None:
    """Where a question fails for what it asks, its names are asked one by one."""
    account = Account()
    account.put_parameter("/p")
    account.put_parameter("/r")
    invalid = AwsError("ValidationException", "no such name can be")
    for names in [("/p", "/q", "/r"), ("/q",)]:
        account.refusals["DescribeParameters", names] = invalid
    judge = judge_of(account, map(parameter, ["/p", "/q", "/r"]))
    expected = {subject_of(parameter(name).arn): "1" for name in ("/p", "/r")}

    assert [expected] * 2 == [judge(), judge()]
    assert {("ssm", "/q"): invalid} == judge.refused
    asked = [("/p", "/q", "/r"), ("/p",), ("/q",), ("/r",), ("/p", "/r")]
    assert asked == list(dict.fromkeys(account.names("DescribeParameters")))


def test_a_fault_of_ours_concerns_its_event_alone() -> None:
    """What nobody foresaw is handed back for its own secret, without its text."""
    account = Account()
    good = account.put_secret("good", "v1")
    bad = account.put_secret("bad", "v1")
    account.change_secret("bad", ARN=bad.replace(":secret:", ":canary:"))
    account.put_parameter("/p")
    odd = Touched("ssm", "/canary", "no ARN", 0.0)
    judge = judge_of(account, [secret("bad"), secret("good"), odd, parameter("/p")])

    expected = {subject_of(good): "v1", subject_of(parameter("/p").arn): "1"}
    assert expected == judge()
    assert {("secretsmanager", "bad"), odd.key} == judge.refused.keys()
    assert {"unforeseen: ValueError"} == set(map(str, judge.refused.values()))
