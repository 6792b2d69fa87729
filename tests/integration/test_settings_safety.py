"""What an owner enters is what the script gets, to the byte; and a password comes out nowhere but there."""

import json

import pytest
from harness.process import attempts_of, wait_state
from harness.waiting import wait_for

# Posts what it was given; bodies of requests are the one way to see what a script sees. The receiver is the test's own.
ECHO = """
return {
  title = "Echo",
  fields = {
    { key = "url", format = "url", title = "URL", required = true },
    { key = "input", format = "input", title = "Input" },
    { key = "area", format = "area", title = "Area" },
    { key = "html", format = "html", title = "HTML" },
    { key = "password", format = "password", title = "Password" },
    { key = "choice", format = "select", title = "Choice", options = { "a & b", "<c>" } },
    { key = "number", format = "integer", title = "Number" },
    { key = "yes", format = "boolean", title = "Yes" },
  },
  deliver = function(event, settings, remote)
    local got = {}
    for _, key in ipairs { "input", "area", "html", "password", "choice", "number", "yes" } do
      got[key] = settings[key]
    end
    return remote.post(settings.url, { body = json.encode(got) })
  end,
}
"""

# As OAuth has it: a token service beside the receiver, and a choice of how to log in.
TWO_PLACES = """
return {
  title = "Two places",
  fields = {
    { key = "url", format = "url", title = "URL", required = true },
    { key = "login", format = "select", title = "Login", options = { "token", "plain" }, default = "token" },
    { key = "token_url", format = "url", title = "Token URL", required = true, when = { field = "login", is = "token" } },
    { key = "region", format = "select", title = "Region", options = { "eu", "us" }, default = "eu" },
    { key = "eu_url", format = "url", title = "EU", default = "https://eu.example/", when = { field = "region", is = "eu" } },
    { key = "us_url", format = "url", title = "US", when = { field = "region", is = "us" } },
    { key = "secret", format = "password", title = "Secret", required = true },
    { key = "second", format = "password", title = "Second" },
  },
  deliver = function(event, settings, remote) return remote.post(settings.url, { body = event.body }) end,
}
"""

FORM = """
return {
  title = "Form",
  fields = {
    { key = "about", format = "notes", title = "About", help = "Read this." },
    { key = "url", format = "url", title = "URL", required = true },
    { key = "login", format = "select", title = "Login", options = { "none", "key" }, default = "none" },
    { key = "key", format = "password", title = "Key", required = true, trim = true, pattern = "k%-%d+", hint = "It begins with k-.",
      when = { field = "login", is = "key" } },
    { key = "tries", format = "integer", title = "Tries", min = 1, max = 5 },
    { key = "plain", format = "password", title = "Plain" },
  },
  deliver = function(event, settings, remote)
    return remote.post(settings.url, { body = json.encode { key = settings.key, plain = settings.plain, tries = settings.tries } })
  end,
}
"""

METHODS = {"echo": ECHO, "two_places": TWO_PLACES, "form": FORM}

MARKS = "= & < > \" \\ ' % &#61; &amp; &< %3D %00 \\u0041 {x} ${x} $(x) `x` ?a=1&b=2#c -- ; */ ]]>"
TEXTS = {
    "marks": MARKS,
    "other scripts": "büro pä:ss wörd€ 日本 пароль 🛎️ 👩‍👩‍👧 e\u0301 é \u2028 \u202e",
    "blanks around": " \u00a0 leading and trailing \u3000 ",
    "control characters": "a\tb\r\nc\n\n\x01\x1f\x7f",
    "4 KiB": "&" * 4096,
    "4 KiB of emoji": "🔑" * 1024,
    "one blank": " ",
    "empty": "",
}


@pytest.fixture
def methods(tmp_path):
    folder = tmp_path / "methods"
    folder.mkdir()
    for name, text in METHODS.items():
        (folder / f"{name}.lua").write_text(text)
    return folder


@pytest.fixture
def bellhop(install, methods):
    return install(settings={"methods_dir": str(methods), "allow": "127.0.0.1,localhost"}).start()


def create(site, method, settings, manager="7", **more):
    return site.post("/v1/webhooks", json={"manager_id": manager, "method": method, "settings": settings, **more}).ok(201)


def seen_by_the_script(site, receiver):
    event = site.send()
    wait_state(site, event, "delivered")
    return json.loads(receiver.of(event)[0].body)


# --- Any character survives ---------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_any_character_survives_in_every_text(bellhop, site, receiver, text):
    """Entered, shown, given back as shown, kept over a restart: the script gets the very text, and the URL its query."""
    url = receiver.url("/hook?a=1&b=%3D%26&c='x'")
    given = {"url": url, "input": text, "area": text, "html": text, "password": text}
    webhook = create(site, "echo", given)
    assert {key: webhook["settings"][key] for key in ("url", "input", "area", "html")} == {key: given[key] for key in ("url", "input", "area", "html")}
    expected = {"input": text, "area": text, "html": text, "password": text}
    assert seen_by_the_script(site, receiver) == expected

    shown = site.get(f"/v1/webhooks/{webhook['id']}").ok()["settings"]
    assert shown["password"] == {"set": True}
    changed = site.patch(f"/v1/webhooks/{webhook['id']}", json={"settings": shown}).ok(200)
    assert changed["settings"] == shown
    bellhop.restart()
    again = bellhop.site
    assert again.get(f"/v1/webhooks/{webhook['id']}").ok()["settings"] == shown
    assert seen_by_the_script(again, receiver) == expected
    assert {request.target for request in receiver.requests} == {"/hook?a=1&b=%3D%26&c='x'"}


def test_what_is_no_text_survives_as_well(site, receiver):
    given = {"choice": "a & b", "number": -9223372036854775808, "yes": False}
    webhook = create(site, "echo", {"url": receiver.url(), **given})
    assert seen_by_the_script(site, receiver) == given
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"settings": {"choice": "<c>", "number": 9223372036854775807, "yes": True}}).ok(200)
    assert seen_by_the_script(site, receiver) == {"choice": "<c>", "number": 9223372036854775807, "yes": True}


def test_areas_hold_64_kib(site, receiver):
    text = "ä" * 32768
    create(site, "echo", {"url": receiver.url(), "area": text, "html": text})
    assert seen_by_the_script(site, receiver) == {"area": text, "html": text}
    problem = site.post("/v1/webhooks", json={"manager_id": "7", "method": "echo", "settings": {"url": receiver.url(), "html": text + "x"}}).problem(422)
    assert problem["pointer"] == "/settings/html" and "65536" in problem["detail"]


# --- What does not fit is named -----------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, pointer, words",
    [
        ({"nope": 1}, "/settings/nope", 'no field "nope"'),
        ({"about": "x"}, "/settings/about", 'no field "about"'),
        ({"url": None}, "/settings/url", "missing"),
        ({"url": ""}, "/settings/url", "empty"),
        ({"login": "key"}, "/settings/key", "missing"),
        ({"login": "key", "key": " "}, "/settings/key", "empty"),
        ({"login": "key", "key": "s3cr3t-value"}, "/settings/key", "It begins with k-."),
        ({"key": "s3cr3t-value"}, "/settings/key", "It begins with k-."),
        ({"login": "key", "key": "k-1 s3cr3t"}, "/settings/key", "It begins with k-."),
        ({"login": "s3cr3t"}, "/settings/login", "none, key"),
        ({"plain": "s3cr3t" * 700}, "/settings/plain", "4096"),
        ({"plain": 17}, "/settings/plain", "text"),
        ({"plain": "s3cr3t\0x"}, "/settings/plain", "U+0000"),
        ({"url": "http://127.0.0.1/\0"}, "/settings/url", "U+0000"),
        ({"tries": 0}, "/settings/tries", "at least 1"),
        ({"tries": 6}, "/settings/tries", "at most 5"),
        ({"tries": "3"}, "/settings/tries", "whole number"),
    ],
)
def test_what_does_not_fit_is_named_on_save(bellhop, site, receiver, settings, pointer, words):
    """A missing, an unknown, a wrong setting: 422 with its pointer, and never with the value of a password."""
    body = {"manager_id": "7", "method": "form", "settings": {"url": receiver.url(), **settings}}
    answer = site.post("/v1/webhooks", json=body)
    problem = answer.problem(422, "invalid_field")
    assert problem["pointer"] == pointer and words in problem["detail"], problem
    assert b"s3cr3t" not in answer.body and "s3cr3t" not in bellhop.log

    webhook = create(site, "form", {"url": receiver.url()})
    answer = site.patch(f"/v1/webhooks/{webhook['id']}", json={"settings": settings})
    assert answer.problem(422)["pointer"] == pointer and b"s3cr3t" not in answer.body
    assert site.get(f"/v1/webhooks/{webhook['id']}").ok()["settings"] == webhook["settings"], "nothing was changed"


def test_a_hidden_field_keeps_what_it_has_and_the_script_gets_nothing(site, receiver):
    webhook = create(site, "form", {"url": receiver.url(), "login": "key", "key": " k-17\t"})
    path = f"/v1/webhooks/{webhook['id']}"
    assert seen_by_the_script(site, receiver) == {"key": "k-17"}

    hidden = site.patch(path, json={"settings": {"login": "none"}}).ok(200)
    assert hidden["settings"]["key"] == {"set": True}
    assert seen_by_the_script(site, receiver) == {}
    site.patch(path, json={"settings": hidden["settings"]}).ok(200)

    site.patch(path, json={"settings": {"login": "key"}}).ok(200)
    assert seen_by_the_script(site, receiver) == {"key": "k-17"}
    site.patch(path, json={"settings": {"login": "none", "key": None}}).ok(200)
    problem = site.patch(path, json={"settings": {"login": "key"}}).problem(422)
    assert problem["pointer"] == "/settings/key" and "missing" in problem["detail"]


# --- Passwords ----------------------------------------------------------------------------------


def test_passwords_are_sealed_and_never_shown(bellhop, site, receiver):
    """Not in an answer, a list, the audit, the attempts, the log or a file; also when the script sends it or trips over it."""
    secret = "s3cr3t-" + "Wörd&" * 3
    webhook = create(site, "form", {"url": receiver.url(), "plain": secret, "login": "key", "key": "k-987654321"})
    path = f"/v1/webhooks/{webhook['id']}"
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    assert json.loads(receiver.of(event)[0].body)["plain"] == secret, "the script has it, and sends it in the body"

    manager = site.manager_key("7")
    shown = [json.dumps(webhook)]
    for request in (site, manager):
        for at in (path, "/v1/webhooks", f"/v1/deliveries/{delivery['id']}/attempts", f"/v1/deliveries/{delivery['id']}", f"/v1/events/{event}"):
            shown.append(request.get(at).body.decode())
    shown.append(site.get("/v1/audit").body.decode())
    shown.append(site.patch(path, json={"settings": {"plain": secret + "2"}}).body.decode())
    shown.append(site.patch(path, json={"settings": {"plain": secret + "\0"}}).body.decode())
    shown.append(site.post("/v1/webhooks", json={"manager_id": "7", "method": "form", "settings": {"url": "nonsense", "plain": secret}}).body.decode())
    bellhop.stop()
    files = b"".join(file.read_bytes() for file in bellhop.data.iterdir() if file.is_file())
    for form in (secret, json.dumps(secret)[1:-1], "k-987654321"):
        assert not any(form in text for text in shown), form
        assert form not in bellhop.log
        assert form.encode() not in files


# --- Credentials do not follow a URL ------------------------------------------------------------


def asks(answer, *named):
    problem = answer.problem(422, "credentials_needed")
    assert all(name in problem["detail"] for name in named), problem
    return True


@pytest.fixture
def two_places(site, receiver):
    settings = {"url": receiver.url(), "token_url": receiver.url("/token"), "us_url": receiver.url("/us"), "secret": "one", "second": "two"}
    webhook = create(site, "two_places", settings)
    return site, f"/v1/webhooks/{webhook['id']}", receiver


def elsewhere(receiver, path="/x"):
    """The same receiver by another name: another host."""
    return receiver.url(path).replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("key", ["url", "token_url"])
def test_each_url_asks_for_the_credentials_when_its_host_changes(two_places, make_receiver, key):
    """As for OAuth, where the token service gets the secret: every URL of the form counts, not the first alone."""
    site, path, receiver = two_places
    other = elsewhere(receiver)
    asks(site.patch(path, json={"settings": {key: other}}), "secret", "second")
    asks(site.patch(path, json={"settings": {key: other, "secret": "one", "second": {"set": True}}}), "second")
    asks(site.patch(path, json={"settings": {key: receiver.url().replace("http:", "https:"), "secret": "one"}}), "second")
    kept = site.patch(path, json={"settings": {key: f"  {receiver.url('/elsewhere?on=the&same=host')} "}}).ok(200)
    assert kept["settings"][key] == receiver.url("/elsewhere?on=the&same=host")
    assert kept["settings"]["secret"] == {"set": True}


def test_a_url_that_a_condition_brings_into_force_asks_as_well(two_places):
    """
    Who set the password may never have seen a URL that was hidden then; so showing it is like entering it.
    """
    site, path, receiver = two_places
    asks(site.patch(path, json={"settings": {"region": "us"}}), "secret", "second")
    us = site.patch(path, json={"settings": {"region": "us", "secret": "one", "second": "two"}}).ok(200)
    assert us["settings"]["us_url"] == receiver.url("/us")
    asks(site.patch(path, json={"settings": {"region": "eu"}}), "secret")  # to the default of the method's file
    asks(site.patch(path, json={"settings": {"region": None}}), "secret")
    site.patch(path, json={"settings": {"region": "us", "second": None}}).ok(200)


def test_a_url_changed_while_it_is_hidden_asks_when_it_is_shown(two_places):
    site, path, receiver = two_places
    site.patch(path, json={"settings": {"us_url": elsewhere(receiver, "/us")}}).ok(200)
    asks(site.patch(path, json={"settings": {"region": "us"}}), "secret", "second")
    asks(site.patch(path, json={"settings": {"region": "us", "us_url": receiver.url("/us")}}), "secret")


def test_a_url_that_a_condition_takes_away_asks_for_nothing(two_places):
    site, path, _ = two_places
    plain = site.patch(path, json={"settings": {"login": "plain"}}).ok(200)
    assert plain["settings"]["secret"] == {"set": True}
    asks(site.patch(path, json={"settings": {"login": "token"}}), "secret")


def test_passwords_do_not_follow_a_change_of_method_to_another_place(site, receiver, methods, bellhop):
    """A field of the same name keeps its value when the method changes; not where the new method's URL leads elsewhere."""
    webhook = create(site, "form", {"url": receiver.url(), "plain": "s3cr3t"}, headers={"X-Token": "t0k3n"})
    path = f"/v1/webhooks/{webhook['id']}"
    (methods / "other.lua").write_text(FORM.replace('key = "url"', 'key = "endpoint"').replace("settings.url", "settings.endpoint"))
    (methods / "preset.lua").write_text(FORM.replace('key = "url", format = "url"', 'key = "there", format = "url", default = "https://else.example/"'))
    reload(bellhop, "other", "preset")
    asks(site.patch(path, json={"method": "other", "settings": {"endpoint": receiver.url()}}), "plain", "headers")
    asks(site.patch(path, json={"method": "preset"}), "plain", "headers")
    same = site.patch(path, json={"method": "echo"}).ok(200)
    assert same["settings"]["url"] == receiver.url() and same["settings"]["password"] == {"set": False}
    back = site.patch(path, json={"method": "form"}).ok(200)
    assert back["settings"]["plain"] == {"set": False}, "what the method between did not know is gone"


def reload(bellhop, *names):
    bellhop.reload()
    wait_for(lambda: all(bellhop.site.get(f"/v1/methods/{name}").status == 200 for name in names), "the new methods to be known")


def test_headers_do_not_follow_a_place_that_is_a_password(site, receiver, methods, bellhop):
    """A method whose URL is a secret has no url field; a new secret is then a new place, for the owner's own headers, too."""
    (methods / "secret_url.lua").write_text(
        """return { title = "S", fields = { { key = "there", format = "password", title = "There", required = true } },
          deliver = function(event, settings, remote) return remote.post(settings.there, { body = event.body }) end }"""
    )
    reload(bellhop, "secret_url")
    webhook = create(site, "secret_url", {"there": receiver.url("/s3cr3t")}, headers={"X-Token": "t0k3n"})
    path = f"/v1/webhooks/{webhook['id']}"
    asks(site.patch(path, json={"settings": {"there": receiver.url("/other")}}), "headers")
    moved = site.patch(path, json={"settings": {"there": receiver.url("/other")}, "headers": {"X-Token": "new"}}).ok(200)
    assert moved["settings"] == {"there": {"set": True}}
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    assert receiver.of(event)[0].target == "/other" and receiver.of(event)[0].one("x-token") == "new"
    assert "/other" not in json.dumps(attempts_of(site, delivery["id"])), "the URL is a password, and hidden like one"
