"""What somebody on call finds at night: a full disk, damaged files, a second process, a storm of signals. It heals, or says what to do."""

import json
import random
import signal
import subprocess
import threading
import time

import pytest
from harness.process import small_world, wait_state
from harness.receiver import reply
from harness.waiting import wait_for

OK = reply(200, b"ok")


def booking(n):
    return {"property_uid": 12, "contract_uid": n}


def refused_start(bellhop, *says):
    """The start must fail at once, with 1 and a sentence that holds these words."""
    bellhop.spawn()
    bellhop.expect_failure = True
    assert bellhop.ended(within=20) == 1
    last = bellhop.log_file.read_text().splitlines()[-1]
    for words in says:
        assert words in last, f'"{words}" is not in: {last}'
    return last


@pytest.mark.own_namespace("mount")
def test_ready_again_by_itself_after_a_full_disk(install, tmp_path):
    """Callers who look at /readyz before they come back would stay away for ever if only a write could heal it."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=True)
    bellhop = install(name="small/bellhop")
    bellhop.folder = tmp_path / "logs"
    bellhop.folder.mkdir()
    bellhop.start()
    site = small_world(bellhop)
    (folder / "ballast").write_bytes(b"x" * 3_000_000)
    wait_for(lambda: site.hand_over("booking_added", json.dumps({**booking(1), "fill": "x" * 20_000})).status == 503, "the disk to be full")
    refused = site.get("/readyz")
    assert refused.status == 503 and "no space" in refused.json["journal"]

    (folder / "ballast").unlink()
    wait_for(lambda: site.get("/readyz").status == 200, "the engine to be ready without anybody's write", within=15)
    assert "takes writes again" in bellhop.log
    site.send()


@pytest.mark.parametrize("content", [b"", b"\0" * 5, b"\x02bhfflgt" + b"\xff" * 999, random.Random(1).randbytes(100_000)], ids=["empty", "short", "ours, wild", "noise"])
def test_a_damaged_flight_record_costs_nothing(install, make_receiver, content):
    bellhop = install().start()
    site = small_world(bellhop)
    receiver = make_receiver()
    site.webhook(receiver.url())
    event = site.send()
    wait_state(site, event, "delivered")
    bellhop.stop()
    (bellhop.data / "flight").write_bytes(content)
    bellhop.start()
    again = bellhop.site.send("booking_added", booking(2))
    wait_state(bellhop.site, again, "delivered")
    assert receiver.ids == [event, again]


@pytest.mark.parametrize("content", ["", "not a key\n", "A" * 44 + "\n", "x" * 100_000], ids=["empty", "words", "zeros", "long"])
def test_a_damaged_sealing_key_is_named(install, make_receiver, content):
    bellhop = install().start()
    site = small_world(bellhop)
    site.webhook(make_receiver().url())
    bellhop.stop()
    (bellhop.data / "seal.key").write_text(content)
    refused_start(bellhop, "key")


def test_a_leftover_address_is_replaced(install):
    bellhop = install().start()
    bellhop.kill()
    (bellhop.data / "address").write_bytes(b"\xff" * 10_000)
    bellhop.start()
    assert bellhop.site.get("/readyz").status == 200


def test_a_second_process_on_one_folder_is_refused(install):
    """It says which process has the folder, changes nothing, and the first one never notices."""
    first = install(name="one").start()
    site = small_world(first)
    address = (first.data / "address").read_text()
    second = install(name="two", settings={"data_dir": str(first.data)})
    refused_start(second, "in use by", str(first.process.pid))
    assert (first.data / "address").read_text() == address
    site.send()


def test_a_damaged_database_is_told_and_not_made_worse(install, make_receiver):
    """Bytes flipped in the middle of the file: it does not start, or reads fail with words that say what to do; it never crashes."""
    bellhop = install().start()
    site = small_world(bellhop)
    receiver = make_receiver()
    site.webhook(receiver.url())
    for n in range(200):
        site.send("booking_added", booking(n))
    bellhop.stop()
    database = bellhop.data / "bellhop.db"
    whole = database.read_bytes()
    chance = random.Random(7)
    for _ in range(12):
        damaged = bytearray(whole)
        for _ in range(40):
            damaged[chance.randrange(100, len(damaged))] ^= 1 << chance.randrange(8)
        database.write_bytes(damaged)
        bellhop.spawn()
        address = bellhop.data / "address"
        wait_for(lambda: bellhop.process.poll() is not None or address.exists(), "a start, or a refusal", within=20)
        if bellhop.process.poll() is None:
            api = bellhop.api(site.key)
            api.address = address.read_text().strip().removeprefix("http://")
            for path in ("/v1/events", "/v1/deliveries", "/v1/webhooks", "/readyz"):
                assert api.get(path).status in (200, 401, 500, 503)
            api.hand_over("booking_added", booking(1000))
            assert bellhop.stop() == 0
        else:
            assert bellhop.ended() == 1, bellhop.log_file.read_text()[-3000:]
            assert "bellhop serve: cannot start: " in bellhop.log_file.read_text(errors="replace")
            (bellhop.data / "address").unlink(missing_ok=True)
    database.write_bytes(whole)
    bellhop.start()
    bellhop.site.send()


def test_a_log_of_another_database_does_no_harm(install):
    """Somebody copied bellhop.db and left the -wal of another beside it."""
    other, bellhop = install(name="other").start(), install(name="ours").start()
    small_world(other)
    event = small_world(bellhop).send()
    bellhop.stop()
    foreign = (other.data / "bellhop.db-wal").read_bytes()
    assert foreign
    (bellhop.data / "bellhop.db-wal").write_bytes(foreign)
    bellhop.spawn()
    address = bellhop.data / "address"
    wait_for(lambda: bellhop.process.poll() is not None or address.exists(), "a start, or a refusal", within=20)
    if bellhop.process.poll() is None:
        bellhop.stop()
    else:
        bellhop.expect_failure = True
        assert bellhop.ended() == 1 and "bellhop serve: cannot start: " in bellhop.log_file.read_text()
    assert event


def test_a_storm_of_reloads_under_load_loses_nothing(install, make_receiver):
    bellhop = install(config="log_level = info\n").start()
    site = small_world(bellhop)
    receiver = make_receiver()
    site.webhook(receiver.url())
    over = threading.Event()

    def storm():
        while not over.is_set():
            bellhop.reload()
            time.sleep(0.002)

    thread = threading.Thread(target=storm, daemon=True)
    thread.start()
    sent = [site.send("booking_added", booking(n)) for n in range(300)]
    over.set()
    thread.join()
    wait_for(lambda: set(sent) <= set(receiver.ids), "all to arrive")
    assert sorted(receiver.ids) == sorted(sent)
    assert bellhop.stop() == 0
    assert " error " not in bellhop.log


def test_stop_under_load_with_receivers_that_hang(install, make_receiver):
    """SIGTERM while callers call and receivers say nothing: it ends within their time-out, and all that was accepted is there afterwards."""
    bellhop = install(settings={"total_timeout": "2s"}).start()
    site = small_world(bellhop)
    silent, healthy = make_receiver(lambda e: e.hold()), make_receiver()
    site.webhook(silent.url(), timeout_seconds=3)
    site.webhook(healthy.url())
    accepted, over = [], threading.Event()

    def call():
        n = 0
        while not over.is_set():
            n += 1
            try:
                answer = site.hand_over("booking_added", {**booking(n), "by": threading.get_ident()})
            except OSError:
                return
            if answer.status == 202:
                accepted.append(answer.json["id"])
            else:
                answer.problem(503)

    callers = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for caller in callers:
        caller.start()
    wait_for(lambda: silent.requests and len(accepted) > 50, "requests to hang")
    began = time.monotonic()
    bellhop.process.send_signal(signal.SIGTERM)
    assert bellhop.ended(within=30) == 0
    took = time.monotonic() - began
    over.set()
    for caller in callers:
        caller.join(10)
    assert took < 15, f"it took {took:.1f} s"
    silent.script = lambda e: e.send(OK)
    bellhop.start()
    for receiver in (silent, healthy):
        wait_for(lambda r=receiver: set(accepted) <= set(r.ids), "all that was accepted to arrive", within=40)
    assert len(healthy.ids) == len(set(healthy.ids)), "what had been delivered came again"
