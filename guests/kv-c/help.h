// The help texts, in OpenBao's shape.
#pragma once

#include "route.h"

// Of one path, or of the mount itself where there is none.
void answer_help(call *it, const route *of, size_t count, const route *const all[]);
