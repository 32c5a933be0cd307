"""AWS as seen from a distance: slow, forgetful of its last word, and rationed.

The sheet's home and the secrets are histories. A read that is eventually consistent
takes any state that was the latest one within the lag; truth is the last one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware.errors import AwsError, AwsThrottledError, AwsUnavailableError
from rotaware.sheet import subject_of, version_digest
from tests.simulation.scheduler import EPOCH
from tests.support.events import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.oracle import Oracle
    from tests.simulation.scheduler import Scheduler

    Answer = dict[str, Any]

SHEET = "/rotaware/default/stamps"
TABLE = "dynamodb://stamps/default"
MAX_VERSIONS = 100
USUAL_READS_PER_SECOND = 40.0


class Faults:
    """How often, of all calls, something goes wrong; and how slow all is.

    Attributes:
        lost: A request or an answer disappears.
        failed: A source answers 5xx.
        throttled: A call is refused by a quota that others have used up.
        crash: A writer's process ends, before or after a call.
        sheet_lag_seconds: How old the sheet may be that a read brings.
        secret_lag_seconds: How old a secret may be that GetSecretValue brings.
        describe_lag_seconds: The same for DescribeSecret.
        latency_seconds: How long a call takes, each way, at most; a few take longer.
        source_seconds: How much longer GetSecretValue takes.
        reads_per_second: How often the sheet may be read, by all together.
    """

    def __init__(self) -> None:
        self.lost = 0.0
        self.failed = 0.0
        self.throttled = 0.0
        self.crash = 0.0
        self.sheet_lag_seconds = 0.0
        self.secret_lag_seconds = 0.0
        self.describe_lag_seconds = 0.0
        self.latency_seconds = 0.02
        self.source_seconds = 0.0
        self.reads_per_second = USUAL_READS_PER_SECOND

    @property
    def rationed(self) -> bool:
        """Whether calls are refused for being too many."""
        return self.throttled > 0 or self.reads_per_second < USUAL_READS_PER_SECOND


class SheetState(NamedTuple):
    """What the sheet's home held from one change to the next.

    Attributes:
        at: Since when.
        position: Its number among all states.
        incarnation: How often the home was deleted before.
        generation: The parameter's version; 0 while there is none.
        text: The document; None while there is none.
        edition: What DynamoDB's item says beside it.
    """

    at: float
    position: int
    incarnation: int
    generation: int
    text: str | None
    edition: str = ""


class SecretState(NamedTuple):
    """What a secret was from one change to the next.

    Attributes:
        at: Since when.
        arn: Its ARN; a secret that is made anew has another suffix.
        stages: Version to its labels.
        deleted: Whether it is scheduled for deletion.
        exists: Whether there is such a secret.
    """

    at: float
    arn: str
    stages: Mapping[str, Sequence[str]]
    deleted: bool = False
    exists: bool = True

    def version(self, label: str) -> str | None:
        """The version that has a label, if it can be read."""
        if self.exists and not self.deleted:
            for version, labels in self.stages.items():
                if label in labels:
                    return version
        return None


class Cloud:
    """AWS's end of every call.

    Args:
        scheduler: Time and chance.
        faults: What goes wrong.
        oracle: Told about each write of the sheet.
        max_bytes: How long a sheet may be in this world.

    Attributes:
        sheets: The sheet's history.
        secrets: Each secret's history, by name.
    """

    def __init__(
        self, scheduler: Scheduler, faults: Faults, oracle: Oracle, max_bytes: int
    ) -> None:
        self.max_bytes = max_bytes
        self.faults = faults
        self.sheets = [SheetState(-1e9, 0, 0, 0, None)]
        self.secrets: dict[str, list[SecretState]] = {}
        self._scheduler = scheduler
        self._random = scheduler.random.random
        self._oracle = oracle
        self._made: dict[str, float] = {}
        self._tokens = faults.reads_per_second
        self._refilled_at = 0.0
        self._put_at = -1.0
        self._operations = {
            "GetParameter": self._get_parameter,
            "PutParameter": self._put_parameter,
            "GetItem": self._get_item,
            "PutItem": self._put_item,
            "DescribeSecret": self._describe_secret,
            "GetSecretValue": self._get_secret_value,
            "BatchGetSecretValue": self._batch_get_secret_value,
        }

    def answer(self, operation: str, request: Mapping[str, Any]) -> Answer:
        """Do what is asked; the answer, or an AwsError raised."""
        if self.faults.throttled and self._random() < self.faults.throttled:
            raise AwsThrottledError("ThrottlingException", "Rate exceeded", 400)
        return self._operations[operation](request)

    def write(self, text: str, edition: str = "") -> SheetState:
        """Write the sheet, unconditionally."""
        last = self.sheets[-1]
        state = SheetState(
            self._scheduler.now,
            last.position + 1,
            last.incarnation + (last.generation == 0),
            last.generation + 1,
            text,
            edition,
        )
        self.sheets.append(state)
        return state

    def delete_sheet(self) -> None:
        """Delete the sheet's home with all that it held."""
        last = self.sheets[-1]
        self.sheets.append(
            SheetState(
                self._scheduler.now, last.position + 1, last.incarnation, 0, None
            )
        )

    def secret(self, name: str) -> SecretState:
        """What a secret is by now: the truth."""
        return self.secrets[name][-1]

    def current_since(self, name: str) -> float:
        """Since when a secret has had its current version."""
        history = self.secrets[name]
        since, current = history[-1].at, history[-1].version("AWSCURRENT")
        for state in reversed(history):
            if state.version("AWSCURRENT") != current:
                break
            since = state.at
        return since

    def change(self, name: str, state: SecretState) -> None:
        """Change a secret."""
        self.secrets.setdefault(name, []).append(state)
        for version in state.stages:
            self._made.setdefault(version, EPOCH + state.at)

    def _lagging(self, history: Sequence[Any], lag_seconds: float) -> Any:
        """Any state that was the latest one within the lag."""
        index = len(history) - 1
        if lag_seconds:
            then = self._scheduler.now - self._random() ** 2 * lag_seconds
            while index > 0 and history[index].at > then:
                index -= 1
        return history[index]

    def _sheet(self) -> SheetState:
        now, rate = self._scheduler.now, self.faults.reads_per_second
        self._tokens = min(rate, self._tokens + (now - self._refilled_at) * rate)
        self._refilled_at = now
        if self._tokens < 1.0:
            raise AwsThrottledError("ThrottlingException", "Rate exceeded", 400)
        self._tokens -= 1.0
        found: SheetState = self._lagging(self.sheets, self.faults.sheet_lag_seconds)
        return found

    def _get_parameter(self, request: Mapping[str, Any]) -> Answer:
        state = self._sheet()
        selector = request["Name"].partition(":")[2]
        if not selector:
            self._oracle.note(state.position)
        if state.text is None:
            raise AwsError("ParameterNotFound", "no such parameter")
        if selector:
            version = int(selector)
            found = [
                each
                for each in self.sheets[: state.position + 1]
                if (each.incarnation, each.generation) == (state.incarnation, version)
                and version > state.generation - MAX_VERSIONS
            ]
            if not found:
                raise AwsError("ParameterVersionNotFound", "no such version")
            state = found[0]
        return {"Parameter": {"Version": state.generation, "Value": state.text}}

    def _put_parameter(self, request: Mapping[str, Any]) -> Answer:
        if self._scheduler.now - self._put_at < self._random() * 0.02:
            raise AwsThrottledError("TooManyUpdates", "one at a time", 400)
        self._put_at = self._scheduler.now
        if self.sheets[-1].generation and not request["Overwrite"]:
            raise AwsError("ParameterAlreadyExists", "it exists")
        state = self.write(request["Value"])
        self._oracle.written(state)
        return {"Version": state.generation}

    def _get_item(self, request: Mapping[str, Any]) -> Answer:
        state = self._sheet()
        if request["ConsistentRead"]:
            state = self.sheets[-1]
        self._oracle.note(state.position)
        if state.text is None:
            return {}
        item = {"edition": {"S": state.edition}, "sheet": {"S": state.text}}
        return {"Item": item}

    def _put_item(self, request: Mapping[str, Any]) -> Answer:
        last, item = self.sheets[-1], request["Item"]
        read = request.get("ExpressionAttributeValues", {}).get(":read", {"S": ""})
        if last.edition != read["S"]:
            raise AwsError("ConditionalCheckFailedException", "another one is there")
        self._oracle.written(self.write(item["sheet"]["S"], item["edition"]["S"]))
        return {}

    def _secret_state(self, secret_id: str, lag_seconds: float) -> SecretState:
        for name, history in self.secrets.items():
            state: SecretState = self._lagging(history, lag_seconds)
            if secret_id in (name, state.arn) and state.exists:
                return state
        raise AwsError("ResourceNotFoundException", "no such secret")

    def _describe_secret(self, request: Mapping[str, Any]) -> Answer:
        state = self._secret_state(
            request["SecretId"], self.faults.describe_lag_seconds
        )
        answer: Answer = {"ARN": state.arn, "VersionIdsToStages": state.stages}
        if state.deleted:
            answer["DeletedDate"] = 1_800_000_000.0
        return answer

    def _get_secret_value(self, request: Mapping[str, Any]) -> Answer:
        if self.faults.failed and self._random() < self.faults.failed:
            raise AwsUnavailableError("InternalServiceError", "try again", 500)
        state = self._secret_state(request["SecretId"], self.faults.secret_lag_seconds)
        if state.deleted:
            raise AwsError("InvalidRequestException", "scheduled for deletion")
        version = request.get("VersionId") or state.version(request["VersionStage"])
        if version is None or version not in state.stages:
            raise AwsError("ResourceNotFoundException", "no such version")
        return self._value(state, version)

    def _batch_get_secret_value(self, request: Mapping[str, Any]) -> Answer:
        values = []
        for name in request["SecretIdList"]:
            state = self._lagging(self.secrets[name], self.faults.secret_lag_seconds)
            version = state.version("AWSCURRENT")
            if version is not None:
                values.append(self._value(state, version))
        return {"SecretValues": values}

    def _value(self, state: SecretState, version: str) -> Answer:
        return {
            "ARN": state.arn,
            "CreatedDate": self._made[version],
            "Name": state.arn.rpartition(":")[2][:-7],
            "VersionId": version,
            "VersionStages": list(state.stages[version]),
            "SecretString": f"the payload of {version}",
        }


def arn_of(name: str, suffix: str = "a1b2c3") -> str:
    """A secret's ARN."""
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-{suffix}"


@cache
def subject(name: str) -> str:
    """What a sheet calls a secret."""
    return subject_of(arn_of(name))


@cache
def digest(version: str) -> str:
    """What a sheet calls a version."""
    return version_digest(version)
