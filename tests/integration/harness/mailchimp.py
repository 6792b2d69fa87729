"""
A stand-in for MailChimp's Marketing API, as far as adding members goes.

It answers in the shapes that MailChimp publishes (problem documents with type, title, status, detail, instance and sometimes errors;
https://mailchimp.com/developer/marketing/docs/errors/) and as seen in public bug reports. It keeps its members, so a second
request for the same address is a "Member Exists" by itself; what cannot come about here is ordered through `troubles`.
"""

import base64
import hashlib
import json
import urllib.parse

from .receiver import Receiver, reply

GLOSSARY = "https://mailchimp.com/developer/marketing/docs/errors/"
INSTANCE = "3b4dcb40-0b6b-4820-bfaa-41267b3826ea"
# A page of the network before the API. That it quotes an error must not matter.
BLOCK_PAGE = b"<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Member Exists</H1>" + b"Reference #18.4d2e3e17 " * 20 + b"</BODY></HTML>"


def json_reply(status, document, type="application/json; charset=utf-8", headers=()):
    return reply(status, json.dumps(document).encode(), [("Content-Type", type), ("X-Request-Id", INSTANCE), *headers])


def problem(status, title, detail, errors=None, headers=()):
    document = {"type": GLOSSARY, "title": title, "status": status, "detail": detail, "instance": INSTANCE}
    if errors is not None:
        document["errors"] = errors
    return json_reply(status, document, "application/problem+json; charset=utf-8", headers)


class MailChimp(Receiver):
    """`lists` is {id: {address: member}}; `troubles` is {address: answer} for what an address is answered, in bytes."""

    def __init__(self, key="0123456789abcdef0123456789abcdef-us7", lists=("a1b2c3d4e5",), **more):
        self.key = key
        self.lists = {id: {} for id in lists}
        self.troubles = {}
        super().__init__(script=self._answer, **more)

    @property
    def base(self):
        return f"http://{self.address}"

    def _answer(self, exchange):
        exchange.send(self.answer_to(exchange.request))

    def answer_to(self, request):
        scheme, _, given = request.one("authorization").partition(" ")
        user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        if scheme != "Basic" or not user or password != self.key:
            return problem(401, "API Key Invalid", "Your API key may be invalid, or you've attempted to access the wrong datacenter.")
        path = urllib.parse.urlsplit(request.target).path.strip("/").split("/")
        if path[:2] != ["3.0", "lists"] or len(path) not in (3, 4) or path[2] not in self.lists:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        if len(path) == 3 and request.method == "GET":
            return json_reply(200, {"id": path[2], "_links": []})
        if len(path) != 4 or path[3] != "members" or request.method != "POST":
            return problem(405, "Method Not Allowed", "The requested method and resource are not compatible.")
        return self._add(self.lists[path[2]], request)

    def _add(self, members, request):
        try:
            member = json.loads(request.body)
        except ValueError:
            return problem(400, "JSON Parse Error", "We encountered an unspecified JSON parsing error.")
        address = member.get("email_address", "")
        if address in self.troubles:
            return self.troubles[address]
        if "@" not in address:
            return problem(400, "Invalid Resource", "Please provide a valid email address.")
        if member.get("status") not in ("subscribed", "unsubscribed", "cleaned", "pending", "transactional"):
            errors = [{"field": "status", "message": "Data did not match any of the schemas described in anyOf."}]
            return problem(400, "Invalid Resource", "The resource submitted could not be validated.", errors)
        if address.lower() in members:
            return problem(400, "Member Exists", f"{address} is already a list member. Use PUT to insert or update list members.")
        members[address.lower()] = member
        id = hashlib.md5(address.lower().encode()).hexdigest()
        return json_reply(200, {"id": id, "email_address": address, "status": member["status"], "_links": [{"rel": "self"}] * 200})
