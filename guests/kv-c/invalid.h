// Every other path: mostly clients that take the mount for a store without versions, so they are told the way.
#pragma once

#include "route.h"

// It matches whatever the others have not.
extern const route INVALID_ROUTE;
