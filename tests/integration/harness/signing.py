"""Standard Webhooks signatures, written down a second time so that the engine's are checked by something else."""

import base64
import hashlib
import hmac


def key_of(secret):
    return base64.b64decode(secret.removeprefix("whsec_"))


def sign(secret, message_id, timestamp, body):
    signed = b".".join([message_id.encode(), str(timestamp).encode(), body])
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signature_of(request, secret):
    """What the signature over the received bytes of `request` must be."""
    return sign(secret, request.one("webhook-id"), request.one("webhook-timestamp"), request.body)


def assert_signed(request, secret):
    expected = signature_of(request, secret)
    assert expected in request.one("webhook-signature").split(" "), f"no signature matches the body {request.body[:200]!r}"
