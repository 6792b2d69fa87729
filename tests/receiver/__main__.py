"""The program: options, output as JSON lines, commands on stdin."""

import argparse
import json
import pathlib
import sys
import threading

if not __package__:  # started as `python3 tests/receiver`
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
    __package__ = "tests.receiver"

from . import scenario  # noqa: E402
from .server import Server  # noqa: E402

OUTPUT = """
It prints one JSON object a line, with `event` and `at` (seconds of the machine's monotonic clock):
    listening   address
    connection  connection (1, 2 ...), peer
    tls         version, alpn, client_certificate (DER in base64)
    head        as request, without body: of a request whose rule begins with `read`, before that is done
    request     connection, request (1, 2 ...), rule (the line of its rule), wall (Unix time), method, target, version, headers
                ([[name, value], ...]), body (text; null if it is no UTF-8, and then body_base64). `at` is when its head was there
    answered    connection, request: the steps of its rule are through, and have not ended the connection
    closed      connection, how, received, sent, unread (bytes)
    wrong       what: a command on stdin that could not be read

Commands on stdin, with --control, one a line: a rule (goes before all others), `forget` (all rules), `refuse [SPAN]`,
`ignore [SPAN]`, `accept`, `quit`. The end of stdin ends the program, too.
"""


def main():
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.receiver", description="A receiver of webhooks that misbehaves to order.",
        epilog=scenario.__doc__ + OUTPUT, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("scenario", nargs="?", help="file of rules; -: from stdin")
    parser.add_argument("-e", dest="rules", action="append", default=[], metavar="RULE", help="a rule; these come before those of the file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: the system chooses one")
    parser.add_argument("--control", action="store_true", help="take commands from stdin while running")
    parser.add_argument("--seed", help="of chance")
    given = parser.parse_args()

    source, folder = "", pathlib.Path(".")
    if given.scenario == "-":
        source = sys.stdin.read()
    elif given.scenario:
        source, folder = pathlib.Path(given.scenario).read_text(), pathlib.Path(given.scenario).parent
    try:
        rules = [rule for text in [*given.rules, source] for rule in scenario.parse(text)]
    except scenario.ScenarioError as error:
        parser.error(str(error))

    server = Server(rules, print_line, given.host, given.port, folder, given.seed)
    host = f"[{server.host}]" if ":" in server.host else server.host
    server.report("listening", address=f"{host}:{server.port}")
    try:
        if given.control:
            take_commands(server)
        else:
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    server.stop()


def print_line(what):
    print(json.dumps(what), flush=True)


def take_commands(server):
    for line in sys.stdin:
        word, *rest = line.split() or [""]
        try:
            if word == "quit":
                return
            if word == "forget":
                server.forget_rules()
            elif word in ("refuse", "ignore", "accept") and ":" not in line:
                seconds = [scenario.span(rest[0], 1)] if rest else []
                {"refuse": server.refuse, "ignore": server.ignore, "accept": server.accept_again}[word](*seconds)
            else:
                server.put_first(scenario.parse(line.rstrip("\n")))
            server.report("done", command=line.strip())
        except scenario.ScenarioError as error:
            server.report("wrong", command=line.strip(), what=str(error))


if __name__ == "__main__":
    main()
