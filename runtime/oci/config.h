/*
 * config.json as C structs. Strings point into the document, arrays into the arena: everything
 * lives until config_free().
 * Source: OCI runtime-spec 1.2 config.md and config-linux.md.
 */
#ifndef SAMPAN_OCI_CONFIG_H
#define SAMPAN_OCI_CONFIG_H

#include "lib/util/json.h"
#include "lib/util/mount_options.h"

#include <stdbool.h>
#include <stdint.h>

enum ns_type { NS_USER, NS_PID, NS_MOUNT, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_TIME, NS_N };

enum hook_kind {
	HOOK_PRESTART,
	HOOK_CREATE_RUNTIME,
	HOOK_CREATE_CONTAINER,
	HOOK_START_CONTAINER,
	HOOK_POSTSTART,
	HOOK_POSTSTOP,
	HOOK_N
};

struct config_id_map {
	uint32_t container;
	uint32_t host;
	uint32_t size;
};

struct config_id_maps {
	struct config_id_map *v;
	size_t n;
};

struct config_ns {
	bool given;
	const char *path; /* NULL: a new one */
};

struct config_mount {
	const char *destination;
	const char *source;
	const char *type;
	struct json_strv option_words;
	struct mount_options options;
	struct config_id_maps uid_maps;
	struct config_id_maps gid_maps;
};

/* Do its options or its own mappings ask for an id-mapped mount? */
static inline bool config_mount_is_mapped(const struct config_mount *m)
{
	return m->options.idmap || m->uid_maps.n > 0;
}

struct config_hook {
	const char *path;
	struct json_strv args;
	struct json_strv env;
	struct json_opt_i64 timeout_s;
};

struct config_hooks {
	struct config_hook *v;
	size_t n;
};

struct config_rlimit {
	const char *name;
	int resource;
	struct json_opt_u64 soft;
	struct json_opt_u64 hard;
};

/* names of unknown capabilities that are kept to be warned of; the rest is dropped in silence */
#define CONFIG_UNKNOWN_CAPS_MAX 16

/* Bit n is capability number n. */
struct config_caps {
	bool given;
	const char *unknown[CONFIG_UNKNOWN_CAPS_MAX];
	size_t n_unknown;
	uint64_t bounding;
	uint64_t effective;
	uint64_t inheritable;
	uint64_t permitted;
	uint64_t ambient;
};

struct config_scheduler {
	bool given;
	const char *policy_name;
	uint32_t policy;
	int32_t nice;
	int32_t priority;
	uint64_t flags;
	struct json_opt_u64 runtime;
	struct json_opt_u64 deadline;
	struct json_opt_u64 period;
};

struct config_memory_policy {
	bool given;
	const char *mode_name;
	const char *nodes;
	uint64_t mode; /* MPOL_*, with the flags */
};

struct config_process {
	bool given;
	bool terminal;
	bool no_new_privs;
	struct json_opt_u64 rows;
	struct json_opt_u64 columns;
	uint32_t uid;
	uint32_t gid;
	struct json_opt_u64 umask;
	uint32_t *gids;
	size_t n_gids;
	struct json_strv args;
	struct json_strv env;
	const char *cwd;
	struct config_caps caps;
	struct config_rlimit *rlimits;
	size_t n_rlimits;
	struct json_opt_i64 oom_score_adj;
	struct config_scheduler scheduler;
	bool io_priority_given;
	const char *io_class_name;
	int io_class;
	int32_t io_priority;
	const char *apparmor_profile;
	const char *selinux_label;
	const char *affinity_initial; /* "": none */
	const char *affinity_final;
	bool affinity_given;
};

struct config_device {
	const char *path;
	const char *type; /* "c", "u", "b" or "p" */
	struct json_opt_i64 major;
	struct json_opt_i64 minor;
	struct json_opt_u64 mode;
	uint32_t uid;
	uint32_t gid;
};

/* One rule of the device filter; -1 stands for any number. */
struct config_device_rule {
	bool allow;
	const char *type_name;
	const char *access_name;
	struct json_opt_i64 major_given;
	struct json_opt_i64 minor_given;
	char type;	 /* 'a', 'b' or 'c' */
	unsigned access; /* BPF_DEVCG_ACC_* */
	int64_t major;
	int64_t minor;
};

struct config_io_rate {
	struct json_opt_i64 major;
	struct json_opt_i64 minor;
	struct json_opt_u64 rate;
	struct json_opt_u64 weight;
	struct json_opt_u64 leaf_weight;
};

enum io_rate_kind { IO_READ_BPS, IO_WRITE_BPS, IO_READ_IOPS, IO_WRITE_IOPS, IO_RATE_N };

struct config_io_rates {
	struct config_io_rate *v;
	size_t n;
};

struct config_hugepage {
	const char *page_size;
	struct json_opt_u64 limit;
};

struct config_rdma {
	const char *device;
	struct json_opt_u64 handles;
	struct json_opt_u64 objects;
};

struct config_pair {
	const char *key;
	const char *value;
};

struct config_pairs {
	struct config_pair *v;
	size_t n;
};

struct config_resources {
	struct config_device_rule *devices;
	size_t n_devices;

	struct json_opt_i64 memory_limit;
	struct json_opt_i64 memory_reservation;
	struct json_opt_i64 memory_swap;
	struct json_opt_i64 memory_kernel;
	struct json_opt_i64 memory_kernel_tcp;
	struct json_opt_u64 memory_swappiness;
	bool memory_disable_oom_killer;
	bool memory_check_before_update;

	struct json_opt_u64 cpu_shares;
	struct json_opt_i64 cpu_quota;
	struct json_opt_u64 cpu_period;
	struct json_opt_u64 cpu_burst;
	struct json_opt_i64 cpu_idle;
	struct json_opt_u64 cpu_rt_period;
	struct json_opt_i64 cpu_rt_runtime;
	const char *cpu_cpus;
	const char *cpu_mems;

	struct json_opt_i64 pids_limit;

	struct json_opt_u64 io_weight;
	struct json_opt_u64 io_leaf_weight;
	struct config_io_rates io_weights;
	struct config_io_rates io_rates[IO_RATE_N];

	struct config_hugepage *hugepages;
	size_t n_hugepages;
	struct config_rdma *rdma;
	size_t n_rdma;
	struct config_pairs unified;

	struct json_opt_u64 net_class_id;
	bool net_priorities;
};

struct config_seccomp_arg {
	uint32_t index;
	struct json_opt_u64 value;
	struct json_opt_u64 value_two;
	const char *op_name;
	int op; /* enum scmp_compare */
};

struct config_seccomp_rule {
	struct json_strv names;
	const char *action_name;
	struct json_opt_u64 errno_ret;
	struct config_seccomp_arg *args;
	size_t n_args;
};

struct config_seccomp {
	yyjson_val
		*val; /* the section itself: its text is the key of the filter cache; NULL: none */
	const char *default_action;
	struct json_opt_u64 default_errno;
	struct json_strv flags;
	struct json_strv architectures;
	const char *listener_path;
	const char *listener_metadata;
	bool notifies; /* SCMP_ACT_NOTIFY is among the actions */
	struct config_seccomp_rule *rules;
	size_t n_rules;
};

struct config_net_device {
	const char *name;
	const char *new_name; /* in the container */
};

struct config_time_offset {
	bool given;
	int64_t secs;
	uint32_t nanosecs;
};

struct config {
	yyjson_doc *doc;
	char *text;	  /* config_parse's, changed by parsing in place */
	const char *file; /* config_load's, as it stands in the file; in the arena */
	size_t file_len;
	struct arena arena;

	const char *oci_version;
	const char *root_path;
	bool root_readonly;
	bool root_given;
	const char *hostname;
	const char *domainname;
	struct config_process process;
	struct config_mount *mounts;
	size_t n_mounts;
	struct config_hooks hooks[HOOK_N];
	yyjson_val *annotations;

	bool linux_given;
	struct config_ns ns[NS_N];
	struct config_id_maps uid_maps;
	struct config_id_maps gid_maps;
	struct config_device *devices;
	size_t n_devices;
	const char *cgroups_path;
	const char *rootfs_propagation;
	struct config_resources resources;
	struct config_seccomp seccomp;
	struct config_pairs sysctl;
	struct json_strv masked_paths;
	struct json_strv readonly_paths;
	const char *mount_label;
	const char *personality_domain;
	struct config_time_offset boottime;
	struct config_time_offset monotonic;
	struct config_net_device *net_devices;
	size_t n_net_devices;
	bool intel_rdt;
	struct config_memory_policy memory_policy;
};

/*
 * Read config.json of the bundle @bundlefd: syntax, types and value ranges, everything the spec's
 * schema says. Whether this runtime can do it is config_check's question.
 * @warn: told the path of each unknown key; NULL drops them
 * Returns 0 or -errno with @e naming the JSON path.
 */
int config_load(struct config *c, int dirfd, const char *name, void (*warn)(void *, const char *),
	void *arg, struct err *e);

/* As config_load, from memory: @text has YYJSON_PADDING_SIZE spare bytes and now belongs to @c. */
int config_parse(struct config *c, char *text, size_t len, void (*warn)(void *, const char *),
	void *arg, struct err *e);

/* As config_load, of a process.json: only @c->process is filled. */
int config_load_process(struct config *c, int dirfd, const char *name,
	void (*warn)(void *, const char *), void *arg, struct err *e);

/*
 * Refuse by its JSON path what is missing to make a container, contradicts itself, or is beyond
 * this runtime or this kernel.
 */
int config_check(const struct config *c, struct err *e);

/* The part of config_check that is about mounts. */
int config_check_mounts(const struct config *c, struct err *e);

/* The part of config_check that also holds for exec's process.json. */
int config_check_process(const struct config_process *p, const char *path, struct err *e);

/* The part of config_check that also holds for update. */
int config_check_resources(const struct config_resources *res, struct err *e);

void config_free(struct config *c);

/* Keep @name, borrowed, to warn of it: the spec has a runtime go on without a capability that it
 * does not know. A name that stands in several sets is kept once. */
void config_note_unknown_cap(struct config_caps *caps, const char *name);

/* What the sections share; config_linux.c and config_resources.c hold the tables. */
int config_read_linux(const struct json_at *at, void *config, struct err *e);
int config_read_resources(const struct json_at *at, void *config, struct err *e);
int config_read_seccomp(const struct json_at *at, void *config, struct err *e);
int config_read_process(const struct json_at *at, void *process, struct err *e);
int config_read_id_maps(const struct json_at *at, struct config_id_maps *maps, struct err *e);
int config_read_scheduler(const struct json_at *at, void *process, struct err *e);
int config_read_io_priority(const struct json_at *at, void *process, struct err *e);
int config_read_affinity(const struct json_at *at, void *process, struct err *e);
int config_read_memory_policy(const struct json_at *at, void *config, struct err *e);
int config_read_pairs(const struct json_at *at, struct config_pairs *ret, struct err *e);

struct config_word {
	const char *name;
	uint64_t value;
};

/* Returns 0 or -EINVAL. */
int config_find_word(const struct config_word *words, size_t n, const char *name, uint64_t *ret);

#define FIELDS(table) table, sizeof(table) / sizeof((table)[0])

#endif
