"""A client of the AWS Parameters and Secrets extension, which knows of nothing else.

The database's address is a parameter, its credentials are a secret. Names are sent as
they are, slashes and all.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pymysql
import urllib3

PORT = os.environ["PORT"]
CONFIGURATION = os.environ["APP_CONFIG_PATH"]
CREDENTIALS = os.environ["CREDS_PATH"]
OK = 200

http = urllib3.PoolManager()


def ask(path: str) -> Any:
    """What the extension answers to a path."""
    headers = {"X-Aws-Parameters-Secrets-Token": os.environ["AWS_SESSION_TOKEN"]}
    response = http.request("GET", f"http://localhost:{PORT}{path}", headers=headers)
    if response.status != OK:
        raise RuntimeError(f"{path}: {response.status} {response.data.decode()}")
    return json.loads(response.data)


def connect() -> pymysql.Connection:
    """A connection to the database, as parameter and secret say."""
    parameter = ask(f"/systemsmanager/parameters/get/?name={CONFIGURATION}")
    secret = ask(f"/secretsmanager/get?secretId={CREDENTIALS}")
    configuration = json.loads(parameter["Parameter"]["Value"])
    credentials = json.loads(secret["SecretString"])
    return pymysql.connect(
        host=configuration["host"],
        port=configuration["port"],
        database=configuration["database"],
        user=credentials["username"],
        password=credentials["password"],
    )


def handler(_event: object, _context: object) -> dict[str, str]:
    """Log in, and say as whom and where."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT USER(), DATABASE()")
        ((user, database),) = cursor.fetchall()
    return {"user": user.partition("@")[0], "database": database}
