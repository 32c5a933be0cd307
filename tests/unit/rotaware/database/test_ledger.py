"""What a process knows of a secret's logins, and who does what next.

How callers use it is told in test_rule.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rotaware.database.ledger import LEASE_SECONDS, LONGEST_PAUSE_SECONDS, Ledger
from rotaware.database.turns import GiveUp, Limits, Pause, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

ERROR = RuntimeError("refused")
LONG = Limits(1000.0, 1000.0)


def in_trouble(random: float = 0.0) -> Ledger:
    """One whose version v1 was refused at 10."""
    ledger = Ledger(lambda: random)
    assert ledger.refuse("v1", ERROR, 9.0, 10.0, excused=False)
    return ledger


def test_calm() -> None:
    """Where nothing was refused, nothing is to be done."""
    ledger = Ledger(lambda: 0.0)

    assert not ledger.is_refused("v1")
    assert ledger.turn("me", 1.0, LONG) is None
    assert ledger.ask("me", 1.0) is None
    assert ledger.try_next("v1", 1.0)
    assert ledger.pending_instead_of(1.0, proven=False) is None
    ledger.note_pending(works=True)
    ledger.lock("v1", ERROR, 1.0)
    ledger.leave("me")
    assert not ledger.is_refused("v1")


def test_pauses_grow_and_vary() -> None:
    """They double up to half a minute, and jitter only makes them longer."""
    for random, factor in ((0.0, 1.0), (0.5, 1.125)):
        ledger, now, pauses = in_trouble(random), 10.0, []
        for _ in range(9):
            pause = ledger.turn("me", now, LONG)
            assert isinstance(pause, Pause)
            pauses.append(pause.seconds)
            now += pause.seconds
            assert "v1" == ledger.ask("me", now)
            ledger.try_next("v1", now)

        expected = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
        assert [seconds * factor for seconds in expected] == pauses


def test_a_question_follows_another_at_a_distance() -> None:
    """Trouble that begins anew does not ask again at once."""
    ledger = in_trouble()
    ledger.turn("me", 10.0, LONG)
    ledger.ask("me", 10.0)
    ledger.accept("v2", 10.1, 10.1)
    ledger.refuse("v2", ERROR, 10.2, 10.2, excused=False)

    assert Pause(0.5 - (10.2 - 10.0)) == ledger.turn("me", 10.2, LONG)


def test_one_leads() -> None:
    """Others wait as long as their patience and its lease last; then one takes over."""
    ledger = in_trouble()
    assert Pause(0.0) == ledger.turn("leader", 10.0, LONG)

    waits = ledger.turn("other", 10.0, Limits(1000.0, 12.0))
    assert isinstance(waits, Wait)
    assert 2.0 == waits.seconds
    waits = ledger.turn("other", 10.0, LONG)
    assert isinstance(waits, Wait)
    assert LEASE_SECONDS == waits.seconds
    assert GiveUp(ERROR) == ledger.turn("other", 12.0, Limits(11.0, 12.0))
    assert Pause(0.0) == ledger.turn("other", 10.0 + LEASE_SECONDS, LONG)
    assert ledger.ask("leader", 16.0) is None


def test_who_cannot_wait_gives_up() -> None:
    """A question that is due is asked all the same."""
    ledger = in_trouble()
    over = Limits(9.5, 10.5)

    assert Pause(0.0) == ledger.turn("me", 10.0, over)
    ledger.ask("me", 10.0)
    ledger.try_next("v1", 10.0)
    assert GiveUp(ERROR) == ledger.turn("me", 10.0, over)


def after_questions(count: int) -> tuple[Ledger, float]:
    """After so many in vain, none of them early; and the time of the last one."""
    ledger, now = in_trouble(), 10.0
    for _ in range(count):
        pause = ledger.turn("me", now, LONG)
        assert isinstance(pause, Pause)
        now += pause.seconds
        ledger.ask("me", now)
        ledger.try_next("v1", now)
    return ledger, now


def until(time: float) -> Limits:
    """Of a caller who has until then."""
    return Limits(time, time)


def test_who_has_too_little_time_asks_early() -> None:
    """Half a second before its time ends; one for each question that is due."""
    ledger, now = after_questions(5)
    assert 17.5 == now
    assert Pause(2.0) == ledger.turn("me", 17.5, until(20.0))
    ledger.ask("me", 19.5)
    ledger.try_next("v1", 19.5)

    assert GiveUp(ERROR) == ledger.turn("me", 19.5, until(20.0))
    assert GiveUp(ERROR) == ledger.turn("me", 19.5, until(24.0))
    # The question that was due stays due; after it somebody may hurry again.
    assert Pause(6.0) == ledger.turn("me", 19.5, LONG)
    ledger.ask("me", 25.5)
    ledger.try_next("v1", 25.5)
    assert Pause(9.5) == ledger.turn("me", 25.5, until(35.5))


def test_an_early_question_keeps_its_distance() -> None:
    """Half a second from the one before, at least."""
    ledger, now = after_questions(3)

    assert GiveUp(ERROR) == ledger.turn("me", now, until(now + 0.9))
    assert Pause(0.5) == ledger.turn("me", now, until(now + 1.0))


def test_nobody_hurries_whom_others_wait_for() -> None:
    """Who does not lead gives up, if the leader is not at it in time."""
    ledger, now = after_questions(5)
    ledger.turn("me", now, LONG)

    assert GiveUp(ERROR) == ledger.turn("other", now, until(now + 4.0))
    assert Pause(8.0) == ledger.turn("me", now, LONG)


def test_nobody_hurries_where_nothing_helps() -> None:
    """After the longest pause there is one question in each, however many call."""
    ledger, now = after_questions(9)

    assert GiveUp(ERROR) == ledger.turn("me", now, until(now + 10.0))


def test_a_version_that_nobody_knew_begins_anew() -> None:
    """One rotation after the other: the next is asked for soon, early or not."""
    for early in (False, True):
        ledger, now = after_questions(6)
        if early:
            assert Pause(7.5) == ledger.turn("me", now, Limits(now + 8.0, now + 8.0))
            now += 7.5
            ledger.ask("me", now)
        assert ledger.try_next("v2", now)
        ledger.refuse("v2", ERROR, now, now, excused=False)

        assert Pause(0.5) == ledger.turn("me", now, LONG)


def test_old_news() -> None:
    """What began before others learned better changes nothing."""
    ledger = in_trouble()
    ledger.accept("v1", 9.5, 10.5)
    assert ledger.is_refused("v1")

    ledger.accept("v2", 10.5, 11.0)
    assert not ledger.is_refused("v1")
    assert not ledger.refuse("v1", ERROR, 10.9, 11.5, excused=False)
    assert ledger.refuse("v1", ERROR, 10.9, 11.5, excused=True)


def test_a_late_refusal_of_an_older_version() -> None:
    """The question stays for another version than the newest."""
    ledger = in_trouble()
    later = RuntimeError("later")
    ledger.refuse("v2", later, 10.5, 11.0, excused=False)
    ledger.refuse("v1", ERROR, 10.5, 11.5, excused=False)
    ledger.turn("me", 12.0, LONG)

    assert "v2" == ledger.ask("me", 12.0)
    assert ledger.is_refused("v1")


def test_a_version_that_was_refused_before_is_tried_when_it_is_current_again() -> None:
    """A rotation that was taken back."""
    ledger = in_trouble()
    ledger.refuse("v2", ERROR, 10.5, 11.0, excused=False)

    assert ledger.try_next("v1", 11.5)
    assert not ledger.is_refused("v1")
    assert ledger.is_refused("v2")


def test_a_refused_version_is_tried_again_when_that_is_old() -> None:
    """After three seconds, not before."""
    ledger = in_trouble()

    assert not ledger.try_next("v1", 12.9)
    assert ledger.try_next("v1", 13.0)


def test_a_lock_is_left_alone() -> None:
    """For the longest pause nobody tries, or asks; no hurry helps."""
    ledger = in_trouble()
    locked = RuntimeError("locked")
    ledger.lock("v2", locked, 11.0)

    assert ledger.is_refused("v2")
    soon = Limits(20.0, 20.0)
    assert GiveUp(locked) == ledger.turn("me", 11.0, soon)
    assert Pause(LONGEST_PAUSE_SECONDS) == ledger.turn("me", 11.0, LONG)


def test_pending_is_tried_rarely_until_it_works() -> None:
    """Not twice before the next question is due; always, once it let somebody in."""
    ledger = in_trouble()

    assert ledger.pending_instead_of(10.0, proven=True) is None
    assert "v1" == ledger.pending_instead_of(10.0, proven=False)
    assert ledger.pending_instead_of(10.4, proven=False) is None
    assert "v1" == ledger.pending_instead_of(10.5, proven=False)
    ledger.note_pending(works=True)
    assert "v1" == ledger.pending_instead_of(10.5, proven=True)
    ledger.note_pending(works=False)
    assert ledger.pending_instead_of(10.5, proven=True) is None


def test_one_question_a_minute() -> None:
    """When it is no refused login; those who come meanwhile wait for it."""
    ledger = Ledger(lambda: 0.0)

    assert ledger.question("me", 10.0) is True
    waits = ledger.question("other", 11.0)
    assert isinstance(waits, Wait)
    assert LEASE_SECONDS - 1.0 == waits.seconds
    assert ledger.question("other", 15.0) is False
    ledger.leave("other")
    ledger.leave("me")
    assert ledger.question("other", 11.0) is False
    assert ledger.question("other", 70.0) is True


def test_news_ring_the_bells() -> None:
    """A login that passed, an end of the trouble, a leader who left."""
    heard: list[str] = []
    all_news: dict[str, Callable[[Ledger], None]] = {
        "accept": lambda ledger: ledger.accept("v2", 11.0, 11.0),
        "end": lambda ledger: ledger.end_trouble(),
        "leave": lambda ledger: ledger.leave("leader"),
    }
    for name, news in all_news.items():
        ledger = in_trouble()
        ledger.turn("leader", 10.0, LONG)
        waits = ledger.turn("other", 10.0, LONG)
        assert isinstance(waits, Wait)
        waits.bell.hear(partial(heard.append, name))
        news(ledger)

    assert ["accept", "end", "leave"] == heard
