r"""A function that reads the secret app/db through rotaware, by the AWS CDK.

pip install aws-cdk-lib
cdk deploy --app "python app.py" \
        --parameters LayerArn=... --parameters ReadingPolicyArn=...
"""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

CODE = str(Path(__file__).resolve().parent.parent / "function")


class Reader(cdk.Stack):
    """The function, and what it may read."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        layer_arn = cdk.CfnParameter(
            self,
            "LayerArn",
            description="From the table of `make publish`, for Region and processor",
        )
        reading_policy_arn = cdk.CfnParameter(
            self,
            "ReadingPolicyArn",
            description="The output ReadingPolicyArn of rotaware's stack",
        )
        function = lambda_.Function(
            self,
            "Function",
            code=lambda_.Code.from_asset(CODE),
            handler="app.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=256,
            layers=[
                lambda_.LayerVersion.from_layer_version_arn(
                    self, "Rotaware", layer_arn.value_as_string
                )
            ],
            environment={"SECRET_DB": "app/db", "ROTAWARE_CHECK_INTERVAL": "5"},
        )
        policy = iam.ManagedPolicy.from_managed_policy_arn(
            self, "ReadingPolicy", reading_policy_arn.value_as_string
        )
        function.role.add_managed_policy(policy)
        secret = secretsmanager.Secret.from_secret_name_v2(self, "Db", "app/db")
        secret.grant_read(function)


app = cdk.App()
Reader(app, "Reader")
app.synth()
