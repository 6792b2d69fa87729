"""Starting, stopping, reloading; and the starts that must be refused."""

import os
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from harness.process import BINARY, ROOT, attempts_of, environment, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import answers, dead_port, reply
from harness.waiting import never_during, wait_for

OK = reply(200, b"ok")


def refuses_to_start(bellhop, *words):
    bellhop.expect_failure = True
    bellhop.spawn()
    code = bellhop.ended(within=20)
    said = bellhop.log_file.read_text() + (bellhop.folder / f"stdout.{bellhop.starts}").read_text()
    assert code in (1, 2), f"ended with {code}: {said}"
    for word in words:
        assert word in said, f"{word!r} is missing in: {said}"
    return said


@pytest.mark.smoke
def test_sigterm_finishes_what_is_in_flight(bellhop, site, receiver):
    """A request under way gets its answer recorded before the process leaves; nothing is sent a second time."""
    receiver.script = lambda e: (e.pause(1.0), e.send(OK))
    site.webhook(receiver.url())
    event = site.send()
    wait_for(lambda: receiver.requests, "the attempt to be under way")
    assert bellhop.stop() == 0
    assert not (bellhop.data / "address").exists(), "the address is taken down"
    bellhop.start()
    wait_state(bellhop.site, event, "delivered")
    never_during(lambda: len(receiver.requests) > 1, "it was sent twice", 0.5)


def test_sigterm_does_not_wait_longer_than_the_time_out(bellhop, site, receiver):
    receiver.script = lambda e: e.hold()
    site.webhook(receiver.url(), timeout_seconds=3)
    event = site.send()
    wait_for(lambda: receiver.requests, "the attempt to be under way")
    started = time.monotonic()
    assert bellhop.stop() == 0
    assert time.monotonic() - started < 12
    receiver.script = lambda e: e.send(OK)
    bellhop.start()
    wait_state(bellhop.site, event, "delivered")


def test_while_it_stops_new_events_are_sent_away_politely(bellhop, site, receiver):
    """A caller during the stop gets a refusal that says when to come again, or no connection: never a 202 that is lost."""
    receiver.script = lambda e: (e.pause(1.5), e.send(OK))
    site.webhook(receiver.url())
    site.send()
    wait_for(lambda: receiver.requests, "the attempt to be under way")
    bellhop.process.send_signal(signal.SIGTERM)
    accepted = []
    while bellhop.process.poll() is None:
        try:
            answer = site.hand_over("booking_added", {"property_uid": 12, "contract_uid": len(accepted) + 100})
        except OSError:
            time.sleep(0.02)
            continue
        except Exception:  # a connection that was cut in the middle of an answer
            continue
        if answer.status == 202:
            accepted.append(answer.json["id"])
        else:
            answer.problem(503)
            assert answer.headers["Retry-After"]
            time.sleep(0.02)
    assert bellhop.ended() == 0
    receiver.script = lambda e: e.send(OK)
    bellhop.start()
    for event in accepted:
        wait_state(bellhop.site, event, "delivered")


@pytest.mark.smoke
def test_stop_and_start_keep_everything(bellhop, site, receiver):
    webhook = site.webhook(receiver.url(), name="kept", events=["booking_*"], headers={"X-A": "1"}, shape="jomres")
    event = site.send()
    wait_state(site, event, "delivered")
    before = [site.get(path).ok() for path in paths(webhook, event)]
    bellhop.restart()
    site = bellhop.site
    assert [site.get(path).ok() for path in paths(webhook, event)] == before
    later = site.send()
    wait_state(site, later, "delivered")
    assert receiver.requests[-1].one("x-a") == "1"


def paths(webhook, event):
    return [f"/v1/webhooks/{webhook['id']}", f"/v1/webhooks/{webhook['id']}/secret", "/v1/managers", "/v1/properties", f"/v1/events/{event}",
            f"/v1/events/{event}/verdicts", "/v1/deliveries", "/v1/keys"]  # fmt: skip


def test_a_retry_that_fell_due_while_stopped_is_made_after_the_start(bellhop, site, receiver):
    receiver.script = answers(reply(500), OK)
    site.webhook(receiver.url())
    event = site.send()
    wait_attempts(site, the_delivery(site, event)["id"], 1)
    bellhop.stop()
    time.sleep(1.0)  # the retry's moment passes while nobody is there
    bellhop.start()
    wait_state(bellhop.site, event, "delivered", within=5)


def test_a_second_process_on_the_same_data_refuses(bellhop, site, install):
    second = install()
    second.data = bellhop.data
    said = refuses_to_start(second, str(bellhop.data))
    assert "another" in said.lower() or "in use" in said.lower()
    assert site.get("/healthz").status == 200, "the first goes on"
    assert (bellhop.data / "address").read_text().strip() == bellhop.url


def test_a_port_in_use_refuses(install):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refuses_to_start(install(settings={"listen": f"127.0.0.1:{port}"}), str(port), "listen")


@pytest.mark.parametrize(
    "text,words",
    [
        ("# a comment\n\nlistne = 127.0.0.1:0\n", ["bellhop.conf", "line 3", "listne", "listen"]),
        ("in_flight_max = many\n", ["bellhop.conf", "line 1", "in_flight_max"]),
        ("lifetime = 5\n", ["line 1", "lifetime"]),
        ("lifetime = 3s\nlifetime = 4s\n", ["line 2", "lifetime"]),
        ("\nallow = 300.1.2.3/8\n", ["line 2", "allow", "300.1.2.3/8"]),
        ("just words\n", ["line 1"]),
        ("log_level = loud\n", ["line 1", "log_level"]),
    ],
)
def test_a_config_with_a_typo_starts_nothing(install, text, words):
    bellhop = install(config=text, settings={"allow": None, "log_level": None} if "allow" in text or "log" in text else None)
    refuses_to_start(bellhop, *words)
    assert not (bellhop.data / "bellhop.db").exists(), "nothing was started"


def test_a_setting_on_the_command_line_with_a_typo_starts_nothing(install):
    refuses_to_start(install(settings={"in_flight_mx": "3"}), "in_flight_mx")


def test_a_newer_database_refuses(install):
    """The schema of a later version is not touched: the message says so."""
    bellhop = install().start()
    small_world(bellhop)
    bellhop.stop()
    make_newer(bellhop.data / "bellhop.db")
    said = refuses_to_start(bellhop, "bellhop.db")
    assert "newer" in said


def make_newer(path):
    with sqlite3.connect(path) as db:
        if db.execute("PRAGMA user_version").fetchone()[0] > 0:
            db.execute("PRAGMA user_version = 9999")
            return
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        raise AssertionError(f"no schema version found: {tables}")


def test_a_damaged_seal_key_refuses(install):
    bellhop = install().start()
    small_world(bellhop)
    bellhop.stop()
    (bellhop.data / "seal.key").write_text("not a key\n")
    refuses_to_start(bellhop, "seal.key")


def test_a_lost_seal_key_refuses_and_no_new_one_is_made(install):
    bellhop = install().start()
    bellhop.stop()
    key = bellhop.data / "seal.key"
    kept = key.rename(bellhop.folder / "kept")
    refuses_to_start(bellhop, "seal.key", "is missing")
    assert not key.exists()
    kept.rename(key)
    bellhop.expect_failure = False
    bellhop.start()


def test_a_foreign_seal_key_refuses(install):
    """With another key nothing sealed can be opened: better no start than deliveries that all fail."""
    bellhop = install().start()
    small_world(bellhop).webhook(f"http://127.0.0.1:{dead_port()}/")
    bellhop.stop()
    import base64

    (bellhop.data / "seal.key").write_text(base64.b64encode(os.urandom(32)).decode() + "\n")
    said = refuses_to_start(bellhop)
    assert "seal" in said.lower()


def test_key_files_are_for_the_owner_only(bellhop):
    for name in ("seal.key", "site.key"):
        assert (bellhop.data / name).stat().st_mode & 0o777 == 0o600, name
    assert bellhop.data.stat().st_mode & 0o007 == 0, "others have no business in the data folder"


# --- SIGHUP -------------------------------------------------------------------------------------


@pytest.fixture
def with_methods(install, tmp_path):
    """An installation with a methods folder and a config file of its own."""
    methods = tmp_path / "methods"
    methods.mkdir()
    for file in (ROOT / "methods").glob("*.lua"):
        (methods / file.name).write_bytes(file.read_bytes())
    bellhop = install(config="retry_schedule = 1s,1s\n", settings={"methods_dir": str(methods), "retry_schedule": None})
    bellhop.methods = methods
    bellhop.start()
    return bellhop


OWN_METHOD = """return {
  title = "Own",
  fields = { { key = "url", format = "url", title = "URL", required = true } },
  deliver = function(event, settings, remote)
    return remote.post(settings.url, { body = event.body, headers = { ["X-Version"] = "VERSION" } })
  end,
}
"""


@pytest.mark.smoke
def test_sighup_reads_methods_anew_and_keeps_the_old_of_a_broken_one(with_methods, make_receiver):
    bellhop = with_methods
    site = small_world(bellhop)
    receiver = make_receiver()
    site.post("/v1/webhooks", json={"manager_id": "7", "url": receiver.url(), "method": "own"}).problem(422)

    own = bellhop.methods / "own.lua"
    own.write_text(OWN_METHOD.replace("VERSION", "1"))
    bellhop.reload()
    wait_for(lambda: site.get("/v1/methods/own").status == 200, "the new method to be known")
    site.webhook(receiver.url(), method="own")

    def sent():
        event = site.send()
        wait_state(site, event, "delivered")
        return receiver.of(event)[0].one("x-version")

    assert sent() == "1"

    own.write_text(OWN_METHOD.replace("VERSION", "2").replace("return {", "return {{", 1))
    seen = bellhop.log.count("own.lua")
    bellhop.reload()
    wait_for(lambda: bellhop.log.count("own.lua") > seen, "the log to name the broken file")
    assert "own.lua:" in bellhop.log, "with its line"
    assert sent() == "1", "the old version is kept"

    own.write_text(OWN_METHOD.replace("VERSION", "3"))
    bellhop.reload()
    wait_for(lambda: sent() == "3", "the repaired method to be used", every=0.1)


def test_sighup_reads_the_config_anew_and_keeps_the_old_of_a_broken_one(with_methods, make_receiver):
    bellhop = with_methods
    site = small_world(bellhop)
    receiver = make_receiver(answers(reply(500)))
    site.webhook(receiver.url())

    bellhop.write_config("retry_schedule = 1s\nretry_shedule = 2s\n")
    before = bellhop.log.count("bellhop.conf")
    bellhop.reload()
    wait_for(lambda: bellhop.log.count("bellhop.conf") > before, "the log to name the config's error")
    assert "line 2" in bellhop.log and "retry_shedule" in bellhop.log
    event = site.send()
    assert wait_state(site, event, "exhausted")[0]["attempts"] == 3, "the old config (two retries) still holds"

    bellhop.write_config("retry_schedule = 1s\n")
    reloads = bellhop.log.count("reload")
    bellhop.reload()
    wait_for(lambda: bellhop.log.count("reload") > reloads, "the reload to be logged")

    def one_retry_only():
        event = site.send()
        return wait_state(site, event, "exhausted")[0]["attempts"] == 2

    wait_for(one_retry_only, "the new schedule to be used", every=0.1)


def test_a_file_of_event_types_is_taken_as_a_whole_or_not_at_all(install, tmp_path):
    types = tmp_path / "types.json"
    types.write_text('[{"name": "pool_closed", "group": "pool", "fields": ["property_uid"]}]')
    bellhop = install(config=f"types_file = {types}\n").start()
    site = small_world(bellhop)
    assert site.get("/v1/event-types/pool_closed").ok()["group"] == "pool"

    def refused(text, *words):
        types.write_text(text)
        before = bellhop.log.count("not reloaded")
        bellhop.reload()
        wait_for(lambda: bellhop.log.count("not reloaded") > before, "the log to refuse it")
        said = bellhop.log[bellhop.log.rindex("not reloaded") :]
        assert all(word in said for word in words), said

    refused('[{"name": "sauna_open"}, {"name": "booking_added"}]', "type 2", "booking_added", "built in")
    refused('[{"name": "sauna_open"}, {"name": "no good"}]', "type 2", "name")
    refused('[{"name": "sauna_open"}', "line 1, column 24")
    assert site.get("/v1/event-types/sauna_open").status == 404, "nothing of a wrong file"

    types.write_text('[{"name": "sauna_open"}]')
    bellhop.reload()
    wait_for(lambda: site.get("/v1/event-types/sauna_open").status == 200, "the new type")
    assert site.get("/v1/event-types/pool_closed").status == 200, "what is no longer in the file stays: events of it may wait"


def test_sighup_names_what_needs_a_restart(install):
    bellhop = install(config="in_flight_max = 7\n").start()
    bellhop.write_config("in_flight_max = 8\nlifetime = 9h\n")
    bellhop.reload()
    wait_for(lambda: "after a restart settings=in_flight_max\n" in bellhop.log, "the log to name it, and not what counts at once")


def test_on_the_command_line_the_last_one_given_counts(install):
    bellhop = install()
    command = bellhop.command()
    bellhop.command = lambda: [*command, "--set", f"data_dir={bellhop.folder}/first", "--data", str(bellhop.data)]
    bellhop.start()
    assert not (bellhop.folder / "first").exists()


@pytest.mark.smoke
def test_sighup_changes_the_allow_list(install, make_receiver):
    bellhop = install(config="allow = 127.0.0.1\n", settings={"allow": None}).start()
    site = small_world(bellhop)
    receiver = make_receiver(lambda e: (e.send(reply(200, headers=[("Connection", "close")])), e.close()))
    site.webhook(receiver.url())
    wait_state(site, site.send(), "delivered")
    bellhop.write_config("allow = 192.0.2.1\n")
    bellhop.reload()

    def refused_at_save():
        return site.post("/v1/webhooks", json={"manager_id": "8", "url": receiver.url()}).status == 422

    wait_for(refused_at_save, "the new list to be used at save", every=0.1)
    event = site.send("booking_added", {"property_uid": 12, "contract_uid": 9})
    delivery = wait_state(site, event, "exhausted")[0]
    assert attempts_of(site, delivery["id"])[0]["cause"] == "guard"


# --- Logs ---------------------------------------------------------------------------------------


def test_a_log_in_json_is_one_object_a_line(install, make_receiver):
    import json

    bellhop = install(settings={"log_format": "json"}).start()
    site = small_world(bellhop)
    receiver = make_receiver(answers(reply(500, b"\x1b[31m"), OK))
    site.webhook(receiver.url())
    event = site.send()
    wait_state(site, event, "delivered")
    bellhop.stop()
    lines = [json.loads(line) for line in bellhop.log.splitlines()]
    assert lines and all(line["level"] in ("error", "warning", "info", "debug") for line in lines)
    story = [line for line in lines if line.get("event") == event]
    assert any(line.get("outcome") == "failed" for line in story) and any(line.get("outcome") == "delivered" for line in story)


def test_the_log_tells_the_story_of_an_event_by_its_ids(bellhop, site, receiver):
    receiver.script = answers(reply(500), OK)
    webhook = site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    wait_for(lambda: sum(delivery["id"] in line and "outcome=" in line for line in bellhop.log.splitlines()) >= 2, "both attempts in the log")
    lines = [line for line in bellhop.log.splitlines() if delivery["id"] in line and "outcome=" in line]
    assert f"event={event}" in lines[0] and f"webhook={webhook['id']}" in lines[0] and "attempt=1" in lines[0]
    assert "outcome=failed" in lines[0] and "outcome=delivered" in lines[1]
    assert "\x1b" not in bellhop.log


# --- The binary itself --------------------------------------------------------------------------


def run(*arguments, **more):
    return subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, env=environment(), timeout=60, **more)


def test_usage_errors_end_with_2_and_refusals_with_1(bellhop, site):
    assert run("no-such-command").returncode == 2
    assert run("webhook", "list", "--no-such-option").returncode == 2
    assert run("version").returncode == 0
    assert bellhop.run("webhook", "show", "whk_0000000000000", check=False).returncode == 1
    assert bellhop.run("manager", "list", "--json", json_output=True)


def test_every_command_has_help_with_an_example():
    overview = run("help")
    assert overview.returncode == 0
    for words in ["serve", "send", "listen", "explain", "verify", "config", "version", "manager list", "manager add", "property add", "webhook add",
                  "webhook list", "webhook show", "webhook set", "webhook remove", "webhook test", "event list", "event show", "delivery list",
                  "delivery show", "delivery retry", "key add", "key list", "key revoke"]:  # fmt: skip
        shown = run(*words.split(), "--help")
        assert shown.returncode == 0 and "bellhop " + words in shown.stdout, words
        assert words.split()[0] in overview.stdout


def test_config_prints_every_setting_with_its_source(install):
    bellhop = install(config="lifetime = 9h\n")
    done = run("config", "--config", str(bellhop.config_file), cwd=bellhop.folder)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "9h" in done.stdout and "file" in done.stdout and "retry_schedule" in done.stdout, lines


def test_verify_checks_a_signature_from_files(tmp_path: Path):
    body = tmp_path / "body"
    body.write_bytes(b'{"test": 2432232314}')
    arguments = ["--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "--id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "--timestamp", "1614265330"]
    good = run("verify", *arguments, "--signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "--no-time-check", str(body))
    bad = run("verify", *arguments, "--signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLawdd=", "--no-time-check", str(body))
    assert (good.returncode, bad.returncode) == (0, 1), (good.stderr, bad.stderr)
