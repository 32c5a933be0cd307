"""Parameters under a path: a list of names, and each value under its own name.

Rule 1. The list is held for its TTL; each value is held, and evicted, by itself.
Rule 2. What came with a list is for those who waited for it; whoever finds the list in
        the cache is given the values that are held now.
Rule 3. A parameter that does not exist any more is left out, and fails nobody.
"""

from __future__ import annotations

from rotaware.errors import AwsError
from rotaware.flight import HIT, STALE_IF_ERROR, Answer
from rotaware.lean import TYPE_CHECKING
from rotaware.secret import Fetched, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rotaware.secret import Query

PARAMETERS_LIMIT = 1000
"""Under one path; as many as the cache can hold at most."""


def listing(found: Mapping[Query, Fetched]) -> Fetched:
    """What a source answers for a path: the names, and all that came with them."""
    return Fetched(
        value=_body(found.values()),
        arn="",
        subject=None,
        version="",
        members=tuple(found),
        brought=tuple(found.values()),
    )


def fits(listed: Fetched, max_entries: int) -> bool:
    """Whether a cache has room for the list and its values; one that holds none has."""
    return not max_entries or len(listed.members or ()) < max_entries


def complaint(fetched: Fetched, max_entries: int) -> str | None:
    """What a person should know of a path; None when all is well, or it is none."""
    if fetched.members is None:
        return None
    if not fetched.members:
        return "no parameter stands under it; correct the path"
    if fits(fetched, max_entries):
        return None
    return (
        f"{len(fetched.members)} parameters do not fit into a cache of {max_entries}"
        " and are not held; raise PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE, or list"
        " longer paths"
    )


def names_of(listed: Fetched) -> Fetched:
    """A list to be held: without the values, which are held under their own names."""
    return listed._replace(value=_body(()), brought=())


def without(listed: Fetched, gone: Sequence[Query]) -> Fetched:
    """A list to be held, some of whose parameters exist no more."""
    members = tuple(each for each in listed.members or () if each not in gone)
    return listed._replace(members=members)


def to_be_read(listed: Answer) -> tuple[Query, ...]:
    """The parameters whose values did not come with the list."""
    outcome = listed.outcome
    if not isinstance(outcome, Fetched) or outcome.brought:
        return ()
    return outcome.members or ()


def gone(members: Sequence[Query], answers: Sequence[Answer]) -> list[Query]:
    """Those that do not exist any more."""
    return [
        member
        for member, answer in zip(members, answers, strict=True)
        if _is_gone(answer)
    ]


def assembled(listed: Answer, answers: Sequence[Answer]) -> Answer:
    """What a read of a path gets.

    Args:
        listed: The answer for the path itself.
        answers: Those for ``to_be_read``, in its order.
    """
    there = [answer for answer in answers if not _is_gone(answer)]
    for answer in there:
        if not isinstance(answer.outcome, Fetched):
            return answer
    if not answers:  # a refusal, or a list with its values, or one without any
        return listed
    fetched = [each.outcome for each in there if isinstance(each.outcome, Fetched)]
    return Answer(
        Fetched(_body(fetched), arn="", subject=None, version=""),
        _how([listed, *there]),
        min(each.fresh_seconds for each in (listed, *there)),
    )


def _is_gone(answer: Answer) -> bool:
    outcome = answer.outcome
    return isinstance(outcome, AwsError) and outcome.code == "ParameterNotFound"


def _how(answers: Sequence[Answer]) -> str:
    """A part that is stale makes the whole stale; one that was asked for, asked for."""
    hows = [answer.how for answer in answers]
    if STALE_IF_ERROR in hows:
        return STALE_IF_ERROR
    return next((how for how in hows if how != HIT), HIT)


def _body(fetched: Iterable[Fetched]) -> Value:
    parameters = [each.value.reveal()["Parameter"] for each in fetched]
    return Value({"Parameters": parameters, "ResultMetadata": {}})
