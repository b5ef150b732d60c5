#include "runtime/api/mounts.h"

#include "runtime/engine/mountpoints.h"
#include "runtime/engine/spec.h"

#include <string.h>

yyjson_mut_val *mounts_shown(yyjson_mut_doc *doc, const struct container *c)
{
	/* Docker's order; those without @always are left out when there is none. */
	static const struct {
		const char *key;
		bool always;
	} members[] = {{"Type", true}, {"Name", false}, {"Source", true}, {"Destination", true},
		{"Driver", false}, {"Mode", true}, {"RW", true}, {"Propagation", true}};
	yyjson_mut_val *out = yyjson_mut_arr(doc);
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp) {
		yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, out);

		for (size_t k = 0; k < sizeof(members) / sizeof(members[0]); k++) {
			yyjson_val *val = yyjson_obj_get(mp, members[k].key);

			if (val)
				yyjson_mut_obj_add_val(
					doc, o, members[k].key, yyjson_val_mut_copy(doc, val));
			else if (members[k].always)
				yyjson_mut_obj_add_str(doc, o, members[k].key, "");
		}
	}
	return out;
}

bool mounts_have(const struct container *c, const char *value)
{
	static const char *const keys[] = {"Name", "Source", "Destination"};
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp)
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			if (strcmp(spec_str(mp, keys[k]), value) == 0)
				return true;
	return false;
}
