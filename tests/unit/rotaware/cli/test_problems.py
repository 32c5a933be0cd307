"""What ends a command is one line that says what to do."""

from __future__ import annotations

import pytest

from rotaware.cli.problems import line
from rotaware.errors import (
    AwsError,
    AwsUnavailableError,
    RotawareError,
    SettingsError,
    aws_error,
)

KEYS = "AWS does not take these credentials here"


@pytest.mark.parametrize(
    ("error", "start", "fix"),
    [
        (RotawareError("a fault; a fix"), "a fault", "; a fix"),
        (SettingsError(["no Region: use --region"]), "no Region", "use --region"),
        (
            AwsUnavailableError("NoCredentialsError", "sts GetSessionToken"),
            "there are no credentials",
            "aws configure",
        ),
        (
            aws_error("ExpiredTokenException", "The token is expired.", 400),
            "ExpiredTokenException: The token is expired; ",
            "aws sso login",
        ),
        (
            aws_error("UnrecognizedClientException", "Token invalid\nrequest: x", 400),
            "UnrecognizedClientException: Token invalid; ",
            KEYS,
        ),
        (
            AwsError("AccessDeniedException", "User u may not"),
            "AccessDeniedException: User u may not; ",
            "allow this to yourself",
        ),
        (
            AwsError("ResourceNotFoundException", "no such function"),
            "ResourceNotFoundException: no such function; ",
            "--region",
        ),
        (
            aws_error("ThrottlingException", "Rate exceeded", 400),
            "ThrottlingException: Rate exceeded; ",
            "try again in a minute",
        ),
        (
            AwsUnavailableError(
                "EndpointConnectionError", "ssm X: EndpointConnectionError"
            ),
            "ssm X: EndpointConnectionError; ",
            "the Region's name",
        ),
        (AwsError("Other", "said so"), "Other: said so", ""),
    ],
)
def test_each_problem_has_its_fix(error: RotawareError, start: str, fix: str) -> None:
    """AWS's words first, then what to do; never a second line."""
    shown = line(error)

    assert shown.startswith(start)
    assert fix in shown
    assert "\n" not in shown
