// `subkeys/…`: the names inside a secret, without the values.
#pragma once

#include "route.h"

extern const route SUBKEYS_ROUTE;
