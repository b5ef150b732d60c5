/*
 * The messages that CRIU and its caller send each other: protocol buffers (proto2), written and
 * read here only as far as checkpoint and restore need them. Pure functions. Source: criu.org/RPC;
 * images/rpc.proto of CRIU 3.17; protobuf.dev "Encoding".
 */
#ifndef SAMPAN_OCI_CRIU_MESSAGE_H
#define SAMPAN_OCI_CRIU_MESSAGE_H

#include "lib/util/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* criu_req_type */
enum criu_type {
	CRIU_DUMP = 1,
	CRIU_RESTORE = 2,
	CRIU_PRE_DUMP = 4,
	CRIU_NOTIFY = 6,
	CRIU_FEATURE_CHECK = 9,
	CRIU_VERSION = 10,
};

/* criu_cg_mode */
enum criu_cgroup_mode {
	CRIU_CGROUPS_IGNORE = 0,
	CRIU_CGROUPS_SOFT = 3,
	CRIU_CGROUPS_FULL = 4,
	CRIU_CGROUPS_STRICT = 5,
	CRIU_CGROUPS_DEFAULT = 6,
};

/* Fields of criu_opts; descriptors are numbers of the caller's, but for INHERIT_FD of CRIU's own.
 */
enum criu_opt {
	CRIU_IMAGES_DIR_FD = 1,
	CRIU_PID = 2,
	CRIU_LEAVE_RUNNING = 3,
	CRIU_EXT_UNIX_SK = 4,
	CRIU_TCP_ESTABLISHED = 5,
	CRIU_EVASIVE_DEVICES = 6,
	CRIU_SHELL_JOB = 7,
	CRIU_FILE_LOCKS = 8,
	CRIU_LOG_LEVEL = 9,
	CRIU_LOG_FILE = 10,
	CRIU_NOTIFY_SCRIPTS = 12,
	CRIU_ROOT = 13,
	CRIU_PARENT_IMG = 14,
	CRIU_TRACK_MEM = 15,
	CRIU_AUTO_DEDUP = 16,
	CRIU_WORK_DIR_FD = 17,
	CRIU_LINK_REMAP = 18,
	CRIU_EXT_MNT = 23, /* pair: mount point and name, or name and source */
	CRIU_MANAGE_CGROUPS = 24,
	CRIU_CG_ROOT = 25, /* pair: controllers and path */
	CRIU_RST_SIBLING = 26,
	CRIU_INHERIT_FD = 27,
	CRIU_MANAGE_CGROUPS_MODE = 34,
	CRIU_EXTERNAL = 37,
	CRIU_EMPTY_NS = 38,
	CRIU_JOIN_NS = 39, /* pair: kind and file */
	CRIU_FREEZE_CGROUP = 44,
	CRIU_TCP_SKIP_IN_FLIGHT = 46,
	CRIU_ORPHAN_PTS_MASTER = 50,
	CRIU_CONFIG_FILE = 51,
	CRIU_LSM_PROFILE = 53,
	CRIU_LSM_MOUNT_CONTEXT = 63,
};

/* A message that is being written; zero-initialise, end with criu_writer_free(). The first failure
 * stays in error, and nothing more is written. */
struct criu_writer {
	struct buf buf;
	int error; /* 0 or -ENOMEM */
};

/* Append a field: an int32, uint32, enum or bool; a string; a message of two strings, or of a
 * string and a number. */
void criu_put_number(struct criu_writer *w, unsigned field, int64_t value);
void criu_put_text(struct criu_writer *w, unsigned field, const char *text);
void criu_put_pair(struct criu_writer *w, unsigned field, const char *first, const char *second);
void criu_put_numbered(struct criu_writer *w, unsigned field, const char *text, int64_t number);

/*
 * Write a criu_req.
 * @opts: its criu_opts; NULL: none
 * @w: empty
 */
void criu_put_request(struct criu_writer *w, enum criu_type type, const struct criu_writer *opts);

/* The answer to a notification. */
void criu_put_notified(struct criu_writer *w, bool success);

/* Ask for the feature mem_track. */
void criu_put_feature_check(struct criu_writer *w);

void criu_writer_free(struct criu_writer *w);

#define AUTO_CRIU_WRITER __attribute__((cleanup(criu_writer_free)))

/* Not terminated; part of the message that was read. */
struct criu_text {
	const char *v; /* NULL: not there */
	size_t len;
};

/* What is used of a criu_resp. */
struct criu_response {
	uint32_t type; /* enum criu_type, or one that was not asked for */
	uint32_t success;
	int32_t error; /* cr_errno */
	struct criu_text error_text;
	struct criu_text script; /* notify.script */
	int32_t notify_pid;
	int32_t restored_pid;
	uint32_t mem_track;
	uint32_t major;
	uint32_t minor;
	uint32_t sublevel;
	uint64_t seen; /* which of the fields above were there; for the reader */
};

/*
 * Read a criu_resp. Fields that are not known are skipped; of one that stands twice the last
 * counts.
 * @ret: untouched when it fails
 * Returns 0; -EBADMSG for what is no such message, also without type or success.
 */
int criu_read_response(const void *message, size_t len, struct criu_response *ret);

/* Is @text the terminated string @s? */
bool criu_text_is(const struct criu_text *text, const char *s);

/*
 * The last line of a log of CRIU's that tells of an error, from the word "Error" on. The one that
 * every log of a failure ends with, "Dumping FAILED.", does not count.
 * @ret: part of @log; v is NULL if there is none
 */
void criu_find_error(const char *log, size_t len, struct criu_text *ret);

#endif
