"""
The language of scenarios. A scenario is a list of rules; the first one that fits is followed.

    request 1-5 per 2s:    reply 200                            # a receiver that allows five requests in two seconds
    request:               reply 429 "Retry-After: 2"

    connection 1:          read head; send "HTTP/1.1 200 OK\\r\\nContent-Le"; reset
    path /slow:            wait 200ms; reply 200
    path /late request 1-2 per id:
        read request
        send "HTTP/1.1 200 OK\\r\\n"
        dribble 4/s "Content-Length: 2\\r\\n\\r\\nok"

A rule is its conditions, a colon, and steps, with `;` or line ends between them. Lines that begin with blanks go on with the
rule above. `#` begins a comment. Without a rule that fits, a request is answered with 200 and an empty body.

Which rule:
    start:                    steps for the start of the program: refuse, ignore, accept
    connection [RANGE] [per SPAN] ...:   for a connection that was just accepted, before anything is read. When its steps are
                              through and have not closed it, requests are served on it.
    anything else:            for a request whose head has arrived. All the conditions of a rule must fit:
        request [RANGE] [per SPAN | per id | per connection]
                              the n-th (from 1) of the requests that fit the rule's other conditions, whatever rule they are
                              treated by; `per`: counted anew in each such span of time, for each webhook-id, on each connection
        path PATH             the request's target; with * at the end: what begins so
        method NAME
        header NAME [VALUE]   is there; has this value
        after SPAN, before SPAN   since the program started
        chance PERCENT        thrown anew for each request; --seed repeats a run
    RANGE is 3, 2-5 or 6-     SPAN is a number with ms, s or m

What to do:
    read head | body | request | all | N    until the end of the head, of the body, of both, of the connection; N bytes.
                              A request is read whole before the steps of its rule, unless the first of them is a `read`.
    reply STATUS ["Name: value"...] [body TEXT]    a well-formed answer with Content-Length; the connection stays open
    send TEXT...              these bytes, each TEXT in a write of its own
    dribble RATE TEXT         so many bytes in a second: 4/s, 0.5/s
    flood TEXT                again and again, as fast as they are taken, until the sender hangs up
    wait SPAN | SPAN..SPAN    between two: by chance
    hold                      until the sender hangs up
    half-close                no more will be sent (FIN), reading goes on
    close                     says goodbye properly
    reset                     drops the connection with RST
    tls cert=FILE key=FILE [ca=FILE] [alpn=h2,http/1.1] [min=1.2] [max=1.1]
                              takes a TLS handshake now; with `ca`, wants a client certificate of that authority
    again [N]                 back to the first step, N times; without N for ever
    refuse [SPAN]             connections are refused from now on, for so long: nobody listens
    ignore [SPAN]             connections are neither accepted nor refused: a connect gets no answer
    accept                    listens again
TEXT is in double quotes, with \\r \\n \\t \\0 \\xHH \\" \\\\; 1000 * "x" repeats it. File names count from the scenario's folder.
"""

import re

TOKEN = re.compile(r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[;:*](?=\s|"|$)|;)|(?P<word>(?:[^\s";:]|:(?!\s|$))+))')
ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|.)', re.DOTALL)
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b'"': b'"', b"\\": b"\\"}
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class ScenarioError(ValueError):
    pass


class Rule:
    """`kind` is start, connection or request; `steps` a list of (name, arguments); `line` where it stands."""

    def __init__(self, kind, line):
        self.kind, self.line = kind, line
        self.nth, self.per = None, None  # (first, last) or None; None, "id", "connection" or seconds
        self.path = self.method = self.header = self.chance = None
        self.after, self.before = 0.0, float("inf")
        self.steps = []
        self.counts = {}  # of the requests that fit, by what they are counted per

    def counts_in(self, first, last, what):
        """One more of `what` (a webhook-id, a connection, a window of time); is it one of the wanted?"""
        self.counts[what] = self.counts.get(what, 0) + 1
        return first <= self.counts[what] <= last


def parse(source):
    rules = []
    for number, line in enumerate(source.split("\n"), 1):
        tokens = tokens_of(line, number)
        if not tokens:
            continue
        if line[0] in " \t":
            if not rules:
                raise ScenarioError(f"line {number}: steps without a rule above them")
        else:
            rule, tokens = parse_head(tokens, number)
            rules.append(rule)
        for step in split(tokens, ";"):
            if step:
                rules[-1].steps.append(parse_step(step, number))
    return rules


def tokens_of(line, number):
    """Words as str, texts as bytes, the marks ; : * as one-character tuples."""
    tokens, at = [], 0
    while line[at:].strip():
        if line[at:].lstrip().startswith("#"):
            break
        match = TOKEN.match(line, at)
        if not match:
            raise ScenarioError(f"line {number}: cannot read {line[at:].strip()!r}")
        at = match.end()
        if match["text"]:
            tokens.append(unescape(match["text"][1:-1], number))
        elif match["mark"]:
            tokens.append((match["mark"],))
        else:
            tokens.append(match["word"])
    return repeated(tokens, number)


def repeated(tokens, number):
    """N * TEXT becomes one text."""
    out = []
    for token in tokens:
        if isinstance(token, bytes) and len(out) >= 2 and out[-1] == ("*",):
            out[-2:] = [token * whole(out[-2], number)]
        else:
            out.append(token)
    return out


def unescape(text, number):
    def one(match):
        code = match[1]
        if code[:1] == b"x" and len(code) == 3:
            return bytes([int(code[1:], 16)])
        if code not in ESCAPES:
            raise ScenarioError(f"line {number}: no such escape: \\{code.decode(errors='replace')}")
        return ESCAPES[code]

    return ESCAPE.sub(one, text.encode())


def split(tokens, mark):
    parts = [[]]
    for token in tokens:
        if token == (mark,):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


# --- Conditions ---------------------------------------------------------------------------------


def parse_head(tokens, number):
    if (":",) not in tokens:
        raise ScenarioError(f"line {number}: a rule has a colon after its conditions")
    end = tokens.index((":",))
    words, rest = tokens[:end], tokens[end + 1 :]
    if not words:
        raise ScenarioError(f"line {number}: a rule begins with what it is for: start, connection, request, path ...")
    kind = words[0] if words[0] in ("start", "connection") else "request"
    rule = Rule(kind, number)
    words = list(words)
    if kind == "start":
        words.pop(0)
    while words:
        parse_condition(rule, words, number)
    return rule, rest


def parse_condition(rule, words, number):
    name = words.pop(0)

    def value(what):
        if not words:
            raise ScenarioError(f"line {number}: {name} needs {what}")
        word = words.pop(0)
        return word.decode("latin-1") if isinstance(word, bytes) else word

    if name in ("request", "connection"):
        if (name == "connection") != (rule.kind == "connection"):
            raise ScenarioError(f"line {number}: a rule is for connections or for requests")
        if words and isinstance(words[0], str) and words[0][:1].isdigit():
            rule.nth = range_of(words.pop(0), number)
        if words and words[0] == "per":
            words.pop(0)
            per = value("a span, id or connection")
            rule.per = per if per in ("id", "connection") else span(per, number)
    elif name == "path":
        rule.path = value("a path")
    elif name == "method":
        rule.method = value("a name")
    elif name == "header":
        rule.header = (value("a name").lower(), value("a value") if words and isinstance(words[0], bytes) else None)
    elif name == "after":
        rule.after = span(value("a span"), number)
    elif name == "before":
        rule.before = span(value("a span"), number)
    elif name == "chance":
        rule.chance = decimal(value("a percentage").removesuffix("%"), number) / 100
    else:
        raise ScenarioError(f"line {number}: no such condition: {name}")


def range_of(word, number):
    match = re.fullmatch(r"(\d+)(-(\d*))?", word)
    if not match:
        raise ScenarioError(f"line {number}: not a range: {word}")
    first = int(match[1])
    return first, first if match[2] is None else int(match[3]) if match[3] else float("inf")


def span(word, number):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)", word) if isinstance(word, str) else None
    if not match:
        raise ScenarioError(f"line {number}: not a span of time (200ms, 2s, 1m): {shown(word)}")
    return float(match[1]) * UNITS[match[2]]


def decimal(word, number):
    try:
        return float(word)
    except (TypeError, ValueError):
        raise ScenarioError(f"line {number}: not a number: {shown(word)}") from None


def whole(word, number):
    if not isinstance(word, str) or not word.isdigit():
        raise ScenarioError(f"line {number}: not a whole number: {shown(word)}")
    return int(word)


def shown(token):
    return token.decode(errors="replace") if isinstance(token, bytes) else token if isinstance(token, str) else token[0]


# --- Steps --------------------------------------------------------------------------------------


def parse_step(tokens, number):
    """(name, arguments) of one step; the arguments are checked here, so that a scenario that starts also runs."""
    name, given = tokens[0], tokens[1:]
    if name not in STEPS:
        raise ScenarioError(f"line {number}: no such step: {shown(name)}")
    return name, STEPS[name](name, given, number)


def nothing(name, given, number):
    if given:
        raise ScenarioError(f"line {number}: {name} takes nothing, not {shown(given[0])}")
    return ()


def texts(name, given, number):
    if not given or not all(isinstance(token, bytes) for token in given):
        raise ScenarioError(f"line {number}: {name} takes texts in double quotes")
    return tuple(given)


def what_to_read(name, given, number):
    if len(given) == 1 and given[0] in ("head", "body", "request", "all"):
        return (given[0],)
    if len(given) == 1:
        return (whole(given[0], number),)
    raise ScenarioError(f"line {number}: read head, body, request, all, or a number of bytes")


def an_answer(name, given, number):
    if not given:
        raise ScenarioError(f"line {number}: reply needs a status")
    body = b""
    if len(given) >= 3 and given[-2] == "body":
        body = texts("body", given[-1:], number)[0]
        given = given[:-2]
    if not re.fullmatch(r"\d{3}", shown(given[0])):
        raise ScenarioError(f"line {number}: a status has three digits, not {shown(given[0])}")
    headers = texts("a header", given[1:], number) if given[1:] else ()
    head = [b"HTTP/1.1 %s Status" % shown(given[0]).encode(), b"Content-Length: %d" % len(body), *headers]
    return (b"\r\n".join(head) + b"\r\n\r\n" + body,)


def rate_and_text(name, given, number):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)/s", shown(given[0])) if len(given) == 2 else None
    if not match or float(match[1]) <= 0:
        raise ScenarioError(f"line {number}: dribble RATE TEXT, where RATE is such as 4/s")
    return (float(match[1]), *texts(name, given[1:], number))


def one_text(name, given, number):
    if len(given) != 1:
        raise ScenarioError(f"line {number}: {name} takes one text")
    return texts(name, given, number)


def a_wait(name, given, number):
    least, _, most = shown(given[0]).partition("..") if len(given) == 1 else ("", "", "")
    return span(least, number), span(most or least, number)


def perhaps_a_span(name, given, number):
    if len(given) > 1:
        raise ScenarioError(f"line {number}: {name} takes one span at most")
    return (span(given[0], number),) if given else (None,)


def perhaps_a_number(name, given, number):
    if len(given) > 1:
        raise ScenarioError(f"line {number}: {name} takes one number at most")
    return (whole(given[0], number),) if given else (None,)


def tls_options(name, given, number):
    options = {}
    for word in given:
        key, mark, value = shown(word).partition("=")
        if not mark or key not in ("cert", "key", "ca", "alpn", "min", "max"):
            raise ScenarioError(f"line {number}: tls takes cert=, key=, ca=, alpn=, min= and max=, not {shown(word)}")
        options[key] = value
    if "cert" not in options:
        raise ScenarioError(f"line {number}: tls needs cert=FILE, and key=FILE if the key is not in it")
    return (options,)


STEPS = {
    "read": what_to_read,
    "reply": an_answer,
    "send": texts,
    "dribble": rate_and_text,
    "flood": one_text,
    "wait": a_wait,
    "hold": nothing,
    "half-close": nothing,
    "close": nothing,
    "reset": nothing,
    "tls": tls_options,
    "again": perhaps_a_number,
    "refuse": perhaps_a_span,
    "ignore": perhaps_a_span,
    "accept": nothing,
}
