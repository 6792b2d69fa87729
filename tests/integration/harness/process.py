"""A real `bellhop serve` with a data folder of its own, and the other commands of the binary."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from .api import Api
from .waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("BELLHOP_BIN", ROOT / "build-asan" / "src" / "bellhop"))
SANITIZER_SAYS = re.compile(r"ERROR: (Address|Leak|Undefined|Thread)\w*Sanitizer|runtime error:|WARNING: ThreadSanitizer")

# Short waits, no chance, and only this machine's loopback as target.
TEST_SETTINGS = {
    "allow": "127.0.0.1",
    "retry_schedule": "1s,1s,1s,1s,1s,1s,1s,1s,1s",
    "retry_jitter_percent": "0",
    "retry_jitter_first": "0s",
    "overload_floor": "1s",
    "log_level": "debug",
    "methods_dir": str(ROOT / "methods"),
}


def environment():
    env = dict(os.environ)
    for name in list(env):
        if name.startswith("BELLHOP_"):
            del env[name]
    env["G_SLICE"] = "always-malloc"  # GLib's own allocator hides from the sanitizers what was freed and by whom
    suppressions = ROOT / "tests" / "tsan.supp"
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1:exitcode=99")
    env.setdefault("TSAN_OPTIONS", f"halt_on_error=0:exitcode=99:suppressions={suppressions}")
    env.setdefault("LSAN_OPTIONS", f"suppressions={ROOT / 'tests' / 'lsan.supp'}:print_suppressions=0")
    return env


class Bellhop:
    """
    One installation: started, stopped and started again on the same data folder.

    `settings` go over TEST_SETTINGS and reach the process as --set name=value; None takes a setting out.
    `config` is the text of a config file. Nothing is started until start().
    """

    def __init__(self, folder, settings=None, config=None, wrapper=(), binary=BINARY):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "var"
        self.config_file = self.folder / "bellhop.conf"
        self.settings = {**TEST_SETTINGS, **(settings or {})}
        self.wrapper = list(wrapper)
        self.binary = binary
        self.process = None
        self.starts = 0
        self.expect_failure = False
        if config is not None:
            self.write_config(config)

    def write_config(self, text):
        self.config_file.write_text(text)

    def command(self):
        arguments = [*self.wrapper, str(self.binary), "serve"]
        if self.config_file.exists():
            arguments += ["--config", str(self.config_file)]
        for name, value in {"data_dir": self.data, "listen": "127.0.0.1:0", **self.settings}.items():
            if value is not None:
                arguments += ["--set", f"{name}={value}"]
        return arguments

    @property
    def log_file(self):
        return self.folder / f"stderr.{self.starts}"

    @property
    def log(self):
        """What all starts so far have written to their standard error."""
        return "".join((self.folder / f"stderr.{n}").read_text(errors="replace") for n in range(1, self.starts + 1))

    def spawn(self, env=None):
        """Starts the process and does not wait for it to listen."""
        assert self.process is None, "it is running already"
        self.starts += 1
        with open(self.log_file, "wb") as stderr, open(self.folder / f"stdout.{self.starts}", "wb") as stdout:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=ROOT, env={**environment(), **(env or {})}
            )
        return self

    def start(self, env=None):
        address = self.data / "address"
        key = self.data / "site.key"
        address.unlink(missing_ok=True)  # kill -9 leaves it
        self.spawn(env)

        def listening():
            if self.process.poll() is not None:
                raise AssertionError(f"bellhop serve ended with {self.process.returncode}:\n{self.log_file.read_text()[-4000:]}")
            return address.exists() and address.read_text().strip() and key.exists() and key.read_text().strip()

        wait_for(listening, "bellhop to write its address and its key", within=30)
        self.url = address.read_text().strip()
        self.key = key.read_text().strip()
        self.site = Api(self.url, self.key)
        return self

    def api(self, key):
        return Api(self.url, key)

    def stop(self, within=30):
        """SIGTERM, and a clean end."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        return self.ended(within)

    def kill(self):
        """As a power cut takes it: SIGKILL."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def ended(self, within=30):
        """Waits for the process to end by itself and returns its exit code."""
        process, self.process = self.process, None
        try:
            code = process.wait(within)
            assert code >= 0, f"bellhop was ended by signal {-code}:\n{self.log_file.read_text()[-6000:]}"
            return code
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"bellhop did not end within {within} s:\n{self.log_file.read_text()[-4000:]}") from None

    def restart(self):
        self.stop()
        return self.start()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def run(self, *arguments, input=None, check=True, json_output=False, within=60):
        """Another command of the same binary, pointed at this installation's data folder."""
        done = subprocess.run(
            [str(self.binary), *arguments], input=input, capture_output=True, text=True, timeout=within, cwd=ROOT,
            env={**environment(), "BELLHOP_DATA_DIR": str(self.data)},
        )
        assert not SANITIZER_SAYS.search(done.stderr), done.stderr
        if check:
            assert done.returncode == 0, f"bellhop {' '.join(arguments)} ended with {done.returncode}: {done.stderr}{done.stdout}"
        return json.loads(done.stdout) if json_output else done

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def finish(self):
        """Stops what still runs and looks for what a sanitizer had to say."""
        code = None
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                code = self.stop()
            else:
                self.process = None
        said = SANITIZER_SAYS.search(self.log)
        assert not said, self.log[max(0, said.start() - 200) : said.start() + 6000]
        if code is not None and not self.expect_failure:
            assert code == 0, f"bellhop ended with {code}:\n{self.log[-4000:]}"


# --- What tests ask again and again ------------------------------------------------------------


def small_world(bellhop):
    """Manager 7 of the properties 12 and 13, and manager 8 of property 21: the world that most tests play in."""
    site = bellhop.site
    site.manager("7")
    site.manager("8")
    site.property("12", "7")
    site.property("13", "7")
    site.property("21", "8")
    return site


def sanitized():
    """Is the binary built with a sanitizer? Then memory and time are not those of a release."""
    binary = BINARY.read_bytes()
    return b"__asan_init" in binary or b"__tsan_init" in binary


def deliveries_of(site, event_id):
    return site.get(f"/v1/deliveries?event_id={event_id}").ok()["data"]


def the_delivery(site, event_id):
    found = deliveries_of(site, event_id)
    assert len(found) == 1, found
    return found[0]


def attempts_of(site, delivery_id):
    return site.get(f"/v1/deliveries/{delivery_id}/attempts").ok()["data"]


def wait_state(site, event_id, state, within=20.0):
    """Waits until every delivery of the event is in `state`, and returns them."""

    def reached():
        found = deliveries_of(site, event_id)
        return found if found and all(delivery["state"] == state for delivery in found) else None

    return wait_for(reached, f"deliveries of {event_id} to be {state}", within)


def wait_attempts(site, delivery_id, count, within=20.0):
    def reached():
        made = attempts_of(site, delivery_id)
        return made if len(made) >= count else None

    return wait_for(reached, f"{count} attempts of {delivery_id}", within)


def milliseconds_since(started):
    return (time.monotonic() - started) * 1000
