"""Sample events: what AWS documents and what was seen in the wild, as data.

Each call builds a fresh event, so a test may change its own. With them, the two things
that come with an event in Lambda: the queue's envelope, and the context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REGION = "eu-west-1"
ACCOUNT = "123456789012"
TIME = "2026-01-31T12:00:00Z"
OCCURRED_AT = 1769860800.0
SECRET_ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/db-AbCdEf"
PARAMETER_ARN = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/prod/flag"
VERSION = "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111"
API_CALL = "AWS API Call via CloudTrail"
SERVICE_EVENT = "AWS Service Event via CloudTrail"

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What Lambda tells a handler of itself."""

    function_name: str = "invalidator"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = (
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:invalidator"
    )
    aws_request_id: str = "6a7e8feb"


def envelope(source: str, kind: str, detail: object, resources: object = ()) -> Event:
    """What EventBridge puts around every event."""
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": TIME,
        "region": REGION,
        "resources": list(resources) if isinstance(resources, tuple) else resources,
        "detail": detail,
    }


def label_updated(
    arn: str = SECRET_ARN, name: str = "prod/db", label: str = "AWSCURRENT"
) -> Event:
    """Secrets Manager's own event."""
    detail = {
        "name": name,
        "labelUpdated": label,
        "versionId": VERSION,
    }
    return envelope("aws.secretsmanager", "Secret Label Updated", detail, (arn,))


def recorded(name: str, kind: str = API_CALL, **parts: object) -> Event:
    """An event that CloudTrail makes of a call or of what a service did by itself."""
    detail = {
        "eventVersion": "1.09",
        "eventTime": TIME,
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "requestParameters": None,
        "responseElements": None,
        "eventID": "638c6d2d-e098-4100-a3e0-a4b7b87e5b92",
        "readOnly": False,
        "eventType": "AwsApiCall" if kind == API_CALL else "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        **parts,
    }
    return envelope("aws.secretsmanager", kind, detail)


def put_secret_value(stages: object = None, arn: str = SECRET_ARN) -> Event:
    """PutSecretValue as CloudTrail records it; the value is never in it."""
    request: dict[str, object] = {"secretId": arn, "clientRequestToken": "4d383ea9"}
    if stages is not None:
        request["versionStages"] = stages
    return recorded(
        "PutSecretValue", requestParameters=request, responseElements={"arn": arn}
    )


def rotation(name: str, arn: str = SECRET_ARN) -> Event:
    """A step of a rotation, recorded as a service event."""
    return recorded(
        name,
        SERVICE_EVENT,
        additionalEventData={"SecretId": arn},
        requestID=f"Rotation-{arn}-7ac47c8c-f328-423b-9698-6926dd1f293e",
    )


def parameter_changed(
    name: str = "/prod/flag", operation: str = "Update", arn: str | None = None
) -> Event:
    """Parameter Store's own event: no version, no value."""
    if arn is None:
        arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.removeprefix('/')}"
    detail = {"operation": operation, "name": name, "type": "SecureString"}
    return envelope("aws.ssm", "Parameter Store Change", detail, (arn,))


def sqs_batch(*bodies: str) -> Event:
    """What Lambda's poller hands over; messages are named m0, m1, ..."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1769860800000",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1769860800001",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:events",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
    }
