"""infra/layer.yaml: the layers that `make publish` publishes, by CloudFormation."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from infra.publish.layers import LAYERS, LICENCE, Layer, archive_name
from tests.support.deployment import TEMPLATE
from tests.support.stand_in import REGION

PATH = TEMPLATE.with_name("layer.yaml")


def published() -> dict[str, dict[str, Any]]:
    """Each layer's properties, by its name."""
    resources = yaml_parse(PATH.read_text())["Resources"].values()
    return {each["Properties"]["LayerName"]: each["Properties"] for each in resources}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_each_layer_is_the_published_one(layer: Layer) -> None:
    """Name, content, licence and processors are those of `make publish`."""
    found = published()[layer.name]

    assert f"../build/{archive_name(layer, 'x86_64')}" == found["ContentUri"]
    assert LICENCE == found["LicenseInfo"]
    assert list(layer.architectures) == found["CompatibleArchitectures"]
    if layer.flavour == "python":
        assert list(layer.runtimes) == found["CompatibleRuntimes"]


def test_there_are_no_others() -> None:
    """What is not published by one is not by the other."""
    assert {layer.name for layer in LAYERS} == published().keys()


def test_versions_outlive_the_stack() -> None:
    """AWS's own translator makes layers of them that are kept, and tells their ARNs."""
    document = yaml_parse(PATH.read_text())
    for resource in document["Resources"].values():
        resource["Properties"]["ContentUri"] = "s3://bucket/layer.zip"
    session = boto3.Session(region_name=REGION)
    plain = Translator({}, Parser(), boto_session=session).translate(document, {})

    kinds = [each["Type"] for each in plain["Resources"].values()]
    assert ["AWS::Lambda::LayerVersion"] * len(LAYERS) == kinds
    kept = {each["DeletionPolicy"] for each in plain["Resources"].values()}
    assert {"Retain"} == kept
    named = {each["Value"]["Ref"] for each in plain["Outputs"].values()}
    assert plain["Resources"].keys() == named
