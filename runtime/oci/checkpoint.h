/* What checkpoint and restore have in common. */
#ifndef SAMPAN_OCI_CHECKPOINT_H
#define SAMPAN_OCI_CHECKPOINT_H

#include "runtime/oci/config.h"
#include "runtime/oci/criu_message.h"

/* Options of both commands. */
struct criu_options {
	const char *image_path;
	const char *work_path;
	const char *cgroups_mode;
	struct json_strv empty_ns;
	bool tcp_established;
	bool ext_unix_sk;
	bool shell_job;
	bool file_locks;
	bool auto_dedup;
};

/* Their rows, for a struct that begins with them. */
#define CRIU_OPTION_SPECS                                                                          \
	{"image-path", 0, OPTION_STR, offsetof(struct criu_options, image_path),                   \
		"directory of the images (./checkpoint)"},                                         \
		{"work-path", 0, OPTION_STR, offsetof(struct criu_options, work_path),             \
			"directory of CRIU's log (that of the images)"},                           \
		{"manage-cgroups-mode", 0, OPTION_STR,                                             \
			offsetof(struct criu_options, cgroups_mode),                               \
			"soft, full, strict or ignore"},                                           \
		{"empty-ns", 0, OPTION_LIST, offsetof(struct criu_options, empty_ns),              \
			"namespace whose contents are left out: network, which always is"},        \
		{"tcp-established", 0, OPTION_FLAG,                                                \
			offsetof(struct criu_options, tcp_established),                            \
			"with open TCP connections"},                                              \
		{"ext-unix-sk", 0, OPTION_FLAG, offsetof(struct criu_options, ext_unix_sk),        \
			"with unix sockets that lead out of it"},                                  \
		{"shell-job", 0, OPTION_FLAG, offsetof(struct criu_options, shell_job),            \
			"with the caller's terminal"},                                             \
		{"file-locks", 0, OPTION_FLAG, offsetof(struct criu_options, file_locks),          \
			"with file locks"},                                                        \
		{"auto-dedup", 0, OPTION_FLAG, offsetof(struct criu_options, auto_dedup),          \
			"without pages that are in the parent's images"},                          \
	{                                                                                          \
		"lazy-pages", 0, OPTION_REFUSE, 0, "is not supported: there is no page server"     \
	}

/* The directories of a request, opened. */
struct criu_dirs {
	int images;
	int work; /* -1: the same */
	const char *images_path;
	const char *log_path; /* where the log will be */
};

#define CRIU_NO_DIRS                                                                               \
	{                                                                                          \
		.images = -1, .work = -1                                                           \
	}
#define AUTO_CRIU_DIRS __attribute__((cleanup(criu_dirs_close)))

/* Open them; @make: that of the images is made, and its parents. Returns 0 or -errno with @e. */
int criu_dirs_open(const struct criu_options *o, bool make, struct criu_dirs *ret, struct err *e);
void criu_dirs_close(struct criu_dirs *d);

/* Explain a failed request by the log @name. */
void criu_dirs_explain(const struct criu_dirs *d, const char *name, struct err *e);

/*
 * Write the criu_opts that both requests have.
 * @log: name of the log file
 * Returns 0 or -EINVAL with @e naming the option.
 */
int criu_put_common(struct criu_writer *opts, const struct criu_options *o,
	const struct criu_dirs *d, const struct config *c, const char *log, struct err *e);

/* Which namespaces CRIU leaves alone when they are joined, under what names. NULL: not this one. */
const char *criu_external_name(enum ns_type type);

/* The list of the process's first three descriptors as they were when it was made: pipes get new
 * ends. Its form is runc's. */
#define CRIU_DESCRIPTORS_FILE "descriptors.json"

#endif
