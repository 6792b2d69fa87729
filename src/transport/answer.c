/*
 * What comes back, as libcurl hands it over piece by piece, and at the end what it amounts to.
 *
 * Interim answers (1xx) are read and dropped: each status line begins anew. A whole head of a final answer is an answer,
 * whatever becomes of its body.
 */
#include "transport/internal.h"

#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* All heads of one exchange together, interim ones too; libcurl itself takes 300 KiB of one head. */
#define HEAD_READ_MAX (256 * 1024)

#define LOCATION_MAX 2048
#define CONTROL_MAX 64

/* Buffers of an unusually long answer are not kept for the next. */
#define BUFFER_KEPT_MAX 4096

static void forget_head(bh_answer *a)
{
	g_string_truncate(a->head, 0);
	g_clear_pointer(&a->location, g_free);
	g_clear_pointer(&a->control, g_free);
	a->has_retry_after = false;
	a->retry_after = 0;
}

/* The user may have stolen the buffers of the answer before, or they are too large to keep. */
void bh_answer_begin(bh_transfer *x)
{
	bh_answer *a = &x->answer;
	GString *head = a->head ? a->head : g_string_sized_new(512);
	GByteArray *body = a->body ? a->body : g_byte_array_new();

	*a = (bh_answer){
		.head = head, .body = body, .dns = -1, .connect = -1, .tls = -1, .first_byte = -1, .total = -1};
	x->status_line = 0;
	x->head_complete = false;
	x->head_bytes = x->body_bytes = 0;
}

void bh_answer_discard(bh_transfer *x)
{
	bh_answer *a = &x->answer;

	g_clear_pointer(&a->location, g_free);
	g_clear_pointer(&a->control, g_free);
	if (a->head && a->head->allocated_len > BUFFER_KEPT_MAX)
		g_string_free(g_steal_pointer(&a->head), true);
	else if (a->head)
		g_string_truncate(a->head, 0);
	if (a->body && a->body->len > BUFFER_KEPT_MAX)
		g_clear_pointer(&a->body, g_byte_array_unref);
	else if (a->body)
		g_byte_array_set_size(a->body, 0);
}

/* --- Head ------------------------------------------------------------------------------------- */

static bh_span strip(bh_span s)
{
	while (s.size > 0 && g_ascii_isspace(s.at[s.size - 1]))
		s.size--;
	while (s.size > 0 && g_ascii_isspace(*s.at)) {
		s.at++;
		s.size--;
	}
	return s;
}

static bool begins(bh_span s, const char *text)
{
	size_t size = strlen(text);

	return s.size >= size && g_ascii_strncasecmp(s.at, text, size) == 0;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200". False: no status that means anything. */
static bool read_status_line(bh_transfer *x, bh_span line)
{
	bh_answer *a = &x->answer;
	const char *blank = memchr(line.at, ' ', line.size);

	if (!begins(line, "HTTP/") || !blank)
		return false;
	bh_span version = {line.at + 5, (size_t)(blank - line.at) - 5};
	bh_span rest = strip((bh_span){blank, line.size - (size_t)(blank - line.at)});
	if (version.size >= sizeof a->http_version || rest.size < 3)
		return false;
	int status = 0;
	for (size_t i = 0; i < 3; i++) {
		if (!g_ascii_isdigit(rest.at[i]))
			return false;
		status = status * 10 + (rest.at[i] - '0');
	}
	if (status < 100)
		return false;

	forget_head(a);
	x->status_line = status;
	memcpy(a->http_version, version.at, version.size);
	a->http_version[version.size] = '\0';
	return true;
}

static char *text_of(bh_span value, size_t most)
{
	return g_utf8_make_valid(value.at, (gssize)MIN(value.size, most));
}

static void take_retry_after(bh_transfer *x, bh_span value)
{
	g_autofree char *text = g_strndup(value.at, MIN(value.size, 64));

	x->answer.has_retry_after = bh_retry_after_parse(text, x->transport->now.wall, &x->answer.retry_after);
}

/* Of a header that comes twice the first counts. */
static void notice(bh_transfer *x, bh_span line)
{
	bh_answer *a = &x->answer;
	const char *colon = memchr(line.at, ':', line.size);

	if (!colon)
		return;
	bh_span name = {line.at, (size_t)(colon - line.at)};
	bh_span value = strip((bh_span){colon + 1, line.size - name.size - 1});
	if (name.size == 11 && begins(name, "Retry-After") && !a->has_retry_after)
		take_retry_after(x, value);
	else if (name.size == 8 && begins(name, "Location") && !a->location)
		a->location = text_of(value, LOCATION_MAX);
	else if (name.size == 16 && begins(name, "webhook-delivery") && !a->control)
		a->control = text_of(value, CONTROL_MAX);
}

static void keep(GString *head, bh_span line)
{
	if (head->len + line.size + 1 > BH_ANSWER_HEADERS_MAX)
		return;
	g_string_append_len(head, line.at, (gssize)line.size);
	g_string_append_c(head, '\n');
}

static void end_head(bh_transfer *x)
{
	if (x->status_line < 200 && x->status_line != 101)
		x->status_line = 0; /* interim: the next status line is awaited */
	else
		x->head_complete = true;
}

/* One line of a head, also of a trailer. Anything but `size` stops the transfer. */
size_t bh_answer_read_header(char *line, size_t one, size_t size, void *transfer)
{
	bh_transfer *x = transfer;
	bh_span text = {line, size};

	x->head_bytes += size;
	if (x->head_bytes > HEAD_READ_MAX)
		return 0;
	if (x->head_complete)
		return size; /* a trailer: not part of the head */
	while (text.size > 0 && (text.at[text.size - 1] == '\n' || text.at[text.size - 1] == '\r'))
		text.size--;
	if (!x->status_line)
		return read_status_line(x, text) ? size : 0;
	if (text.size == 0) {
		end_head(x);
		return size;
	}
	notice(x, text);
	keep(x->answer.head, text);
	return size;
}

/* --- Body --------------------------------------------------------------------------------------- */

size_t bh_answer_read_body(char *bytes, size_t one, size_t size, void *transfer)
{
	bh_transfer *x = transfer;
	bh_answer *a = &x->answer;
	size_t kept = MIN(size, BH_ANSWER_KEPT_MAX - a->body->len);

	if (kept > 0)
		g_byte_array_append(a->body, (const guint8 *)bytes, (guint)kept);
	if (kept < size)
		a->body_cut = true;
	x->body_bytes += size;
	return x->body_bytes > BH_ANSWER_READ_MAX ? 0 : size;
}

/* --- What libcurl left unread ------------------------------------------------------------------- */

/* The line that begins `rest`, and moves past it; false: it has no end. */
static bool next_line(bh_span *rest, bh_span *ret_line)
{
	const char *end = memchr(rest->at, '\n', rest->size);

	if (!end)
		return false;
	*ret_line = (bh_span){rest->at, (size_t)(end - rest->at) + 1};
	rest->at += ret_line->size;
	rest->size -= ret_line->size;
	return true;
}

static bool is_chunked(const bh_answer *a)
{
	g_autofree char *head = g_ascii_strdown(a->head->str, (gssize)a->head->len);

	return strstr(head, "transfer-encoding:") != NULL;
}

static void rescue(bh_transfer *x, const char *bytes, size_t size)
{
	bh_span rest = {bytes, size}, line;

	while (!x->head_complete && next_line(&rest, &line))
		if (bh_answer_read_header((char *)line.at, 1, line.size, x) != line.size)
			return;
	if (x->head_complete && !is_chunked(&x->answer))
		(void)bh_answer_read_body((char *)rest.at, 1, rest.size, x);
}

/*
 * A receiver that refuses by the headers alone answers and closes while a large body is still going out. libcurl
 * then fails to write and gives up, though the answer lies in the socket's queue: it is read from there.
 */
void bh_answer_rescue(bh_transfer *x, int fd)
{
	char bytes[BH_ANSWER_HEADERS_MAX];
	ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (size > 0)
		rescue(x, bytes, (size_t)size);
}

/*
 * The same over TLS, where libcurl has thrown the session away by the time it lets go of the socket. So with a body that does
 * not go out in one piece it asks here, on the way and once more when it is done with the transfer.
 */
int bh_answer_look_early(void *transfer, curl_off_t down, curl_off_t downloaded, curl_off_t up, curl_off_t uploaded)
{
	bh_transfer *x = transfer;
	char bytes[BH_ANSWER_HEADERS_MAX];

	if (x->stage != BH_STAGE_EXCHANGE || x->head_bytes > 0 || x->http2 || !x->route->target.https)
		return 0;
	struct pollfd torn = {.fd = x->fd, .events = POLLIN};
	if (x->fd < 0 || poll(&torn, 1, 0) < 1 || !(torn.revents & (POLLERR | POLLHUP)))
		return 0;
	SSL *ssl = bh_tls_of(x);
	if (!ssl)
		return 0;
	/* libcurl's own way to the socket only works in its own calls. */
	SSL_set0_rbio(ssl, BIO_new_socket(x->fd, BIO_NOCLOSE));
	int size = SSL_read(ssl, bytes, sizeof bytes);
	ERR_clear_error();
	if (size > 0)
		rescue(x, bytes, (size_t)size);
	return x->head_complete ? 1 : 0; /* nothing more can be sent anyway */
}

/* --- The end ------------------------------------------------------------------------------------- */

static bh_usec moment(const bh_transfer *x, CURLINFO info)
{
	curl_off_t at = 0;

	curl_easy_getinfo(x->easy, info, &at);
	return at > 0 ? x->before + (bh_usec)at : -1;
}

static void measure(bh_transfer *x)
{
	bh_answer *a = &x->answer;
	long new_connections = 0;

	a->total = bh_mono_since(x->transport->now.mono, x->started);
	if (x->stage < BH_STAGE_START)
		return; /* libcurl would tell of the handle's last request */
	curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &new_connections);
	if (new_connections > 0 || x->stage < BH_STAGE_EXCHANGE) {
		a->dns = x->resolved;
		a->connect = moment(x, CURLINFO_CONNECT_TIME_T);
		a->tls = x->route->target.https ? moment(x, CURLINFO_APPCONNECT_TIME_T) : -1;
	}
	if (x->head_complete)
		a->first_byte = moment(x, CURLINFO_STARTTRANSFER_TIME_T);
	/* libcurl only measures to the last thing it saw; whatever we stopped took until now. */
	a->total = MAX(moment(x, CURLINFO_TOTAL_TIME_T), a->total);
}

static void write_address(char *ret, size_t size, const char *ip, unsigned port)
{
	g_snprintf(ret, size, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, port);
}

/* The address that was reached, else the last one that was tried. */
static void name_address(bh_transfer *x)
{
	char tried[BH_ADDRESS_TEXT_SIZE];
	char *ip = NULL;
	long port = 0;

	if (!x->transport->proxy && x->stage >= BH_STAGE_START) /* a proxy's address tells nothing of the receiver */
		curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_IP, &ip);
	curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_PORT, &port);
	if (ip && *ip)
		write_address(x->answer.address, sizeof x->answer.address, ip, (unsigned)port);
	else if (x->opened)
		write_address(x->answer.address, sizeof x->answer.address, bh_address_text(&x->address, tried),
			      x->port);
}

void bh_answer_conclude(bh_transfer *x, CURLcode code)
{
	bh_answer *a = &x->answer;

	measure(x);
	name_address(x);
	if (!x->head_complete) {
		forget_head(a);
		g_byte_array_set_size(a->body, 0);
		a->http_version[0] = '\0';
		x->route->endpoint->turn_of_address++;
		bh_failure_explain(x, code);
		return;
	}
	a->status = x->status_line;
	bh_endpoint_learn(x->route->endpoint, x);
	if (code != CURLE_OK)
		a->body_cut = true; /* torn, timed out, or stopped by us at the limit */
	if (a->status < 300 || a->status > 399)
		g_clear_pointer(&a->location, g_free);
}
