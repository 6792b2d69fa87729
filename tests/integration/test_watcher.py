"""Who gets an event, and why: told by the property, not by who acted."""

import pytest
from harness.process import small_world, wait_state
from harness.waiting import never_during, wait_for


def verdicts(site, event):
    """webhook name -> verdict."""
    rows = site.get(f"/v1/events/{event}/verdicts").ok()["data"]
    assert all(row["sentence"] for row in rows)
    return {row["webhook_name"]: row["verdict"] for row in rows}


@pytest.fixture
def hotel(site):
    """Manager 7 and receptionist 5 at property 12, super manager 90; managers 7 and 8 share property 40; 77 is nobody's."""
    site.manager("5", role="receptionist")
    site.manager("90", role="super")
    site.property("12", "5", "7", "90")
    site.property("40", "7", "8")
    site.property("77")
    return site


def test_the_front_desks_work_reaches_the_propertys_manager(hotel, receiver):
    """A receptionist checks a guest in; a super manager edits a room; a guest books: each time manager 7 is told."""
    hotel.webhook(receiver.url(), name="of 7")
    hotel.webhook(receiver.url("/8"), manager="8", name="of 8")
    for actor in ("5", "90", "4711", None):
        more = {"actor": actor} if actor else {}
        event = hotel.send("booking_added", {"property_uid": 12, "contract_uid": 1, "by": actor}, **more)
        assert verdicts(hotel, event) == {"of 7": "triggered"}
        wait_state(hotel, event, "delivered")


def test_several_managers_are_all_told(hotel, receiver):
    hotel.webhook(receiver.url("/7"), manager="7", name="of 7")
    hotel.webhook(receiver.url("/8"), manager="8", name="of 8")
    event = hotel.send("booking_added", {"property_uid": 40})
    assert verdicts(hotel, event) == {"of 7": "triggered", "of 8": "triggered"}
    wait_state(hotel, event, "delivered")
    assert sorted(request.target for request in receiver.requests) == ["/7", "/8"]
    assert set(receiver.ids) == {event}


def test_owners_first_tells_the_first_real_manager_only(install, make_receiver):
    site = small_world(install(settings={"owners": "first"}).start())
    receiver = make_receiver()
    site.manager("5", role="receptionist")
    site.property("40", "5", "8", "7")
    site.webhook(receiver.url("/7"), manager="7", name="of 7")
    site.webhook(receiver.url("/8"), manager="8", name="of 8")
    event = site.send("booking_added", {"property_uid": 40})
    assert verdicts(site, event) == {"of 8": "triggered"}


def test_site_webhooks_fire_for_everything(hotel, receiver):
    hotel.webhook(receiver.url(), manager=None, name="site")
    for data in ({"property_uid": 12}, {"property_uid": 77}, {"property_uid": 999}, {"cms_user_id": 3}):
        event = hotel.send("booking_added" if "property_uid" in data else "user_created", data)
        found = verdicts(hotel, event)
        assert found.pop("site") == "triggered"
        assert found == ({} if data in ({"property_uid": 12}, {"cms_user_id": 3}) else {None: "no_manager"})
        wait_state(hotel, event, "delivered")


def test_a_property_without_a_manager_is_no_ones(hotel, receiver):
    hotel.webhook(receiver.url(), name="of 7")
    for property_uid in (77, 999):
        event = hotel.send("booking_added", {"property_uid": property_uid})
        assert verdicts(hotel, event) == {None: "no_manager"}
    never_during(lambda: receiver.requests, "somebody was told", 0.2)


def test_a_given_manager_goes_before_the_propertys(hotel, receiver):
    hotel.webhook(receiver.url("/7"), manager="7", name="of 7")
    hotel.webhook(receiver.url("/8"), manager="8", name="of 8")
    event = hotel.send("booking_added", {"property_uid": 12}, manager_id=8)
    assert verdicts(hotel, event) == {"of 8": "triggered"}


SELECTIONS = [
    (["*"], True), (["booking_*"], True), (["booking_added"], True), (["booking"], True), (["invoice_*"], False), (["invoice"], False),
    (["booking_cancelled"], False), (["room_added", "booking_added"], True),
]  # fmt: skip


@pytest.mark.parametrize("events,picked", SELECTIONS)
def test_events_are_selected_by_type_prefix_and_group(site, receiver, events, picked):
    site.webhook(receiver.url(), name="w", events=events)
    event = site.send("booking_added", {"property_uid": 12})
    assert verdicts(site, event) == {"w": "triggered" if picked else "type_not_selected"}


def test_properties_are_selected(site, receiver):
    site.webhook(receiver.url(), name="w", properties=["13"])
    assert verdicts(site, site.send("booking_added", {"property_uid": 12})) == {"w": "property_not_selected"}
    assert verdicts(site, site.send("booking_added", {"property_uid": 13})) == {"w": "triggered"}
    assert verdicts(site, site.send("booking_added", {"property_uid": "13"})) == {"w": "triggered"}


@pytest.mark.parametrize("channel", ['{"channel_id":3,"channel_name":"c","user_id":9}', '{"channel_id":"3"}'])
def test_a_channel_does_not_hear_its_own_change(site, receiver, channel):
    import json

    site.webhook(receiver.url(), name="own", channel_id="3")
    site.webhook(receiver.url("/other"), name="other", channel_id="4")
    event = site.send("booking_added", {"property_uid": 12}, channel=json.loads(channel))
    assert verdicts(site, event) == {"own": "own_change", "other": "triggered"}
    wait_state(site, event, "delivered")
    assert [request.target for request in receiver.requests] == ["/other"]
    assert json.loads(receiver.requests[0].body)["channel"]["channel_id"] == json.loads(channel)["channel_id"]


def test_a_disabled_webhook_holds(site, receiver):
    site.webhook(receiver.url(), name="w", enabled=False)
    event = site.send()
    assert verdicts(site, event) == {"w": "held"}
    [row] = site.get(f"/v1/events/{event}/verdicts").ok()["data"]
    assert row["state"] == "held" and row["delivery_id"]


def test_the_first_rule_that_speaks_decides(site, receiver):
    """Type before property before echo before disabled."""
    site.webhook(receiver.url(), name="w", events=["invoice"], properties=["13"], channel_id="3", enabled=False)
    channel = {"channel_id": "3"}
    assert verdicts(site, site.send("booking_added", {"property_uid": 12}, channel=channel)) == {"w": "type_not_selected"}
    assert verdicts(site, site.send("invoice_created", {"property_uid": 12}, channel=channel)) == {"w": "property_not_selected"}
    assert verdicts(site, site.send("invoice_created", {"property_uid": 13}, channel=channel)) == {"w": "own_change"}
    assert verdicts(site, site.send("invoice_created", {"property_uid": 13})) == {"w": "held"}


def test_full_payload_sends_the_details_only_to_who_asked(site, receiver):
    site.webhook(receiver.url("/thin"))
    site.webhook(receiver.url("/full"), full_payload=True)
    event = site.send("booking_added", {"property_uid": 12}, details={"guest": {"total": 412.50}})
    wait_state(site, event, "delivered")
    bodies = {request.target: request.body for request in receiver.requests}
    assert b"details" not in bodies["/thin"] and b'"details":' in bodies["/full"] and b"412.5" in bodies["/full"]


# --- Directory events ---------------------------------------------------------------------------


def test_directory_events_keep_the_directory_current(site, receiver):
    """manager_added, property_created, manager_updated, property_deleted and manager_deleted: the site need not tell twice."""
    site.send("manager_added", {"manager_id": 9, "property_ids": [91, 92]})
    wait_for(lambda: site.get("/v1/managers/9").status == 200, "manager 9 to be known")
    webhook = site.webhook(receiver.url(), manager="9", name="of 9")
    event = site.send("booking_added", {"property_uid": 91})
    assert verdicts(site, event) == {"of 9": "triggered"}

    site.send("property_created", {"property_uid": 93}, manager_id="9")
    event = site.send("booking_added", {"property_uid": 93})
    assert verdicts(site, event) == {"of 9": "triggered"}

    site.send("property_deleted", {"property_uid": 92})
    wait_for(lambda: site.get("/v1/properties/92").status == 404, "property 92 to be gone")

    site.send("manager_updated", {"manager_id": "9", "property_ids": [91]})
    event = site.send("booking_added", {"property_uid": 93})
    assert verdicts(site, event) == {None: "no_manager"}

    site.send("manager_deleted", {"manager_id": 9})
    wait_for(lambda: site.get("/v1/managers/9").status == 404, "manager 9 to be gone")
    assert site.get(f"/v1/webhooks/{webhook['id']}").status == 404


def test_ids_are_text_and_integers_mean_the_same(site, receiver):
    site.put("/v1/properties/30", json={"name": "thirty", "managers": [7]}).ok(201)
    assert site.get("/v1/properties/30").ok()["managers"] == ["7"]
    site.webhook(receiver.url(), name="w", properties=[30])
    for spelling in ('{"property_uid":30}', '{"property_uid":"30"}'):
        assert verdicts(site, site.send("booking_added", spelling)) == {"w": "triggered"}


def test_own_event_types(site, receiver):
    """A type of the site's own is refused until it is made, then taken; its sensitive fields are removed."""
    site.hand_over("shop.order_paid", {"property_uid": 12}).problem(422, "unknown_event_type")
    site.put("/v1/event-types/shop.order_paid", json={"group": "shop", "description": "An order was paid.", "fields": ["property_uid", "card"],
                                                    "sensitive": ["card"]}).ok(201)  # fmt: skip
    site.webhook(receiver.url(), name="w", events=["shop"], shape="jomres")
    event = site.send("shop.order_paid", '{"property_uid":12,"card":"4111","n":1}')
    wait_state(site, event, "delivered")
    assert b"4111" not in receiver.requests[0].body and b'"n":1' in receiver.requests[0].body


def test_unknown_types_can_be_let_in(install, make_receiver):
    site = small_world(install(settings={"unknown_event_types": "accept"}).start())
    receiver = make_receiver()
    site.webhook(receiver.url())
    event = site.send("weather_changed", {"property_uid": 12})
    wait_state(site, event, "delivered")


# --- Told to people -----------------------------------------------------------------------------


def test_explain_says_why_in_words(bellhop, site, receiver):
    site.webhook(receiver.url(), name="Channel manager")
    site.webhook(receiver.url(), name="Invoices only", events=["invoice"])
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    told = bellhop.run("explain", event).stdout
    for word in ("Channel manager", "triggered", "Invoices only", "type_not_selected", delivery["id"]):
        assert word in told or word.replace("_", " ") in told, (word, told)
    assert bellhop.run("explain", event, "--json", json_output=True)
