#include "runtime/oci/seccomp.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/seccomp_cache.h"
#include "runtime/oci/seccomp_names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t action_code(const char *name, const struct json_opt_u64 *errno_ret)
{
	uint16_t number = (uint16_t)(errno_ret->set ? errno_ret->v : EPERM);
	uint32_t code = SCMP_ACT_KILL_PROCESS;

	/* config_read_seccomp() let no other name through; the start value is the safe answer. */
	(void)seccomp_name_find(SECCOMP_ACTIONS, name, &code);
	if (code == SCMP_ACT_ERRNO(0))
		return SCMP_ACT_ERRNO(number);
	if (code == SCMP_ACT_TRACE(0))
		return SCMP_ACT_TRACE(number);
	return code;
}

static struct scmp_arg_cmp arg_cmp(const struct config_seccomp_arg *a)
{
	return (struct scmp_arg_cmp){.arg = a->index,
		.op = (enum scmp_compare)a->op,
		.datum_a = a->value.v,
		.datum_b = a->value_two.v};
}

/* One rule cannot compare one argument twice: then each comparison is a rule of its own (any of
 * them suffices), as runc has it. Otherwise all must hold. */
static int add_syscall(
	scmp_filter_ctx ctx, uint32_t action, int nr, const struct config_seccomp_rule *rule)
{
	struct scmp_arg_cmp cmps[6];
	unsigned used = 0;
	unsigned n = 0;
	int r = 0;

	for (size_t i = 0; i < rule->n_args; i++) {
		if (used & 1U << rule->args[i].index)
			n = UINT32_MAX;
		used |= 1U << rule->args[i].index;
	}
	if (n == 0) {
		for (; n < rule->n_args; n++)
			cmps[n] = arg_cmp(&rule->args[n]);
		return seccomp_rule_add_array(ctx, action, nr, n, cmps);
	}
	for (size_t i = 0; r == 0 && i < rule->n_args; i++) {
		cmps[0] = arg_cmp(&rule->args[i]);
		r = seccomp_rule_add_array(ctx, action, nr, 1, cmps);
	}
	return r;
}

/* Names of calls that libseccomp does not know, as far as one line holds them. */
struct unknown {
	char names[ERR_MSG_MAX / 2];
	size_t len;
};

static void note_unknown(struct unknown *u, const char *name)
{
	int n = snprintf(
		u->names + u->len, sizeof(u->names) - u->len, "%s%s", u->len ? ", " : "", name);

	/* One that does not fit leaves the line as it was. */
	if (n > 0 && (size_t)n < sizeof(u->names) - u->len)
		u->len += (size_t)n;
	else
		u->names[u->len] = '\0';
}

static int add_rule(scmp_filter_ctx ctx, uint32_t default_action,
	const struct config_seccomp_rule *rule, size_t index, struct unknown *u, struct err *e)
{
	uint32_t action = action_code(rule->action_name, &rule->errno_ret);

	if (action == default_action)
		return 0;
	for (size_t i = 0; i < rule->names.n; i++) {
		int nr = seccomp_syscall_resolve_name(rule->names.v[i]);
		int r;

		/* A profile names the calls of all kernels and machines; one that does not exist
		 * here cannot be called either. */
		if (nr == __NR_SCMP_ERROR) {
			note_unknown(u, rule->names.v[i]);
			continue;
		}
		r = add_syscall(ctx, action, nr, rule);
		if (r < 0 && r != -EDOM)
			return err_set(e, -r, "linux.seccomp.syscalls[%zu].names[%zu]: %s: %s",
				index, i, rule->names.v[i], strerror(-r));
	}
	return 0;
}

static int add_everything(
	scmp_filter_ctx ctx, const struct config_seccomp *s, struct unknown *u, struct err *e)
{
	uint32_t default_action = action_code(s->default_action, &s->default_errno);
	int r = 0;

	for (size_t i = 0; i < s->architectures.n; i++) {
		uint32_t arch = 0;

		r = seccomp_name_find(SECCOMP_ARCHES, s->architectures.v[i], &arch);
		if (r == 0)
			r = seccomp_arch_add(ctx, arch);
		if (r < 0 && r != -EEXIST)
			return err_set(e, -r, "linux.seccomp.architectures[%zu]: %s: %s", i,
				s->architectures.v[i], strerror(-r));
	}
	for (size_t i = 0; i < s->n_rules; i++) {
		r = add_rule(ctx, default_action, &s->rules[i], i, u, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Read the program out of a file that holds it whole from its current position on. */
int seccomp_read_program(int fd, struct seccomp_filter *ret)
{
	const size_t size = sizeof(struct sock_filter);
	off_t start = lseek(fd, 0, SEEK_CUR);
	struct sock_filter *insns;
	struct stat st;
	size_t bytes;

	if (start < 0 || fstat(fd, &st) < 0)
		return -errno;
	bytes = st.st_size < start ? 0 : (size_t)(st.st_size - start);
	if (bytes == 0 || bytes % size || bytes / size > OCI_SECCOMP_INSNS_MAX)
		return -EBADMSG;
	insns = malloc(bytes);
	if (!insns)
		return -ENOMEM;
	if (io_read_all(fd, insns, bytes) != (ssize_t)bytes) {
		free(insns);
		return -EBADMSG;
	}
	ret->insns = insns;
	ret->n = bytes / size;
	return 0;
}

static int compile(const struct config_seccomp *s, void (*warn)(const char *fmt, ...),
	struct seccomp_filter *ret, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(action_code(s->default_action, &s->default_errno));
	AUTO_CLOSE int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct unknown unknown = {.len = 0};
	int r;

	if (!ctx || fd < 0) {
		seccomp_release(ctx);
		return err_set(e, ENOMEM, "linux.seccomp: out of memory");
	}
	r = add_everything(ctx, s, &unknown, e);
	if (r == 0) {
		r = seccomp_export_bpf(ctx, fd);
		if (r == 0)
			r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : seccomp_read_program(fd, ret);
		if (r < 0)
			err_set(e, -r, "linux.seccomp: compile the filter: %s", strerror(-r));
	}
	seccomp_release(ctx);
	if (r == 0 && unknown.len && warn)
		warn("linux.seccomp.syscalls: unknown here, skipped: %s", unknown.names);
	return r;
}

int seccomp_write_program(int workfd, int dirfd, const char *name, const char *head,
	size_t head_len, const struct seccomp_filter *f)
{
	AUTO_CLOSE int fd = -1;
	char part[64];
	int r;

	snprintf(part, sizeof(part), "%.32s.part", name);
	fd = openat(workfd, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, head, head_len);
	if (r == 0)
		r = io_write_all(fd, f->insns, f->n * sizeof(*f->insns));
	if (r == 0 && renameat(workfd, part, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(workfd, part, 0);
	return r;
}

int seccomp_build(const struct config_seccomp *s, int cachefd, int workfd,
	void (*warn)(const char *fmt, ...), struct seccomp_filter *ret, struct err *e)
{
	struct seccomp_cache_key key = {0};
	int r;

	*ret = (struct seccomp_filter){0};
	if (!s->val)
		return 0;
	for (size_t i = 0; i < s->flags.n; i++) {
		uint32_t flag = 0;

		if (seccomp_name_find(SECCOMP_FLAGS, s->flags.v[i], &flag) == 0)
			ret->flags |= flag;
	}
	if (cachefd >= 0 && seccomp_cache_key(s, &key) == 0 &&
		seccomp_cache_read(cachefd, &key, ret) == 0) {
		free(key.text);
		return 0;
	}
	r = compile(s, warn, ret, e);
	/* A full or read-only file system costs the next container a compilation. */
	if (r == 0 && key.text)
		(void)seccomp_cache_write(cachefd, workfd, &key, ret);
	free(key.text);
	return r;
}

int seccomp_save(const struct seccomp_filter *f, int dirfd, const char *name, struct err *e)
{
	int r = seccomp_write_program(
		dirfd, dirfd, name, (const char *)&f->flags, sizeof(f->flags), f);

	return r < 0 ? err_set(e, -r, "write %s: %s", name, strerror(-r)) : 0;
}

int seccomp_restore(struct seccomp_filter *f, int dirfd, const char *name, struct err *e)
{
	AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	*f = (struct seccomp_filter){0};
	if (fd < 0)
		return errno == ENOENT ? 0
				       : err_set(e, errno, "open %s: %s", name, strerror(errno));
	r = io_read_all(fd, &f->flags, sizeof(f->flags)) == sizeof(f->flags)
		    ? seccomp_read_program(fd, f)
		    : -EBADMSG;
	return r < 0 ? err_set(e, -r, "read %s: %s", name, strerror(-r)) : 0;
}

int seccomp_load_filter(const struct seccomp_filter *f, bool listen)
{
	struct sock_fprog prog = {.len = (unsigned short)f->n, .filter = f->insns};
	unsigned flags = f->flags;
	long r;

	if (!f->insns)
		return 0;
	/* The container's process has one thread. A second one is there to send the listener and
	 * must not get the filter; the kernel refuses the pair too. */
	if (listen)
		flags = (flags & ~SECCOMP_FILTER_FLAG_TSYNC) | SECCOMP_FILTER_FLAG_NEW_LISTENER;
	else
		flags &= ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	return r < 0 ? -errno : (int)r;
}

void seccomp_filter_free(struct seccomp_filter *f)
{
	free(f->insns);
	*f = (struct seccomp_filter){0};
}
