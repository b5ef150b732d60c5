#include "runtime/oci/scheduling.h"

#include "runtime/oci/id_list.h"

#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/ioprio.h: IOPRIO_WHO_PROCESS, IOPRIO_CLASS_SHIFT */
enum { IO_WHO_PROCESS = 1, IO_CLASS_SHIFT = 13 };

/* The kernel's struct sched_attr; linux/sched/types.h clashes with sched.h of some libcs. */
struct sched_attr_v1 {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
	uint32_t util_min;
	uint32_t util_max;
};

static bool given(const char *s)
{
	return s && s[0];
}

static int set_memory_policy(const struct config_memory_policy *p, struct err *e)
{
	struct id_list nodes = {0};

	if (!p->given)
		return 0;
	if (p->nodes && id_list_parse(p->nodes, ID_LIST_BITS, &nodes) < 0)
		return err_set(e, EINVAL, "linux.memoryPolicy.nodes: expected a list like 0-3,7");
	/* The kernel takes one off the number of bits. */
	if (syscall(SYS_set_mempolicy, p->mode, nodes.n ? nodes.bits : NULL,
		    nodes.n ? ID_LIST_BITS + 1 : 0) == 0)
		return 0;
	if (errno == ENOSYS)
		return err_set(e, ENOTSUP, "linux.memoryPolicy: this kernel has no NUMA");
	return err_set(e, errno, "linux.memoryPolicy: %s of nodes \"%s\": %s", p->mode_name,
		p->nodes ? p->nodes : "", strerror(errno));
}

static int set_personality(const char *domain, struct err *e)
{
	unsigned long value = PER_LINUX;

	if (!domain)
		return 0;
	if (strcmp(domain, "LINUX32") == 0)
		value = PER_LINUX32;
	return personality(value) < 0 ? err_set(e, errno, "linux.personality.domain: %s: %s",
						domain, strerror(errno))
				      : 0;
}

int scheduling_apply(const struct config *c, const struct config_process *p, struct err *e)
{
	const struct config_scheduler *s = &p->scheduler;
	struct sched_attr_v1 attr = {.size = sizeof(attr),
		.policy = s->policy,
		.flags = s->flags,
		.nice = s->nice,
		.priority = (uint32_t)s->priority,
		.runtime = s->runtime.v,
		.deadline = s->deadline.v,
		.period = s->period.v};
	int r;

	if (s->given && syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
		return err_set(
			e, errno, "process.scheduler: %s: %s", s->policy_name, strerror(errno));
	if (p->io_priority_given && syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0,
					    p->io_class << IO_CLASS_SHIFT | p->io_priority) < 0)
		return err_set(
			e, errno, "process.ioPriority: %s: %s", p->io_class_name, strerror(errno));
	r = set_memory_policy(&c->memory_policy, e);
	return r < 0 ? r : set_personality(c->personality_domain, e);
}

static int set_affinity(
	const struct id_list *cpus, const char *text, const char *field, struct err *e)
{
	if (syscall(SYS_sched_setaffinity, 0, sizeof(cpus->bits), cpus->bits) < 0)
		return err_set(e, errno, "process.execCPUAffinity.%s: %s: %s", field, text,
			strerror(errno));
	return 0;
}

int scheduling_affinity_initial(const struct config_process *p, struct err *e)
{
	struct id_list cpus;

	if (!given(p->affinity_initial))
		return 0;
	if (id_list_parse(p->affinity_initial, ID_LIST_BITS, &cpus) < 0)
		return err_set(e, EINVAL, "process.execCPUAffinity.initial: expected a list");
	return set_affinity(&cpus, p->affinity_initial, "initial", e);
}

int scheduling_affinity_final(const struct config_process *p, struct err *e)
{
	struct id_list cpus;

	if (!p->affinity_given)
		return 0;
	if (!given(p->affinity_final))
		id_list_fill(&cpus);
	else if (id_list_parse(p->affinity_final, ID_LIST_BITS, &cpus) < 0)
		return err_set(e, EINVAL, "process.execCPUAffinity.final: expected a list");
	return set_affinity(
		&cpus, given(p->affinity_final) ? p->affinity_final : "all", "final", e);
}
