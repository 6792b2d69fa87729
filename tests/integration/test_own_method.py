"""A site owner copies a method, changes it, drops it in and reloads; breaks it, and mends it. And what an installed Bellhop brings along."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.process import BINARY, ROOT, environment, small_world, wait_state
from harness.waiting import wait_for
from standardwebhooks.webhooks import Webhook

SHIPPED = sorted(file.stem for file in (ROOT / "methods").glob("*.lua"))


class Workshop:
    """A Bellhop whose methods folder is the test's own, with the shipped methods in it."""

    def __init__(self, install, folder):
        self.methods = folder / "methods"
        shutil.copytree(ROOT / "methods", self.methods)
        self.bellhop = install(settings={"methods_dir": str(self.methods)}).start()
        self.site = small_world(self.bellhop)

    def copy_of_basic(self, header):
        """basic.lua with its one header renamed, as a site owner would edit it."""
        text = (ROOT / "methods" / "basic.lua").read_text()
        assert text.count("Authorization =") == 1
        return text.replace("Authorization =", f'["{header}"] =').replace('title = "Basic authentication"', 'title = "Acme"')

    def drop_in(self, text):
        (self.methods / "acme.lua").write_text(text)

    def reload(self, how):
        """Returns when it is done: at once, but for SIGHUP, which tells nobody; `how` is then a condition to wait for."""
        if how == "api":
            return self.site.post("/v1/methods/reload").ok(200)
        if how == "command":
            return self.bellhop.run("method", "reload", check=False)
        return self.bellhop.reload()

    def page(self):
        return self.site.get("/v1/methods").ok()

    def known(self):
        return {method["name"]: method for method in self.page()["data"]}

    def broken(self):
        return self.page()["broken"]

    def deliver(self, receiver):
        event = self.site.send()
        wait_state(self.site, event, "delivered")
        assert len(receiver.of(event)) == 1
        return receiver.of(event)[0]


@pytest.fixture
def workshop(install, tmp_path):
    return Workshop(install, tmp_path)


def verify(request, webhook):
    """By the public library, as a receiver would."""
    headers = {name: request.one(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    Webhook(webhook["secret"]).verify(request.body, headers)


def acme(workshop, receiver):
    settings = {"url": receiver.url(), "basic_username": "ada", "basic_password": "s3cret"}
    return workshop.site.post("/v1/webhooks", json={"manager_id": "7", "method": "acme", "settings": settings}).ok(201)


@pytest.mark.parametrize("how", ["hangup", "api", "command"])
def test_a_copied_method_delivers_after_a_reload_and_a_broken_one_leaves_the_old_at_work(workshop, receiver, how):
    # Given: nobody knows acme yet.
    assert "acme" not in workshop.known()

    # When it is dropped in and reloaded, it is there and delivers.
    workshop.drop_in(workshop.copy_of_basic("X-Acme-Login"))
    answer = workshop.reload(how)
    wait_for(lambda: "acme" in workshop.known(), "the new method")
    if how == "api":
        assert (answer["changed"], answer["broken"]) == (["acme"], [])
        assert answer["methods"] == len(SHIPPED) + 1
    webhook = acme(workshop, receiver)
    request = workshop.deliver(receiver)
    assert request.one("x-acme-login") == "Basic YWRhOnMzY3JldA=="
    assert request.all("authorization") == []
    verify(request, webhook)

    # When the file is broken, the old version delivers on, and everybody who may ask is told where.
    good = workshop.copy_of_basic("X-Acme-Key")
    lines = good.splitlines()
    at = next(n for n, line in enumerate(lines, 1) if "remote.post" in line)
    workshop.drop_in(good.replace("return remote.post", "retrun remote.post"))
    answer = workshop.reload(how)
    wait_for(workshop.broken, "the broken method to be named")
    where = f"acme.lua:{at}: "
    [named] = workshop.broken()
    assert named["name"] == "acme" and named["error"].startswith(where) and named["kept"] is True
    assert workshop.known()["acme"]["error"].startswith(where)
    assert workshop.known()["basic"]["error"] is None
    assert where in workshop.bellhop.log
    listed = workshop.bellhop.run("method", "list").stdout
    assert where in listed, listed
    if how == "api":
        assert answer["changed"] == [] and [each["error"] for each in answer["broken"]] == [named["error"]]
    if how == "command":
        assert answer.returncode == 1 and where in answer.stdout + answer.stderr
    request = workshop.deliver(receiver)
    assert request.one("x-acme-login") == "Basic YWRhOnMzY3JldA=="
    verify(request, webhook)

    # When it is mended, the new version is at work.
    workshop.drop_in(good)
    workshop.reload(how)
    wait_for(lambda: not workshop.broken(), "nothing to be broken any more")
    assert workshop.known()["acme"]["error"] is None
    request = workshop.deliver(receiver)
    assert request.one("x-acme-key") == "Basic YWRhOnMzY3JldA=="
    assert request.all("x-acme-login") == []
    verify(request, webhook)


def test_a_file_that_was_never_good_is_named_and_is_no_method(workshop):
    workshop.drop_in("return {\n  title = \"Acme\",\n  deliver = 7,\n}\n")
    answer = workshop.site.post("/v1/methods/reload").ok(200)

    assert (answer["methods"], answer["changed"]) == (len(SHIPPED), [])
    [named] = answer["broken"]
    assert named["name"] == "acme" and named["error"].startswith("acme.lua:") and named["kept"] is False
    assert "acme" not in workshop.known()
    refused = workshop.site.post("/v1/webhooks", json={"manager_id": "7", "method": "acme", "settings": {}})
    refused.problem(422)


def test_a_method_whose_file_is_gone_stops_and_comes_back_with_the_file(workshop, receiver):
    """Nothing is lost: what could not be sent for want of the method is tried again by schedule."""
    text = workshop.copy_of_basic("X-Acme-Login")
    workshop.drop_in(text)
    workshop.site.post("/v1/methods/reload").ok(200)
    acme(workshop, receiver)
    (workshop.methods / "acme.lua").unlink()
    workshop.site.post("/v1/methods/reload").ok(200)
    assert "acme" not in workshop.known()

    event = workshop.site.send()
    delivery = wait_for(lambda: workshop.site.get(f"/v1/deliveries?event_id={event}").ok()["data"], "the delivery")[0]
    attempt = wait_for(lambda: workshop.site.get(f"/v1/deliveries/{delivery['id']}/attempts").ok()["data"], "an attempt")[0]
    assert attempt["cause"] == "script" and '"acme"' in attempt["sentence"]
    workshop.drop_in(text)
    workshop.site.post("/v1/methods/reload").ok(200)

    wait_state(workshop.site, event, "delivered")
    assert receiver.of(event)[0].one("x-acme-login")


def test_reloads_by_the_api_and_by_signal_at_once_lose_nothing(workshop, receiver):
    """A file that changes all the time, read by two threads, while events go out with it and dry runs try it."""
    site, first, second = workshop.site, workshop.copy_of_basic("X-Acme-Login"), workshop.copy_of_basic("X-Acme-Key")
    workshop.drop_in(first)
    workshop.reload("api")
    webhook = acme(workshop, receiver)
    events, reloads, tried = [], [], []

    def by_api(n):
        new = workshop.methods / "acme.new"
        new.write_text((first, second, "return {")[n % 3])
        new.rename(workshop.methods / "acme.lua")
        reloads.append(workshop.reload("api"))

    def dry_run(n):
        script = f"return {{ transform = function(event) return {{ n = {n}, id = event.id }} end }}"
        tried.append(site.post(f"/v1/webhooks/{webhook['id']}/dry-run", json={"script": script, "limit": 3}).ok(200))

    def repeat(what):
        for n in range(15):
            what(n)

    work = [by_api, lambda n: workshop.reload("hangup"), dry_run, lambda n: events.append(site.send())]
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(repeat, what) for what in work]:
            done.result()

    for event in events:
        wait_state(site, event, "delivered")
        [request] = receiver.of(event)
        assert len(request.all("x-acme-login") + request.all("x-acme-key")) == 1
    assert len(reloads) == len(tried) == 15
    assert all(len(answer["broken"]) <= 1 and answer["methods"] == len(SHIPPED) + 1 for answer in reloads)
    assert {row["verdict"] for answer in tried for row in answer["data"]} <= {"sent"}
    assert workshop.bellhop.stop() == 0


# --- What is shipped ----------------------------------------------------------------------------


def run(binary, *arguments):
    return subprocess.run([str(binary), *map(str, arguments)], capture_output=True, text=True, timeout=60, env=environment())


def test_five_methods_are_shipped():
    assert SHIPPED == ["basic", "mailchimp", "none", "oauth", "slack"]


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_method_passes_its_check(name):
    done = run(BINARY, "method", "check", ROOT / "methods" / f"{name}.lua")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


def test_an_installed_bellhop_finds_the_shipped_methods(install, tmp_path):
    """No setting names the folder: it lies in the share folder beside the program."""
    meson = shutil.which("meson")
    if not meson:
        pytest.skip("meson is not here")
    build = BINARY.parents[1]
    done = subprocess.run([meson, "install", "-C", build, "--no-rebuild", "--destdir", tmp_path / "root"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    [binary] = (tmp_path / "root").rglob("bin/bellhop")
    bellhop = install(settings={"methods_dir": None}, binary=binary).start()

    assert sorted(method["name"] for method in bellhop.site.get("/v1/methods").ok()["data"]) == SHIPPED
    folder = binary.parents[1] / "share" / "bellhop" / "methods"
    assert sorted(file.name for file in folder.iterdir()) == [f"{name}.lua" for name in SHIPPED]
