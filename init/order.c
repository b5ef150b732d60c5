#include "init/order.h"

#include "init/limits.h"
#include "lib/base/log.h"
#include "lib/base/time.h"

#include <stdio.h>
#include <string.h>

/* Returns the first service that @svc waits for and that is not cleared, or -1. */
static int first_left(const struct service *svc, const bool *cleared)
{
	for (unsigned i = 0; i < svc->cfg.after_count; i++) {
		const struct service *other = service_find(svc->cfg.after[i]);

		if (other && !cleared[service_index(other)])
			return (int)service_index(other);
	}
	return -1;
}

/*
 * Every service that is left waits for another one that is left. So whoever follows after= long
 * enough from @start walks in a circle; its services are told and refused.
 */
static void refuse_circle(unsigned start, bool *cleared)
{
	static int next[SERVICES_MAX];
	char path[512] = "";
	unsigned at = start;
	size_t len = 0;

	for (unsigned i = 0; i < service_count(); i++)
		next[i] = cleared[i] ? -1 : first_left(service_at(i), cleared);
	for (unsigned i = 0; i < service_count() && next[at] >= 0; i++)
		at = (unsigned)next[at];
	while (!cleared[at] && next[at] >= 0) {
		struct service *svc = service_at(at);

		cleared[at] = true;
		svc->wanted = false;
		service_enter(svc, SVC_FAILED, UINT64_MAX);
		snprintf(svc->what, sizeof(svc->what), "after= goes round in a circle");
		if (len < sizeof(path))
			len += (size_t)snprintf(
				path + len, sizeof(path) - len, "%s after ", svc->cfg.name);
		at = (unsigned)next[at];
	}
	log_error("services in a circle are not started: %s%s", path, service_at(at)->cfg.name);
}

void order_check(void)
{
	static bool cleared[SERVICES_MAX];
	unsigned left = service_count();

	for (unsigned i = 0; i < service_count(); i++)
		for (unsigned k = 0; k < service_at(i)->cfg.after_count; k++)
			if (!service_find(service_at(i)->cfg.after[k]))
				log_warn("%s: after=%s: there is no such service",
					service_at(i)->cfg.name, service_at(i)->cfg.after[k]);
	memset(cleared, 0, sizeof(cleared));
	while (left > 0) {
		unsigned before = left;
		unsigned stuck = 0;

		left = 0;
		for (unsigned i = 0; i < service_count(); i++) {
			const struct service_config *c = &service_at(i)->cfg;
			bool clear = true;

			if (cleared[i])
				continue;
			for (unsigned k = 0; k < c->after_count; k++) {
				struct service *other = service_find(c->after[k]);

				clear = clear && (!other || cleared[service_index(other)]);
			}
			cleared[i] = clear;
			if (!clear) {
				left++;
				stuck = i;
			}
		}
		if (left == before)
			refuse_circle(stuck, cleared);
	}
}

/*
 * A container that waits for nothing is what the machine was booted for, and on few processors all
 * that starts beside it holds it up. So the rest lets it go first, for a moment.
 */
static const struct service *goes_first(const struct service *svc)
{
	if (svc->cfg.container[0] || time_now_ms() >= svc->since_ms + CONTAINERS_FIRST_MS)
		return NULL;
	for (unsigned i = 0; i < service_count(); i++) {
		const struct service *other = service_at(i);

		if (other->cfg.container[0] && other->cfg.after_count == 0 && !other->settled)
			return other;
	}
	return NULL;
}

const char *order_waits_for(const struct service *svc)
{
	const struct service *first = goes_first(svc);

	if (first)
		return first->cfg.name;
	for (unsigned i = 0; i < svc->cfg.after_count; i++) {
		const struct service *other = service_find(svc->cfg.after[i]);

		if (other && !other->settled)
			return other->cfg.name;
	}
	return NULL;
}

bool order_is_needed(const struct service *svc)
{
	for (unsigned i = 0; i < service_count(); i++) {
		const struct service *other = service_at(i);

		if (!service_is_active(other))
			continue;
		for (unsigned k = 0; k < other->cfg.after_count; k++)
			if (strcmp(other->cfg.after[k], svc->cfg.name) == 0)
				return true;
	}
	return false;
}
