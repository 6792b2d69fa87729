"""A plain client of the API, over http.client: it hides nothing that a test may want to look at."""

import http.client
import json as json_module
import time
import urllib.parse


class Answer:
    def __init__(self, status, headers, body, took):
        self.status, self.headers, self.body, self.took = status, headers, body, took

    @property
    def json(self):
        return json_module.loads(self.body)

    def ok(self, *statuses):
        """The JSON of an answer that must be a success."""
        expected = statuses or (200, 201, 202, 204)
        assert self.status in expected, f"{self.status}: {self.body[:1000]!r}"
        return self.json if self.body else None

    def problem(self, status, code=None):
        """The problem document of an answer that must be a refusal: its form is checked here for every test."""
        assert self.status == status, f"expected {status}, got {self.status}: {self.body[:1000]!r}"
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.headers.items()
        document = self.json
        assert document["status"] == status
        assert document["type"] == f"urn:bellhop:problem:{document['code']}"
        assert document["title"] and document["detail"]
        if code:
            assert document["code"] == code, document
        return document


class Api:
    def __init__(self, url, key=None, timeout=60):
        self.address = urllib.parse.urlsplit(url).netloc
        self.key, self.timeout = key, timeout

    def with_key(self, key):
        return Api(f"http://{self.address}", key, self.timeout)

    def request(self, method, path, json=None, body=None, headers=None, content_type="application/json"):
        headers = dict(headers or {})
        if self.key:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        if json is not None:
            body = json_module.dumps(json)
        if body is not None:
            if isinstance(body, str):
                body = body.encode()
            headers.setdefault("Content-Type", content_type)
        connection = http.client.HTTPConnection(self.address, timeout=self.timeout)
        started = time.monotonic()
        try:
            try:
                connection.request(method, path, body=body, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                pass  # an answer that came before all was sent is an answer
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read(), time.monotonic() - started)
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def put(self, path, **more):
        return self.request("PUT", path, **more)

    def patch(self, path, **more):
        return self.request("PATCH", path, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    # --- In the words of the domain ------------------------------------------------------------

    def manager(self, id, role="manager", name=None):
        return self.put(f"/v1/managers/{urllib.parse.quote(id, safe='')}", json={"name": name or f"Manager {id}", "role": role}).ok()

    def property(self, id, *managers, name=None):
        body = {"name": name or f"Property {id}", "managers": list(managers)}
        return self.put(f"/v1/properties/{urllib.parse.quote(id, safe='')}", json=body).ok()

    def webhook(self, url, manager="7", **more):
        body = {"name": "test", "url": url, "manager_id": manager, **more}
        if manager is None:
            del body["manager_id"]
        return self.post("/v1/webhooks", json=body).ok(201)

    def manager_key(self, manager):
        return self.with_key(self.post("/v1/keys", json={"role": "manager", "manager_id": manager}).ok(201)["key"])

    def emit_key(self):
        return self.with_key(self.post("/v1/keys", json={"role": "emit"}).ok(201)["key"])

    def send(self, type="booking_added", data=None, **more):
        """Hands one event over and returns its id. `data` may be JSON text, which is then sent byte for byte."""
        return self.hand_over(type, data, **more).ok(202)["id"]

    def hand_over(self, type="booking_added", data=None, headers=None, **members):
        if data is None:
            data = {"property_uid": 12, "contract_uid": 41}
        text = data if isinstance(data, str) else json_module.dumps(data)
        head = json_module.dumps({"type": type, **members})
        return self.post("/v1/events", body=head[:-1] + ', "data": ' + text + "}", headers=headers)

    def send_many(self, events, type="booking_added"):
        """Hands many events over in one call and returns their ids in order; each is (type, data), or data of `type`."""
        pairs = [event if isinstance(event, tuple) else (type, event) for event in events]
        lines = "\n".join(json_module.dumps({"type": kind, "data": data}) for kind, data in pairs)
        answer = self.post("/v1/events", body=lines, content_type="application/x-ndjson").ok(202)
        return [entry["id"] for entry in answer["events"]]

    def walk(self, path, limit=7):
        """All rows of a list, page by page."""
        rows, cursor = [], None
        separator = "&" if "?" in path else "?"
        while True:
            page = self.get(f"{path}{separator}limit={limit}" + (f"&cursor={urllib.parse.quote(cursor)}" if cursor else "")).ok()
            rows += page["data"]
            cursor = page["next"]
            if cursor is None:
                return rows
