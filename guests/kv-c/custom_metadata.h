// The texts that people attach to a key: what is allowed, and how they are changed.
#pragma once

#include "record.h"

// The texts before with the given ones over them; in a patch, `null` removes one. Tells everything that is wrong at once.
bool notes_changed(call *it, const note *before, const json *given, bool is_patch, note **after);
