#include "runtime/oci/config.h"
#include "runtime/oci/seccomp_names.h"

#include <string.h>

#define AT(member) offsetof(struct config_seccomp, member)
#define RULE(member) offsetof(struct config_seccomp_rule, member)
#define ARG(member) offsetof(struct config_seccomp_arg, member)

/* Errors are small numbers; the kernel's MAX_ERRNO. */
#define ERRNO_MAX 4095

static int check_action(const struct json_at *at, const char *name, struct err *e)
{
	uint32_t code;

	if (seccomp_name_find(SECCOMP_ACTIONS, name, &code) < 0)
		return json_err(at, EINVAL, e, "unknown action \"%s\"", name);
	return 0;
}

static int check_default_action(const struct json_at *at, void *out, struct err *e)
{
	return check_action(at, ((struct config_seccomp *)out)->default_action, e);
}

static int check_rule_action(const struct json_at *at, void *out, struct err *e)
{
	return check_action(at, ((struct config_seccomp_rule *)out)->action_name, e);
}

/* The spec has this an error: an errno nobody would see is a mistake in the profile. */
static int check_errno_is_of_use(const struct json_at *at, const char *action,
	const struct json_opt_u64 *errno_ret, const char *field, struct err *e)
{
	if (!errno_ret->set || strcmp(action, "SCMP_ACT_ERRNO") == 0 ||
		strcmp(action, "SCMP_ACT_TRACE") == 0)
		return 0;
	return json_err(at, EINVAL, e, "%s: %s has no error number", field, action);
}

static int check_errno(const struct json_at *at, void *out, struct err *e)
{
	uint64_t v;

	(void)out;
	return json_u64(at, ERRNO_MAX, &v, e);
}

static int check_op(const struct json_at *at, void *out, struct err *e)
{
	struct config_seccomp_arg *a = out;
	uint32_t op;

	if (seccomp_name_find(SECCOMP_OPERATORS, a->op_name, &op) < 0)
		return json_err(at, EINVAL, e, "unknown operator \"%s\"", a->op_name);
	a->op = (int)op;
	return 0;
}

static const struct json_field arg_fields[] = {
	{"index", JSON_U32, NULL, ARG(index), JSON_REQUIRED},
	{"value", JSON_OPT_U64, NULL, ARG(value), JSON_REQUIRED},
	{"valueTwo", JSON_OPT_U64, NULL, ARG(value_two), 0},
	{"op", JSON_STR, check_op, ARG(op_name), JSON_REQUIRED},
};

static int read_arg(const struct json_at *at, void *out, struct err *e)
{
	const struct config_seccomp_arg *a = out;
	int r = json_object(at, FIELDS(arg_fields), out, e);

	if (r == 0 && a->index > 5)
		return json_err(at, ERANGE, e, "index: a system call has arguments 0 to 5");
	return r;
}

static int read_args(const struct json_at *at, void *out, struct err *e)
{
	struct config_seccomp_rule *rule = out;
	void *items;
	int r = json_array(
		at, sizeof(struct config_seccomp_arg), read_arg, &items, &rule->n_args, e);

	rule->args = r == 0 ? items : NULL;
	return r;
}

static const struct json_field rule_fields[] = {
	{"names", JSON_STRV, NULL, RULE(names), JSON_REQUIRED},
	{"action", JSON_STR, check_rule_action, RULE(action_name), JSON_REQUIRED},
	{"errnoRet", JSON_OPT_U64, check_errno, RULE(errno_ret), 0},
	{"args", JSON_ARRAY, read_args, 0, 0},
};

static int read_rule(const struct json_at *at, void *out, struct err *e)
{
	const struct config_seccomp_rule *rule = out;
	int r = json_object(at, FIELDS(rule_fields), out, e);

	if (r == 0 && rule->names.n == 0)
		return json_err(at, EINVAL, e, "names: expected at least one system call");
	return r < 0 ? r
		     : check_errno_is_of_use(
			       at, rule->action_name, &rule->errno_ret, "errnoRet", e);
}

static int read_rules(const struct json_at *at, void *out, struct err *e)
{
	struct config_seccomp *s = out;
	void *items;
	int r = json_array(
		at, sizeof(struct config_seccomp_rule), read_rule, &items, &s->n_rules, e);

	s->rules = r == 0 ? items : NULL;
	return r;
}

static int check_words(const struct json_at *at, const struct json_strv *words,
	enum seccomp_table table, struct err *e)
{
	uint32_t value;

	for (size_t i = 0; i < words->n; i++) {
		struct json_at item = {.up = at, .index = i, .ctx = at->ctx};

		if (seccomp_name_find(table, words->v[i], &value) < 0)
			return json_err(&item, EINVAL, e, "\"%s\" is not supported", words->v[i]);
	}
	return 0;
}

static int check_flags(const struct json_at *at, void *out, struct err *e)
{
	return check_words(at, &((struct config_seccomp *)out)->flags, SECCOMP_FLAGS, e);
}

static int check_arches(const struct json_at *at, void *out, struct err *e)
{
	return check_words(at, &((struct config_seccomp *)out)->architectures, SECCOMP_ARCHES, e);
}

static const struct json_field seccomp_fields[] = {
	{"defaultAction", JSON_STR, check_default_action, AT(default_action), JSON_REQUIRED},
	{"defaultErrnoRet", JSON_OPT_U64, check_errno, AT(default_errno), 0},
	{"flags", JSON_STRV, check_flags, AT(flags), 0},
	{"listenerPath", JSON_STR, NULL, AT(listener_path), 0},
	{"listenerMetadata", JSON_STR, NULL, AT(listener_metadata), 0},
	{"architectures", JSON_STRV, check_arches, AT(architectures), 0},
	{"syscalls", JSON_ARRAY, read_rules, 0, 0},
};

static bool is_notify(const char *action)
{
	return strcmp(action, "SCMP_ACT_NOTIFY") == 0;
}

static int check_listener(const struct json_at *at, const struct config_seccomp *s, struct err *e)
{
	const char *path = s->listener_path;

	if (s->listener_metadata && !path)
		return json_err(at, EINVAL, e, "listenerMetadata: without listenerPath");
	if (!s->notifies)
		return 0;
	if (!path || path[0] != '/')
		return json_err(at, EINVAL, e,
			"listenerPath: SCMP_ACT_NOTIFY needs the absolute path of a socket");
	return 0;
}

int config_read_seccomp(const struct json_at *at, void *config, struct err *e)
{
	struct config_seccomp *s = &((struct config *)config)->seccomp;
	int r = json_object(at, FIELDS(seccomp_fields), s, e);

	s->val = at->val;
	if (r == 0)
		r = check_errno_is_of_use(
			at, s->default_action, &s->default_errno, "defaultErrnoRet", e);
	if (r < 0)
		return r;
	s->notifies = is_notify(s->default_action);
	for (size_t i = 0; i < s->n_rules; i++)
		s->notifies |= is_notify(s->rules[i].action_name);
	return check_listener(at, s, e);
}
