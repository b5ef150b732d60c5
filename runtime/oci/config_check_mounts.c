#include "runtime/oci/config.h"

#include <string.h>

static bool given(const char *s)
{
	return s && s[0];
}

/* What contradicts itself; NULL if nothing does. */
static const char *contradiction(const struct config *c, const struct config_mount *m)
{
	const struct mount_options *o = &m->options;

	if ((m->uid_maps.n == 0) != (m->gid_maps.n == 0))
		return m->uid_maps.n ? "gidMappings: missing beside uidMappings"
				     : "uidMappings: missing beside gidMappings";
	if (config_mount_is_mapped(m) && (!o->bind || o->remount))
		return "options: \"idmap\" is for bind mounts, which have a source to map";
	if (config_mount_is_mapped(m) && m->uid_maps.n == 0 && !c->ns[NS_USER].given)
		return "options: \"idmap\" needs uidMappings or a user namespace to take them from";
	if (o->tmpcopyup && (o->bind || o->remount || !m->type || strcmp(m->type, "tmpfs") != 0))
		return "options: \"tmpcopyup\" is for a new tmpfs";
	/* What is there already needs neither source nor type. */
	if (o->remount)
		return NULL;
	if (strspn(m->destination, "/.") == strlen(m->destination))
		return "destination: / is the root file system's own place";
	if (o->bind && !given(m->source))
		return "source: a bind mount needs one";
	if (!o->bind && !given(m->type))
		return "type: missing";
	return NULL;
}

/* The file system of an earlier entry, which is the container's own to change. */
static bool is_made_before(const struct config *c, size_t i)
{
	for (size_t k = i; k-- > 0;) {
		const struct config_mount *m = &c->mounts[k];

		if (strcmp(m->destination, c->mounts[i].destination) == 0 && !m->options.remount)
			return !m->options.bind;
	}
	return false;
}

int config_check_mounts(const struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct config_mount *m = &c->mounts[i];
		const char *bad = contradiction(c, m);

		if (bad)
			return err_set(e, EINVAL, "mounts[%zu].%s", i, bad);
		if (m->options.data.n == 0)
			continue;
		if (m->options.bind)
			return err_set(e, EINVAL,
				"mounts[%zu].options: \"%s\" is not an option of a bind mount", i,
				m->options.data.v[0]);
		if (m->options.remount && !is_made_before(c, i))
			return err_set(e, EINVAL,
				"mounts[%zu].options: \"%s\" would change a file system that no "
				"earlier mount of this configuration makes at %s",
				i, m->options.data.v[0], m->destination);
	}
	return 0;
}
