"""The stamp sheet: a small, honest document, whatever its writers and readers do."""

from __future__ import annotations

import contextlib
import itertools
import json
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from rotaware.errors import SheetError
from rotaware.sheet import (
    MAX_BYTES,
    UNWRITTEN,
    Edition,
    Sheet,
    Stamp,
    decode,
    derive,
    encode,
    merge,
    missed,
    outdates,
    predates,
    subject_of,
    version_digest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = 1_800_000_000
ACCOUNT = "123456789012"
V1, V2 = version_digest("v1"), version_digest("v2")

counts = st.integers(0, 10**6)
subjects = st.sampled_from([f"subject-{letter}" for letter in "abcdef"])
versions = st.sampled_from(["v1", "v2", "v3"])
stamps = st.builds(Stamp, versions, st.integers(0, 5))
sheets = st.builds(
    Sheet, counts, counts, counts, st.dictionaries(subjects, stamps, max_size=6)
)
names = st.text(ascii_letters + digits + "/_+=.@-!", min_size=1, max_size=80)


def secret_arn(
    name: str,
    *,
    partition: str = "aws",
    region: str = "eu-west-1",
    account: str = ACCOUNT,
    suffix: str = "AbCdEf",
) -> str:
    """The ARN of a secret."""
    return f"arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-{suffix}"


def parameter_arn(
    name: str, *, partition: str = "aws", region: str = "eu-west-1"
) -> str:
    """The ARN of a parameter, whose name may begin with a slash."""
    path = name.removeprefix("/")
    return f"arn:{partition}:ssm:{region}:{ACCOUNT}:parameter/{path}"


def edition(generation: int, base: int | None = None, **fields: Any) -> Edition:
    """An edition without a gap, unless a base is given."""
    base = generation - 1 if base is None else base
    return Edition(generation, Sheet(base=base, **{"born": NOW, **fields}))


class TestSubjects:
    """``subject_of``: one secret, one subject."""

    @given(
        names,
        st.sampled_from(["aws", "aws-cn", "aws-us-gov"]),
        st.sampled_from(["us-east-1", "cn-north-1", "us-gov-west-1"]),
        st.text(ascii_letters + digits, min_size=6, max_size=6),
    )
    @example("prod/db-secret", "aws", "us-east-1", "a1b2c3")
    @example("rds!db-1f2e3d4c-AbCdEf", "aws", "us-east-1", "AbCdEf")
    def test_region_partition_and_suffix_do_not_count(
        self, name: str, partition: str, region: str, suffix: str
    ) -> None:
        """A replica and a secret made again have the primary's subject."""
        here = secret_arn(name)
        there = secret_arn(name, partition=partition, region=region, suffix=suffix)

        assert subject_of(here) == subject_of(there)

    @given(names, names)
    @example("db", "db-AbCdEf")
    @example("a/b", "a-b")
    @example("db", "DB")
    def test_every_name_has_its_own_subject(self, one: str, other: str) -> None:
        """Two names differ in their subjects, also where one ends like a suffix."""
        same = subject_of(secret_arn(one)) == subject_of(secret_arn(other))

        assert (one == other) == same

    def test_accounts_and_services_differ(self) -> None:
        """A name in another account, or of a parameter, is another subject."""
        arns = [
            secret_arn("db"),
            secret_arn("db", account="210987654321"),
            parameter_arn("db"),
        ]

        assert 3 == len({subject_of(arn) for arn in arns})

    @pytest.mark.parametrize("name", ["db", "/db", "/a/b-c", "/a/b.AbCdEf"])
    def test_a_parameter_keeps_its_subject_in_every_region(self, name: str) -> None:
        """Region and partition do not count for parameters either."""
        there = parameter_arn(name, partition="aws-cn", region="cn-north-1")

        assert subject_of(parameter_arn(name)) == subject_of(there)

    def test_a_parameters_name_is_taken_whole(self) -> None:
        """Nothing is cut off a parameter's name: it has no suffix."""
        tails = ["/a/b-AbCdEf", "/a/b-GhIjKl", "/a/b", "/a/b/c", "/a"]

        assert len(tails) == len({subject_of(parameter_arn(name)) for name in tails})

    @given(names)
    def test_a_subject_is_short_whatever_the_name(self, name: str) -> None:
        """Subjects have eleven characters, versions eight."""
        assert (11, 8) == (len(subject_of(secret_arn(name))), len(version_digest(name)))

    @pytest.mark.parametrize(
        "arn",
        [
            "",
            "db",
            "arn:aws:secretsmanager:eu-west-1:123456789012",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:-AbCdEf",
            "arn:aws:secretsmanager:eu-west-1:123456789012:db-AbCdEf",
            "arn:aws:ssm:eu-west-1:123456789012:parameter",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/",
            "arn:aws:ssm:eu-west-1:123456789012:document/db",
            "arn:aws:lambda:eu-west-1:123456789012:function:db-AbCdEf",
        ],
    )
    def test_any_other_text_is_refused(self, arn: str) -> None:
        """What is no ARN of a secret or parameter is a ValueError that shows it."""
        with pytest.raises(ValueError, match="not the ARN") as refusal:
            subject_of(arn)

        assert repr(arn) in str(refusal.value)


class TestDocument:
    """``encode`` and ``decode``."""

    @given(sheets)
    def test_what_was_written_is_read(self, sheet: Sheet) -> None:
        """Decoding undoes encoding, and the document is plain ASCII."""
        text = encode(sheet)

        assert sheet == decode(text)
        assert text.isascii()

    def test_the_document_is_this(self) -> None:
        """The format is a promise to other versions of rotaware."""
        sheet = Sheet(base=4, horizon=2, born=NOW, stamps={"s": Stamp("v", NOW)})
        document = (
            '{"base":4,"born":1800000000,"format":1,"horizon":2,'
            '"stamps":{"s":["v",1800000000]}}'
        )

        assert document == encode(sheet)

    @given(st.text())
    @example("[" * 100_000)
    @example('{"format":1,"base":' + "9" * 10_000 + "}")
    def test_any_text_is_a_sheet_or_a_sheet_error(self, text: str) -> None:
        """No text makes the decoder raise anything else."""
        with contextlib.suppress(SheetError):
            decode(text)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
        st.sampled_from(["format", "base", "horizon", "born", "stamps", "a stamp"]),
    )
    @example([], "stamps")
    @example("ab", "a stamp")
    @example(["v"], "a stamp")
    @example(["v", True], "a stamp")
    @example(-1, "base")
    @example(True, "format")  # noqa: FBT003  a JSON value
    def test_any_field_may_be_wrong(self, value: Any, field: str) -> None:
        """A document whose one field is anything decodes, or is a SheetError."""
        document = json.loads(encode(edition(3).sheet))
        if field == "a stamp":
            document["stamps"] = {"s": value}
        else:
            document[field] = value
        try:
            sheet = decode(json.dumps(document))
        except SheetError:
            return

        assert sheet == decode(encode(sheet))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("base", True),
            ("base", 1.0),
            ("base", "1"),
            ("horizon", -1),
            ("born", None),
            ("stamps", []),
            ("stamps", None),
            ("stamps", {"s": "ab"}),
            ("stamps", {"s": []}),
            ("stamps", {"s": ["v"]}),
            ("stamps", {"s": [1, 1]}),
            ("stamps", {"s": ["v", "1"]}),
            ("stamps", {"s": ["v", False]}),
            ("stamps", {"s": ["v", -1]}),
            ("stamps", {"s": {"version": "v", "since": 1}}),
        ],
    )
    def test_no_field_may_be_of_another_kind(self, field: str, value: object) -> None:
        """Counts are whole and not negative, a stamp is a text and a count."""
        document = {**json.loads(encode(Sheet())), field: value}

        with pytest.raises(SheetError, match="delete it"):
            decode(json.dumps(document))

    @pytest.mark.parametrize("field", ["format", "base", "horizon", "born", "stamps"])
    def test_no_field_may_be_missing(self, field: str) -> None:
        """A document without one of its fields is no sheet."""
        document = json.loads(encode(Sheet()))
        del document[field]

        with pytest.raises(SheetError, match="delete it"):
            decode(json.dumps(document))

    @pytest.mark.parametrize("version", [0, -1, True, "2", 2.0, None, [2]])
    def test_a_strangers_format_is_not_a_newer_one(self, version: object) -> None:
        """Only a greater whole number is a newer format; its words stay out of logs."""
        document = {**json.loads(encode(Sheet())), "format": version}

        with pytest.raises(SheetError, match="no stamp sheet"):
            decode(json.dumps(document))

    @pytest.mark.parametrize("version", [2, 10**30])
    def test_a_newer_format_says_what_to_do(self, version: int) -> None:
        """A newer format is named, with the fix, though its fields are unknown."""
        with pytest.raises(SheetError, match="update the layer") as error:
            decode(json.dumps({"format": version, "new": {}}))

        assert f"format {str(version)[:20]}," in error.value.message

    def test_a_strangers_value_is_not_repeated(self) -> None:
        """A value that is no sheet may be a secret: no message quotes it."""
        with pytest.raises(SheetError) as error:
            decode('{"format": "canary-a"}')

        assert "canary" not in str(error.value) + str(error.value.__cause__)

    def test_ninety_secrets_with_the_longest_names_fit(self) -> None:
        """A standard parameter holds a hundred stamps, however long the names are."""
        truth = {
            subject_of(secret_arn(f"{number:03}" + "x" * 509)): f"{number:064}"
            for number in range(100)
        }
        sheet = derive(edition(10**6), {}, truth, now_seconds=9_999_999_999)

        assert len(encode(sheet)) <= MAX_BYTES
        assert truth.keys() == sheet.stamps.keys()


class TestMerge:
    """``merge``: all that several sheets say."""

    @given(st.lists(sheets, max_size=4), st.randoms())
    def test_order_and_repetition_do_not_count(
        self, given_sheets: list[Sheet], random: Any
    ) -> None:
        """Merging is commutative and idempotent."""
        shuffled = [*given_sheets, *given_sheets]
        random.shuffle(shuffled)

        assert merge(given_sheets) == merge(shuffled)

    @given(sheets, sheets, sheets)
    def test_grouping_does_not_count(
        self, one: Sheet, two: Sheet, three: Sheet
    ) -> None:
        """Merging is associative."""
        left = merge([Sheet(stamps=merge([one, two])), three])
        right = merge([one, Sheet(stamps=merge([two, three]))])

        assert left == right

    @given(st.lists(sheets, max_size=4))
    def test_the_youngest_stamp_of_each_subject_wins(
        self, given_sheets: list[Sheet]
    ) -> None:
        """Nothing is invented, nothing is lost, and no stamp loses to an older one."""
        merged = merge(given_sheets)
        said = [item for sheet in given_sheets for item in sheet.stamps.items()]

        assert {subject for subject, _ in said} == merged.keys()
        assert set(merged.items()) <= set(said)
        assert all(stamp.since <= merged[subject].since for subject, stamp in said)


class TestDerive:
    """``derive``: the sheet that follows."""

    def test_the_first_sheet(self) -> None:
        """Without a sheet, the first one has base 0 and is born now."""
        sheet = derive(None, {}, {"s": "v1"}, now_seconds=NOW + 0.9)

        assert Sheet(0, 0, NOW * 1000 + 900, {"s": Stamp(V1, NOW)}) == sheet

    def test_it_keeps_what_it_need_not_change(self) -> None:
        """Birth, horizon and the stamps that still hold stay as they are."""
        old = edition(7, horizon=3, stamps={"s": Stamp(V1, 1), "t": Stamp(V1, 2)})
        sheet = derive(old, old.sheet.stamps, {"s": "v1"}, now_seconds=NOW)

        assert old.sheet._replace(base=7) == sheet

    def test_an_empty_sheet_is_born_with_its_first_stamp(self) -> None:
        """A sheet that was laid out empty is born when it is first written."""
        sheet = derive(edition(1, 0, born=0), {}, {"s": "v1"}, now_seconds=NOW)

        assert NOW * 1000 == sheet.born

    @given(sheets, st.dictionaries(subjects, versions), st.integers(0, 20))
    def test_a_changed_stamp_is_younger_than_all_others(
        self, sheet: Sheet, truth: dict[str, str], now_seconds: int
    ) -> None:
        """Whatever the writer's clock says, what changes becomes the youngest."""
        old = Edition(sheet.base + 1, sheet)
        new = derive(old, sheet.stamps, truth, now_seconds=now_seconds).stamps
        youngest = max((stamp.since for stamp in sheet.stamps.values()), default=0)

        for subject, version in truth.items():
            digest = version_digest(version)
            known = sheet.stamps.get(subject)
            if known is None or known.version != digest:
                assert new[subject].since == max(now_seconds, youngest + 1)
            assert digest == new[subject].version
        assert {**sheet.stamps, **new} == new

    def test_a_changed_stamp_says_since_when(self) -> None:
        """With a clock that is right, a change counts from now."""
        old = edition(7, stamps={"s": Stamp(V1, NOW - 60)})
        sheet = derive(old, old.sheet.stamps, {"s": "v2"}, now_seconds=NOW)

        assert {"s": Stamp(V2, NOW)} == sheet.stamps

    @given(
        st.dictionaries(subjects, stamps, min_size=1),
        st.dictionaries(subjects, versions, max_size=2),
        st.integers(0, 400),
    )
    def test_a_full_sheet_forgets_its_oldest(
        self, said: dict[str, Stamp], truth: dict[str, str], max_bytes: int
    ) -> None:
        """The oldest go, never the truth, no more than needed; the horizon rises."""
        old = edition(7, horizon=3, stamps=said)
        whole = derive(old, said, truth, now_seconds=NOW)
        sheet = derive(old, said, truth, now_seconds=NOW, max_bytes=max_bytes)
        gone = whole.stamps.keys() - sheet.stamps.keys()
        others = sheet.stamps.keys() - truth.keys()

        assert truth.keys() <= sheet.stamps.keys()
        assert not others or len(encode(sheet)) <= max_bytes
        assert sheet.horizon == (7 if gone else 3)
        for lost, kept in itertools.product(gone, others):
            assert whole.stamps[lost].since <= whole.stamps[kept].since
        if gone:
            last = max(gone, key=lambda subject: (said[subject].since, subject))
            with_last = {**sheet.stamps, last: said[last]}
            assert len(encode(sheet._replace(stamps=with_last))) > max_bytes

    def test_a_sheet_that_just_fits_forgets_nothing(self) -> None:
        """The limit itself is allowed; one byte less is not."""
        old = edition(7, stamps={"s": Stamp(V1, NOW), "t": Stamp(V1, NOW)})
        size = len(encode(derive(old, old.sheet.stamps, {}, now_seconds=NOW)))
        kept = [
            derive(old, old.sheet.stamps, {}, now_seconds=NOW, max_bytes=max_bytes)
            for max_bytes in (size, size - 1)
        ]

        assert [["s", "t"], ["t"]] == [sorted(sheet.stamps) for sheet in kept]

    def test_a_lost_gap_raises_the_horizon(self) -> None:
        """What could not be read counts as forgotten, up to the generation read."""
        sheet = derive(edition(7, 4, horizon=2), {}, {}, now_seconds=NOW, lost=True)

        assert 7 == sheet.horizon

    @pytest.mark.parametrize(
        ("base", "horizon", "born"), [(6, 2, 5), (7, 7, NOW * 1000)]
    )
    def test_a_sheet_of_a_deleted_one_is_born_anew(
        self, base: int, horizon: int, born: int
    ) -> None:
        """A base that is not below the generation: all readers must start anew."""
        sheet = derive(edition(7, base, horizon=2, born=5), {}, {}, now_seconds=NOW)

        assert (7, horizon, born) == (sheet.base, sheet.horizon, sheet.born)


@pytest.mark.parametrize(
    ("created", "before"), [(8.9, False), (9.0, False), (9.1, True)]
)
def test_a_stamp_knows_nothing_of_later_versions(
    created: float, *, before: bool
) -> None:
    """A version made in the stamp's own second may be the one that it speaks of."""
    assert before is predates(Stamp("digest", 9), created)


class TestReaders:
    """``outdates`` and ``missed``: what a reader must not trust any more."""

    @pytest.mark.parametrize(
        ("stamp", "remembered", "version", "evicts"),
        [
            (None, None, V1, False),
            (None, Stamp(V1, 1), V1, False),
            (Stamp(V1, 1), None, V1, False),
            (Stamp(V2, 1), None, V1, True),
            (Stamp(V2, 1), Stamp(V2, 1), V1, False),
            (Stamp(V2, 2), Stamp(V2, 1), V1, True),
            (Stamp(V2, 2), Stamp(V1, 1), V1, True),
            (Stamp(V2, 2), Stamp(V1, 1), V2, False),
            (Stamp(V2, 1), Stamp(V1, 1), "", True),
        ],
    )
    def test_which_stamp_evicts(
        self,
        stamp: Stamp | None,
        remembered: Stamp | None,
        version: str,
        *,
        evicts: bool,
    ) -> None:
        """One that changed since the fetch, and names another version than is held."""
        assert evicts is outdates(stamp, remembered, version)

    @pytest.mark.parametrize(
        ("seen", "now", "reason"),
        [
            (None, edition(1), None),
            (None, edition(9), None),
            (None, edition(9, 7), "overwritten"),
            (None, edition(9, horizon=1), "forgotten"),
            (None, edition(9, 9), "recreated"),
            (None, edition(1, 5), "recreated"),
            (edition(8), edition(9), None),
            (edition(3), edition(9), None),
            # The horizon: who saw that generation saw what was dropped from it.
            (edition(3), edition(9, horizon=3), None),
            (edition(3), edition(9, horizon=4), "forgotten"),
            # The gap: what was overwritten after the last look is unknown.
            (edition(5), edition(9, 6), "overwritten"),
            (edition(6), edition(9, 6), "overwritten"),
            (edition(7), edition(9, 6), "overwritten"),
            (edition(8), edition(9, 6), None),
            (edition(8, 6), edition(9, 6), None),
            (edition(5), edition(7, 5), "overwritten"),
            (edition(6), edition(7, 5), None),
            # Deleted and made again.
            (edition(0), edition(1), "created"),
            (edition(0), edition(0), None),
            (edition(9), edition(0), "recreated"),
            (edition(9), edition(8), "recreated"),
            (edition(9), edition(10, born=NOW + 60), "recreated"),
            (edition(9), edition(9, born=NOW + 60), "recreated"),
            (edition(9), edition(9, 0, born=0), "recreated"),
            (edition(1, 0, born=0), edition(2), None),
            (edition(3), edition(9, 12), "recreated"),
            (edition(9), edition(9, 9), "recreated"),
        ],
    )
    def test_when_a_reader_must_doubt_everything(
        self, seen: Edition | None, now: Edition, reason: str | None
    ) -> None:
        """Whoever may not have seen all that an edition has left out."""
        assert reason == missed(seen, now)

    @given(sheets, st.integers(1, 9))
    def test_nobody_misses_what_he_saw(self, sheet: Sheet, more: int) -> None:
        """An edition that is seen again, and its direct successor, tell no surprise."""
        now = Edition(sheet.base + more, sheet)
        successor = derive(now, sheet.stamps, {}, now_seconds=NOW)
        following = Edition(now.generation + 1, successor)

        if sheet.horizon <= now.generation:
            assert missed(now, now) is None
            assert missed(now, following) is None

    def test_the_gap_is_what_lies_between(self) -> None:
        """From after the base to before the generation; the whole for a moved sheet."""
        gaps = [list(edition(*each).gap) for each in [(9, 8), (9, 6), (4, 7), (1, 0)]]

        assert [[], [7, 8], [1, 2, 3], []] == gaps


# --- all of it: a store that cannot lock, writers that race, readers that come and go


class Held(NamedTuple):
    """What a reader holds of a subject: a version, and the stamp seen before it."""

    version: str
    remembered: Stamp | None


class Reader:
    """What the pure rules need to know of a reader."""

    def __init__(self) -> None:
        self.seen: Edition | None = None
        self.held: dict[str, Held] = {}

    @property
    def stamps(self) -> Mapping[str, Stamp]:
        """What it last saw."""
        return self.seen.sheet.stamps if self.seen else {}

    def look(self, now: Edition) -> None:
        """Take note of an edition, and drop what it outdates."""
        doubted = missed(self.seen, now) is not None
        self.seen = now
        self.held = {
            subject: held
            for subject, held in self.held.items()
            if not doubted
            and not outdates(
                self.stamps.get(subject),
                held.remembered,
                version_digest(held.version),
            )
        }


@settings(max_examples=300, stateful_step_count=40)
class SheetAndModel(RuleBasedStateMachine):
    """Whoever looks at the latest edition holds nothing that was stamped since.

    The model is what the rules may not use: a list of all that was ever written.
    """

    SUBJECTS = st.sampled_from([f"subject-{letter}" for letter in "abcde"])
    ACTORS = st.integers(0, 2)
    MAX_BYTES = 170  # three stamps

    def __init__(self) -> None:
        super().__init__()
        self.seconds = NOW
        self.generations: list[Sheet] = []
        self.truth: dict[str, str] = {}
        self.writers: dict[int, Edition | None] = {}
        self.readers = [Reader() for _ in range(3)]
        self.outdated: list[dict[str, str]] = [{} for _ in range(3)]

    @property
    def latest(self) -> Edition | None:
        """What the store answers."""
        if not self.generations:
            return None
        return Edition(len(self.generations), self.generations[-1])

    @rule(writer=ACTORS)
    def writer_reads(self, writer: int) -> None:
        """A writer takes note of the latest edition."""
        self.writers[writer] = self.latest

    @rule(writer=ACTORS, subject=SUBJECTS)
    def writer_stamps(self, writer: int, subject: str) -> None:
        """A secret rotates, and a writer says so, on top of what it read."""
        self.seconds += 1
        self.truth[subject] = f"v{self.seconds}"
        read = self.writers.pop(writer, self.latest)
        gap = [
            self.generations[number - 1]
            for number in (read.gap if read else ())
            if number <= len(self.generations)
        ]
        lost = read is not None and len(gap) < len(read.gap)
        known = merge([*gap, read.sheet] if read else [])
        truth = {subject: self.truth[subject]}
        self.generations.append(
            derive(
                read,
                known,
                truth,
                now_seconds=self.seconds,
                lost=lost,
                max_bytes=self.MAX_BYTES,
            )
        )
        for outdated in self.outdated:
            outdated[subject] = self.truth[subject]

    @rule(reader=ACTORS, subject=SUBJECTS)
    def reader_fetches(self, reader: int, subject: str) -> None:
        """A reader that has looked gets the current version from the source."""
        one = self.readers[reader]
        if one.seen is None:
            self.reader_looks(reader)
        version = self.truth.get(subject, "v0")
        one.held[subject] = Held(version, one.stamps.get(subject))
        self.outdated[reader].pop(subject, None)

    @rule(reader=ACTORS)
    def reader_looks(self, reader: int) -> None:
        """What was stamped after it was fetched is gone; the rest may stay."""
        self.readers[reader].look(self.latest or UNWRITTEN)
        if self.latest is None:
            return  # what was said and deleted counts when there is a sheet again
        stamped, self.outdated[reader] = self.outdated[reader], {}

        assert set(stamped).isdisjoint(self.readers[reader].held)

    @precondition(lambda self: self.generations)
    @rule()
    def sheet_is_deleted(self) -> None:
        """Its store counts from 1 again; one writer may still hold the old one.

        Of two, one hides the other's stamp, until that one has checked what it wrote.
        """
        self.generations.clear()
        self.writers = dict(itertools.islice(self.writers.items(), 1))

    @invariant()
    def fits(self) -> None:
        """No edition is longer than the store takes."""
        for sheet in self.generations[-1:]:
            assert len(encode(sheet)) <= self.MAX_BYTES


TestSheetAndModel = SheetAndModel.TestCase
