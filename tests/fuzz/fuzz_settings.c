/*
 * What an owner sends as settings. What is taken opens, is shown without a password, and what is shown can be sent back and changes
 * nothing; a field that does not count is nothing to the script.
 */
#include "base/error.h"
#include "method/field.h"
#include "method/forms.h"
#include "method/method_file.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char FORM[] =
	"return { title = 'F', deliver = function() end, fields = {\n"
	" { key = 'n', format = 'notes', title = 'N' },\n"
	" { key = 'u', format = 'url', title = 'U' },\n"
	" { key = 's', format = 'select', title = 'S', options = { 'a', 'b' }, default = 'a' },\n"
	" { key = 'p', format = 'password', title = 'P', trim = true, pattern = '(%w+)%-.-%d?', when = { field = 's', is = 'b' } },\n"
	" { key = 'b', format = 'boolean', title = 'B' },\n"
	" { key = 'i', format = 'integer', title = 'I', min = -5, max = 500, when = { field = 'b', is = true } },\n"
	" { key = 't', format = 'input', title = 'T', trim = true, when = { field = 'i', is = { 1, 2 } } },\n"
	" { key = 'd', format = 'input', title = 'D', default = 'x', when = { field = 't', is = 'x' } },\n"
	" { key = 'a', format = 'area', title = 'A', pattern = '[^<]*' },\n"
	" { key = 'h', format = 'html', title = 'H' },\n"
	" { key = 'q', format = 'password', title = 'Q' }\n"
	"} }";

static bh_method *method;
static bh_sealer *sealer;
static bh_guard *guard;

static void set_up(void)
{
	g_autoptr(GBytes) source = g_bytes_new_static(FORM, sizeof FORM - 1);
	g_autoptr(GError) error = NULL;

	g_setenv("BELLHOP_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", TRUE);
	method = bh_method_read("f", "f.lua", source, &error);
	g_assert_no_error(error);
	sealer = bh_sealer_open("", &error);
	g_assert_no_error(error);
	guard = bh_guard_new(NULL, NULL, false, &error);
	g_assert_no_error(error);
}

static char *store(bh_span given, const char *stored)
{
	g_autofree char *pointer = NULL;
	g_autoptr(GError) error = NULL;
	char *result = bh_settings_store(method, given, stored, sealer, guard, &pointer, &error);

	g_assert_true((result == NULL) == (error != NULL) && (result == NULL) == (pointer != NULL));
	return result;
}

static void assert_texts_agree(const bh_value *value, const char *settings)
{
	g_autofree char *text = bh_settings_text(method, value->field, settings);
	if (value->kind == BH_VALUE_TEXT)
		g_assert_cmpstr(text, ==, value->text);
	else
		g_assert_null(text);
}

static void assert_opens(const char *stored, const char *shown)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) values = bh_settings_open(method, stored, sealer, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(values->len, ==, method->fields->len);
	for (guint i = 0; i < values->len; i++) {
		const bh_value *value = &g_array_index(values, bh_value, i);
		if (value->field->format != BH_FIELD_PASSWORD)
			assert_texts_agree(value, stored);
		if (value->kind != BH_VALUE_SECRET)
			continue;
		bh_span password = bh_secret_bytes(value->secret);
		g_assert_true(!value->field->pattern || bh_pattern_matches(value->field->pattern, password.at));
	}
	g_assert_null(strstr(shown, "{\"sealed\"")); /* inside a text the quotes are escaped */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!method)
		set_up();
	g_autofree char *stored = store((bh_span){(const char *)data, size}, NULL);
	if (!stored)
		return 0;
	g_autofree char *shown = bh_settings_masked(method, stored);
	assert_opens(stored, shown);

	g_autofree char *again = store(bh_span_of(shown), stored);
	g_assert_cmpstr(again, ==, stored);
	g_autofree char *nothing = store(bh_span_of("{}"), stored);
	g_assert_cmpstr(nothing, ==, stored);
	return 0;
}
