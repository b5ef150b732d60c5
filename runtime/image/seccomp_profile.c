#include "runtime/image/seccomp_profile.h"

#include "runtime/image/document.h"

#include <stdio.h>
#include <string.h>

/* The profile as it stands in the tree; the build runs in the top directory. */
__asm__(".pushsection .rodata\n"
	"sampan_seccomp_profile:\n"
	".incbin \"runtime/image/seccomp-default.json\"\n"
	"sampan_seccomp_profile_end:\n"
	".byte 0\n"
	".popsection\n");
extern const char sampan_seccomp_profile[] __attribute__((visibility("hidden")));
extern const char sampan_seccomp_profile_end[] __attribute__((visibility("hidden")));

const char *seccomp_profile_default(size_t *ret_len)
{
	*ret_len = (size_t)(sampan_seccomp_profile_end - sampan_seccomp_profile);
	return sampan_seccomp_profile;
}

/* moby's names of architectures in conditions; libseccomp's name of the native one. */
static const struct {
	const char *go;
	const char *scmp;
} architectures[] = {
	{"amd64", "SCMP_ARCH_X86_64"},
	{"arm64", "SCMP_ARCH_AARCH64"},
};

static int list_has(yyjson_val *list, const char *s)
{
	yyjson_val *v;
	size_t i, n;

	yyjson_arr_foreach (list, i, n, v) {
		if (yyjson_equals_str(v, s))
			return 1;
	}
	return 0;
}

static int has_cap(const struct seccomp_target *t, yyjson_val *cap)
{
	for (size_t i = 0; i < t->n_caps; i++) {
		if (yyjson_equals_str(cap, t->caps[i]))
			return 1;
	}
	return 0;
}

/* Whether the target's kernel is at least "4.8". Returns -EINVAL for what is no version. */
static int kernel_at_least(const struct seccomp_target *t, yyjson_val *v)
{
	unsigned major, minor;
	char end;

	if (!yyjson_is_str(v) || sscanf(yyjson_get_str(v), "%u.%u%c", &major, &minor, &end) != 2)
		return -EINVAL;
	return t->kernel_major > major || (t->kernel_major == major && t->kernel_minor >= minor);
}

/*
 * Whether a condition holds: as "includes" all of it (architecture listed, every capability there,
 * kernel new enough), as "excludes" any of it.
 * Returns 1, 0, or -EINVAL for a condition that we do not know.
 */
static int condition_holds(const struct seccomp_target *t, yyjson_val *cond, int includes)
{
	yyjson_val *key, *v, *cap;
	size_t i, n, j, m;
	int any = 0;

	/* No condition is always met, and never excludes. yyjson's loops take no NULL. */
	if (!cond || yyjson_is_null(cond))
		return includes;
	if (!yyjson_is_obj(cond))
		return -EINVAL;
	yyjson_obj_foreach (cond, i, n, key, v) {
		int met = includes;

		if (yyjson_equals_str(key, "arches") && yyjson_is_arr(v)) {
			met = list_has(v, t->architecture);
		} else if (yyjson_equals_str(key, "caps") && yyjson_is_arr(v)) {
			yyjson_arr_foreach (v, j, m, cap) {
				if (has_cap(t, cap) != includes)
					met = !includes;
			}
		} else if (yyjson_equals_str(key, "minKernel")) {
			met = kernel_at_least(t, v);
		} else {
			return -EINVAL;
		}
		if (met < 0)
			return met;
		if (includes && !met)
			return 0;
		any |= met;
	}
	return includes ? 1 : any;
}

/* Copy one rule without its conditions. */
static yyjson_mut_val *copy_rule(yyjson_val *rule, yyjson_mut_doc *doc)
{
	static const char *const keys[] = {"names", "action", "errnoRet", "args"};
	yyjson_mut_val *out = yyjson_mut_obj(doc);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		yyjson_val *v = yyjson_obj_get(rule, keys[i]);

		if (v && !yyjson_is_null(v) &&
			!yyjson_mut_obj_add_val(doc, out, keys[i], yyjson_val_mut_copy(doc, v)))
			return NULL;
	}
	return out;
}

static int add_rules(yyjson_val *rules, const struct seccomp_target *t, yyjson_mut_doc *doc,
	yyjson_mut_val *out, struct err *e)
{
	yyjson_val *rule;
	size_t i, n;

	yyjson_arr_foreach (rules, i, n, rule) {
		int in = condition_holds(t, yyjson_obj_get(rule, "includes"), 1);
		int ex = condition_holds(t, yyjson_obj_get(rule, "excludes"), 0);

		if (in < 0 || ex < 0)
			return err_set(
				e, EINVAL, "seccomp profile: syscalls[%zu]: unknown condition", i);
		if (in && !ex && !yyjson_mut_arr_append(out, copy_rule(rule, doc)))
			return err_set(e, ENOMEM, "seccomp profile: out of memory");
	}
	return 0;
}

/*
 * Only the native architecture, not moby's sub-architectures: Sampan's kernel runs no program of
 * theirs, and the filter is a third as long to compile, load and attach.
 */
static int add_architecture(yyjson_val *map, const struct seccomp_target *t, yyjson_mut_doc *doc,
	yyjson_mut_val *out, struct err *e)
{
	const char *native = NULL;
	yyjson_val *entry;
	size_t i, n;

	for (size_t a = 0; a < sizeof(architectures) / sizeof(architectures[0]); a++) {
		if (strcmp(architectures[a].go, t->architecture) == 0)
			native = architectures[a].scmp;
	}
	yyjson_arr_foreach (map, i, n, entry) {
		if (!native || !yyjson_equals_str(yyjson_obj_get(entry, "architecture"), native))
			continue;
		yyjson_mut_arr_add_str(doc, out, native);
		return 0;
	}
	return err_set(e, ENOTSUP, "seccomp profile: archMap: nothing for %s", t->architecture);
}

yyjson_mut_val *seccomp_profile_resolve(const char *profile, size_t len,
	const struct seccomp_target *target, yyjson_mut_doc *doc, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_obj(doc);
	yyjson_mut_val *arches = yyjson_mut_arr(doc);
	yyjson_mut_val *rules = yyjson_mut_arr(doc);
	struct document in;
	yyjson_val *action, *ret, *map, *list;
	int r = document_parse_copy(&in, profile, len, "seccomp profile", e);

	if (r < 0)
		return NULL;
	action = yyjson_obj_get(in.root.val, "defaultAction");
	ret = yyjson_obj_get(in.root.val, "defaultErrnoRet");
	map = yyjson_obj_get(in.root.val, "archMap");
	list = yyjson_obj_get(in.root.val, "syscalls");
	if (!yyjson_is_str(action) || !yyjson_is_arr(map) || !yyjson_is_arr(list))
		r = err_set(e, EINVAL,
			"seccomp profile: defaultAction, archMap or syscalls is missing");
	if (r == 0)
		r = add_architecture(map, target, doc, arches, e);
	if (r == 0)
		r = add_rules(list, target, doc, rules, e);
	if (r == 0) {
		yyjson_mut_obj_add_val(doc, out, "defaultAction", yyjson_val_mut_copy(doc, action));
		if (ret)
			yyjson_mut_obj_add_val(
				doc, out, "defaultErrnoRet", yyjson_val_mut_copy(doc, ret));
		yyjson_mut_obj_add_val(doc, out, "architectures", arches);
		yyjson_mut_obj_add_val(doc, out, "syscalls", rules);
	}
	document_free(&in);
	return r < 0 ? NULL : out;
}
