"""
A stand-in for Slack's incoming webhooks: one URL, answers of one word in text/plain. https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import json

from .receiver import Receiver, reply

PATH = "/services/T0ABCDEFG/B0ABCDEFG/s3cr3tW3bh00kT0k3n/x"


def word(status, text, headers=()):
    return reply(status, text.encode(), [("Content-Type", "text/html" if status == 200 else "text/plain; charset=utf-8"), *headers])


class Slack(Receiver):
    """`messages` are the texts posted so far; `trouble`, if set, is the answer to the next ones, in bytes."""

    def __init__(self, **more):
        self.messages, self.trouble = [], None
        super().__init__(script=self._answer, **more)

    @property
    def webhook_url(self):
        return self.url(PATH)

    def _answer(self, exchange):
        exchange.send(self.trouble or self.answer_to(exchange.request))

    def answer_to(self, request):
        if request.target != PATH:
            return word(404, "no_service")
        try:
            message = json.loads(request.body)
        except ValueError:
            return word(400, "invalid_payload")
        if not isinstance(message, dict) or set(message) != {"text"}:
            return word(400, "invalid_payload")
        if not message["text"].strip():
            return word(400, "no_text")
        self.messages.append(message["text"])
        return word(200, "ok")
