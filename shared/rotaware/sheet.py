"""The stamp sheet: one small document that says which version of a secret is current.

Rule 1. A sheet names the generation it was derived from, its base, and holds all that
        any generation up to its base said. What lies between base and generation, the
        gap, was overwritten unread: its stamps are unknown to whoever reads no further.
Rule 2. A changed stamp is younger than all that its writer read, whatever the clocks of
        the writers say. So of two stamps for one subject the younger is the changed,
        and a new stamp is never among the oldest.
Rule 3. A full sheet forgets its oldest stamps and raises its horizon to the generation
        that was read when they were dropped. Who last looked before that knows nothing.
Rule 4. A base that is not below the generation is of a sheet that was deleted: its
        writer had read that one. So the sheet counts as made anew, and knows little.
Rule 5. Subjects and versions are written as digests, equally long whatever the names.

No I/O here; ``stamps`` reads and writes, ``checker`` decides when to look.
"""

from __future__ import annotations

from _hashlib import openssl_sha256 as sha256
from binascii import b2a_base64

from rotaware import lean_json as json
from rotaware.errors import SheetError
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import ARN_SUFFIX_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

FORMAT = 1
MAX_BYTES = 4096
"""What a standard parameter holds; 100 stamps fit."""

_SUBJECT_BYTES = 8
_VERSION_BYTES = 6
_ARN_PARTS = 6
_MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
)


class Stamp(NamedTuple):
    """The current version of a secret (its digest), and since when.

    Epoch seconds, but a little later where writers' clocks disagree.
    """

    version: str
    since: int


class Sheet(NamedTuple):
    """The document itself.

    Attributes:
        base: The generation that this sheet was derived from; 0 for a first sheet.
        horizon: Up to which generation stamps may have been forgotten; 0 for none.
        born: When the first stamp was written (epoch milliseconds, so that no two
            are alike); 0 before that. A sheet that was deleted and made again has
            another.
        stamps: Subject to stamp.
    """

    base: int = 0
    horizon: int = 0
    born: int = 0
    stamps: Mapping[str, Stamp] = {}


class Edition(NamedTuple):
    """A sheet and its generation: the version number that its store gave it.

    Generation 0 is what a reader has seen who looked and found no sheet.
    """

    generation: int
    sheet: Sheet

    @property
    def is_moved(self) -> bool:
        """Whether it was derived from a sheet that was deleted meanwhile."""
        return 0 < self.generation <= self.sheet.base

    @property
    def gap(self) -> range:
        """The generations that were overwritten without having been read."""
        base = 0 if self.is_moved else self.sheet.base
        return range(base + 1, self.generation)


UNWRITTEN = Edition(0, Sheet())
"""What there is before a sheet is written for the first time."""


def subject_of(arn: str) -> str:
    """The digest under which a sheet knows the secret or parameter of this ARN.

    Region and partition do not count, so a replica shares its primary's stamp; nor does
    the suffix of a secret's ARN, so a secret that was deleted and made again keeps it.

    Raises:
        ValueError: This is no ARN of a secret or parameter.
    """
    parts = arn.split(":", _ARN_PARTS - 1)
    service, account, path = ("", "", "")
    if len(parts) == _ARN_PARTS:
        _, _, service, _, account, path = parts
    resource = ""
    if service == "secretsmanager" and path.startswith("secret:"):
        resource = path.removeprefix("secret:")[:-ARN_SUFFIX_LENGTH]
    elif service == "ssm" and path.startswith("parameter/"):
        resource = path.removeprefix("parameter").strip("/")
    if not resource:
        raise ValueError(f"not the ARN of a secret or parameter: {arn[:200]!r}")
    return _digest(f"{service}:{account}:{resource}", _SUBJECT_BYTES)


def version_digest(version: str) -> str:
    """The digest that stands for a version id or version number in a stamp."""
    return _digest(version, _VERSION_BYTES)


def outdates(stamp: Stamp | None, remembered: Stamp | None, version: str) -> bool:
    """Whether a stamp evicts an entry.

    Args:
        stamp: What the sheet says now.
        remembered: What it said when the entry was about to be fetched.
        version: The digest of the version that the entry holds.
    """
    return stamp is not None and stamp != remembered and stamp.version != version


def predates(stamp: Stamp, created: float) -> bool:
    """Whether a stamp was written before a version was made: it cannot know of that.

    A stamp is dated after the change that it tells of (``derive``), by AWS's own clock,
    which dates versions too.

    Args:
        stamp: What the sheet says.
        created: When the version was made (epoch seconds).
    """
    return stamp.since < created


def missed(seen: Edition | None, now: Edition) -> str | None:
    """Why whoever last saw ``seen`` must doubt all it holds; None when it need not."""
    known = 0
    if seen is not None:
        known = seen.generation
        # Another sheet may have come and gone since.
        if known == 0 and now.generation > 0:
            return "created"
        if now.generation < known or seen.sheet.born not in (0, now.sheet.born):
            return "recreated"
    if now.is_moved:
        return "recreated"
    if now.sheet.horizon > known:
        return "forgotten"
    # What was overwritten before ``seen`` was doubted when ``seen`` was looked at.
    if now.gap and now.generation - 1 > known:
        return "overwritten"
    return None


def merge(sheets: Iterable[Sheet]) -> dict[str, Stamp]:
    """All that the given sheets say; of two stamps for one subject, the younger."""
    stamps: dict[str, Stamp] = {}
    for sheet in sheets:
        for subject, stamp in sheet.stamps.items():
            stamps[subject] = younger(stamp, stamps.get(subject))
    return stamps


def younger(stamp: Stamp, other: Stamp | None) -> Stamp:
    """Of two stamps for one subject, the changed one."""
    if other is None or _age_order(stamp) > _age_order(other):
        return stamp
    return other


def derive(  # noqa: PLR0913  each is a fact that only the caller has
    edition: Edition | None,
    stamps: Mapping[str, Stamp],
    truth: Mapping[str, str],
    *,
    now_seconds: float,
    changed: Mapping[str, float] = {},
    lost: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Sheet:
    """The sheet that should follow an edition.

    Args:
        edition: What was read; None when there is no sheet yet.
        stamps: What it and its gap say together (``merge``).
        truth: Subject to current version id, for the subjects to be stamped.
        now_seconds: The wall clock.
        changed: When subjects are said to have changed. A stamp that is not younger is
            renewed though it names the same version: another one may have been current
            meanwhile, and somebody may hold that.
        lost: Whether a part of the gap could not be read.
        max_bytes: The store's limit. All of ``truth`` must fit.
    """
    edition = edition or UNWRITTEN
    generation, old = edition
    youngest = max((stamp.since for stamp in stamps.values()), default=0)
    latest_change = max(map(int, changed.values()), default=0)
    since = max(int(now_seconds), youngest + 1, latest_change + 1)
    new = dict(stamps)
    for subject, version in truth.items():
        digest = version_digest(version)
        known = new.get(subject)
        if (
            known is None
            or known.version != digest
            or known.since <= changed.get(subject, -1)
        ):
            new[subject] = Stamp(digest, since)
    sheet = Sheet(
        base=generation,
        horizon=generation if lost or edition.is_moved else old.horizon,
        born=int(now_seconds * 1000) if edition.is_moved or not old.born else old.born,
        stamps=new,
    )
    oldest = sorted(
        new.keys() - truth.keys(), key=lambda subject: (new[subject].since, subject)
    )
    for subject in oldest:
        if len(encode(sheet)) <= max_bytes:
            break
        del new[subject]
        sheet = sheet._replace(horizon=generation)
    return sheet


def encode(sheet: Sheet) -> str:
    """The document as ASCII text."""
    return json.dumps(
        {"format": FORMAT, **sheet._asdict()}, separators=(",", ":"), sort_keys=True
    )


def decode(text: str) -> Sheet:
    """Read a document.

    Raises:
        SheetError: It is no sheet, or of a format that this version does not know.
    """
    try:
        document = json.loads(text)
        version = _whole(document["format"])
        if version > FORMAT:
            raise SheetError(
                f"the stamp sheet has format {version!s:.20}, this version of rotaware"
                f" reads format {FORMAT}: update the layer"
            )
        if version < FORMAT:
            raise ValueError
        stamps = {
            _text(subject): Stamp(_text(stamp[0]), _whole(stamp[1]))
            for subject, stamp in document["stamps"].items()
        }
        base, horizon, born = (
            _whole(document[name]) for name in ("base", "horizon", "born")
        )
        return Sheet(base, horizon, born, stamps)
    except _MALFORMED as fault:
        raise SheetError(
            "this is no stamp sheet of rotaware: something else writes there, or it is"
            " damaged; delete it and the next rotation makes it anew"
        ) from fault


def _age_order(stamp: Stamp) -> tuple[int, str]:
    """The version only makes two writers' merges equal, should a second be the same."""
    return stamp.since, stamp.version


def _text(field: Any) -> str:
    if not isinstance(field, str):
        raise TypeError
    return field


def _whole(field: Any) -> int:
    if type(field) is not int or field < 0:
        raise TypeError
    return field


def _digest(text: str, length: int) -> str:
    raw = sha256(text.encode()).digest()[:length]
    return b2a_base64(raw, newline=False).decode().rstrip("=")
