"""Fixtures: an installation of Bellhop, receivers, and the small world that most tests play in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.process import BINARY, ROOT, Bellhop, small_world  # noqa: E402
from harness.receiver import Receiver  # noqa: E402
from harness.scripted import Scripted  # noqa: E402

INSIDE = "BELLHOP_TEST_INSIDE_NAMESPACE"


def pytest_configure(config):
    config.addinivalue_line("markers", "own_namespace(*kinds): run in namespaces of its own, of `net` and `mount`")
    config.addinivalue_line("markers", "smoke: one of the few that also run under the thread sanitizer")
    config.addinivalue_line("markers", "stdlib: needs nothing but the harness")


def pytest_sessionstart(session):
    if not BINARY.exists():
        raise pytest.UsageError(f"no binary at {BINARY}: build it, or name one in BELLHOP_BIN")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """A test marked own_namespace runs again, alone, inside `unshare`; out here only its end counts."""
    marker = pyfuncitem.get_closest_marker("own_namespace")
    if marker is None or os.environ.get(INSIDE):
        return None
    unshare = ["unshare", *(f"--{kind}" for kind in marker.args)]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets us make no namespace of our own")
    folder = pyfuncitem.funcargs["tmp_path"] / "inside"
    inside = subprocess.run(
        [*unshare, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder}", pyfuncitem.nodeid],
        cwd=pyfuncitem.config.rootpath, env={**os.environ, INSIDE: "1"}, capture_output=True, text=True, timeout=300,
    )
    if inside.returncode != 0:
        pytest.fail(f"inside the namespace:\n{inside.stdout[-8000:]}{inside.stderr[-2000:]}", pytrace=False)
    return True


@pytest.fixture
def install(tmp_path):
    """Makes installations that are not started yet: install(settings={...}, config="..."). All are finished with the test."""
    made = []

    def make(name=None, **more):
        made.append(Bellhop(tmp_path / (name or f"bellhop{len(made) + 1}"), **more))
        return made[-1]

    yield make
    for bellhop in made:
        bellhop.finish()


@pytest.fixture
def bellhop(install):
    return install().start()


@pytest.fixture
def site(bellhop):
    """The API as the site sees it, with manager 7 of the properties 12 and 13, and manager 8 of property 21."""
    return small_world(bellhop)


@pytest.fixture
def make_receiver():
    made = []

    def make(script=None, **more):
        made.append(Receiver(script=script, **more))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


@pytest.fixture
def receiver(make_receiver):
    return make_receiver()


@pytest.fixture
def scripted(tmp_path):
    """Starts the misbehaving receiver as a process of its own: scripted("request 3: reset"), see tests/receiver/."""
    made = []

    def make(scenario="", **more):
        folder = tmp_path / f"receiver{len(made) + 1}"
        folder.mkdir()
        made.append(Scripted(scenario, folder, **more))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


@pytest.fixture
def oauth_server(tmp_path):
    """Starts a real OAuth2 server, with a receiver behind it: oauth_server([{"client_id": "a", "secret": "b"}])."""
    from harness.oauth import OAuthServer  # needs Authlib, which other tests do not

    made = []

    def make(clients):
        made.append(OAuthServer(tmp_path, clients))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def fixtures():
    return ROOT / "tests" / "fixtures"
