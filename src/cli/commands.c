/*
 * The table. Texts are written once here and shown by --help, `bellhop help` and docs/cli.md; sentences in `about`
 * say what somebody has to know before using the command, and nothing that the options say themselves.
 */
#include "cli/commands.h"

#include "cli/run.h"

/* A row a command, a line an option. */
/* clang-format off */

/* --- Options that commands share ----------------------------------------------------------- */

static const bh_option ASKING[] = {
	{"server", "URL", "Address of the Bellhop; else BELLHOP_URL, else the file `address` in its data folder"},
	{"key", "KEY", "API key, or @FILE with one; else BELLHOP_KEY, else the file `site.key` in the data folder"},
	{"data-dir", "DIR", "Data folder of the Bellhop; else BELLHOP_DATA_DIR, else ./var"},
	{"url", "URL", "The same as --server, where the command has no --url of its own", .stands_for = "server"},
	{"data", "DIR", "The same as --data-dir, where the command has no --data of its own", .stands_for = "data-dir"},
	{NULL},
};

static const bh_option PRINTING[] = {
	{"json", NULL, "Print JSON; what the API answers is printed as its very bytes"},
	{NULL},
};

static const bh_option WAITING[] = {
	{"wait", NULL, "Wait until every delivery has come to rest; exit code 1 if one is not delivered"},
	{"timeout", "SPAN", "How long to wait at most (30s)"},
	{NULL},
};

static const bh_option LISTING[] = {
	{"limit", "N", "How many lines at most (100); with --json every hundred is a document of its own"},
	{"cursor", "CURSOR", "Go on where a page ended: `next` of its --json"},
	{NULL},
};

const bh_shared BH_SHARED[] = {
	{BH_ASKS, "To find the running Bellhop", ASKING},
	{BH_PRINTS_DATA, "Output", PRINTING},
	{BH_WAITS, "Waiting", WAITING},
	{BH_LISTS, "Long lists", LISTING},
	{0},
};

/* --- Options of single commands ------------------------------------------------------------ */

static const bh_option SERVE[] = {
	{"data", "DIR", "Folder of database, keys and state (setting data_dir)"},
	{"listen", "HOST:PORT", "Where the API takes requests (setting listen); port 0 takes a free one"},
	{"config", "FILE", "Read settings from a file of `name = value` lines"},
	{"set", "NAME=VALUE", "Set any setting; `bellhop config` lists them", .many = true},
	{NULL},
};

static const bh_option CONFIG[] = {
	{"config", "FILE", "Read settings from this file, as serve would"},
	{"set", "NAME=VALUE", "Set a setting, as serve would", .many = true},
	{"data-dir", "DIR", "The setting data_dir"},
	{"data", "DIR", "The same", .stands_for = "data-dir"},
	{NULL},
};

static const bh_option HELP[] = {
	{"markdown", NULL, "The whole reference, as docs/cli.md holds it"},
	{NULL},
};

static const bh_option SEND[] = {
	{"data", "JSON", "The event's data, a JSON object; or @FILE", .stands_for = "event-data"},
	{"property", "ID", "The property it is about: data gets it as property_uid; several make an event each", .many = true},
	{"file", "FILE", "Send whole events: one JSON object, an array, or one object a line (NDJSON); - for standard input"},
	{"id", "KEY", "Name for idempotency: sending the same again under it makes no second event"},
	{"manager", "ID", "Tell this manager, whatever the property says"},
	{"actor", "ID", "Who did it"},
	{"channel", "ID", "The channel it came by: that channel's webhooks are not told (no echo)"},
	{"occurred-at", "TIME", "When it happened (RFC 3339); now if left out"},
	{"details", "JSON", "The collected picture at that moment; or @FILE"},
	{NULL},
};

static const bh_option EVENT_LIST[] = {
	{"type", "TYPE", "Only of this type"},
	{"property", "ID", "Only about this property"},
	{NULL},
};

static const bh_option EVENT_REPLAY[] = {
	{"webhook", "ID", "Only to this webhook"},
	{NULL},
};

static const bh_option RECOVER[] = {
	{"since", "WHEN", "How far back: a span such as 2d, or a moment (RFC 3339)"},
	{"dry-run", NULL, "Only count them"},
	{"rate", "N", "So many a second at most (setting recover_rate)"},
	{"detach", NULL, "Start it, and do not watch how far it is"},
	{NULL},
};

static const bh_option RECOVERY_LIST[] = {
	{"webhook", "ID", "Only of this webhook"},
	{NULL},
};

static const bh_option DELIVERY_LIST[] = {
	{"webhook", "ID", "Only to this webhook"},
	{"event", "ID", "Only of this event"},
	{"state", "STATE", "Only in this state: pending, held, delivered, gone, exhausted, coalesced, filtered or "
	                   "cancelled"},
	{NULL},
};

static const bh_option DELIVERY_SHOW[] = {
	{"full", NULL, "Each attempt with its timing, request and response"},
	{NULL},
};

static const bh_option WEBHOOK_LIST[] = {
	{"manager", "ID", "Only of this manager"},
	{NULL},
};

#define FORM \
	{"url", "URL", "Where the events go (short for --set url=URL)", .stands_for = "webhook-url"}, \
	{"name", "TEXT", "What people call it"}, \
	{"method", "METHOD", "How to authenticate and send: none, basic, oauth, mailchimp, slack, or one of your own; see `bellhop method list`"}, \
	{"set", "KEY=VALUE", "A setting of the method; VALUE may be @FILE, or - for standard input, which keeps passwords " \
	                     "out of the shell's history", .many = true}, \
	{"script", "SCRIPT", "Its own script, Lua text or @FILE: `accepts` decides which events it gets, `transform` changes " \
	                     "what is sent; none takes it away"}, \
	{"events", "LIST", "What it gets: types, groups, prefixes such as booking_*, * for all; commas between", .many = true}, \
	{"property", "ID", "Only events about this property", .many = true}, \
	{"shape", "SHAPE", "How the body is written: standard or jomres"}, \
	{"channel", "ID", "Its own channel: what came by it is not sent back"}, \
	{"header", "'NAME: VALUE'", "An extra request header", .many = true}, \
	{"timeout", "SPAN", "How long one attempt may take, 3s to 30s", .stands_for = "request-timeout"}, \
	{"full-payload", NULL, "Send the event's details too"}, \
	{"order-by", "FIELD", "Send what is about the same thing one after the other: property, or a field of data such as " \
	                      "contract_uid"}, \
	{"coalesce", "SPAN", "Of what is about the same thing, send only the newest of so long a time: 1s to 24h (a bare " \
	                     "number: seconds); with --coalesce-by"}, \
	{"coalesce-by", "LIST", "What makes it the same thing beside the event's type: property, fields of data; commas " \
	                        "between", .many = true}, \
	{"rate", "N/SPAN", "Send at most so many requests in this time, such as 60/1m; the others wait"}, \
	{"tls-ca", "FILE", "Trust the certificate authorities of this file (PEM), not the system's; - for standard input"}, \
	{"tls-cert", "FILE", "Show this client certificate (PEM, its chain after it)"}, \
	{"tls-key", "FILE", "Private key of that certificate (PEM, without a password)"}

static const bh_option WEBHOOK_ADD[] = {
	{"manager", "ID", "Whose it is; left out, it is the site's own and gets the events of everybody"},
	FORM,
	{"secret", "SECRET", "Sign with this secret (whsec_..., @FILE or -) instead of a new one"},
	{"disable", NULL, "Make it disabled: what it would get is held"},
	{NULL},
};

static const bh_option WEBHOOK_SET[] = {
	FORM,
	{"unset", "KEY", "Remove a setting of the method", .many = true},
	{"remove-header", "NAME", "Remove an extra request header", .many = true},
	{"all-properties", NULL, "Events about any of the manager's properties"},
	{"no-channel", NULL, "It belongs to no channel"},
	{"thin-payload", NULL, "Send no details"},
	{"no-order", NULL, "Send in any order"},
	{"no-coalesce", NULL, "Send every one of them"},
	{"no-rate", NULL, "Send as fast as the receiver takes it"},
	{"no-tls-ca", NULL, "Trust the system's certificate authorities again"},
	{"no-tls-cert", NULL, "Show no client certificate, and forget its key"},
	{"enable", NULL, "Send again; see --held"},
	{"disable", NULL, "Stop sending; what comes meanwhile is held"},
	{"held", "WHICH", "On enabling, of what was held: send all, the newest only, none, or keep them held"},
	{NULL},
};

static const bh_option WEBHOOK_TEST[] = {
	{"enable", NULL, "Enable the webhook if the test is delivered; if it fails, all stays as it is. Waits for that"},
	{"held", "WHICH", "On enabling, of what was held: send all, the newest only, none, or keep them held"},
	{NULL},
};

static const bh_option WEBHOOK_DRY_RUN[] = {
	{"script", "SCRIPT", "Try this script, Lua text or @FILE, instead of the webhook's; none: without one"},
	{"method", "METHOD", "As if the webhook had this method"},
	{"set", "KEY=VALUE", "As if the method had this setting; VALUE may be @FILE, or - for standard input", .many = true},
	{"event", "ID", "Try it with this stored event, instead of the newest that the webhook would get", .many = true},
	{"type", "TYPE", "Only events of this type"},
	{"limit", "N", "With how many events at most, 1 to 100 (20)"},
	{"full", NULL, "The whole body of each"},
	{NULL},
};

static const bh_option WEBHOOK_ROTATE[] = {
	{"overlap", "SPAN", "How long the old secret signs along, 0s to 7d (24h)"},
	{"secret", "SECRET", "The new secret (whsec_..., @FILE or -) instead of a random one"},
	{NULL},
};

static const bh_option MANAGER_FORM[] = {
	{"name", "TEXT", "What people call him or her"},
	{"email", "ADDRESS", "Kept for notices about failing webhooks, which are not sent yet"},
	{"role", "ROLE", "manager (owns webhooks), receptionist (owns none) or super (sees everybody's, owns none)"},
	{NULL},
};

static const bh_option PROPERTY_LIST[] = {
	{"manager", "ID", "Only of this manager"},
	{NULL},
};

static const bh_option PROPERTY_ADD[] = {
	{"name", "TEXT", "What people call it"},
	{"manager", "ID", "A manager of it; the first one counts where only one is told", .many = true},
	{NULL},
};

static const bh_option PROPERTY_SET[] = {
	{"name", "TEXT", "What people call it"},
	{"manager", "ID", "The managers from now on, all of them", .many = true},
	{"no-manager", NULL, "Nobody manages it"},
	{NULL},
};

static const bh_option KEY_ADD[] = {
	{"role", "ROLE", "site (everything), emit (hand events over) or manager (what is one manager's)"},
	{"manager", "ID", "Of a key of role manager: whose"},
	{"name", "TEXT", "What people call it"},
	{NULL},
};

static const bh_option TYPE_ADD[] = {
	{"description", "TEXT", "What happened, a sentence"},
	{"group", "GROUP", "Webhooks can select the whole group by its name"},
	{"field", "NAME", "A field of its data, in order", .many = true},
	{"sensitive", "NAME", "A field that is removed at the door: never stored, logged or sent", .many = true},
	{"example", "JSON", "An example of its data; or @FILE"},
	{"schema", "JSON", "JSON Schema of its data; or @FILE"},
	{NULL},
};

static const bh_option LISTEN[] = {
	{"port", "N", "Port to take requests at; 0 (as if left out) takes a free one"},
	{"host", "ADDRESS", "Address to take requests at (127.0.0.1)"},
	{"secret", "SECRET", "Check signatures with it (whsec_..., @FILE or -); one of several must fit", .many = true},
	{"tolerance", "SECONDS", "How far the timestamp may be off (300); -1: however far"},
	{"status", "N", "Answer with this status (200)"},
	{"body", "TEXT", "Answer with this body"},
	{"header", "'NAME: VALUE'", "Answer with this header too", .many = true},
	{"delay", "SPAN", "Answer only after this time"},
	{"count", "N", "Stop with exit code 0 after N verified requests (without --secret: after N requests)"},
	{"timeout", "SPAN", "Stop after this time, with exit code 1 if --count is not reached"},
	{"print-address", "FILE", "Write the address into this file once requests are taken"},
	{NULL},
};

static const bh_option VERIFY[] = {
	{"secret", "SECRET", "The signing secret (whsec_..., @FILE or -); one of several must fit", .many = true},
	{"headers", "FILE", "The request's headers, `Name: value` a line, or - ; after an empty line the body may stand"},
	{"id", "TEXT", "The header webhook-id, instead of from a file"},
	{"timestamp", "TEXT", "The header webhook-timestamp"},
	{"signature", "TEXT", "The header webhook-signature"},
	{"tolerance", "SECONDS", "How far the timestamp may be off (300); -1: however far"},
	{"no-time-check", NULL, "Whatever the timestamp: for a request that was saved some time ago"},
	{NULL},
};

static const bh_option METHOD_CHECK[] = {
	{"config", "FILE", "Read settings from this file, as serve would: methods_dir is where METHOD lies"},
	{NULL},
};

static const bh_option METHOD_TRY[] = {
	{"event", "TYPE", "The event's type (booking_added); its data is the catalogue's example. bellhop.test is a webhook's test"},
	{"data", "JSON", "The event's data instead, a JSON object; or @FILE"},
	{"details", "JSON", "Its details; or @FILE"},
	{"property", "ID", "The property it is about"},
	{"manager", "ID", "The manager who is told"},
	{"channel", "ID", "The channel it came by"},
	{"shape", "SHAPE", "How the body is written: standard or jomres"},
	{"full-payload", NULL, "The body has the details in it"},
	{"attempt", "N", "The number of the attempt (1): it decides when the next one would be"},
	{"url", "URL", "Where the event goes (short for --set url=URL)", .stands_for = "webhook-url"},
	{"set", "KEY=VALUE", "A setting of the method; VALUE may be @FILE, or - for standard input", .many = true},
	{"script", "FILE", "A webhook's own script, with `accepts` or `transform`, beside the method"},
	{"answer", "ANSWER", "What the next call gets: STATUS [NAME=VALUE]...[:BODY], such as 200, '429 Retry-After=30', "
	                     "'400:{\"title\":\"Member Exists\"}' or 200:@FILE; or timeout, dns, connect, tls, protocol",
	 .many = true},
	{"allow", "HOST", "Let this address through the guard, as the setting allow", .many = true},
	{"config", "FILE", "Read settings from this file, as serve would", },
	{NULL},
};

/* --- The table ----------------------------------------------------------------------------- */

const bh_noun BH_NOUNS[] = {
	{"serve", "Runs the engine"},
	{"send", "Hands events over"},
	{"listen", "Receives webhooks on this machine and shows them"},
	{"explain", "Tells who was told of an event, who not, and why"},
	{"recover", "Sends again what failed at one webhook"},
	{"webhook", "Where events go"},
	{"manager", "Who owns webhooks"},
	{"property", "What events are about"},
	{"event", "What happened"},
	{"delivery", "One event on its way to one webhook"},
	{"recovery", "What is being sent again since `bellhop recover`"},
	{"key", "API keys"},
	{"type", "Event types"},
	{"method", "Ways to authenticate and send"},
	{"verify", "Checks the signature of a request"},
	{"audit", "Shows who changed what"},
	{"config", "Shows the settings"},
	{"version", "Shows the version"},
	{"help", "Shows help"},
	{0},
};

#define ASKS BH_ASKS
#define DATA (BH_ASKS | BH_PRINTS_DATA)
#define LIST (BH_ASKS | BH_PRINTS_DATA | BH_LISTS)
#define WAIT (BH_ASKS | BH_PRINTS_DATA | BH_WAITS)

const bh_command BH_COMMANDS[] = {
	{"serve", "[options]", 0, -1, BH_READS_ITSELF, SERVE,
	 "Runs the engine until it is told to stop",
	 "On first start the data folder is made, with the database, a sealing key and a site key in `site.key`, "
	 "which the other commands find there. SIGTERM stops it when what is under way is through; SIGHUP reads "
	 "settings, methods and types again.",
	 "bellhop serve\n"
	 "bellhop serve --data /var/lib/bellhop --listen 127.0.0.1:8380 --set https_only=yes",
	 bh_run_serve},

	{"send", "TYPE [--data JSON | FILE | -] [--property ID]... [--id KEY] [--wait]  |  --file FILE", 0, 2, WAIT, SEND,
	 "Hands an event over, or a file of them",
	 "Accepted means stored: the event's id is printed once it is on disk. The data reaches the receivers with "
	 "the very bytes that were given. A file of more than 10,000 lines or 8 MiB is sent in several calls; "
	 "with --id, part N is named KEY/N.",
	 "bellhop send booking_added --property 12 --wait\n"
	 "bellhop send booking_added --data '{\"property_uid\":12,\"contract_uid\":4711}' --id booking-4711\n"
	 "bellhop send --file events.ndjson",
	 bh_run_send},

	{"listen", "[--port N] [--secret SECRET]... [options]", 0, 0, BH_PRINTS_DATA, LISTEN,
	 "Receives webhooks on this machine and shows them",
	 "A receiver to try webhooks with: each request is shown with its event type, id, age and whether its "
	 "signature is good. The engine refuses addresses of its own machine unless they are allowed: `bellhop "
	 "serve --set allow=127.0.0.1`. With --json each request is one object on a line, with arrived_us "
	 "(microseconds since 1970), type, webhook_id, sequence, verified, since_event_ms, headers and body.",
	 "bellhop listen --port 9000 --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
	 "bellhop listen --port 9000 --status 503 --header 'Retry-After: 5'\n"
	 "bellhop listen --json --count 10 --timeout 30s",
	 bh_run_listen},

	{"explain", "EVENT", 1, 1, DATA, NULL,
	 "Tells who was told of an event, who not, and why",
	 "Every webhook that was looked at has a verdict from the moment when the event came. Where a delivery was "
	 "made, its state of now stands beside it. What a replay decided stands below, with its round.",
	 "bellhop explain evt_04f2k8m1q7zr0",
	 bh_run_explain},

	{"recover", "WEBHOOK --since WHEN [--dry-run] [--rate N] [--detach]", 1, 1, DATA, RECOVER,
	 "Sends again what failed at one webhook",
	 "For a receiver that was down and is well again: every delivery to it that was made since then and is exhausted "
	 "gets all its attempts anew, the oldest first. Look with --dry-run how many that are. While it runs a bar shows "
	 "how far it is (on a terminal; else a line at its begin and end); Ctrl-C stops the watching, not the recovery: "
	 "`bellhop recovery cancel ID` does that.",
	 "bellhop recover whk_04f2k8m1q7zr0 --since 2d --dry-run\n"
	 "bellhop recover whk_04f2k8m1q7zr0 --since 2026-11-25T08:00:00Z --rate 5",
	 bh_run_recover},

	{"webhook list", "[--manager ID]", 0, 0, LIST, WEBHOOK_LIST,
	 "Lists webhooks", NULL,
	 "bellhop webhook list --manager 7",
	 bh_run_webhook_list},
	{"webhook show", "ID", 1, 1, DATA, NULL,
	 "Shows a webhook; passwords and header values are masked", NULL,
	 "bellhop webhook show whk_04f2k8m1q7zr0",
	 bh_run_webhook_show},
	{"webhook add", "--url URL [--manager ID] [options]", 0, 0, DATA, WEBHOOK_ADD,
	 "Makes a webhook and shows its signing secret",
	 "Here --url is where the events go; another Bellhop is named with --server. Without --events it gets all "
	 "of them. The receiver needs the secret to check signatures; `bellhop webhook secret ID` shows it again.",
	 "bellhop webhook add --manager 7 --url https://hooks.example/bellhop --events 'booking_*,invoice_created'\n"
	 "bellhop webhook add --manager 7 --method basic --url https://hooks.example/b \\\n"
	 "    --set basic_username=bellhop --set basic_password=@password.txt",
	 bh_run_webhook_add},
	{"webhook set", "ID [options]", 1, 1, DATA, WEBHOOK_SET,
	 "Changes a webhook; what is not named stays",
	 "Lists (--events, --property, --coalesce-by) are replaced as a whole; settings and headers are changed one by one. "
	 "Another host or scheme of a URL asks for the passwords again. On enabling, --held says what becomes of "
	 "what was held: all if you had disabled it yourself, else keep.",
	 "bellhop webhook set whk_04f2k8m1q7zr0 --events '*' --timeout 10s\n"
	 "bellhop webhook set whk_04f2k8m1q7zr0 --enable --held newest",
	 bh_run_webhook_set},
	{"webhook remove", "ID", 1, 1, ASKS, NULL,
	 "Removes a webhook; its waiting deliveries end cancelled", NULL,
	 "bellhop webhook remove whk_04f2k8m1q7zr0",
	 bh_run_webhook_remove},
	{"webhook test", "ID [--wait] [--enable [--held WHICH]]", 1, 1, WAIT, WEBHOOK_TEST,
	 "Sends a test event to this webhook only",
	 "An event of type bellhop.test; it is sent even while the webhook is disabled, and not retried. With --enable "
	 "a webhook that was disabled is enabled again if its receiver takes the test; of what was held then becomes what "
	 "--held says: all if you had disabled it yourself, else keep.",
	 "bellhop webhook test whk_04f2k8m1q7zr0 --wait\n"
	 "bellhop webhook test whk_04f2k8m1q7zr0 --enable --held newest",
	 bh_run_webhook_test},
	{"webhook dry-run", "ID [--script @FILE] [--method METHOD] [--event ID]... [options]", 1, 1, DATA, WEBHOOK_DRY_RUN,
	 "Tries a webhook's own script with stored events; sends nothing",
	 "Says of each event whether it would be sent, filtered or in error, and how its body would be changed, by the "
	 "method's and the webhook's own `accepts` and `transform`. Nothing is sent or stored. Exit code 1 if one is in error.",
	 "bellhop webhook dry-run whk_04f2k8m1q7zr0 --script @script.lua\n"
	 "bellhop webhook dry-run whk_04f2k8m1q7zr0 --method slack --set webhook_url=@url.txt --full",
	 bh_run_webhook_dry_run},
	{"webhook secret", "ID", 1, 1, DATA, NULL,
	 "Prints the signing secret, and nothing else", NULL,
	 "bellhop listen --port 9000 --secret \"$(bellhop webhook secret whk_04f2k8m1q7zr0)\"",
	 bh_run_webhook_secret},
	{"webhook rotate", "ID [--overlap SPAN]", 1, 1, DATA, WEBHOOK_ROTATE,
	 "Gives a webhook a new signing secret; the old one signs along for a while",
	 "Two secrets sign at most: one that still signed along from a change before stops at once.",
	 "bellhop webhook rotate whk_04f2k8m1q7zr0 --overlap 48h",
	 bh_run_webhook_rotate},

	{"manager list", "", 0, 0, LIST, NULL,
	 "Lists the managers", NULL,
	 "bellhop manager list",
	 bh_run_manager_list},
	{"manager show", "ID", 1, 1, DATA, NULL,
	 "Shows a manager", NULL,
	 "bellhop manager show 7",
	 bh_run_manager_show},
	{"manager add", "ID [--name TEXT] [--email ADDRESS] [--role ROLE]", 1, 1, DATA, MANAGER_FORM,
	 "Adds a manager under the site's own id",
	 "One who is there already is replaced by what is given.",
	 "bellhop manager add 7 --name Ada --email ada@example.org",
	 bh_run_manager_add},
	{"manager set", "ID [--name TEXT] [--email ADDRESS] [--role ROLE]", 1, 1, DATA, MANAGER_FORM,
	 "Changes a manager; what is not named stays", NULL,
	 "bellhop manager set 7 --email ada@hotel.example",
	 bh_run_manager_set},
	{"manager remove", "ID", 1, 1, ASKS, NULL,
	 "Removes a manager, with his webhooks and keys", NULL,
	 "bellhop manager remove 7",
	 bh_run_manager_remove},

	{"property list", "[--manager ID]", 0, 0, LIST, PROPERTY_LIST,
	 "Lists properties", NULL,
	 "bellhop property list --manager 7",
	 bh_run_property_list},
	{"property show", "ID", 1, 1, DATA, NULL,
	 "Shows a property", NULL,
	 "bellhop property show 12",
	 bh_run_property_show},
	{"property add", "ID [--name TEXT] [--manager ID]...", 1, 1, DATA, PROPERTY_ADD,
	 "Adds a property under the site's own id",
	 "One that is there already is replaced by what is given.",
	 "bellhop property add 12 --name \"Sea View\" --manager 7 --manager 8",
	 bh_run_property_add},
	{"property set", "ID [--name TEXT] [--manager ID]...", 1, 1, DATA, PROPERTY_SET,
	 "Changes a property; what is not named stays", NULL,
	 "bellhop property set 12 --manager 8",
	 bh_run_property_set},
	{"property remove", "ID", 1, 1, ASKS, NULL,
	 "Removes a property", NULL,
	 "bellhop property remove 12",
	 bh_run_property_remove},

	{"event list", "[--type TYPE] [--property ID]", 0, 0, LIST, EVENT_LIST,
	 "Lists events, newest first", NULL,
	 "bellhop event list --type booking_added --limit 20",
	 bh_run_event_list},
	{"event show", "ID", 1, 1, DATA, NULL,
	 "Shows an event with its data",
	 "Numbers, escapes and names stand as they came in; with --json so does every blank.",
	 "bellhop event show evt_04f2k8m1q7zr0",
	 bh_run_event_show},

	{"event replay", "ID [--webhook ID]", 1, 1, DATA, EVENT_REPLAY,
	 "Decides anew who gets an event, and sends it to them again",
	 "By the webhooks of today: one that was made after the event gets it too. Its id is the same, so that a receiver "
	 "which had it can tell; the timestamp is new.",
	 "bellhop event replay evt_04f2k8m1q7zr0\n"
	 "bellhop event replay evt_04f2k8m1q7zr0 --webhook whk_04f2k8m1q7zr0",
	 bh_run_event_replay},

	{"delivery list", "[--webhook ID] [--event ID] [--state STATE]", 0, 0, LIST, DELIVERY_LIST,
	 "Lists deliveries, newest first", NULL,
	 "bellhop delivery list --state exhausted",
	 bh_run_delivery_list},
	{"delivery show", "ID [--full]", 1, 1, DATA, DELIVERY_SHOW,
	 "Shows a delivery with its attempts",
	 "Attempts that are not spent do not count against the schedule: those the receiver paced with Retry-After, and "
	 "those before a retry by hand. With --json: {\"delivery\":...,\"attempts\":...}, each as the API answers it.",
	 "bellhop delivery show dlv_04f2k8m1q7zr0 --full",
	 bh_run_delivery_show},
	{"delivery retry", "ID [--wait]", 1, 1, WAIT, NULL,
	 "Tries a delivery again now",
	 "It gets all its attempts anew, whether it was exhausted or is waiting.",
	 "bellhop delivery retry dlv_04f2k8m1q7zr0 --wait",
	 bh_run_delivery_retry},
	{"delivery cancel", "ID", 1, 1, DATA, NULL,
	 "Gives a waiting or held delivery up", NULL,
	 "bellhop delivery cancel dlv_04f2k8m1q7zr0",
	 bh_run_delivery_cancel},

	{"recovery list", "[--webhook ID]", 0, 0, LIST, RECOVERY_LIST,
	 "Lists recoveries, newest first", NULL,
	 "bellhop recovery list",
	 bh_run_recovery_list},
	{"recovery show", "ID", 1, 1, DATA, NULL,
	 "Shows how far a recovery is", NULL,
	 "bellhop recovery show rec_04f2k8m1q7zr0",
	 bh_run_recovery_show},
	{"recovery cancel", "ID", 1, 1, DATA, NULL,
	 "Stops a recovery",
	 "What it has sent again by then stays so; the rest stays exhausted.",
	 "bellhop recovery cancel rec_04f2k8m1q7zr0",
	 bh_run_recovery_cancel},

	{"key list", "", 0, 0, LIST, NULL,
	 "Lists the API keys, not the keys themselves", NULL,
	 "bellhop key list",
	 bh_run_key_list},
	{"key add", "--role ROLE [--manager ID] [--name TEXT]", 0, 0, DATA, KEY_ADD,
	 "Makes an API key and shows it, this once", NULL,
	 "bellhop key add --role emit --name shop\n"
	 "bellhop key add --manager 7",
	 bh_run_key_add},
	{"key revoke", "ID", 1, 1, ASKS, NULL,
	 "Revokes an API key; it is refused from now on", NULL,
	 "bellhop key revoke key_04f2k8m1q7zr0",
	 bh_run_key_revoke},

	{"type list", "", 0, 0, LIST, NULL,
	 "Lists the event types that are known", NULL,
	 "bellhop type list",
	 bh_run_type_list},
	{"type show", "TYPE", 1, 1, DATA, NULL,
	 "Shows an event type with its fields and an example", NULL,
	 "bellhop type show booking_added",
	 bh_run_type_show},
	{"type add", "TYPE [--description TEXT] [--field NAME]... [options]", 1, 1, DATA, TYPE_ADD,
	 "Adds an event type of the site",
	 "One of the site's that is there already is replaced by what is given; built-in ones cannot be.",
	 "bellhop type add invoice.paid --group invoice --description \"An invoice was paid\" \\\n"
	 "    --field property_uid --field invoice_uid --example '{\"property_uid\":12,\"invoice_uid\":99}'",
	 bh_run_type_add},
	{"type remove", "TYPE", 1, 1, ASKS, NULL,
	 "Removes an event type of the site", NULL,
	 "bellhop type remove invoice.paid",
	 bh_run_type_remove},

	{"method list", "", 0, 0, LIST, NULL,
	 "Lists the methods, and the files that are broken", NULL,
	 "bellhop method list",
	 bh_run_method_list},
	{"method show", "METHOD", 1, 1, DATA, NULL,
	 "Shows a method with the settings that it takes", NULL,
	 "bellhop method show basic",
	 bh_run_method_show},
	{"method reload", "", 0, 0, DATA, NULL,
	 "Has the methods folder read again",
	 "What has changed counts from the next attempt on. Of a file that is broken the version before it stays at work; "
	 "then the exit code is 1.",
	 "bellhop method reload",
	 bh_run_method_reload},
	{"method check", "FILE | METHOD", 1, 1, BH_PRINTS_DATA, METHOD_CHECK,
	 "Checks a method file: reads it, runs it, looks at its form",
	 "Needs no server. What the engine would refuse is named with its line, and the exit code is 1; what is surely not "
	 "meant, such as a field that nothing looks at, is warned of. METHOD is one of the methods folder.",
	 "bellhop method check acme.lua\n"
	 "bellhop method check basic",
	 bh_run_method_check},
	{"method try", "FILE | METHOD [--set KEY=VALUE]... [--answer ANSWER]... [options]", 1, 1, BH_PRINTS_DATA, METHOD_TRY,
	 "Runs a method with an event and shows every call",
	 "Needs no server and stores nothing. With --answer nothing is sent: the answers are given in their order to the "
	 "calls that the method makes. WITHOUT --answer THE REAL RECEIVER IS CALLED, through the network guard. What is shown "
	 "at the end is what Bellhop would do. Credentials are shown as ***. Exit code 0: delivered or filtered; 1: not.",
	 "bellhop method try basic --url https://hooks.example/b --set basic_username=ada \\\n"
	 "    --set basic_password=@password.txt --answer 401\n"
	 "bellhop method try acme.lua --url https://hooks.example/b --answer timeout\n"
	 "bellhop method try acme.lua --url https://hooks.example/b --answer '429 Retry-After=30'\n"
	 "bellhop method try acme.lua --url http://127.0.0.1:9000/ --allow 127.0.0.1 --event booking_added",
	 bh_run_method_try},

	{"verify", "--secret SECRET [--headers FILE | --id ... --timestamp ... --signature ...] [FILE | -]", 0, 1,
	 BH_PRINTS_DATA, VERIFY,
	 "Checks the signature of a request, and tells which check failed",
	 "FILE is the request's body, byte for byte. Exit code 0: verified; 1: not.",
	 "bellhop verify --secret @secret.txt --headers headers.txt body.json\n"
	 "bellhop verify --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw --id msg_p5jXN8AQM9LWM0D4loKWxJek \\\n"
	 "    --timestamp 1614265330 --signature v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= --no-time-check "
	 "body.json",
	 bh_run_verify},

	{"audit", "", 0, 0, LIST, NULL,
	 "Shows who changed what, when and from where; newest first", NULL,
	 "bellhop audit --limit 20",
	 bh_run_audit},

	{"config", "[--config FILE] [--set NAME=VALUE]...", 0, 0, BH_PRINTS_DATA, CONFIG,
	 "Shows every setting: value, where that comes from, what it does, range",
	 "Read as serve reads them: command line before environment (BELLHOP_<NAME>) before file before default. "
	 "What a running Bellhop was started with is not known here. What is printed is itself a settings file: `bellhop config > bellhop.conf`.",
	 "bellhop config --config /etc/bellhop.conf",
	 bh_run_config},

	{"version", "", 0, 0, BH_PRINTS_DATA, NULL,
	 "Shows the version", NULL,
	 "bellhop version",
	 bh_run_version},

	{"help", "[COMMAND]", 0, 3, 0, HELP,
	 "Shows help on all commands, or on one", NULL,
	 "bellhop help webhook add",
	 bh_run_help},

	{0},
};
/* clang-format on */
