/* What says where and when a process runs: scheduler, I/O priority, CPUs, memory nodes. */
#include "runtime/oci/config.h"
#include "runtime/oci/id_list.h"

#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <string.h>

#define AT(member) offsetof(struct config_process, member)
#define POLICY_AT(member)                                                                          \
	(offsetof(struct config, memory_policy) + offsetof(struct config_memory_policy, member))

/* linux/ioprio.h is not in every libc's headers; the numbers are ABI. */
enum { IO_CLASS_RT = 1, IO_CLASS_BE = 2, IO_CLASS_IDLE = 3, IO_PRIORITY_MAX = 7 };

/* linux/mempolicy.h of Linux 6.9; older headers lack it. */
enum { POLICY_WEIGHTED_INTERLEAVE = 6 };

/* linux/sched.h has SCHED_ISO reserved without a number in use. */
enum { POLICY_OTHER = 0, POLICY_FIFO, POLICY_RR, POLICY_BATCH, POLICY_ISO };

int config_find_word(const struct config_word *words, size_t n, const char *name, uint64_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i].name, name) == 0) {
			*ret = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

static const struct config_word policies[] = {
	{"SCHED_OTHER", POLICY_OTHER},
	{"SCHED_FIFO", POLICY_FIFO},
	{"SCHED_RR", POLICY_RR},
	{"SCHED_BATCH", POLICY_BATCH},
	{"SCHED_ISO", POLICY_ISO},
	{"SCHED_IDLE", SCHED_IDLE},
	{"SCHED_DEADLINE", SCHED_DEADLINE},
};

static const struct config_word scheduler_flags[] = {
	{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
	{"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
	{"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
	{"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
	{"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
	{"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
};

static int check_policy(const struct json_at *at, void *out, struct err *e)
{
	struct config_scheduler *s = out;
	uint64_t policy = 0;

	if (config_find_word(FIELDS(policies), s->policy_name, &policy) < 0)
		return json_err(at, EINVAL, e, "unknown policy \"%s\"", s->policy_name);
	if (policy == POLICY_ISO)
		return json_err(at, ENOTSUP, e, "Linux has no SCHED_ISO");
	s->policy = (uint32_t)policy;
	return 0;
}

static int read_scheduler_flags(const struct json_at *at, void *out, struct err *e)
{
	struct config_scheduler *s = out;
	struct json_strv names = {0};
	int r = json_strv(at, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct json_at item = {.up = at, .index = i, .ctx = at->ctx};
		uint64_t flag = 0;

		if (config_find_word(FIELDS(scheduler_flags), names.v[i], &flag) < 0)
			return json_err(&item, EINVAL, e, "unknown flag \"%s\"", names.v[i]);
		/* With 0, which is what would be clamped to, nothing would run. */
		if (flag & (SCHED_FLAG_UTIL_CLAMP_MIN | SCHED_FLAG_UTIL_CLAMP_MAX))
			return json_err(&item, ENOTSUP, e,
				"%s: the specification has no field for its value", names.v[i]);
		s->flags |= flag;
	}
	return r;
}

#define SCHED_AT(member) offsetof(struct config_scheduler, member)

static const struct json_field scheduler_fields[] = {
	{"policy", JSON_STR, check_policy, SCHED_AT(policy_name), JSON_REQUIRED},
	{"nice", JSON_I32, NULL, SCHED_AT(nice), 0},
	{"priority", JSON_I32, NULL, SCHED_AT(priority), 0},
	{"flags", JSON_ARRAY, read_scheduler_flags, 0, 0},
	{"runtime", JSON_OPT_U64, NULL, SCHED_AT(runtime), 0},
	{"deadline", JSON_OPT_U64, NULL, SCHED_AT(deadline), 0},
	{"period", JSON_OPT_U64, NULL, SCHED_AT(period), 0},
};

/* The kernel ignores what is not the policy's: here it is a mistake. */
int config_read_scheduler(const struct json_at *at, void *process, struct err *e)
{
	struct config_scheduler *s = &((struct config_process *)process)->scheduler;
	int r = json_object(at, FIELDS(scheduler_fields), s, e);
	bool real_time = s->policy == POLICY_FIFO || s->policy == POLICY_RR;

	if (r < 0)
		return r;
	s->given = true;
	if (s->nice < -20 || s->nice > 19)
		return json_err(at, ERANGE, e, "nice: expected -20 to 19, got %d", s->nice);
	if (real_time ? s->priority < 1 || s->priority > 99 : s->priority != 0)
		return json_err(at, ERANGE, e, "priority: expected %s for %s, got %d",
			real_time ? "1 to 99" : "0", s->policy_name, s->priority);
	if (s->policy == SCHED_DEADLINE ? !s->runtime.v || !s->deadline.v
					: s->runtime.v || s->deadline.v || s->period.v)
		return json_err(at, EINVAL, e,
			"runtime: runtime and deadline go with SCHED_DEADLINE, and only with it");
	return 0;
}

static const struct config_word io_classes[] = {
	{"IOPRIO_CLASS_RT", IO_CLASS_RT},
	{"IOPRIO_CLASS_BE", IO_CLASS_BE},
	{"IOPRIO_CLASS_IDLE", IO_CLASS_IDLE},
};

static int check_io_class(const struct json_at *at, void *out, struct err *e)
{
	struct config_process *p = out;
	uint64_t class = 0;

	if (config_find_word(FIELDS(io_classes), p->io_class_name, &class) < 0)
		return json_err(at, EINVAL, e, "unknown class \"%s\"", p->io_class_name);
	p->io_class = (int)class;
	return 0;
}

static const struct json_field io_fields[] = {
	{"class", JSON_STR, check_io_class, AT(io_class_name), JSON_REQUIRED},
	{"priority", JSON_I32, NULL, AT(io_priority), 0},
};

int config_read_io_priority(const struct json_at *at, void *process, struct err *e)
{
	struct config_process *p = process;
	int r = json_object(at, FIELDS(io_fields), p, e);

	p->io_priority_given = true;
	if (r == 0 && (p->io_priority < 0 || p->io_priority > IO_PRIORITY_MAX))
		return json_err(at, ERANGE, e, "priority: expected 0 to %d", IO_PRIORITY_MAX);
	return r;
}

static int check_list(const struct json_at *at, const char *text, struct err *e)
{
	struct id_list list;

	return id_list_parse(text, ID_LIST_BITS, &list) < 0
		       ? json_err(at, EINVAL, e, "expected a list like 0-3,7, got \"%s\"", text)
		       : 0;
}

static int check_initial(const struct json_at *at, void *out, struct err *e)
{
	return check_list(at, ((struct config_process *)out)->affinity_initial, e);
}

static int check_final(const struct json_at *at, void *out, struct err *e)
{
	return check_list(at, ((struct config_process *)out)->affinity_final, e);
}

static const struct json_field affinity_fields[] = {
	{"initial", JSON_STR, check_initial, AT(affinity_initial), 0},
	{"final", JSON_STR, check_final, AT(affinity_final), 0},
};

int config_read_affinity(const struct json_at *at, void *process, struct err *e)
{
	struct config_process *p = process;
	int r = json_object(at, FIELDS(affinity_fields), p, e);

	p->affinity_given = (p->affinity_initial && p->affinity_initial[0]) ||
			    (p->affinity_final && p->affinity_final[0]);
	return r;
}

static const struct config_word modes[] = {
	{"MPOL_DEFAULT", MPOL_DEFAULT},
	{"MPOL_PREFERRED", MPOL_PREFERRED},
	{"MPOL_BIND", MPOL_BIND},
	{"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
	{"MPOL_LOCAL", MPOL_LOCAL},
	{"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY},
	{"MPOL_WEIGHTED_INTERLEAVE", POLICY_WEIGHTED_INTERLEAVE},
};

static const struct config_word mode_flags[] = {
	{"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING},
	{"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
	{"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
};

static int check_mode(const struct json_at *at, void *out, struct err *e)
{
	struct config_memory_policy *p = &((struct config *)out)->memory_policy;
	uint64_t mode = 0;

	if (config_find_word(FIELDS(modes), p->mode_name, &mode) < 0)
		return json_err(at, EINVAL, e, "unknown mode \"%s\"", p->mode_name);
	p->mode |= mode;
	return 0;
}

static int read_mode_flags(const struct json_at *at, void *out, struct err *e)
{
	struct config_memory_policy *p = &((struct config *)out)->memory_policy;
	struct json_strv names = {0};
	int r = json_strv(at, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct json_at item = {.up = at, .index = i, .ctx = at->ctx};
		uint64_t flag = 0;

		if (config_find_word(FIELDS(mode_flags), names.v[i], &flag) < 0)
			return json_err(&item, EINVAL, e, "unknown flag \"%s\"", names.v[i]);
		p->mode |= flag;
	}
	return r;
}

static int check_nodes(const struct json_at *at, void *out, struct err *e)
{
	return check_list(at, ((struct config *)out)->memory_policy.nodes, e);
}

static const struct json_field policy_fields[] = {
	{"mode", JSON_STR, check_mode, POLICY_AT(mode_name), JSON_REQUIRED},
	{"nodes", JSON_STR, check_nodes, POLICY_AT(nodes), 0},
	{"flags", JSON_ARRAY, read_mode_flags, 0, 0},
};

int config_read_memory_policy(const struct json_at *at, void *config, struct err *e)
{
	struct config *c = config;

	c->memory_policy.given = true;
	return json_object(at, FIELDS(policy_fields), c, e);
}
