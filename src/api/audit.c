/* /v1/audit: who changed what, when and from where. */
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"

static void write_line(GString *out, const bh_audit *line)
{
	bh_out_open(out, NULL, '{');
	bh_out_int(out, "id", line->id);
	bh_out_time(out, "at", line->at);
	bh_out_text(out, "who", line->who);
	bh_out_text(out, "from", line->from);
	bh_out_text(out, "what", line->what);
	bh_out_close(out, '}');
}

void bh_list_audit(bh_call *call)
{
	g_auto(bh_page) page = {0};
	g_autoptr(GError) error = NULL;
	bh_reader *reader;

	if (!bh_page_read(call, &page) || !(reader = bh_call_reader(call)))
		return;
	g_autoptr(GPtrArray) lines = bh_reader_audit(reader, page.number, page.limit + 1, &error);
	if (!lines) {
		bh_reply_error(call, error);
		return;
	}

	GString *out = bh_page_open();
	const bh_audit *last = NULL;
	for (guint i = 0; i < lines->len && i < page.limit; i++) {
		last = g_ptr_array_index(lines, i);
		write_line(out, last);
	}
	bh_page_close_at(call, out, lines->len > page.limit ? last->id : 0);
}
