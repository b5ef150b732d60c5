#include "runtime/oci/resources.h"

#include <string.h>

/* The members whose 0 or "" says "as it was". */
static const char *const unset_when_empty[] = {"limit", "reservation", "swap", "kernel",
	"kernelTCP", "shares", "quota", "period", "realtimeRuntime", "realtimePeriod", "cpus",
	"mems", "weight", "leafWeight"};

static bool is_unset(const char *key, yyjson_val *val)
{
	if (yyjson_is_null(val) || (yyjson_is_arr(val) && yyjson_arr_size(val) == 0))
		return true;
	if (!yyjson_equals_str(val, "") && !(yyjson_is_int(val) && yyjson_get_uint(val) == 0))
		return false;
	for (size_t i = 0; i < sizeof(unset_when_empty) / sizeof(unset_when_empty[0]); i++) {
		if (strcmp(key, unset_when_empty[i]) == 0)
			return true;
	}
	return false;
}

static void merge_object(
	yyjson_mut_doc *doc, yyjson_mut_val *base, yyjson_val *change, unsigned depth)
{
	size_t i;
	size_t n;
	yyjson_val *key;
	yyjson_val *val;

	yyjson_obj_foreach (change, i, n, key, val) {
		const char *name = yyjson_get_str(key);
		yyjson_mut_val *old = yyjson_mut_obj_get(base, name);

		if (is_unset(name, val))
			continue;
		/* Sections and the devices of "rdma"; nothing in the specification is deeper. */
		if (yyjson_is_obj(val) && depth < 3) {
			if (!yyjson_mut_is_obj(old)) {
				old = yyjson_mut_obj(doc);
				yyjson_mut_obj_put(base, yyjson_val_mut_copy(doc, key), old);
			}
			merge_object(doc, old, val, depth + 1);
			continue;
		}
		yyjson_mut_obj_put(
			base, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, val));
	}
}

void resources_merge(yyjson_mut_doc *doc, yyjson_mut_val *base, yyjson_val *change)
{
	yyjson_val *memory = yyjson_obj_get(change, "memory");
	yyjson_val *swap = yyjson_obj_get(memory, "swap");

	merge_object(doc, base, change, 0);
	if (yyjson_get_sint(yyjson_obj_get(memory, "limit")) == -1 &&
		(!swap || is_unset("swap", swap)))
		yyjson_mut_obj_put(yyjson_mut_obj_get(base, "memory"), yyjson_mut_str(doc, "swap"),
			yyjson_mut_sint(doc, -1));
}

struct config_resources resources_to_write(
	const struct config_resources *change, const struct config_resources *merged)
{
	struct config_resources w = *change;

	w.memory_check_before_update = merged->memory_check_before_update;
	if (change->memory_limit.v || change->memory_swap.v) {
		w.memory_limit = merged->memory_limit;
		w.memory_swap = merged->memory_swap;
	}
	if (change->cpu_quota.v || change->cpu_period.v || change->cpu_burst.set) {
		w.cpu_quota = merged->cpu_quota;
		w.cpu_period = merged->cpu_period;
		w.cpu_burst = merged->cpu_burst;
	}
	if (change->cpu_shares.v || change->cpu_idle.set) {
		w.cpu_shares = merged->cpu_shares;
		w.cpu_idle = merged->cpu_idle;
	}
	return w;
}
