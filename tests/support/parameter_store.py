"""Parameter Store in memory, behind the port that rotaware calls AWS through.

It keeps what the real one promises about one standard parameter: versions count up from
one and start anew after a deletion, a hundred of them are kept, ``name:version`` reads
an old one, and only ``Overwrite`` replaces. Tests make it lag, refuse and wait.
"""

from __future__ import annotations

from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware.errors import AwsError, AwsThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = dict[str, Any]

MAX_VERSIONS = 100
MAX_BYTES = 4096
DEADLINE_SECONDS = 10.0


class Call(NamedTuple):
    """One call, as it came in."""

    operation: str
    name: str


class Gate:
    """Where calls wait until a test lets them through.

    Attributes:
        arrived: Set when the first call stands here.
    """

    def __init__(self) -> None:
        self.arrived = Event()
        self._opened = Event()

    def pass_through(self) -> None:
        """Wait here."""
        self.arrived.set()
        if not self._opened.wait(DEADLINE_SECONDS):
            raise TimeoutError("nobody opened the gate")

    def wait_for_arrival(self) -> None:
        """Return when a call stands here."""
        if not self.arrived.wait(DEADLINE_SECONDS):
            raise TimeoutError("no call came to the gate")

    def open(self) -> None:
        """Let everyone through, from now on."""
        self._opened.set()


class _State(NamedTuple):
    """What a parameter was from one write to the next."""

    version: int
    values: Mapping[int, str]


_ABSENT = _State(0, {})


class ParameterStore:
    """Satisfies ``rotaware.aws.Aws``, for GetParameter and PutParameter.

    Attributes:
        calls: All calls, in order, refused ones too.
        timeouts: What each of them was given.
        before: Called before each call takes effect: it may wait, change the store, or
            raise what AWS shall answer.
        lag: By how many writes the next read is behind; 0 for a consistent store.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.timeouts: list[float | None] = []
        self.before: Callable[[Call], None] = lambda _: None
        self.lag: Callable[[], int] = lambda: 0
        self._lock = Lock()
        self._states: dict[str, list[_State]] = {}

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> Answer:
        call = Call(operation, request["Name"])
        self.calls.append(call)
        self.timeouts.append(timeout_seconds)
        self.before(call)
        operations = {
            ("ssm", "GetParameter"): self._get_parameter,
            ("ssm", "PutParameter"): self._put_parameter,
        }
        with self._lock:
            return operations[service, operation](request)

    def put(self, name: str, value: str) -> int:
        """Write behind everybody's back; the new version."""
        with self._lock:
            return self._write(name, value)

    def delete(self, name: str) -> None:
        """Delete the parameter with all its versions."""
        with self._lock:
            self._states.setdefault(name, []).append(_ABSENT)

    def forget(self, name: str, version: int) -> None:
        """Lose one old version."""
        with self._lock:
            latest = self._latest(name)
            kept = {key: text for key, text in latest.values.items() if key != version}
            self._states[name][-1] = latest._replace(values=kept)

    def version(self, name: str) -> int:
        """The latest version; 0 when there is no such parameter."""
        return self._latest(name).version

    def values(self, name: str) -> Mapping[int, str]:
        """The values that are kept, by version."""
        return self._latest(name).values

    def count(self, operation: str) -> int:
        """How many calls there were of one operation."""
        return sum(call.operation == operation for call in self.calls)

    def _latest(self, name: str, lag: int = 0) -> _State:
        states = [_ABSENT, *self._states.get(name, [])]
        return states[max(0, len(states) - 1 - lag)]

    def _get_parameter(self, request: Mapping[str, Any]) -> Answer:
        name, _, selector = request["Name"].partition(":")
        state = self._latest(name, self.lag())
        if not state.version:
            raise AwsError("ParameterNotFound", "no such parameter")
        version = int(selector or state.version)
        if version not in state.values:
            raise AwsError("ParameterVersionNotFound", "no such version")
        parameter = {
            "ARN": f"arn:aws:ssm:eu-west-1:123456789012:parameter{name}",
            "DataType": "text",
            "LastModifiedDate": 1_800_000_000.123,
            "Name": name,
            "Type": "String",
            "Value": state.values[version],
            "Version": version,
        }
        if selector:
            parameter["Selector"] = f":{selector}"
        return {"Parameter": parameter}

    def _put_parameter(self, request: Mapping[str, Any]) -> Answer:
        name, value = request["Name"], request["Value"]
        if len(value.encode()) > MAX_BYTES:
            raise AwsError(
                "ValidationException", "a standard parameter has 4,096 bytes"
            )
        if self._latest(name).version and not request["Overwrite"]:
            raise AwsError("ParameterAlreadyExists", "the parameter exists")
        return {"Tier": "Standard", "Version": self._write(name, value)}

    def _write(self, name: str, value: str) -> int:
        latest = self._latest(name)
        version = latest.version + 1
        values = {**latest.values, version: value}
        values.pop(version - MAX_VERSIONS, None)
        self._states.setdefault(name, []).append(_State(version, values))
        return version


def throttled(code: str = "ThrottlingException") -> AwsThrottledError:
    """What AWS answers when it is asked too often."""
    return AwsThrottledError(code, "Rate exceeded", 400)
