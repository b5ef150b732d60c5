/* A config.json while it is made: what spec.c, spec_mounts.c and spec_linux.c share. */
#ifndef SAMPAN_ENGINE_SPEC_H
#define SAMPAN_ENGINE_SPEC_H

#include "runtime/engine/container.h"

struct spec {
	struct engine *en;
	struct container *c;
	yyjson_val *config; /* of the record */
	yyjson_val *host;
	int rootfd;
	yyjson_mut_doc *doc;
	bool tty;
	bool privileged;
	bool no_new_privs;
	bool unmasked;
	bool own_uts;
	const char *seccomp; /* "", "builtin", "unconfined" or a profile's text */
	const char **caps;   /* freed by spec_write */
	size_t n_caps;
	yyjson_mut_val *devices;      /* linux.devices; NULL: none */
	const char *root_propagation; /* linux.rootfsPropagation; NULL: not said */
};

/* where the init of HostConfig.Init is seen in a container; Docker's path */
#define SPEC_INIT_PATH "/sbin/docker-init"

/* A program as it is to be run: the container's own, or one beside it. */
struct spec_program {
	yyjson_val *words[2]; /* in one row; NULL: none */
	yyjson_val *env;      /* over the container's; NULL: none */
	const char *user, *cwd;
	bool with_init;
};

/* A field of an object, "" and 0 when it is not there. */
const char *spec_str(yyjson_val *obj, const char *key);
int64_t spec_int(yyjson_val *obj, const char *key);

/* Fill s->caps from CapAdd, CapDrop and Privileged. */
int spec_caps(struct spec *s, struct err *e);

/* Whether HostConfig.Init holds for it. */
bool spec_with_init(const struct spec *s);

/* --security-opt: each word is understood or refused. */
int spec_security(struct spec *s, struct err *e);

/* The process of config.json; s->rootfd, the security options and s->caps are there. NULL with @e.
 */
yyjson_mut_val *spec_process(struct spec *s, const struct spec_program *p, struct err *e);

/* linux.namespaces by the modes of the host config. NULL with @e filled. */
yyjson_mut_val *spec_namespaces(struct spec *s, struct err *e);

/* linux.resources.devices. */
yyjson_mut_val *spec_device_list(struct spec *s);

/* One more mount; @options: NULL-terminated, or NULL. Returns its options. */
yyjson_mut_val *spec_add_mount(struct spec *s, yyjson_mut_val *out, const char *type,
	const char *source, const char *destination, const char *const *options);

/* Whether the container was given something of its own for that place. */
bool spec_is_taken(const struct spec *s, const char *destination);

/* Write the container's files in /etc and mount them; they outlive it and show where inspect says.
 */
int spec_etc_files(struct spec *s, yyjson_mut_val *out, struct err *e);

/* mounts: Docker's own, the container's files in /etc, binds, mounts and tmpfs. NULL with @e. */
yyjson_mut_val *spec_mount_list(struct spec *s, struct err *e);

#endif
