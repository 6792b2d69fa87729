#pragma once

#include "api/call.h"

/* Does the header tell in one way only where the request ends? False: the call is answered, and the connection ends. */
bool bh_framing_check(bh_call *call);
