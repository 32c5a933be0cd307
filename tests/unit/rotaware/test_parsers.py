"""Texts become values, or errors that say what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware import parsers

if TYPE_CHECKING:
    from collections.abc import Callable

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"
MANAGED_ARN = ARN.replace("prod/db", "rds!db-3ce4f6")
NO_NAME = (
    "is no variable's name; list names of letters, digits and '_', with commas between"
)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parsers.seconds(0), "0", 0.0),
        (parsers.seconds(0), "300", 300.0),
        (parsers.seconds(0), " 0.5 ", 0.5),
        (parsers.seconds(0), "31536000", 31_536_000.0),
        (parsers.seconds(0.01), "0.01", 0.01),
        (parsers.minutes, "10", 600.0),
        (parsers.minutes, "0", 0.0),
        (parsers.whole(0, 1000), "0", 0),
        (parsers.whole(0, 1000), "1000", 1000),
        (parsers.whole(0, 1000), " 7 ", 7),
        (parsers.version_number, "12", "12"),
        (parsers.port, "1", 1),
        (parsers.port, "65535", 65535),
        (parsers.ports, "4000", (4000,)),
        (parsers.ports, " 8080, 4000 ", (8080, 4000)),
        (parsers.timeout, "0", None),
        (parsers.timeout, "1500", 1.5),
        (parsers.flag("TRUE", "FALSE"), "TRUE", True),
        (parsers.flag("TRUE", "FALSE"), "false", False),
        (parsers.flag("on", "off"), "On", True),
        (parsers.one_of("a", "b-c"), " B-C ", "b-c"),
        (parsers.log_level, "debug", "DEBUG"),
        (parsers.log_level, "warn", "WARNING"),
        (parsers.log_level, "Information", "INFO"),
        (parsers.log_level, "none", "NONE"),
        (parsers.log_level, "CRITICAL", "NONE"),
        (parsers.lambda_log_level, "FATAL", "NONE"),
        (parsers.lambda_log_level, "TRACE", "DEBUG"),
        (parsers.lambda_log_level, "something new", None),
        (parsers.powertools_log_level, "Debug", "DEBUG"),
        (parsers.powertools_log_level, " ", "INFO"),
        (parsers.powertools_log_level, "NOTSET", "INFO"),
        (parsers.nonempty, " a ", "a"),
        (parsers.or_default(parsers.nonempty, "a"), " ", "a"),
        (parsers.or_default(parsers.nonempty, "a"), "b", "b"),
        (parsers.path, "/var/task/config.yaml", "/var/task/config.yaml"),
        (parsers.variable_names, "DB_PASSWORD", ("DB_PASSWORD",)),
        (parsers.variable_names, " b1 , A,_C ", ("b1", "A", "_C")),
        (parsers.namespace, "team_a-1.x", "team_a-1.x"),
        (parsers.namespace, "a" * 128, "a" * 128),
        (parsers.stamps, "ssm", "ssm"),
        (parsers.stamps, "OFF", "off"),
        (parsers.stamps, "ssm:///team/stamps", "/team/stamps"),
        (parsers.stamps, "ssm:///" + "a/" * 14 + "a", "/" + "a/" * 14 + "a"),
        (parsers.stamps, " dynamodb://Team_1.a-b ", "dynamodb://Team_1.a-b"),
        (parsers.stamps, "dynamodb://abc", "dynamodb://abc"),
        (parsers.stamps, "dynamodb://" + "a" * 255, "dynamodb://" + "a" * 255),
        (parsers.resource_id, "prod/db_+=.@-", "prod/db_+=.@-"),
        (parsers.resource_id, "rds!cluster-3ce4f6", "rds!cluster-3ce4f6"),
        (parsers.resource_id, MANAGED_ARN, MANAGED_ARN),
        (parsers.resource_id, ARN, ARN),
        (parsers.resource_id, "x" * 2048, "x" * 2048),
    ],
)
def test_it_reads(parse: Callable[[str], object], text: str, value: object) -> None:
    """What is in range and well formed becomes its value."""
    assert value == parse(text)


@pytest.mark.parametrize(
    ("parse", "text", "fault"),
    [
        (parsers.seconds(0), "", "'' is not a number; use seconds from 0 to 31536000"),
        (parsers.seconds(0), "-1", "'-1' is not a number; use seconds from 0"),
        (parsers.seconds(0), "1e3", "'1e3' is not a number"),
        (parsers.seconds(0), "5m", "'5m' is not a number"),
        (parsers.seconds(0), "1.2.3", "'1.2.3' is not a number"),
        (parsers.seconds(0), ".", "'.' is not a number"),
        (parsers.seconds(0), "nan", "'nan' is not a number"),
        (parsers.seconds(0), "\u0663", r"'\u0663' is not a number"),
        (parsers.seconds(0), "31536000.1", "'31536000.1' is out of range"),
        (parsers.seconds(0.01), "0.001", "is out of range; use seconds from 0.01"),
        (parsers.seconds(0), "9" * 400, "'99999999999999999999'... is out of range"),
        (parsers.minutes, "525601", "is out of range; use minutes from 0 to 525600"),
        (parsers.whole(0, 1000), "1001", "'1001' is not a whole number from 0 to 1000"),
        (parsers.whole(1, 9), "0", "'0' is not a whole number from 1 to 9; use one"),
        (parsers.whole(0, 9), "1.0", "'1.0' is not a whole number"),
        (parsers.whole(0, 9), "\u00b2", r"'\xb2' is not a whole number"),
        (parsers.whole(0, 9), "0" * 5000, "'00000000000000000000'... is not a whole"),
        (parsers.version_number, "0", "'0' is not a whole number from 1"),
        (parsers.port, "0", "'0' is not a whole number from 1 to 65535"),
        (parsers.port, "65536", "'65536' is not a whole number from 1 to 65535"),
        (parsers.port, "9001", "9001 is reserved by Lambda; use another port"),
        (parsers.ports, "", "is empty"),
        (parsers.ports, "4000,", "'' is not a whole number from 1 to 65535"),
        (parsers.ports, "4000 8080", "'4000 8080' is not a whole number"),
        (parsers.ports, "4000,9001", "9001 is reserved by Lambda; use another port"),
        (parsers.ports, "1,4000,2,4000", "4000 is listed twice; list it once"),
        (parsers.timeout, "-5", "'-5' is not a whole number from 0"),
        (parsers.flag("on", "off"), "yes", "'yes' is neither; use on or off"),
        (parsers.one_of("a", "b"), "", "'' is none; use a or b"),
        (parsers.one_of("a", "b"), "ab", "'ab' is none; use a or b"),
        (parsers.log_level, "loud", "'loud' is no level; use debug, info, warn"),
        (parsers.nonempty, "  ", "is empty; give it a value, or remove it"),
        (parsers.path, "", "is empty"),
        (parsers.path, "config.yaml", "is no absolute path; start it with /"),
        (parsers.path, "/a\0b", "is no absolute path"),
        (parsers.variable_names, " ", "is empty"),
        (parsers.variable_names, "A,,B", f"name 2 of 3 {NO_NAME}"),
        (parsers.variable_names, "A B", "name 1 of 1 is no variable's name"),
        (parsers.variable_names, "1A", "name 1 of 1 is no variable's name"),
        (parsers.variable_names, "\u00e9", "name 1 of 1 is no variable's name"),
        (parsers.variable_names, "A,B,A", "name 3 of 3 is there before; list it once"),
        (parsers.namespace, "", "must be 1 to 128 letters"),
        (parsers.namespace, "a/b", "must be 1 to 128 letters"),
        (parsers.namespace, "a" * 129, "must be 1 to 128 letters"),
        (
            parsers.stamps,
            "",
            "names no stamp sheet; use ssm, ssm:///a/name, dynamodb://table or off",
        ),
        (parsers.stamps, "ssm://team/stamps", "names no stamp sheet"),
        (parsers.stamps, "dynamodb:table", "names no stamp sheet"),
        (parsers.stamps, "dynamodb://", "names no table; after dynamodb://"),
        (parsers.stamps, "dynamodb://ab", "3 to 255 letters, digits"),
        (parsers.stamps, "dynamodb://" + "a" * 256, "3 to 255 letters, digits"),
        (parsers.stamps, "dynamodb://table/item", "ROTAWARE_NAMESPACE names the item"),
        (parsers.stamps, "dynamodb://a table", "names no table"),
        (
            parsers.stamps,
            "dynamodb://arn:aws:dynamodb:eu-west-1:123456789012:table/stamps",
            "no ARN",
        ),
        (parsers.stamps, "ssm:///", "Parameter Store refuses such a name"),
        (parsers.stamps, "ssm:///a//b", "Parameter Store refuses such a name"),
        (parsers.stamps, "ssm:///a b", "Parameter Store refuses such a name"),
        (parsers.stamps, "ssm:///aws/b", "that do not begin with aws or ssm"),
        (parsers.stamps, "ssm:///SSM-b", "that do not begin with aws or ssm"),
        (parsers.stamps, "ssm:///" + "a/" * 15 + "a", "Parameter Store refuses"),
        (parsers.stamps, "ssm:///" + "a" * 1011, "Parameter Store refuses"),
        (parsers.resource_id, "", "is empty"),
        (parsers.resource_id, "a b", "is no name or ARN; use letters, digits"),
        (parsers.resource_id, "a:b", "is no name or ARN"),
        (parsers.resource_id, "x" * 2049, "is no name or ARN"),
    ],
)
def test_it_refuses(parse: Callable[[str], object], text: str, fault: str) -> None:
    """What is malformed or out of range is refused with the fault and the fix."""
    with pytest.raises(ValueError, match=r".") as raised:
        parse(text)

    assert fault in str(raised.value)


def test_a_quotation_is_short_and_printable() -> None:
    """Of what is quoted, only twenty characters are, and none that a terminal obeys."""
    assert r"'\x1b[31m'" == parsers.quote("\x1b[31m")
    assert "'aaaaaaaaaaaaaaaaaaaa'..." == parsers.quote("a" * 21)
    assert "'aaaaaaaaaaaaaaaaaaaa'" == parsers.quote("a" * 20)


def test_a_shown_name_is_short_and_printable() -> None:
    """A variable's name stands as it is, unless it is long or cannot be printed."""
    assert "SECRET_DB" == parsers.shown_name("SECRET_DB")
    assert "a" * 64 == parsers.shown_name("a" * 65)
    assert r"'\xe9'" == parsers.shown_name("\u00e9")
    assert r"'\x1b'" == parsers.shown_name("\x1b")


@given(st.text())
def test_what_is_no_variables_name_is_never_quoted(text: str) -> None:
    """It may be the ciphertext, or the secret itself: the refusal only counts."""
    try:
        outcome = ",".join(parsers.variable_names(text))
    except ValueError as error:
        outcome = re.sub(r"^name \d+ of \d+ ", "", str(error))

    assert outcome in {
        ",".join(name.strip() for name in text.split(",")),
        "is empty; give it a value, or remove it",
        NO_NAME,
        "is there before; list it once",
    }


@given(st.text())
def test_ids_are_never_quoted(text: str) -> None:
    """An id that is refused may be a password: the refusal is the same for all."""
    try:
        outcome = parsers.resource_id(text)
    except ValueError as error:
        outcome = str(error)

    assert outcome in {
        text.strip(),
        "is empty; give it a value, or remove it",
        "is no name or ARN; use letters, digits and the characters /_+=.@!-",
    }
