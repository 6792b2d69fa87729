#include "base/error.h"

G_DEFINE_QUARK(bh - error - quark, bh_error)
