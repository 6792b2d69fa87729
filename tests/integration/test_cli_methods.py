"""Methods on the command line: checked and tried without a server, listed and reloaded with one."""

import json
import subprocess

import pytest
from harness.process import BINARY, ROOT, environment
from harness.receiver import answers, dead_port, reply

ACME = """return {
  title = "Acme",
  fields = {
    { key = "url", format = "url", title = "URL", required = true },
    { key = "api_key", format = "password", title = "Key", required = true },
    { key = "loud", format = "boolean", title = "Loud", default = false },
  },
  deliver = function(event, settings, remote)
    local answer = remote.post(settings.url, { body = event.body, headers = { ["X-Key"] = settings.api_key } })
    if answer.status == 400 and answer.body:find("Exists", 1, true) then
      return remote.delivered("it is there already")
    end
    if settings.loud then return remote.fail("too loud") end
    return answer
  end,
}
"""


def method(*arguments, env=None, **more):
    """`bellhop method ...` that knows of no server."""
    return subprocess.run([str(BINARY), "method", *arguments], capture_output=True, text=True, timeout=60, env={**environment(), **(env or {})}, **more)


@pytest.fixture
def acme(tmp_path):
    path = tmp_path / "acme.lua"
    path.write_text(ACME)
    return path


def trying(path, *arguments, url="https://hooks.example/b", key="open sesame"):
    return method("try", str(path), "--url", url, "--set", f"api_key={key}", *arguments)


# --- check --------------------------------------------------------------------------------------


def test_a_good_file_is_shown_with_its_form_and_the_way_on(acme):
    done = method("check", str(acme))
    assert done.returncode == 0 and not done.stderr
    for part in ["good", "Acme", "api_key", "password", "bellhop method try", "--set url=https://...", "--set api_key=@FILE"]:
        assert part in done.stdout, done.stdout
    told = json.loads(method("check", str(acme), "--json").stdout)
    assert told["ok"] and told["error"] is None and told["warnings"] == []
    assert [field["key"] for field in told["method"]["fields"]] == ["url", "api_key", "loud"]


def test_every_shipped_method_is_good_and_beyond_doubt():
    for path in sorted((ROOT / "methods").glob("*.lua")):
        told = json.loads(method("check", str(path), "--json").stdout)
        assert told["ok"] and told["warnings"] == [], told


@pytest.mark.parametrize(
    "text, where",
    [
        (ACME.replace("title = \"Acme\",", "title = \"Acme\""), "acme.lua:3:"), (ACME.replace('format = "url"', 'format = "link"'), "acme.lua:4:"),
        ("return { title = 'x', fields = {} }", "deliver"), ("error('no')", "acme.lua:1:"), ("while true do end", "acme.lua"), ("\x1bLua", "acme.lua"),
    ],
)  # fmt: skip
def test_what_the_engine_would_refuse_is_named_with_its_line(acme, text, where):
    acme.write_text(text)
    done = method("check", str(acme))
    assert done.returncode == 1 and where in done.stderr and not done.stdout, done.stderr
    told = method("check", str(acme), "--json")
    assert told.returncode == 1 and not json.loads(told.stdout)["ok"] and where in json.loads(told.stdout)["error"]


def test_a_likely_mistake_is_warned_of(acme):
    acme.write_text(ACME.replace("settings.api_key", "settings.apikey"))
    done = method("check", str(acme))
    assert done.returncode == 0 and "acme.lua:4: warning:" not in done.stdout and "acme.lua:9: warning:" in done.stdout and "did you mean settings.api_key?" in done.stdout


def test_an_own_script_is_told_from_a_method(acme):
    acme.write_text("return { accepts = function() return true end }")
    done = method("check", str(acme))
    assert done.returncode == 1 and "good as a webhook's own script" in done.stderr


def test_a_method_of_the_folder_is_found_by_its_name(tmp_path):
    assert "No authentication" in method("check", "none").stdout
    missed = method("check", "nne")
    assert missed.returncode == 2 and "did you mean none?" in missed.stderr
    (tmp_path / "mine.lua").write_text(ACME)
    found = method("check", "mine", env={"BELLHOP_METHODS_DIR": str(tmp_path)})
    assert found.returncode == 0 and "Acme" in found.stdout
    assert method("check", str(tmp_path / "none.lua")).returncode == 1
    assert method("check", str(tmp_path / "Mine.LUA")).returncode == 1


# --- try, with pretended answers ------------------------------------------------------------------


def test_a_call_its_answer_and_what_follows_are_shown(acme):
    done = trying(acme, "--answer", "401:{\"told\":\"open sesame\"}")
    assert done.returncode == 1 and not done.stderr
    for part in ["POST https://hooks.example/b", "X-Key: ***", "webhook-signature: v1,", "booking_added", "401 Unauthorized (pretended)", "failed, cause credentials",
                 "tried again in about 5 s, by schedule: attempt 2 of 10"]:  # fmt: skip
        assert part in done.stdout, done.stdout
    assert "sesame" not in done.stdout


def test_the_methods_word_counts(acme):
    done = trying(acme, "--answer", '400:{"title":"Member Exists"}')
    assert done.returncode == 0 and "delivered" in done.stdout and "it is there already" in done.stdout
    done = trying(acme, "--answer", "200", "--set", "loud=yes")
    assert done.returncode == 1 and "refused" in done.stdout and "too loud" in done.stdout and "this is final" in done.stdout


def test_the_result_as_json_is_for_programs(acme):
    done = trying(acme, "--answer", "429 Retry-After=30", "--attempt", "3", "--event", "invoice_created", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], told["cause"], told["type"]) == (1, "failed", "status", "invoice_created")
    assert told["calls"][0]["headers"][0] == "X-Key: ***" and told["calls"][0]["answer"]["status"] == 429
    assert told["next"] == {**told["next"], "state": "pending", "in_seconds": 300, "spends_attempt": False, "pause_seconds": 30}


def test_the_event_is_what_the_options_say(acme):
    body = json.loads(json.loads(trying(acme, "--answer", "200", "--json", "--property", "77", "--details", '{"guest":"Ada"}', "--full-payload").stdout)["body"])
    assert body["data"]["property_uid"] == 77 and body["details"] == {"guest": "Ada"} and body["id"].startswith("evt_")
    done = trying(acme, "--answer", "200", "--json", "--shape", "jomres", "--manager", "7", "--data", '{"property_uid":12,"n":12345678901234567890}')
    assert json.loads(done.stdout)["body"] == '{"data":{"property_uid":12,"n":12345678901234567890,"task":"booking_added","manager_id":7}}'
    assert trying(acme, "--answer", "200", "--event", "site.own", "--data", "{}").returncode == 0
    unknown = trying(acme, "--answer", "200", "--event", "booking_aded")
    assert unknown.returncode == 2 and "did you mean booking_added?" in unknown.stderr


def test_settings_are_checked_as_the_api_checks_them(acme):
    for arguments, said in [
        (["--url", "https://a.example/"], '"api_key" is missing'),
        (["--set", "api_key=x"], '"url" is missing'),
        (["--url", "https://a.example/", "--set", "api_key=x", "--set", "loud=perhaps"], "yes or no"),
        (["--url", "https://a.example/", "--set", "apikey=x"], "did you mean api_key?"),
        (["--url", "http://127.0.0.1:9000/", "--set", "api_key=x"], "--allow"),
        (["--url", "https://a.example/", "--set", "api_key"], "key=value"),
    ]:
        done = method("try", str(acme), *arguments, "--answer", "200")
        assert done.returncode == 2 and said in done.stderr and not done.stdout, (arguments, done.stderr)


def test_answers_that_run_out_or_are_left_over_are_told(acme):
    acme.write_text(ACME.replace("local answer", "remote.get(settings.url)\n    local answer"))
    short = trying(acme, "--answer", "200")
    assert short.returncode == 1 and "call 2" in short.stdout and "give another --answer" in short.stdout
    left = trying(acme, "--answer", "200", "--answer", "200", "--answer", "500")
    assert left.returncode == 0 and "1 of the answers was not asked for" in left.stderr


def test_a_script_that_breaks_is_named_with_its_line(acme):
    acme.write_text(ACME.replace("if settings.loud", "if settings.loud.er"))
    done = trying(acme, "--answer", "200")
    assert done.returncode == 1 and "acme.lua:13:" in done.stdout and "cause script" in done.stdout


def test_an_own_script_filters_and_changes(tmp_path):
    script = tmp_path / "script.lua"
    script.write_text("""return {
        accepts = function(event) return event.type ~= "booking_marked_noshow" end,
        transform = function(event) return { text = "new: " .. event.type } end,
    }""")
    arguments = ["try", "none", "--url", "https://hooks.example/b", "--script", str(script), "--answer", "200"]
    done = method(*arguments)
    assert done.returncode == 0 and "as transform made it" in done.stdout and '{"text":"new: booking_added"}' in done.stdout
    done = method(*arguments, "--event", "booking_marked_noshow")
    assert done.returncode == 0 and "filtered" in done.stdout and "webhook's own script does not want" in done.stdout
    told = json.loads(method(*arguments, "--event", "booking_marked_noshow", "--json").stdout)
    assert (told["verdict"], told["next"]["state"], told["calls"], told["body"]) == ("filtered", "filtered", [], None)
    script.write_text("return { acepts = function() end }")
    done = method(*arguments)
    assert done.returncode == 1 and "script:1:" in done.stderr and "acepts" in done.stderr


OAUTH = ["try", "oauth", "--url", "https://hooks.example/b", "--set", "token_url=https://auth.example/token", "--set", "client_id=me",
         "--set", "client_secret=open sesame", "--set", "scope=write"]  # fmt: skip
GRANT = '200:{"access_token":"tok-1234567","token_type":"Bearer","refresh_token":"ref-1234567","expires_in":3600}'


def test_the_calls_for_a_token_are_shown_without_one():
    done = method(*OAUTH, "--answer", GRANT, "--answer", "401", "--answer", GRANT.replace("tok-1", "tok-2"), "--answer", "202:you sent tok-2234567")
    assert done.returncode == 0 and done.stdout.count("to the token service, for an access token") == 2, done.stdout
    for part in ["call 4", '"access_token":"***","token_type":"Bearer","refresh_token":"***","expires_in":3600', "scope=write", "you sent ***"]:
        assert part in done.stdout, done.stdout
    for secret in ["sesame", "tok-1234567", "tok-2234567", "ref-1234567"]:
        assert secret not in done.stdout
    kinds = [call["kind"] for call in json.loads(method(*OAUTH, "--answer", GRANT, "--answer", "200", "--json").stdout)["calls"]]
    assert kinds == ["token", "delivery"]


def test_a_token_that_cannot_be_had_is_told_with_its_pause():
    refused = method(*OAUTH, "--answer", '401:{"error":"invalid_client","error_description":"not open sesame"}')
    assert refused.returncode == 1 and "failed, cause credentials" in refused.stdout and "invalid_client" in refused.stdout and "sesame" not in refused.stdout
    away = method(*OAUTH, "--answer", "503 Retry-After=40")
    assert "failed, cause token" in away.stdout and "about 40 s, as the answer asks" in away.stdout and "waits 40 s as well" in away.stdout


def test_details_are_looked_up_where_the_configuration_says(tmp_path):
    config = tmp_path / "bellhop.conf"
    config.write_text("lookup_url = https://site.example/details/{type}/{property_id}\n")
    arguments = ["try", "mailchimp", "--set", "mailchimp_apikey=0123456789abcdef-us7", "--set", "mailchimp_listid=abc", "--config", str(config)]
    done = method(*arguments, "--answer", '200:{"guest":{"email":"ada@example.org"}}', "--answer", '400:{"title":"Member Exists"}')
    assert done.returncode == 0 and "to the site's own API, for the event's details" in done.stdout, done.stdout
    assert "GET https://site.example/details/booking_added/12" in done.stdout and '"email_address":"ada@example.org"' in done.stdout
    gone = method(*arguments, "--answer", "500")
    assert gone.returncode == 1 and "failed, cause lookup" in gone.stdout and "this one does not count" in gone.stdout


# --- try, with the real receiver ------------------------------------------------------------------


def test_without_an_answer_the_real_receiver_is_asked(acme, receiver):
    receiver.script = answers(reply(200, b"welcome"))
    done = trying(acme, "--allow", "127.0.0.1", url=receiver.url())
    assert done.returncode == 0 and "200 OK" in done.stdout and "welcome" in done.stdout and "(pretended)" not in done.stdout
    got = receiver.requests[0]
    assert got.one("x-key") == "open sesame" and got.one("webhook-signature").startswith("v1,") and got.one("bellhop-hops") == "1"
    assert json.loads(got.body)["type"] == "booking_added"


def test_nobody_there_is_told_as_the_engine_tells_it(acme):
    done = trying(acme, "--allow", "127.0.0.1", url=f"http://127.0.0.1:{dead_port()}/")
    assert done.returncode == 1 and "cause connect" in done.stdout and "refused the connection" in done.stdout


def test_the_guard_counts_for_every_call(acme):
    acme.write_text(ACME.replace("local answer = remote.post(settings.url", 'local answer = remote.post("http://127.0.0.1:9000/"'))
    for more in [[], ["--answer", "200"]]:
        done = trying(acme, *more)
        assert done.returncode == 1 and "refused, cause guard" in done.stdout, done.stdout


# --- With a server ------------------------------------------------------------------------------


def test_the_methods_are_listed_with_what_they_have(bellhop):
    done = bellhop.run("method", "list")
    assert "basic" in done.stdout and "deliver" in done.stdout and "broken" not in done.stdout
    assert "Basic authentication" in bellhop.run("method", "show", "basic").stdout


OWN = """return {
    accepts = function(event)
        return event.property_id ~= "13"
    end,
    transform = function(event)
        if event.type == "booking_cancelled" then error("not this one") end
        return { text = "new: " .. event.type }
    end,
}"""


def test_an_own_script_is_set_shown_and_taken_away(bellhop, site, tmp_path):
    script = tmp_path / "script.lua"
    script.write_text(OWN)
    made = bellhop.run("webhook", "add", "--manager", "7", "--url", "https://hooks.example/b", "--script", f"@{script}", "--json", json_output=True)
    assert made["script"] == OWN
    shown = bellhop.run("webhook", "show", made["id"]).stdout
    assert "own script" in shown and 'return event.property_id ~= "13"' in shown
    script.write_text("return { accepts = 3 }")
    refused = bellhop.run("webhook", "set", made["id"], "--script", f"@{script}", check=False)
    assert refused.returncode == 1 and "script:1:" in refused.stderr and "/script" in refused.stderr
    assert bellhop.run("webhook", "set", made["id"], "--script", "none", "--json", json_output=True)["script"] is None
    assert "own script" not in bellhop.run("webhook", "show", made["id"]).stdout


def test_a_dry_run_says_of_each_event_what_would_become_of_it(bellhop, site, receiver, tmp_path):
    script = tmp_path / "script.lua"
    script.write_text(OWN)
    webhook = bellhop.run("webhook", "add", "--manager", "7", "--url", receiver.url(), "--json", json_output=True)["id"]
    nothing = bellhop.run("webhook", "dry-run", webhook, "--script", f"@{script}")
    assert "No stored event" in nothing.stderr
    for property_id, kind in [("12", "booking_added"), ("13", "booking_added"), ("12", "booking_cancelled")]:
        bellhop.run("send", kind, "--property", property_id, "--wait")

    done = bellhop.run("webhook", "dry-run", webhook, "--script", f"@{script}", check=False)
    assert done.returncode == 1 and 'body changed: {"text":"new: booking_added"}' in done.stdout and "script:6:" in done.stdout
    assert "1 would be sent, 1 filtered, 1 in error" in done.stdout
    full = bellhop.run("webhook", "dry-run", webhook, "--script", f"@{script}", "--type", "booking_added", "--full")
    assert "changed body of evt_" in full.stdout and "1 would be sent, 1 filtered; nothing was sent or stored." in full.stdout
    told = bellhop.run("webhook", "dry-run", webhook, "--script", f"@{script}", "--limit", "1", "--json", check=False)
    assert len(json.loads(told.stdout)["data"]) == 1
    without = bellhop.run("webhook", "dry-run", webhook)
    assert "3 would be sent" in without.stdout and "changed" not in without.stdout
    other = bellhop.run("webhook", "dry-run", webhook, "--method", "slack", "--set", "webhook_url=https://hooks.slack.example/T/B/x",
                        "--set", "template=now {type}", "--type", "booking_added", "--limit", "1")  # fmt: skip
    assert '{"text":"now booking_added"}' in other.stdout
    assert len(receiver.requests) == 3
    assert bellhop.run("webhook", "dry-run", webhook, "--limit", "101", check=False).returncode == 2
    assert bellhop.run("webhook", "dry-run", "evt_04f2k8m1q7zr0", check=False).returncode == 2


def test_a_broken_file_is_named_and_its_version_before_stays(install, tmp_path):
    folder = tmp_path / "methods"
    folder.mkdir()
    for name in ["none", "basic"]:
        (folder / f"{name}.lua").write_text((ROOT / "methods" / f"{name}.lua").read_text())
    bellhop = install(settings={"methods_dir": str(folder)}).start()
    assert bellhop.run("method", "reload").stdout == f"methods at work: 2, from {folder}; none has changed\n"

    (folder / "acme.lua").write_text(ACME)
    (folder / "none.lua").write_text("return { title = 'No', fields = {} }")
    (folder / "new.lua").write_text("return {")
    done = bellhop.run("method", "reload", check=False)
    assert done.returncode == 1 and "changed: acme" in done.stdout, done.stdout
    assert "none.lua is broken: the version before it stays at work" in done.stdout
    assert "new.lua is broken: there is no such method until it is mended" in done.stdout and "new.lua:1:" in done.stdout
    listed = bellhop.run("method", "list").stdout
    assert "its newer file is broken" in listed and "none.lua is broken" in listed and "new.lua:1:" in listed and "acme" in listed
    assert "its newer file is broken" in bellhop.run("method", "show", "none").stdout

    (folder / "none.lua").write_text((ROOT / "methods" / "none.lua").read_text())
    (folder / "new.lua").unlink()
    told = bellhop.run("method", "reload", "--json", json_output=True)
    assert told["broken"] == [] and told["methods"] == 3
    assert "broken" not in bellhop.run("method", "list").stdout


def test_what_a_condition_filtered_is_explained(bellhop, site, receiver, tmp_path):
    script = tmp_path / "script.lua"
    script.write_text(OWN)
    webhook = bellhop.run("webhook", "add", "--manager", "7", "--url", receiver.url(), "--script", f"@{script}", "--json", json_output=True)["id"]
    sent = bellhop.run("send", "booking_added", "--property", "13", "--wait")
    assert "filtered" in sent.stdout and "does not want this event" in sent.stdout, sent.stdout
    event = bellhop.run("event", "list", "--json", json_output=True)["data"][0]["id"]
    explained = bellhop.run("explain", event).stdout
    assert "filtered" in explained and "A condition of the webhook's own script does not want this event." in explained
    listed = bellhop.run("delivery", "list", "--state", "filtered", "--webhook", webhook).stdout
    assert "dlv_" in listed and "filtered" in listed
    assert not receiver.requests
