"""
A receiver that misbehaves to order.

A small program of its own (standard library only): it listens, does to each connection and each request exactly what its
scenario says, byte by byte, and prints what arrived as JSON lines.

    python3 -m tests.receiver --help                                     the language, in full
    python3 -m tests.receiver --port 9000 -e 'request: reply 503'        rules on the command line
    python3 -m tests.receiver scenario.txt                               ... or in a file; `-`: from stdin, to its end
    python3 -m tests.receiver --control scenario.txt                     and commands on stdin while it runs

scenario.py is the language, connection.py what is done to one connection, server.py the listener, __main__.py the program.
Tests start it with the fixture `scripted` (tests/integration/harness/scripted.py).
"""
