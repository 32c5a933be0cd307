"""Publish to several Regions: everything is checked everywhere before anything is done.

Regions are worked on side by side, one thread each; what is to be done in one is done
in order, and a Region that fails does not stop the others. Each phase begins when the
one before it has ended well in every Region.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from infra.publish import layers
from infra.publish import packaged as packaging
from infra.publish.problems import PublishError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from infra.publish.layers import Archive, Found, Layer, Step
    from infra.publish.options import Options

AT_ONCE = 8
Done = TypeVar("Done")
AnyPlace = TypeVar("AnyPlace", bound="Place")


class Place(Protocol):
    """A Region; ``region.Region`` is one."""

    name: str

    def require_credentials(self) -> str:
        """The caller's ARN."""

    def newest(self, layer: str) -> Found | None:
        """A layer's newest version."""

    def principals(self, arn: str) -> frozenset[str]:
        """Who may use a version, by its policy."""

    def require_publishing(self, layer: str) -> None:
        """Fail unless the caller may publish this layer."""

    def require_sharing(self, layer: str) -> None:
        """Fail unless the caller may share this layer."""

    def require_bucket(self, bucket: str) -> None:
        """Fail unless the bucket is there, in this Region and of this account."""

    def upload(self, bucket: str, key: str, data: bytes) -> None:
        """Put an object into the bucket."""

    def publish(self, step: Step, version: str) -> str:
        """Publish a new version; its ARN."""

    def share(self, arn: str, principal: str) -> None:
        """Let an account, or everybody, use a version."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a layer in a Region; without ARN there is no such version."""

    region: str
    layer: str
    state: str
    arn: str | None


@dataclass(slots=True)
class Work:
    """What is published, and what came of it so far.

    Attributes:
        options: What is asked for.
        version: rotaware's.
        archives: The zip of each layer.
        invalidator: The invalidator's zip, where there is a bucket for it.
        say: Tells a person how far it is.
        rows: One for each Region and layer, from when anything is done.
    """

    options: Options
    version: str
    archives: Mapping[Layer, Archive]
    invalidator: Archive | None
    say: Callable[[str], None]
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)

    def publish(self, places: Sequence[Place]) -> None:
        """Do it all.

        Raises:
            PublishError: A line for each Region that failed. ``rows`` holds what there
                is all the same.
        """
        plans = in_each(places, self._plan)
        tell = _foreseen if self.options.dry_run else _before
        for region, steps in plans.items():
            for step in steps:
                self._note(region, step, tell(step), step.arn)
        if self.options.dry_run:
            return
        in_each(places, self._upload)
        try:
            in_each(places, lambda place: self._carry_out(place, plans[place.name]))
        except PublishError as error:
            raise PublishError(
                f"{error}\nwhat the table shows exists; "
                "run the same command again to complete the rest"
            ) from error

    def _plan(self, place: Place) -> list[Step]:
        """What is to be done in a Region, where all of it can be."""
        options = self.options
        self.say(f"{place.name}: looking at what is there ...")
        bucket = options.bucket_in(place.name)
        if bucket is not None:
            place.require_bucket(bucket)
        steps = [
            layers.step(
                layer,
                archive,
                place.newest(layer.name),
                options.principals,
                place.principals,
            )
            for layer, archive in self.archives.items()
        ]
        for step in steps:
            if step.arn is None:
                place.require_publishing(step.layer.name)
            if step.principals:
                place.require_sharing(step.layer.name)
        return steps

    def _upload(self, place: Place) -> None:
        """Put the invalidator's code into the Region's bucket."""
        bucket, code = self.options.bucket_in(place.name), self.invalidator
        if bucket is not None and code is not None:
            self.say(f"{place.name}: the invalidator, into {bucket} ...")
            place.upload(bucket, packaging.key(code), code.data)

    def _carry_out(self, place: Place, steps: list[Step]) -> None:
        """Publish and share, and note what exists after each call."""
        for step in steps:
            arn = step.arn
            if arn is None:
                size = len(step.archive.data) / 1e6
                self.say(f"{place.name}: {step.layer.name}, {size:.1f} MB ...")
                arn = place.publish(step, self.version)
                self._note(place.name, step, _lacking(step, "published"), arn)
            for principal in step.principals:
                place.share(arn, principal)
            if step.principals:
                done = "shared" if step.arn else "published"
                self._note(place.name, step, done, arn)

    def _note(self, region: str, step: Step, state: str, arn: str | None) -> None:
        name = step.layer.name
        self.rows[region, name] = Row(region, name, state, arn)


def _foreseen(step: Step) -> str:
    """What would be done."""
    would = ["publish"] if step.arn is None else []
    would += ["share"] if step.principals else []
    return f"would {' and '.join(would)}" if would else "unchanged"


def _before(step: Step) -> str:
    """What stands in the table if nothing comes to be done about it."""
    return "not published" if step.arn is None else _lacking(step, "unchanged")


def _lacking(step: Step, state: str) -> str:
    return f"{state}, not shared" if step.principals else state


def in_each(
    places: Sequence[AnyPlace], work: Callable[[AnyPlace], Done]
) -> dict[str, Done]:
    """Do the work in every Region at once; its results by their names.

    Raises:
        PublishError: It failed somewhere: a line for each Region.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        futures = {place.name: threads.submit(work, place) for place in places}
    problems = [
        str(error)
        for each in futures.values()
        if (error := _expected(each.exception()))
    ]
    if problems:
        raise PublishError("\n".join(problems))
    return {name: future.result() for name, future in futures.items()}


def _expected(error: BaseException | None) -> PublishError | None:
    """The error, if it is of those that are told in a line; others are bugs."""
    if error is None or isinstance(error, PublishError):
        return error
    raise error
