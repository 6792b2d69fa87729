/* The built-in types as JSON, made from catalogue/jomres.json when Bellhop is built. Only event/catalogue.c reads it. */
#pragma once

/* An array of types, each in the form that bh_event_type_parse reads. */
extern const char bh_built_in_types[];
