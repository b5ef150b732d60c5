/* From a method and a path to a handler. */
#ifndef SAMPAN_API_ROUTER_H
#define SAMPAN_API_ROUTER_H

#include "runtime/api/call.h"

struct route {
	const char *method;
	const char
		*pattern; /* "/containers/{id}/json"; the last {name} of "{name*}" takes slashes */
	call_handler handler; /* NULL: known to the API and not served; 501 names it */
	int min_minor;	      /* the API version that brought it; 0: all */
};

/*
 * Match @path, without the version, against @pattern.
 * @path: cut up in place where it matches
 * Returns 1 with @params filled, or 0.
 */
int route_match(const char *pattern, char *path, char *params[static CALL_PARAMS_MAX]);

/*
 * Take the version off a path: "/v1.41/info" → "/info" and 41.
 * @ret_minor: API_MINOR_MAX when there is none
 * Returns where the rest starts, or NULL with @e filled for a version that is not served.
 */
char *route_version(char *path, int *ret_minor, struct err *e);

/* Find the route of the request in @c and run it; every error is answered. */
void route_call(const struct route *routes, size_t n, struct call *c);

#endif
