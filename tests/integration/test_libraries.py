"""What arrives is verified by the public Standard Webhooks libraries, as our users' receivers would."""

import json
import shutil
import subprocess

import pytest
from harness.process import ROOT, wait_state
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

DATA = '{"property_uid":12,"note":"café \\u001B \\/ end €","contract_uid":41,"n":12345678901234567890}'
NPM = ROOT / "tests" / "npm"


@pytest.fixture
def arrived(site, receiver):
    """A request, and its webhook's secret; in both shapes."""
    found = []
    for shape in ("standard", "jomres"):
        webhook = site.webhook(receiver.url(f"/{shape}"), shape=shape)
        found.append((shape, webhook["secret"]))
    event = site.send("booking_added", DATA)
    wait_state(site, event, "delivered")
    by_target = {request.target: request for request in receiver.requests}
    return [(by_target[f"/{shape}"], secret) for shape, secret in found]


def signed_headers(request):
    return {name: request.one(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}


def test_the_python_library_verifies(arrived):
    for request, secret in arrived:
        payload = Webhook(secret).verify(request.body, signed_headers(request))
        assert payload["data"]["note"] == "café \x1b / end €"
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(request.body.replace(b"41", b"42"), signed_headers(request))


def test_the_npm_library_verifies(arrived):
    node = shutil.which("node") or shutil.which("nodejs")
    if not node or not (NPM / "node_modules" / "standardwebhooks").exists():
        pytest.skip("the npm package is not installed: ./dev test installs it")
    for request, secret in arrived:
        message = {"secret": secret, "headers": signed_headers(request), "body": request.body.decode()}
        for body, verdict in ((message["body"], "verified"), (message["body"].replace("41", "42"), "refused")):
            done = subprocess.run([node, "verify.js"], input=json.dumps({**message, "body": body}), capture_output=True, text=True, cwd=NPM)
            assert (done.returncode, done.stdout.strip()) == (0, verdict), done.stderr
