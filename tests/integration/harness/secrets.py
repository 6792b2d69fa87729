"""How a secret may look where it must not be."""

import base64
import urllib.parse


def spellings(secret):
    """Plain, URL-encoded, and in base64 whatever its position in a longer text; as bytes."""
    raw = secret.encode()
    yield raw
    yield urllib.parse.quote(secret, safe="").encode()
    for pad in range(3):
        coded = base64.b64encode(b"\0" * pad + raw + b"\0" * ((3 - (pad + len(raw)) % 3) % 3))
        yield coded[4:-4]


def assert_nowhere(secret, shown, bellhop):
    """
    In none of the shown answers (bytes), not in the log, and, once the installation is stopped, in none of its files but site.key.
    """
    files = {file.name: file.read_bytes() for file in bellhop.data.iterdir() if file.name != "site.key"}
    for form in spellings(secret):
        for text in shown:
            assert form not in text, (form, text[:2000])
        assert form not in bellhop.log.encode(), (form, "the log")
        for name, content in files.items():
            assert form not in content, (form, name)
