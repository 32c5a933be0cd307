"""A template as CloudFormation sees it once it knows the parameters.

Conditions are decided and texts put together; what only a deployment can tell, such as
a queue's ARN, stays the function that asks for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.support.stand_in import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NO_VALUE = {"Ref": "AWS::NoValue"}
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:1:stack/rotaware/51af3dc0",
    "AWS::StackName": "rotaware",
    "AWS::URLSuffix": "amazonaws.com",
}
_PLACE = re.compile(r"\$\{([^}]+)\}")


def rendered(template: Mapping[str, Any], **parameters: str) -> dict[str, Any]:
    """Resources and outputs that a stack with these parameters has."""
    rendering = _Rendering(template, parameters)
    return {part: rendering.kept(template[part]) for part in ("Resources", "Outputs")}


class _Rendering:
    def __init__(
        self, template: Mapping[str, Any], parameters: Mapping[str, str]
    ) -> None:
        self._conditions = template.get("Conditions", {})
        self._values: dict[str, Any] = dict(_PSEUDO)
        for name, declared in template["Parameters"].items():
            value = str(parameters.get(name, declared.get("Default")))
            is_list = declared["Type"] == "CommaDelimitedList"
            self._values[name] = value.split(",") if is_list else value
        assert parameters.keys() <= template["Parameters"].keys()

    def kept(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Those whose condition holds."""
        return {
            name: self._value(part)
            for name, part in parts.items()
            if self._holds(part.get("Condition"))
        }

    def _holds(self, condition: str | None) -> bool:
        return condition is None or bool(self._value(self._conditions[condition]))

    def _value(self, part: Any) -> Any:
        match part:
            case dict() if (function := self._function(part)) is not None:
                return function(*part.values())
            case dict():
                values = {name: self._value(each) for name, each in part.items()}
                return {k: v for k, v in values.items() if v != NO_VALUE}
            case list():
                return [v for v in map(self._value, part) if v != NO_VALUE]
            case _:
                return part

    def _function(self, part: Mapping[str, Any]) -> Callable[[Any], Any] | None:
        """What a function of CloudFormation makes of its argument."""
        functions: dict[str, Callable[[Any], Any]] = {
            "Ref": lambda name: self._values.get(name, {"Ref": name}),
            "Condition": self._holds,
            "Fn::If": lambda ways: self._value(ways[1 if self._holds(ways[0]) else 2]),
            "Fn::Equals": lambda pair: self._value(pair[0]) == self._value(pair[1]),
            "Fn::Not": lambda only: not self._value(only[0]),
            "Fn::And": lambda conditions: all(map(self._value, conditions)),
            "Fn::Join": lambda pair: pair[0].join(self._value(pair[1])),
            "Fn::Select": lambda pair: self._value(pair[1])[pair[0]],
            "Fn::Split": lambda pair: self._value(pair[1]).split(pair[0]),
            "Fn::Sub": self._substituted,
        }
        return functions.get(next(iter(part))) if len(part) == 1 else None

    def _substituted(self, argument: Any) -> Any:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        return self._text(text, {k: self._value(v) for k, v in own.items()})

    def _text(self, text: str, own: Mapping[str, str]) -> Any:
        values = {**self._values, **own}
        text = _PLACE.sub(lambda place: values.get(place[1], place[0]), text)
        return {"Fn::Sub": text} if _PLACE.search(text) else text
