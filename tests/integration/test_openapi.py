"""docs/openapi.yaml is true: schemathesis makes requests up from it, and every answer must be one that it describes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness.process import ROOT, small_world, wait_state
from harness.receiver import reply

CONTRACT = ROOT / "docs" / "openapi.yaml"
EXAMPLES = os.environ.get("BELLHOP_OPENAPI_EXAMPLES", "12")


@pytest.fixture
def furnished(install, make_receiver):
    """An installation in which there is something of everything, and whose ids stand in for the made-up ones."""
    bellhop = install(settings={"retry_schedule": "1h", "log_level": "info"}).start()
    site = small_world(bellhop)
    receiver = make_receiver(lambda exchange: exchange.send(reply(200)))
    webhook = site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]["id"]
    site.put("/v1/event-types/invoice.paid", json={"description": "An invoice was paid"}).ok(201)
    bellhop.ids = {"event": event, "webhook": webhook["id"], "delivery": delivery}
    return bellhop


def schemathesis(bellhop, tmp_path: Path, key, *more):
    binary = Path(sys.executable).parent / "schemathesis"
    # positive_data_acceptance takes every request that fits the schema for one that must succeed. But a cursor has to come
    # from this list, a type must be known, a target pass the guard: 400 and 422 are what the contract promises then.
    command = [
        str(binary), "run", str(CONTRACT), "--url", bellhop.url, "--checks", "all", "--exclude-checks", "positive_data_acceptance",
        "--warnings", "off", "--max-examples", EXAMPLES, "--seed", "7",
        "--workers", "1", "--generation-database", "none", "--no-color", "--header", f"Authorization: Bearer {key}", *more,
    ]  # fmt: skip
    env = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parent / "harness")}
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=env)


def test_every_answer_is_one_that_the_contract_describes(furnished, tmp_path):
    done = schemathesis(furnished, tmp_path, furnished.key)
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
    assert furnished.site.get("/healthz").status == 200


def test_a_managers_key_meets_the_contract_too(furnished, tmp_path):
    done = schemathesis(furnished, tmp_path, furnished.site.manager_key("7").key, "--mode", "positive")
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]


def test_the_examples_of_the_contract_work(furnished):
    """The requests that readers will copy: each example body is accepted."""
    site = furnished.site
    contract = yaml.safe_load(CONTRACT.read_text())
    body = contract["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    for example in body["application/json"]["examples"].values():
        site.post("/v1/events", json=example["value"]).ok(202)
    site.post("/v1/events", body=body["application/x-ndjson"]["example"], content_type="application/x-ndjson").ok(202)
    site.post("/v1/keys", json=contract["paths"]["/v1/keys"]["post"]["requestBody"]["content"]["application/json"]["example"]).ok(201)
