#include "runtime/oci/cgroup.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes of one line for a cgroup file */
#define LINE_BYTES 256

/* Version 1: 2 to 262144, default 1024. Version 2: 1 to 10000, default 100. The line through the
 * ends, as every runtime draws it. */
uint64_t cgroup_cpu_weight(uint64_t shares)
{
	if (shares == 0)
		return 0;
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (shares - 2) * 9999 / 262142;
}

/* Version 1: 10 to 1000. Version 2: 1 to 10000. */
uint64_t cgroup_io_weight(uint64_t blkio_weight)
{
	if (blkio_weight == 0)
		return 0;
	if (blkio_weight < 10)
		blkio_weight = 10;
	if (blkio_weight > 1000)
		blkio_weight = 1000;
	return 1 + (blkio_weight - 10) * 9999 / 990;
}

/* Where the limits go, and what was there. */
struct limits {
	int fd;
	struct cgroup_undo *undo; /* or NULL */
};

static int put_raw(const struct limits *l, const char *file, const char *text)
{
	int r = cgroup_undo_note(l->undo, l->fd, file, text);

	return r < 0 ? r : io_write_file_at(l->fd, file, text);
}

static int put(const struct limits *l, const char *file, const char *text, const char *field,
	struct err *e)
{
	int r = put_raw(l, file, text);

	if (r == -ENOENT)
		return err_set(e, ENOENT,
			"linux.resources.%s: the cgroup has no %s: its controller is not available",
			field, file);
	return r < 0 ? err_set(e, -r, "linux.resources.%s: write \"%s\" to %s: %s", field, text,
			       file, strerror(-r))
		     : 0;
}

static int put_u64(
	const struct limits *l, const char *file, uint64_t v, const char *field, struct err *e)
{
	char line[LINE_BYTES];

	snprintf(line, sizeof(line), "%" PRIu64, v);
	return put(l, file, line, field, e);
}

/* Version 1 says "no limit" with -1. */
static int put_i64(
	const struct limits *l, const char *file, int64_t v, const char *field, struct err *e)
{
	return v < 0 ? put(l, file, "max", field, e) : put_u64(l, file, (uint64_t)v, field, e);
}

static int set_memory(const struct limits *l, const struct config_resources *res, struct err *e)
{
	int r = 0;

	/* 0 is how engines say "not set". */
	if (res->memory_limit.set && res->memory_limit.v)
		r = put_i64(l, "memory.max", res->memory_limit.v, "memory.limit", e);
	if (r == 0 && res->memory_reservation.set && res->memory_reservation.v)
		r = put_i64(l, "memory.low", res->memory_reservation.v, "memory.reservation", e);
	if (r == 0 && res->memory_swap.set && res->memory_swap.v) {
		int64_t swap = res->memory_swap.v;

		r = put_i64(l, "memory.swap.max", swap < 0 ? -1 : swap - res->memory_limit.v,
			"memory.swap", e);
		/* Without swap in the kernel there is nothing to limit. */
		if (r == -ENOENT && faccessat(l->fd, "memory.max", F_OK, 0) == 0)
			r = 0;
	}
	return r;
}

static int note_weight(const struct limits *l, struct err *e)
{
	int r = cgroup_undo_note(l->undo, l->fd, "cpu.weight", "");

	return r < 0 ? err_set(e, -r, "linux.resources.cpu.idle: read cpu.weight: %s", strerror(-r))
		     : 0;
}

static int set_cpu(const struct limits *l, const struct config_resources *res, struct err *e)
{
	char line[LINE_BYTES];
	uint64_t weight = res->cpu_shares.set ? cgroup_cpu_weight(res->cpu_shares.v) : 0;
	int r = 0;

	/* Idle first: a weight cannot be given to an idle cgroup, and leaving idle resets it. */
	if (res->cpu_idle.set)
		r = note_weight(l, e);
	if (r == 0 && res->cpu_idle.set)
		r = put_i64(l, "cpu.idle", res->cpu_idle.v, "cpu.idle", e);
	if (r == 0 && weight && !(res->cpu_idle.set && res->cpu_idle.v))
		r = put_u64(l, "cpu.weight", weight, "cpu.shares", e);
	/* A burst above the quota is refused. The old one may be above the new quota and the new
	 * one above the old quota: this write serves the first case, the one below the second. */
	if (r == 0 && res->cpu_burst.set) {
		snprintf(line, sizeof(line), "%" PRIu64, res->cpu_burst.v);
		(void)put_raw(l, "cpu.max.burst", line);
	}
	if (r == 0 && ((res->cpu_quota.set && res->cpu_quota.v) || res->cpu_period.v)) {
		uint64_t period = res->cpu_period.v ? res->cpu_period.v : 100000;

		if (res->cpu_quota.set && res->cpu_quota.v > 0)
			snprintf(line, sizeof(line), "%" PRId64 " %" PRIu64, res->cpu_quota.v,
				period);
		else
			snprintf(line, sizeof(line), "max %" PRIu64, period);
		r = put(l, "cpu.max", line, "cpu.quota", e);
	}
	if (r == 0 && res->cpu_burst.set)
		r = put_u64(l, "cpu.max.burst", res->cpu_burst.v, "cpu.burst", e);
	if (r == 0 && res->cpu_cpus && res->cpu_cpus[0])
		r = put(l, "cpuset.cpus", res->cpu_cpus, "cpu.cpus", e);
	if (r == 0 && res->cpu_mems && res->cpu_mems[0])
		r = put(l, "cpuset.mems", res->cpu_mems, "cpu.mems", e);
	return r;
}

static int set_io_weight(
	const struct limits *l, uint64_t v1, const char *dev, const char *field, struct err *e)
{
	char line[LINE_BYTES];
	int r;

	/* BFQ kept version 1's scale; io.weight has that of version 2. */
	snprintf(line, sizeof(line), "%s %" PRIu64, dev, v1);
	r = put_raw(l, "io.bfq.weight", line);
	if (r != -ENOENT)
		return r < 0 ? err_set(e, -r, "linux.resources.blockIO.%s: write io.bfq.weight: %s",
				       field, strerror(-r))
			     : 0;
	snprintf(line, sizeof(line), "%s %" PRIu64, dev, cgroup_io_weight(v1));
	return put(l, "io.weight", line, field, e);
}

static int set_io(const struct limits *l, const struct config_resources *res, struct err *e)
{
	static const struct {
		const char *key;
		const char *field;
	} kinds[IO_RATE_N] = {
		[IO_READ_BPS] = {"rbps", "blockIO.throttleReadBpsDevice"},
		[IO_WRITE_BPS] = {"wbps", "blockIO.throttleWriteBpsDevice"},
		[IO_READ_IOPS] = {"riops", "blockIO.throttleReadIOPSDevice"},
		[IO_WRITE_IOPS] = {"wiops", "blockIO.throttleWriteIOPSDevice"},
	};
	char line[LINE_BYTES];
	int r = 0;

	if (res->io_weight.set && res->io_weight.v)
		r = set_io_weight(l, res->io_weight.v, "default", "blockIO.weight", e);
	for (size_t i = 0; r == 0 && i < res->io_weights.n; i++) {
		const struct config_io_rate *w = &res->io_weights.v[i];

		snprintf(line, sizeof(line), "%" PRId64 ":%" PRId64, w->major.v, w->minor.v);
		if (w->weight.set && w->weight.v)
			r = set_io_weight(l, w->weight.v, line, "blockIO.weightDevice", e);
	}
	for (int k = 0; k < IO_RATE_N; k++) {
		for (size_t i = 0; r == 0 && i < res->io_rates[k].n; i++) {
			const struct config_io_rate *d = &res->io_rates[k].v[i];

			/* The kernel refuses 0, which was "no limit" in version 1. */
			snprintf(line, sizeof(line),
				d->rate.v ? "%" PRId64 ":%" PRId64 " %s=%" PRIu64
					  : "%" PRId64 ":%" PRId64 " %s=max",
				d->major.v, d->minor.v, kinds[k].key, d->rate.v);
			r = put(l, "io.max", line, kinds[k].field, e);
		}
	}
	return r;
}

static int set_rdma(const struct limits *l, const struct config_resources *res, struct err *e)
{
	char line[LINE_BYTES];
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->n_rdma; i++) {
		const struct config_rdma *d = &res->rdma[i];
		int n = snprintf(line, sizeof(line), "%.100s", d->device);

		if (d->handles.set)
			n += snprintf(line + n, sizeof(line) - (size_t)n, " hca_handle=%" PRIu64,
				d->handles.v);
		if (d->objects.set)
			snprintf(line + n, sizeof(line) - (size_t)n, " hca_object=%" PRIu64,
				d->objects.v);
		r = put(l, "rdma.max", line, "rdma", e);
	}
	return r;
}

/* The spec: reservations are limited where the kernel can, so that it is mmap that fails; the pages
 * themselves too, for memory that is not reserved. */
static int set_hugepages(const struct limits *l, const struct config_hugepage *h, struct err *e)
{
	char file[LINE_BYTES];
	char value[LINE_BYTES];
	int r;

	snprintf(file, sizeof(file), "hugetlb.%.12s.max", h->page_size);
	r = put_u64(l, file, h->limit.v, "hugepageLimits", e);
	if (r < 0)
		return r;
	snprintf(file, sizeof(file), "hugetlb.%.12s.rsvd.max", h->page_size);
	snprintf(value, sizeof(value), "%" PRIu64, h->limit.v);
	r = put_raw(l, file, value);
	return r < 0 && r != -ENOENT
		       ? err_set(e, -r, "linux.resources.hugepageLimits: write %s: %s", file,
				 strerror(-r))
		       : 0;
}

int cgroup_set_limits(
	int cgroupfd, const struct config_resources *res, struct cgroup_undo *undo, struct err *e)
{
	const struct limits to = {cgroupfd, undo};
	const struct limits *l = &to;
	char file[LINE_BYTES];
	int r = set_memory(l, res, e);

	if (r == 0)
		r = set_cpu(l, res, e);
	if (r == 0 && res->pids_limit.set && res->pids_limit.v)
		r = put_i64(l, "pids.max", res->pids_limit.v, "pids.limit", e);
	if (r == 0)
		r = set_io(l, res, e);
	for (size_t i = 0; r == 0 && i < res->n_hugepages; i++)
		r = set_hugepages(l, &res->hugepages[i], e);
	if (r == 0)
		r = set_rdma(l, res, e);
	for (size_t i = 0; r == 0 && i < res->unified.n; i++) {
		snprintf(file, sizeof(file), "unified.%.200s", res->unified.v[i].key);
		r = put(l, res->unified.v[i].key, res->unified.v[i].value, file, e);
	}
	return r;
}

int cgroup_check_usage(int cgroupfd, const struct config_resources *res, struct err *e)
{
	char text[32];
	uint64_t usage;
	ssize_t n;

	if (!res->memory_check_before_update)
		return 0;
	n = io_read_file_at(cgroupfd, "memory.current", text, sizeof(text));
	if (n < 0)
		return err_set(e, (int)-n, "linux.resources.memory: read memory.current: %s",
			strerror((int)-n));
	if (num_parse_u64(text, strcspn(text, "\n"), UINT64_MAX, &usage) < 0)
		return err_set(
			e, EBADMSG, "linux.resources.memory: memory.current is \"%s\"", text);
	if (res->memory_limit.v > 0 && (uint64_t)res->memory_limit.v <= usage)
		return err_set(e, EBUSY,
			"linux.resources.memory.limit: %" PRId64 " is not above the %" PRIu64
			" bytes in use",
			res->memory_limit.v, usage);
	if (res->memory_swap.v > 0 && (uint64_t)res->memory_swap.v <= usage)
		return err_set(e, EBUSY,
			"linux.resources.memory.swap: %" PRId64 " is not above the %" PRIu64
			" bytes in use",
			res->memory_swap.v, usage);
	return 0;
}
