/* How a method and its form are shown, whether the API tells of it or its file was read here. */
#pragma once

#include "cli/view.h"

/* `object` is one of GET /v1/methods: its title, notes, what it brings and its fields. */
void bh_method_view(const bh_view *view, const bh_json *json, uint32_t object, GString *out);

/* What it brings, in words: "accepts, transform and deliver". As `words` of a bh_view_row. */
char *bh_method_parts(const bh_view *view, const bh_json *json, uint32_t object);
