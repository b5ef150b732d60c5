#include "runtime/oci/config.h"
#include "runtime/oci/lsm.h"
#include "runtime/oci/netdev.h"
#include "runtime/oci/sysctl.h"

#include <linux/mount.h>
#include <string.h>

static bool given(const char *s)
{
	return s && s[0];
}

/* What has no meaning on cgroup v2 or is not there yet, refused by its name. */
int config_check_resources(const struct config_resources *res, struct err *e)
{
	const char *bad = NULL;
	bool swap_limited = res->memory_swap.set && res->memory_swap.v > 0;

	if (res->memory_kernel.set && res->memory_kernel.v > 0)
		bad = "memory.kernel: cgroup v2 has no such limit";
	else if (res->memory_kernel_tcp.set && res->memory_kernel_tcp.v > 0)
		bad = "memory.kernelTCP: cgroup v2 has no such limit";
	else if (res->memory_swappiness.set)
		bad = "memory.swappiness: cgroup v2 has no such setting";
	else if (res->memory_disable_oom_killer)
		bad = "memory.disableOOMKiller: cgroup v2 cannot disable it";
	else if (swap_limited && (!res->memory_limit.set || res->memory_limit.v <= 0))
		bad = "memory.swap: needs memory.limit, of which it is the sum";
	else if (swap_limited && res->memory_swap.v < res->memory_limit.v)
		bad = "memory.swap: is memory and swap together, and below memory.limit";
	else if ((res->cpu_rt_period.set && res->cpu_rt_period.v) ||
		 (res->cpu_rt_runtime.set && res->cpu_rt_runtime.v))
		bad = "cpu.realtimeRuntime: cgroup v2 has no such limit";
	else if (res->io_leaf_weight.set && res->io_leaf_weight.v)
		bad = "blockIO.leafWeight: cgroup v2 has no such setting";
	else if (res->net_class_id.set && res->net_class_id.v)
		bad = "network.classID: cgroup v2 has no such setting";
	else if (res->net_priorities)
		bad = "network.priorities: cgroup v2 has no such setting";
	if (bad)
		return err_set(e, EINVAL, "linux.resources.%s", bad);
	for (size_t i = 0; i < res->io_weights.n; i++) {
		const struct config_io_rate *w = &res->io_weights.v[i];

		if (w->leaf_weight.v)
			return err_set(e, EINVAL,
				"linux.resources.blockIO.weightDevice[%zu].leafWeight: cgroup v2 "
				"has no such setting",
				i);
		if (!w->weight.set)
			return err_set(e, EINVAL,
				"linux.resources.blockIO.weightDevice[%zu].weight: missing", i);
	}
	for (size_t i = 0; i < res->unified.n; i++) {
		const char *key = res->unified.v[i].key;

		/* The key becomes a file's name in the container's cgroup, nothing else. */
		if (!strchr(key, '.') || strchr(key, '/') || key[0] == '.' ||
			strncmp(key, "cgroup.", 7) == 0)
			return err_set(e, EINVAL,
				"linux.resources.unified.%s: expected a controller's file", key);
	}
	return 0;
}

/* Is @id inside one of the ranges? */
static bool mapped(const struct config_id_maps *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++) {
		if (id >= maps->v[i].container && id - maps->v[i].container < maps->v[i].size)
			return true;
	}
	return false;
}

static int check_namespaces(const struct config *c, struct err *e)
{
	const struct config_ns *user = &c->ns[NS_USER];
	const bool new_user = user->given && !user->path;
	const char *bad = NULL;

	if (!c->ns[NS_MOUNT].given)
		bad = "linux.namespaces: a mount namespace is required";
	else if (c->ns[NS_MOUNT].path)
		bad = "linux.namespaces: a container cannot be made inside an existing mount "
		      "namespace";
	else if (new_user && (c->uid_maps.n == 0 || c->gid_maps.n == 0))
		bad = "linux.uidMappings: a new user namespace needs uid and gid mappings";
	else if (!new_user && (c->uid_maps.n || c->gid_maps.n))
		bad = "linux.uidMappings: mappings without a new user namespace";
	else if (new_user && (!mapped(&c->uid_maps, 0) || !mapped(&c->gid_maps, 0)))
		bad = "linux.uidMappings: the container's id 0 must be mapped";
	else if (new_user && !mapped(&c->uid_maps, c->process.uid))
		bad = "process.user.uid: is not mapped by linux.uidMappings";
	else if (new_user && !mapped(&c->gid_maps, c->process.gid))
		bad = "process.user.gid: is not mapped by linux.gidMappings";
	else if ((c->boottime.given || c->monotonic.given) &&
		 (!c->ns[NS_TIME].given || c->ns[NS_TIME].path))
		bad = "linux.timeOffsets: offsets without a new time namespace";
	else if (given(c->hostname) && !c->ns[NS_UTS].given)
		bad = "hostname: would change the host's name without a uts namespace";
	else if (given(c->domainname) && !c->ns[NS_UTS].given)
		bad = "domainname: would change the host's name without a uts namespace";
	return bad ? err_set(e, EINVAL, "%s", bad) : 0;
}

int config_check_process(const struct config_process *p, const char *path, struct err *e)
{
	if (!given(p->cwd) || p->cwd[0] != '/')
		return err_set(e, EINVAL, "%s.cwd: expected an absolute path", path);
	if (p->args.n == 0 || !given(p->args.v[0]))
		return err_set(e, EINVAL, "%s.args: expected a program to run", path);
	for (size_t i = 0; i < p->env.n; i++) {
		if (!strchr(p->env.v[i], '='))
			return err_set(e, EINVAL, "%s.env[%zu]: expected NAME=value, got \"%s\"",
				path, i, p->env.v[i]);
	}
	if (given(p->selinux_label) && !lsm_has_selinux())
		return err_set(e, ENOTSUP,
			"%s.selinuxLabel: SELinux is not available in this kernel", path);
	return 0;
}

/* The thread that hands the listener on shares the processor with one that must not sleep. */
static int check_notify(const struct config *c, struct err *e)
{
	const struct config_scheduler *s = &c->process.scheduler;

	if (!c->seccomp.notifies || !s->given ||
		(strcmp(s->policy_name, "SCHED_FIFO") != 0 &&
			strcmp(s->policy_name, "SCHED_DEADLINE") != 0))
		return 0;
	return err_set(e, ENOTSUP, "process.scheduler.policy: %s does not go with SCMP_ACT_NOTIFY",
		s->policy_name);
}

int config_check(const struct config *c, struct err *e)
{
	int r;

	if (strncmp(c->oci_version, "1.", 2) != 0)
		return err_set(e, ENOTSUP, "ociVersion: expected 1.x, got \"%s\"", c->oci_version);
	if (!c->root_given || !given(c->root_path))
		return err_set(e, EINVAL, "root.path: missing");
	if (!c->process.given)
		return err_set(e, EINVAL, "process: missing");
	if (!c->linux_given)
		return err_set(e, EINVAL, "linux: missing, a container needs namespaces");
	r = config_check_process(&c->process, "process", e);
	if (r == 0)
		r = check_namespaces(c, e);
	if (r == 0)
		r = config_check_mounts(c, e);
	if (r == 0)
		r = config_check_resources(&c->resources, e);
	if (r == 0)
		r = sysctl_check(c, e);
	if (r == 0)
		r = netdev_check(c, e);
	if (r == 0)
		r = check_notify(c, e);
	if (r < 0)
		return r;
	if (given(c->mount_label) && !lsm_has_selinux())
		return err_set(
			e, ENOTSUP, "linux.mountLabel: SELinux is not available in this kernel");
	if (c->intel_rdt)
		return err_set(e, ENOTSUP, "linux.intelRdt: is not supported");
	return 0;
}
