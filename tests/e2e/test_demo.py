"""`make demo` shows the main job, and fails when there is nothing to show."""

from __future__ import annotations

import itertools
import secrets

import pytest

from examples.demo import run


def test_the_demo_reads_the_new_value(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeline ends with the new value read, and prints no value."""
    values = (f"canary-{number}" for number in itertools.count())
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: next(values))
    run.main()
    shown = capfd.readouterr()

    assert "the function read the NEW value" in shown.out
    assert "createSecret: version" in shown.out
    assert "canary" not in shown.out
    assert shown.err == ""


def test_the_demo_fails_when_the_old_value_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without stamps the old value is read, and the demo ends with one clear line."""
    monkeypatch.setattr(run, "ENVIRON", {"ROTAWARE_STAMPS": "off"})
    with pytest.raises(SystemExit) as ending:
        run.main()

    assert "demo failed: the function read" in str(ending.value.code)
    assert "the secret's current value was not read" in str(ending.value.code)
