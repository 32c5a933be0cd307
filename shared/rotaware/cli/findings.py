"""What is wrong with a deployment, and how to put it right: findings from facts.

No I/O here; ``stack`` collects the facts. Each finding names one thing, says in which
state it is, and if that is not good, what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rotaware.cli.comparison import fullness
from rotaware.secret import SECRETS_MANAGER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rotaware.cli.comparison import Row
    from rotaware.cli.stack import Invalidator, Mapping, Queue, Rule, Stack
    from rotaware.errors import AwsError
    from rotaware.sheet import Edition

OK, WARNING, ERROR = "ok", "warning", "error"
NATIVE_EVENT = "Secret Label Updated"
ON_ITS_WAY_SECONDS = 120
"""How old a change may be whose stamp is not there: event, queue and invalidator take
seconds, and a batch that fails is tried again after the queue's visibility timeout."""
NEARLY_FULL = 0.9
_REDEPLOY = "deploy the stack again"
_ANEW = (
    "detach its ReadingPolicy from all roles, delete the stack and deploy it again: an"
    " update does not bring back what was deleted by hand"
)
_MUST_GO = {
    "CREATE_FAILED",
    "DELETE_FAILED",
    "REVIEW_IN_PROGRESS",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
}
"""States of which CloudFormation updates no stack."""
_GONE = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "NoSuchEntity",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
}


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        state: ``OK``, ``WARNING`` or ``ERROR``.
        about: What was looked at.
        text: How it is.
        fix: What to do; empty where nothing is to be done.
    """

    state: str
    about: str
    text: str
    fix: str = ""


def of_refusal(about: str, refusal: AwsError) -> Finding:
    """What AWS does not show: it is gone, or whoever asks may not see it."""
    said = f"{refusal.code}: {refusal.message}"
    if refusal.code not in _GONE:
        fix = "allow it to yourself, or ask somebody who may"
        return Finding(WARNING, about, f"cannot be looked at: {said}", fix)
    fix = "give the function a role that exists" if about == "role" else _ANEW
    return Finding(ERROR, about, f"is gone: {said}", fix)


def of_stack(name: str, stack: Stack | None) -> list[Finding]:
    """Whether the stack is there, and whole."""
    about = "stack"
    if stack is None:
        text = f"there is no stack {name} here"
        fix = "deploy infra/template.yaml, or use --stack or --region"
        return [Finding(ERROR, about, text, fix)]
    if stack.status in _MUST_GO:
        fix = (
            f"aws cloudformation describe-stack-events --stack-name {name} tells why;"
            " put that right, delete the stack, and deploy it again"
        )
        return [Finding(ERROR, about, f"{name} is in state {stack.status}", fix)]
    if not stack.function_name:
        text = f"{name} has no function: it is no stack of rotaware, or half-made"
        return [Finding(ERROR, about, text, f"{_REDEPLOY}, or use --stack")]
    if "ROLLBACK" in stack.status or "FAILED" in stack.status:
        fix = (
            f"aws cloudformation describe-stack-events --stack-name {name} tells why;"
            f" put that right and {_REDEPLOY}"
        )
        return [Finding(WARNING, about, f"{name} is in state {stack.status}", fix)]
    return [Finding(OK, about, f"{name} is deployed")]


def of_rules(rules: Sequence[Rule], queue_arn: str | None) -> list[Finding]:
    """Whether the events of secrets and parameters get to the queue."""
    found = [_of_rule(rule, queue_arn) for rule in rules]
    if not any(rule.takes(NATIVE_EVENT) for rule in rules):
        text = f"no rule takes Secrets Manager's event {NATIVE_EVENT!r}"
        found.append(Finding(ERROR, "rules", text, _REDEPLOY))
    return found


def _of_rule(rule: Rule, queue_arn: str | None) -> Finding:
    about = f"rule {rule.logical_id}"
    named = f"--name {rule.name} --event-bus-name {rule.bus}"
    if rule.state is None:
        return Finding(ERROR, about, f"{rule.name} is gone", _ANEW)
    if rule.state == "DISABLED":
        return Finding(ERROR, about, "is disabled", f"aws events enable-rule {named}")
    if queue_arn is None or not rule.takes(NATIVE_EVENT):
        aimed = bool(rule.targets)
    else:
        aimed = queue_arn in rule.targets
    if not aimed:
        target = f"Id=queue,Arn={queue_arn or '<the queue>'}"
        fix = (
            f"aws events put-targets --rule {rule.name} --event-bus-name {rule.bus}"
            f" --targets {target}"
        )
        return Finding(ERROR, about, "does not send to the invalidator's queue", fix)
    return Finding(OK, about, "is enabled and has its target")


def of_mapping(mapping: Mapping | None) -> Finding:
    """Whether the queue is read by the invalidator."""
    about = "event source mapping"
    if mapping is None:
        return Finding(ERROR, about, "no queue is mapped to the invalidator", _REDEPLOY)
    if mapping.state not in {"Enabled", "Enabling", "Creating", "Updating"}:
        fix = f"aws lambda update-event-source-mapping --uuid {mapping.uuid} --enabled"
        return Finding(ERROR, about, f"is {mapping.state.lower()}", fix)
    return Finding(OK, about, "hands the queue's events to the invalidator")


def of_queue(queue: Queue) -> list[Finding]:
    """Whether events come into the queue, and out of it."""
    found = []
    if "events.amazonaws.com" not in queue.policy:
        text = "its policy does not let EventBridge send to it"
        found.append(Finding(ERROR, "queue", text, _REDEPLOY))
    if queue.dead_letter_arn is None:
        text = "has no dead-letter queue: events that fail are lost unseen"
        found.append(Finding(WARNING, "queue", text, _REDEPLOY))
    elif queue.dead_letters:
        fix = (
            "see the invalidator's log for the cause, then hand them over again:"
            f" aws sqs start-message-move-task --source-arn {queue.dead_letter_arn}"
        )
        text = f"{queue.dead_letters} events could not be stamped"
        found.append(Finding(ERROR, "dead letters", text, fix))
    else:
        found.append(Finding(OK, "dead letters", "none"))
    return found


def of_invalidator(invalidator: Invalidator) -> Finding:
    """Whether the function runs, and how often it failed within a day."""
    about = "invalidator"
    name = invalidator.name
    if invalidator.state not in {"Active", "Pending", "Inactive"}:
        text = f"{name} is in state {invalidator.state}"
        return Finding(ERROR, about, text, _REDEPLOY)
    if invalidator.reserved_concurrency == 0:
        fix = f"aws lambda delete-function-concurrency --function-name {name}"
        return Finding(ERROR, about, f"{name} has a reserved concurrency of 0", fix)
    if invalidator.errors:
        fix = f"aws logs tail {invalidator.log_group} --since 1d --filter-pattern ERROR"
        text = f"{name} failed {invalidator.errors} times in the last 24 hours"
        return Finding(WARNING, about, text, fix)
    return Finding(OK, about, f"{name} has not failed in the last 24 hours")


def of_problem(problem: str) -> Finding:
    """A setting of the invalidator that cannot be used."""
    return Finding(ERROR, "invalidator", problem, _REDEPLOY)


def of_unusable_sheet(address: str, said: str) -> Finding:
    """What is at the sheet's place, but cannot be read: ``said`` ends with a fix."""
    problem, _, fix = said.rpartition("; " if "; " in said else ": ")
    return Finding(ERROR, "sheet", f"{address}: {problem}", fix)


def of_sheet(address: str, edition: Edition | None, max_bytes: int) -> Finding:
    """Whether the sheet is there, and has room."""
    if edition is None and address.startswith("dynamodb://"):
        table = address.removeprefix("dynamodb://").partition("/")[0]
        fix = f"{_REDEPLOY}, or create the table {table}"
        return Finding(ERROR, "sheet", f"the table of {address} is not there", fix)
    if edition is None:
        fix = (
            f"aws ssm put-parameter --name {address} --type String --value"
            ' \'{"base":0,"born":0,"format":1,"horizon":0,"stamps":{}}\''
        )
        return Finding(ERROR, "sheet", f"{address} is not there", fix)
    count = len(edition.sheet.stamps)
    taken = fullness(edition.sheet, max_bytes)
    text = f"{address}: generation {edition.generation}, {count} stamps"
    if taken >= NEARLY_FULL:
        return Finding(
            WARNING,
            "sheet",
            f"{text}, {taken:.0%} full: the oldest are about to be forgotten",
            "nothing is lost, but each time all caches start anew: divide the"
            " functions among namespaces",
        )
    return Finding(OK, "sheet", f"{text}, {taken:.0%} full")


def of_stamps(rows: Iterable[Row], now_seconds: float) -> list[Finding]:
    """Whether the sheet says what is current."""
    differing = [row for row in rows if row.differs]
    late = [
        row for row in differing if now_seconds - row.changed_at > ON_ITS_WAY_SECONDS
    ]
    found = []
    if late:
        names = ", ".join(row.name for row in late)
        text = f"older than what AWS says now: {names}"
        found.append(Finding(ERROR, "stamps", text, _how_to_stamp(late)))
    fresh = [row.name for row in differing if row not in late]
    if fresh:
        text = f"changed a moment ago, not stamped yet: {', '.join(fresh)}"
        found.append(Finding(WARNING, "stamps", text, "look again in two minutes"))
    return found or [Finding(OK, "stamps", "none is older than what AWS says now")]


def _how_to_stamp(late: Sequence[Row]) -> str:
    """A hand can stamp secrets; for a parameter another event is needed."""
    secrets = [row.name for row in late if row.service == SECRETS_MANAGER]
    steps = [f"rotaware stamp {' '.join(secrets)}"] if secrets else []
    if len(secrets) < len(late):
        steps.append("put the parameters anew")
    return f"{', and '.join(steps)}; see what else is found here"
