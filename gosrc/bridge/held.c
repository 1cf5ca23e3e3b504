/* One counter for all servers of the process; see exchange.h. */
#include "exchange.h"

int64_t turbo_held;
