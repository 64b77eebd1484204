// `metadata/…`: what is known of a key besides its data, and the list of keys.
#pragma once

#include "route.h"

extern const route METADATA_ROUTE;
