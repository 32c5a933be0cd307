"""Many parameters in memory, behind the port that rotaware calls AWS through.

It reads: one, ten, or page by page under a path, as Parameter Store does. Tests change
what is there, refuse, and hold calls at gates.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware.errors import AwsError
from rotaware.sheet import Edition, Sheet, Stamp, subject_of, version_digest
from tests.support.fake_source import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Answer = dict[str, Any]

MOMENT = 1668586960.362


class Call(NamedTuple):
    """One call: the operation, and the names or the path that it asked for."""

    operation: str
    about: str


def arn_of(name: str) -> str:
    """The ARN of a parameter."""
    return f"arn:aws:ssm:eu-west-1:123456789012:parameter/{name.removeprefix('/')}"


def edition(generation: int, **stamps: tuple[str, int]) -> Edition:
    """A sheet that stamps parameters by the last level of their name under /app."""
    return Edition(
        generation,
        Sheet(
            base=generation - 1,
            born=1,
            stamps={
                subject_of(arn_of(f"/app/{name}")): Stamp(version_digest(version), at)
                for name, (version, at) in stamps.items()
            },
        ),
    )


class Parameters:
    """Satisfies ``rotaware.aws.Aws``, for the three ways to read parameters.

    Attributes:
        calls: Every call, in order.
        timeouts: The time limit of each.
        refusals: What AWS answers instead, by a name or path that is asked for.
        page_size: How many a page of a path holds; AWS may send fewer than asked for.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.calls: list[Call] = []
        self.timeouts: list[float | None] = []
        self.refusals: dict[str, AwsError] = {}
        self.page_size = 10
        self._there: dict[str, tuple[int, str]] = {}
        self._gates: dict[str, list[Gate]] = {}
        for name, value in values.items():
            self.put(f"/app/{name}", value)

    def put(self, name: str, value: str) -> None:
        """Make a parameter, or its next version."""
        version, _ = self._there.get(name, (0, ""))
        self._there[name] = version + 1, value

    def delete(self, name: str) -> None:
        """Delete one."""
        del self._there[name]

    @contextmanager
    def gate(self, about: str) -> Iterator[Gate]:
        """Hold the next call about this, after it has read its answer."""
        gate = Gate()
        self._gates.setdefault(about, []).append(gate)
        try:
            yield gate
        finally:
            gate.open()

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> Answer:
        assert service == "ssm"
        names = request.get("Names") or [request.get("Name") or request["Path"]]
        about = ",".join(names)
        self.calls.append(Call(operation, about))
        self.timeouts.append(timeout_seconds)
        for name in names:
            if name in self.refusals:
                raise self.refusals[name]
        answer: Answer = getattr(self, operation)(request)
        if self._gates.get(about):
            self._gates[about].pop(0).pass_through()
        return answer

    def GetParameter(self, request: Mapping[str, Any]) -> Answer:  # noqa: N802  AWS's
        if request["Name"] not in self._there:
            raise AwsError("ParameterNotFound", "HTTP status 400 without a message")
        return {"Parameter": self._shown(request["Name"], request)}

    def GetParameters(self, request: Mapping[str, Any]) -> Answer:  # noqa: N802  AWS's
        there = [name for name in request["Names"] if name in self._there]
        return {"Parameters": [self._shown(name, request) for name in there]}

    def GetParametersByPath(self, request: Mapping[str, Any]) -> Answer:  # noqa: N802
        path = request["Path"].rstrip("/") + "/"
        names = [
            name
            for name in sorted(self._there)
            if name.startswith(path)
            and (request["Recursive"] or "/" not in name.removeprefix(path))
        ]
        start = int(request.get("NextToken", 0))
        end = start + min(self.page_size, request["MaxResults"])
        answer: Answer = {
            "Parameters": [self._shown(name, request) for name in names[start:end]]
        }
        return answer | ({"NextToken": str(end)} if end < len(names) else {})

    def _shown(self, name: str, request: Mapping[str, Any]) -> Answer:
        version, value = self._there[name]
        return {
            "ARN": arn_of(name),
            "DataType": "text",
            "LastModifiedDate": MOMENT,
            "Name": name,
            "Type": "SecureString",
            "Value": value if request["WithDecryption"] else f"sealed {value}",
            "Version": version,
        }
