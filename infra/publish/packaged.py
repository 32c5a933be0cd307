"""The invalidator's template with its code in a bucket, as `sam package` writes it.

So whoever has no SAM command line deploys with AWS's own, and CloudFormation does the
rest of SAM's work.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infra.publish.problems import PublishError

if TYPE_CHECKING:
    from infra.publish.layers import Archive

_CODE = re.compile(r"^(?P<key> +CodeUri: )\.\./build/invalidator$", re.MULTILINE)


def key(archive: Archive) -> str:
    """What the code is called in the bucket: other code, another key."""
    return f"rotaware/invalidator-{archive.digest[:16]}.zip"


def packaged(template: str, bucket: str, archive: Archive) -> str:
    """The template that takes the code from there."""
    place = f"s3://{bucket}/{key(archive)}"
    text, count = _CODE.subn(rf"\g<key>{place}", template)
    if count != 1:
        raise PublishError("infra/template.yaml: one CodeUri must be the invalidator")
    return text
