// `delete/…`, `undelete/…` and `destroy/…`: what happens to versions by their numbers.
#pragma once

#include "route.h"

extern const route DELETE_ROUTE, UNDELETE_ROUTE, DESTROY_ROUTE;
