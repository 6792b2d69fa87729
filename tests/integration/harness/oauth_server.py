"""
A real OAuth2 authorization server (Authlib), and beside it a receiver that lets nobody in without one of its tokens.

    python -m harness.oauth_server < clients.json        prints "http://127.0.0.1:PORT" and serves until it is ended

    POST /token             RFC 6749, client credentials
    POST /hook              RFC 6750; what arrives is verified with the standardwebhooks library under each of the known secrets
    GET /control            what was asked so far
    POST /control           {"expires_in": 5, "delay": 2, "outage": 503, "revoke": true, "verify_with": ["whsec_..."]}

It knows nothing of Bellhop: what it says about a request is what these libraries say.
"""

import json
import os
import sys
import threading
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain http, on this machine's loopback alone

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector  # noqa: E402
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants  # noqa: E402
from authlib.oauth2.rfc6750 import BearerTokenGenerator, BearerTokenValidator  # noqa: E402
from flask import Flask, Response, jsonify, request  # noqa: E402
from standardwebhooks.webhooks import Webhook, WebhookVerificationError  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


class Client(ClientMixin):
    def __init__(self, client_id, secret, scopes=(), methods=("client_secret_basic", "client_secret_post")):
        self.client_id, self.secret, self.scopes, self.methods = client_id, secret, scopes, methods

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return " ".join(word for word in (scope or "").split() if word in self.scopes)

    def check_client_secret(self, client_secret):
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method in self.methods

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Token(TokenMixin):
    def __init__(self, client, facts):
        self.client, self.text = client, facts["access_token"]
        self.scope, self.expires_in = facts.get("scope", ""), facts.get("expires_in", 0)
        self.issued, self.revoked = time.monotonic(), False

    def check_client(self, client):
        return self.client is client

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.expires_in

    def is_expired(self):
        return bool(self.expires_in) and time.monotonic() > self.issued + self.expires_in

    def is_revoked(self):
        return self.revoked


class World:
    def __init__(self, clients):
        self.clients = {c["client_id"]: Client(**c) for c in clients}
        self.tokens, self.token_requests, self.hooks = {}, [], []
        self.expires_in, self.delay, self.outage, self.verify_with = 3600, 0, None, []
        self.lock = threading.Lock()

    def save(self, facts, asked):
        with self.lock:
            self.tokens[facts["access_token"]] = Token(asked.client, facts)

    def change(self, order):
        with self.lock:
            for name in ("expires_in", "delay", "outage", "verify_with"):
                if name in order:
                    setattr(self, name, order[name])
            if order.get("revoke"):
                for token in self.tokens.values():
                    token.revoked = True

    def verified(self, body, headers):
        """By how many of the secrets is it signed?"""
        return sum(self._verifies(secret, body, headers) for secret in self.verify_with)

    @staticmethod
    def _verifies(secret, body, headers):
        try:
            Webhook(secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True


def make_app(world):
    app = Flask("oauth_server")
    app.config["OAUTH2_SCOPES_SUPPORTED"] = sorted({scope for client in world.clients.values() for scope in client.scopes})
    server = AuthorizationServer(app, query_client=world.clients.get, save_token=world.save)
    server.register_grant(type("Grant", (grants.ClientCredentialsGrant,), {"TOKEN_ENDPOINT_AUTH_METHODS": ["client_secret_basic", "client_secret_post"]}))
    server.register_token_generator("default", BearerTokenGenerator(lambda **_: os.urandom(21).hex(), expires_generator=lambda *_: world.expires_in))
    protector = ResourceProtector()
    protector.register_token_validator(type("Validator", (BearerTokenValidator,), {"authenticate_token": lambda self, text: world.tokens.get(text)})())

    @app.post("/token")
    def token():
        asked = {"headers": list(request.headers), "form": request.get_data(as_text=True), "at": time.monotonic()}
        with world.lock:
            world.token_requests.append(asked)
        time.sleep(world.delay)
        answer = Response("out of order", status=world.outage) if world.outage else server.create_token_response()
        asked["status"] = answer.status_code
        return answer

    @app.post("/hook")
    def hook():
        body = request.get_data()
        arrived = {"headers": list(request.headers), "body": body.decode(), "verified": world.verified(body, dict(request.headers))}
        with world.lock:
            world.hooks.append(arrived)
        try:
            protector.acquire_token()
        except Exception as error:  # noqa: BLE001 - Authlib raises an HTTP answer
            answer = error.get_response() if hasattr(error, "get_response") else Response(status=401)
        else:
            answer = Response("taken")
        arrived["status"] = answer.status_code
        return answer

    @app.get("/control")
    def told():
        with world.lock:
            return jsonify(token_requests=world.token_requests, hooks=world.hooks, tokens=list(world.tokens))

    @app.post("/control")
    def change():
        world.change(request.get_json())
        return jsonify({})

    return app


def main():
    world = World(json.load(sys.stdin))
    http = make_server("127.0.0.1", 0, make_app(world), threaded=True)
    print(f"http://127.0.0.1:{http.server_port}", flush=True)
    http.serve_forever()


if __name__ == "__main__":
    main()
