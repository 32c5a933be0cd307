"""Endpoints: by partition, by setting, and what is no endpoint.

That every Region agrees with botocore is shown in tests/contract.
"""

from __future__ import annotations

import pytest

from rotaware.endpoints import Endpoint, endpoint, endpoint_url
from rotaware.errors import SettingsError

FIPS = {"AWS_USE_FIPS_ENDPOINT": "true"}
DUAL = {"AWS_USE_DUALSTACK_ENDPOINT": "true"}


@pytest.mark.parametrize(
    ("service", "region", "environ", "host"),
    [
        ("ssm", "eu-west-1", {}, "ssm.eu-west-1.amazonaws.com"),
        ("ssm", "eu-west-1", FIPS, "ssm-fips.eu-west-1.amazonaws.com"),
        ("ssm", "eu-west-1", DUAL, "ssm.eu-west-1.api.aws"),
        ("ssm", "eu-west-1", FIPS | DUAL, "ssm-fips.eu-west-1.api.aws"),
        ("kms", "cn-north-1", {}, "kms.cn-north-1.amazonaws.com.cn"),
        ("kms", "us-isob-east-1", {}, "kms.us-isob-east-1.sc2s.sgov.gov"),
        ("kms", "eusc-xx-new-9", {}, "kms.eusc-xx-new-9.amazonaws.eu"),
        ("ssm", "us-gov-west-1", FIPS, "ssm.us-gov-west-1.amazonaws.com"),
        ("ssm", "us-gov-west-1", FIPS | DUAL, "ssm-fips.us-gov-west-1.api.aws"),
        ("dynamodb", "us-gov-west-1", FIPS, "dynamodb.us-gov-west-1.amazonaws.com"),
        ("dynamodb", "eu-west-1", FIPS, "dynamodb-fips.eu-west-1.amazonaws.com"),
        ("secretsmanager", "sa-east-1", DUAL, "secretsmanager.sa-east-1.amazonaws.com"),
        (
            "secretsmanager",
            "cn-north-1",
            FIPS | DUAL,
            "secretsmanager-fips.cn-north-1.api.amazonwebservices.com.cn",
        ),
    ],
)
def test_a_region_and_two_switches_name_the_host(
    service: str, region: str, environ: dict[str, str], host: str
) -> None:
    """The partition follows from the Region's prefix; the switches are its suffixes."""
    assert f"https://{host}" == endpoint_url(service, region, environ)
    assert endpoint(service, region, environ) == Endpoint("https", host, 443, "/")


def test_a_service_of_its_own_wins_over_the_common_endpoint() -> None:
    """AWS_ENDPOINT_URL_<SERVICE> comes first, and only for its service."""
    environ = {
        "AWS_ENDPOINT_URL": "http://all.test",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://sm.test",
    }

    assert endpoint_url("secretsmanager", "eu-west-1", environ) == "http://sm.test"
    assert endpoint_url("ssm", "eu-west-1", environ) == "http://all.test"


def test_configured_endpoints_can_be_ignored() -> None:
    """AWS_IGNORE_CONFIGURED_ENDPOINT_URLS puts AWS's own endpoint back."""
    environ = {
        "AWS_ENDPOINT_URL": "http://all.test",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }

    assert (
        endpoint_url("kms", "eu-west-1", environ)
        == "https://kms.eu-west-1.amazonaws.com"
    )


@pytest.mark.parametrize("switch", [*FIPS, *DUAL])
def test_a_configured_endpoint_has_no_variants(switch: str) -> None:
    """As with botocore, FIPS or dual-stack next to an endpoint URL is an error."""
    environ = {"AWS_ENDPOINT_URL_KMS": "http://kms.test", switch: "true"}

    with pytest.raises(SettingsError) as caught:
        endpoint_url("kms", "eu-west-1", environ)

    assert caught.value.problems == (
        f"AWS_ENDPOINT_URL_KMS: cannot be combined with {switch}; remove one",
    )


@pytest.mark.parametrize(
    ("region", "shown"),
    [
        ("", "''"),
        ("eu west", "'eu west'"),
        ("evil.test/", "'evil.test/'"),
        ("région", r"'r\xe9gion'"),
        ("a password put here by mistake", "'a password put here '..."),
    ],
)
def test_a_region_that_is_no_label_is_refused(region: str, shown: str) -> None:
    """It becomes part of a host name; the message shows it printable and cut short."""
    with pytest.raises(SettingsError) as caught:
        endpoint_url("ssm", region, {})

    assert caught.value.problems == (
        f"AWS_REGION: {shown} is no Region's name; use one such as eu-west-1",
    )


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("http://h.test", Endpoint("http", "h.test", 80, "/"), "h.test"),
        ("HTTPS://H.Test:443/a/b", Endpoint("https", "h.test", 443, "/a/b"), "h.test"),
        ("http://h.test:/x", Endpoint("http", "h.test", 80, "/x"), "h.test"),
        ("http://h:8080?q=1", Endpoint("http", "h", 8080, "/?q=1"), "h:8080"),
        ("http://h/a?b=/c", Endpoint("http", "h", 80, "/a?b=/c"), "h"),
        ("http://[FD00::1]:81/", Endpoint("http", "fd00::1", 81, "/"), "[fd00::1]:81"),
        ("https://[::1]", Endpoint("https", "::1", 443, "/"), "[::1]"),
        ("http://a_b.test.:65535", Endpoint("http", "a_b.test.", 65535, "/"), None),
    ],
)
def test_a_url_is_taken_apart(
    url: str, expected: Endpoint, authority: str | None
) -> None:
    """Scheme and host in lower case, the scheme's own port, a path at least."""
    assert expected == Endpoint.parse(url)
    assert Endpoint.parse(url).authority == (authority or "a_b.test.:65535")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h.test",
        "://h.test",
        "ftp://h.test",
        "http://",
        "http:///path",
        "http://h..test",
        "http://.",
        "http://user:password@h.test",
        f"http://{'a' * 64}.test",
        "http://h.test:0",
        "http://h.test:65536",
        "http://h.test:x",
        "http://[::1",
        "http://[h.test]",
        "http://[1234]",
        "http://[::1]x",
        "http://h.test/ä",
        "http://h.test/a b",
        "http://h.test/\r\nX: y",
        "http://h.test/#top",
        "http://h.test/?query=1",
    ],
)
def test_what_is_no_endpoint_is_refused_by_the_variables_name(url: str) -> None:
    """The problem names the variable and the fix, never the URL: it may hold a key."""
    environ = {"AWS_ENDPOINT_URL_SSM": url or " "}

    with pytest.raises(SettingsError) as caught:
        endpoint("ssm", "eu-west-1", environ)

    (problem,) = caught.value.problems
    assert problem.startswith("AWS_ENDPOINT_URL_SSM: is no endpoint (it")
    assert problem.endswith("); use http://host:port")
    assert "password" not in problem
