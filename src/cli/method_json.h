/* A method that was read here, told as the API tells of one: so that both are shown by the same rows. Pure. */
#pragma once

#include "method/method.h"

/* Appends the object, as GET /v1/methods/{name} has it. */
void bh_method_json_append(const bh_method *method, GString *out);
