#include "runtime/oci/creds.h"

#include "runtime/oci/names.h"

#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(effective >> 32 * i);
		data[i].permitted = (uint32_t)(permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int get_permitted(uint64_t *ret)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	*ret = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return 0;
}

int creds_limit_bounding(const struct config_caps *caps)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (caps->bounding & 1ULL << cap)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		/* The kernel ends the list. A set that already lacks it (nested, without
		 * CAP_SETPCAP) is as good as dropped. */
		if (errno == EINVAL)
			return 0;
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
			return -EPERM;
	}
	return 0;
}

int creds_set_ids(const struct config_process *p, struct err *e)
{
	uint64_t permitted = 0;
	int r;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "process.user: keep capabilities: %s", strerror(errno));
	/* A user namespace may have been made with setgroups denied: fine as long as there is
	 * nothing to set. */
	if (setgroups(p->n_gids, p->gids) < 0 && (p->n_gids || errno != EPERM))
		return err_set(e, errno, "process.user.additionalGids: %s", strerror(errno));
	if (setresgid(p->gid, p->gid, p->gid) < 0)
		return err_set(e, errno, "process.user.gid: %u: %s", p->gid, strerror(errno));
	if (setresuid(p->uid, p->uid, p->uid) < 0)
		return err_set(e, errno, "process.user.uid: %u: %s", p->uid, strerror(errno));
	r = get_permitted(&permitted);
	if (r == 0)
		r = set_caps(permitted, permitted, 0);
	return r < 0 ? err_set(e, -r, "process.user: keep capabilities: %s", strerror(-r)) : 0;
}

struct config_caps creds_fit(const struct config_caps *wanted, uint64_t have)
{
	struct config_caps fit = *wanted;

	fit.bounding &= have;
	fit.permitted &= have;
	fit.effective &= fit.permitted;
	fit.inheritable &= fit.bounding;
	fit.ambient &= fit.permitted & fit.inheritable;
	return fit;
}

uint64_t creds_own(void)
{
	uint64_t have = 0;

	return get_permitted(&have) < 0 ? UINT64_MAX : have;
}

int creds_set_caps(const struct config_caps *caps, struct err *e)
{
	struct config_caps fit;
	uint64_t have = 0;
	int r = get_permitted(&have);

	fit = creds_fit(caps, have);
	if (r == 0)
		r = set_caps(fit.effective, fit.permitted, fit.inheritable);
	if (r < 0)
		return err_set(e, -r, "process.capabilities: %s", strerror(-r));
	for (int cap = 0; cap < CAP_NAMES_N; cap++) {
		if (!(fit.ambient & 1ULL << cap))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return err_set(e, errno, "process.capabilities.ambient: %s: %s",
				name_of_cap(cap), strerror(errno));
	}
	return 0;
}
