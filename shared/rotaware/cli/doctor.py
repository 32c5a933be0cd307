"""The order in which a deployment is examined, and what one finding takes from another.

What the person who asks may not see is itself a finding; the rest is examined all the
same. But where AWS cannot be reached, or takes no credentials, there is no diagnosis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotaware.cli import findings, function_findings
from rotaware.cli.comparison import compare
from rotaware.cli.findings import ERROR
from rotaware.cli.function import (
    place_of,
    questions,
    read_function,
    read_layer,
    simulate,
)
from rotaware.cli.stack import (
    read_invalidator,
    read_mapping,
    read_queue,
    read_rule,
    read_stack,
)
from rotaware.cli.truth import list_current
from rotaware.errors import AwsError, AwsUnavailableError, SettingsError, SheetError
from rotaware.secret import ARN_SUFFIX_LENGTH, SECRETS_MANAGER
from rotaware.settings import Settings
from rotaware.stamps import sheet_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rotaware.aws import Aws
    from rotaware.cli.findings import Finding
    from rotaware.cli.function import Function, Place, Question
    from rotaware.cli.stack import Stack
    from rotaware.cli.truth import Current
    from rotaware.sheet import Edition

DEFAULT_SHEET = str(Settings.from_environ({}).stamps)


def diagnose(
    aws: Aws, stack_name: str, function_name: str | None, now_seconds: float
) -> list[Finding]:
    """Examine a stack, its sheet and, if one is named, a function.

    Raises:
        AwsError: There is no such function, the stack may not be looked at, or AWS
            could not be reached.
    """
    function = read_function(aws, function_name) if function_name else None
    doctor = _Doctor(aws, now_seconds)
    doctor.stack(stack_name)
    doctor.look("sheet", doctor.sheet)
    doctor.look("stamps", doctor.stamps)
    if function is not None:
        doctor.function(function)
    return doctor.found


class _Doctor:
    """One examination.

    Attributes:
        found: What was found until now.
    """

    def __init__(self, aws: Aws, now_seconds: float) -> None:
        self.found: list[Finding] = []
        self._aws = aws
        self._now_seconds = now_seconds
        self._written: str | None = None
        self._edition: Edition | None = None
        self._current: dict[str, Current] | None = None

    def look(self, about: str, step: Callable[[], None]) -> None:
        """Take a step, and note if AWS does not show what it is about."""
        try:
            step()
        except AwsUnavailableError:
            raise
        except AwsError as refusal:
            self.found.append(findings.of_refusal(about, refusal))

    def stack(self, name: str) -> None:
        """What CloudFormation has made, and whether that is as it was made."""
        stack = read_stack(self._aws, name)
        (finding,) = findings.of_stack(name, stack)
        self.found.append(finding)
        if stack is None or finding.state == ERROR:
            return
        function = stack.function_name
        self.look("queue", lambda: self._queue(stack))
        self.look("invalidator", lambda: self._invalidator(function))

    def _queue(self, stack: Stack) -> None:
        mapping = read_mapping(self._aws, stack.function_name)
        queue_arn = mapping.queue_arn if mapping else None
        rules = [read_rule(self._aws, rule) for rule in stack.rules]
        self.found += findings.of_rules(rules, queue_arn)
        self.found.append(findings.of_mapping(mapping))
        if queue_arn is not None:
            self.found += findings.of_queue(read_queue(self._aws, queue_arn))

    def _invalidator(self, name: str) -> None:
        invalidator = read_invalidator(self._aws, name, self._now_seconds)
        self.found.append(findings.of_invalidator(invalidator))
        try:
            self._written = Settings.from_environ(invalidator.environ).stamps
        except SettingsError as wrong:
            self.found += [findings.of_problem(text) for text in wrong.problems]

    def sheet(self) -> None:
        """Whether the sheet can be read; the default one, where no stack tells."""
        address = self._written or DEFAULT_SHEET
        home = sheet_home(self._aws, address, writes=True)
        try:
            self._edition = home.read()
        except SheetError as unusable:
            self.found.append(findings.of_unusable_sheet(address, unusable.message))
            return
        finding = findings.of_sheet(address, self._edition, home.max_bytes)
        self.found.append(finding)

    def stamps(self) -> None:
        """Whether the sheet says what is current."""
        self._current = list_current(self._aws)
        if self._edition is not None:
            rows = compare(self._edition.sheet.stamps, self._current)
            self.found += findings.of_stamps(rows, self._now_seconds)

    def function(self, function: Function) -> None:
        """Whether a function has what it needs to read, and no more."""
        place = place_of(function)
        self.look("layer", lambda: self._layers(function))
        chosen = function_findings.of_settings(function.environ)
        self.found += chosen.findings
        if chosen.usable and self._written is not None:
            found = function_findings.of_sheets(chosen.sheet, self._written)
            self.found.append(found)
        arns = self._arns()
        if arns is not None:
            self.found += function_findings.of_names(chosen.secrets, arns, place)
        named = {
            name: arns[name] if arns and name in arns else _pattern(place, name)
            for name in chosen.secrets.values()
        }
        sheet = self._written or chosen.sheet or DEFAULT_SHEET
        asked = questions(place, sheet, named)
        self.look("role", lambda: self._role(function.role, asked))

    def _layers(self, function: Function) -> None:
        layers = [read_layer(self._aws, layer) for layer in function.layers]
        self.found += function_findings.of_layers(function, layers)

    def _role(self, role: str, asked: Iterable[Question]) -> None:
        answers = simulate(self._aws, role, asked)
        self.found += function_findings.of_role(role, answers)

    def _arns(self) -> dict[str, str] | None:
        """The ARNs of the secrets, by all that names them; None if not known."""
        if self._current is None:
            return None
        secrets = [
            each for each in self._current.values() if each.service == SECRETS_MANAGER
        ]
        return {
            name: each.arn
            for each in secrets
            for name in (each.name, each.arn, each.arn[:-ARN_SUFFIX_LENGTH])
        }


def _pattern(place: Place, name: str) -> str:
    """The ARN of a secret that is not listed, with an ending of the usual form."""
    if name.startswith("arn:"):
        return name
    return place.arn(SECRETS_MANAGER, f"secret:{name}-AbCdEf")
