#include "runtime/oci/config.h"
#include "runtime/oci/names.h"

#include <limits.h>
#include <string.h>

#define AT(member) offsetof(struct config_process, member)

static const struct json_field console_fields[] = {
	{"height", JSON_OPT_U64, NULL, AT(rows), JSON_REQUIRED},
	{"width", JSON_OPT_U64, NULL, AT(columns), JSON_REQUIRED},
};

static int read_console_size(const struct json_at *at, void *out, struct err *e)
{
	const struct config_process *p = out;
	int r = json_object(at, FIELDS(console_fields), out, e);

	if (r == 0 && (p->rows.v > USHRT_MAX || p->columns.v > USHRT_MAX))
		return json_err(at, ERANGE, e, "expected at most %d rows and columns", USHRT_MAX);
	return r;
}

static int read_gid(const struct json_at *at, void *out, struct err *e)
{
	uint64_t gid;
	int r = json_u64(at, UINT32_MAX - 1, &gid, e);

	if (r == 0)
		*(uint32_t *)out = (uint32_t)gid;
	return r;
}

static int read_gids(const struct json_at *at, void *out, struct err *e)
{
	struct config_process *p = out;
	void *items;
	int r = json_array(at, sizeof(uint32_t), read_gid, &items, &p->n_gids, e);

	p->gids = r == 0 ? items : NULL;
	return r;
}

static int check_umask(const struct json_at *at, void *out, struct err *e)
{
	const struct config_process *p = out;

	return p->umask.v <= 0777 ? 0 : json_err(at, ERANGE, e, "expected at most 511 (octal 777)");
}

/* To setresuid(2) the last number means "as it is", which is root. */
static int check_uid(const struct json_at *at, void *out, struct err *e)
{
	const struct config_process *p = out;

	return p->uid < UINT32_MAX ? 0 : json_err(at, ERANGE, e, "4294967295 is nobody's number");
}

static int check_gid(const struct json_at *at, void *out, struct err *e)
{
	const struct config_process *p = out;

	return p->gid < UINT32_MAX ? 0 : json_err(at, ERANGE, e, "4294967295 is nobody's number");
}

static const struct json_field user_fields[] = {
	{"uid", JSON_U32, check_uid, AT(uid), 0}, {"gid", JSON_U32, check_gid, AT(gid), 0},
	{"umask", JSON_OPT_U64, check_umask, AT(umask), 0},
	{"additionalGids", JSON_ARRAY, read_gids, 0, 0},
	{"username", JSON_IGNORE, NULL, 0, 0}, /* for Windows */
};

static int read_user(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(user_fields), out, e);
}

/* Which of the five sets: @offset of the uint64_t in struct config_caps, by the array's key. */
static const struct config_word cap_sets[] = {
	{"bounding", offsetof(struct config_caps, bounding)},
	{"effective", offsetof(struct config_caps, effective)},
	{"inheritable", offsetof(struct config_caps, inheritable)},
	{"permitted", offsetof(struct config_caps, permitted)},
	{"ambient", offsetof(struct config_caps, ambient)},
};

void config_note_unknown_cap(struct config_caps *caps, const char *name)
{
	for (size_t i = 0; i < caps->n_unknown; i++) {
		if (strcmp(caps->unknown[i], name) == 0)
			return;
	}
	if (caps->n_unknown < CONFIG_UNKNOWN_CAPS_MAX)
		caps->unknown[caps->n_unknown++] = name;
}

static int read_cap_set(const struct json_at *at, void *out, struct err *e)
{
	struct json_strv names = {0};
	uint64_t offset = 0;
	uint64_t set = 0;
	int r = json_strv(at, &names, e);

	/* The spec has a runtime warn of what it does not know, and go on. */
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		int cap = name_cap(names.v[i]);

		if (cap < 0)
			config_note_unknown_cap(out, names.v[i]);
		else
			set |= 1ULL << cap;
	}
	if (r == 0 && config_find_word(FIELDS(cap_sets), at->key, &offset) == 0)
		memcpy((char *)out + offset, &set, sizeof(set));
	return r;
}

static const struct json_field caps_fields[] = {
	{"bounding", JSON_ARRAY, read_cap_set, 0, 0},
	{"effective", JSON_ARRAY, read_cap_set, 0, 0},
	{"inheritable", JSON_ARRAY, read_cap_set, 0, 0},
	{"permitted", JSON_ARRAY, read_cap_set, 0, 0},
	{"ambient", JSON_ARRAY, read_cap_set, 0, 0},
};

static int read_caps(const struct json_at *at, void *out, struct err *e)
{
	struct config_process *p = out;

	p->caps.given = true;
	return json_object(at, FIELDS(caps_fields), &p->caps, e);
}

static int check_rlimit(const struct json_at *at, void *out, struct err *e)
{
	struct config_rlimit *l = out;

	l->resource = name_rlimit(l->name);
	if (l->resource < 0)
		return json_err(at, EINVAL, e, "unknown limit \"%s\"", l->name);
	return 0;
}

static const struct json_field rlimit_fields[] = {
	{"type", JSON_STR, check_rlimit, offsetof(struct config_rlimit, name), JSON_REQUIRED},
	{"soft", JSON_OPT_U64, NULL, offsetof(struct config_rlimit, soft), JSON_REQUIRED},
	{"hard", JSON_OPT_U64, NULL, offsetof(struct config_rlimit, hard), JSON_REQUIRED},
};

static int read_rlimit(const struct json_at *at, void *out, struct err *e)
{
	const struct config_rlimit *l = out;
	int r = json_object(at, FIELDS(rlimit_fields), out, e);

	if (r == 0 && l->soft.v > l->hard.v)
		return json_err(at, EINVAL, e, "%s: the soft limit is above the hard one", l->name);
	return r;
}

static int read_rlimits(const struct json_at *at, void *out, struct err *e)
{
	struct config_process *p = out;
	void *items;
	int r = json_array(at, sizeof(struct config_rlimit), read_rlimit, &items, &p->n_rlimits, e);

	if (r < 0)
		return r;
	p->rlimits = items;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		for (size_t k = 0; k < i; k++) {
			if (p->rlimits[i].resource == p->rlimits[k].resource)
				return json_err(
					at, EINVAL, e, "%s stands twice", p->rlimits[i].name);
		}
	}
	return 0;
}

static int check_oom(const struct json_at *at, void *out, struct err *e)
{
	const struct config_process *p = out;

	if (p->oom_score_adj.v < -1000 || p->oom_score_adj.v > 1000)
		return json_err(at, ERANGE, e, "expected -1000 to 1000, got %lld",
			(long long)p->oom_score_adj.v);
	return 0;
}

static const struct json_field process_fields[] = {
	{"terminal", JSON_BOOL, NULL, AT(terminal), 0},
	{"consoleSize", JSON_OBJECT, read_console_size, 0, 0},
	{"user", JSON_OBJECT, read_user, 0, 0},
	{"args", JSON_STRV, NULL, AT(args), 0},
	{"commandLine", JSON_IGNORE, NULL, 0, 0}, /* for Windows */
	{"env", JSON_STRV, NULL, AT(env), 0},
	{"cwd", JSON_STR, NULL, AT(cwd), JSON_REQUIRED},
	{"capabilities", JSON_OBJECT, read_caps, 0, 0},
	{"rlimits", JSON_ARRAY, read_rlimits, 0, 0},
	{"noNewPrivileges", JSON_BOOL, NULL, AT(no_new_privs), 0},
	{"oomScoreAdj", JSON_OPT_I64, check_oom, AT(oom_score_adj), 0},
	{"scheduler", JSON_OBJECT, config_read_scheduler, 0, 0},
	{"ioPriority", JSON_OBJECT, config_read_io_priority, 0, 0},
	{"apparmorProfile", JSON_STR, NULL, AT(apparmor_profile), 0},
	{"selinuxLabel", JSON_STR, NULL, AT(selinux_label), 0},
	{"execCPUAffinity", JSON_OBJECT, config_read_affinity, 0, 0},
};

int config_read_process(const struct json_at *at, void *process, struct err *e)
{
	struct config_process *p = process;

	p->given = true;
	return json_object(at, FIELDS(process_fields), p, e);
}
