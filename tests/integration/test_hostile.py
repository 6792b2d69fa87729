"""What people with bad intentions, and clumsy ones, try: each test was once a fault."""

from harness.process import small_world, wait_attempts, the_delivery
from harness.receiver import answers, reply
from harness.waiting import never_during


def test_a_cancelled_delivery_is_not_sent_when_its_time_comes(site, make_receiver):
    """It waits in a lane's memory for its second attempt, and being cancelled must reach it there."""
    receiver = make_receiver(answers(reply(500), reply(200)))
    site.webhook(receiver.url())
    event = site.send()
    delivery = the_delivery(site, event)["id"]
    wait_attempts(site, delivery, 1)

    site.post(f"/v1/deliveries/{delivery}/cancel").ok(200)

    never_during(lambda: len(receiver.requests) > 1, "a cancelled delivery was sent", 1.5)
    assert site.get(f"/v1/deliveries/{delivery}").ok()["state"] == "cancelled"
