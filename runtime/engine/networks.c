#include "runtime/engine/networks.h"

#include "runtime/engine/spec.h"
#include "runtime/image/digest.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct network networks[] = {{"none", "null"}, {"host", "host"}};

#define NETWORKS (sizeof(networks) / sizeof(networks[0]))

const struct network *network_at(size_t i)
{
	return i < NETWORKS ? &networks[i] : NULL;
}

/* 64 digits out of three texts. */
static void derive(const char *what, const char *of, int64_t when, char ret[CONTAINER_ID_BYTES])
{
	char text[256];
	struct digest d;
	int n = snprintf(text, sizeof(text), "%s %s %lld", what, of, (long long)when);

	ret[0] = '\0';
	if (digest_of(text, (size_t)n, &d) == 0)
		(void)snprintf(ret, CONTAINER_ID_BYTES, "%.64s", digest_hex(&d));
}

void network_id(const struct engine *en, const struct network *net, char ret[CONTAINER_ID_BYTES])
{
	derive(net->name, en->id, 0, ret);
}

const struct network *network_find(const struct engine *en, const char *ref)
{
	const struct network *found = NULL;
	char id[CONTAINER_ID_BYTES];

	for (size_t i = 0; i < NETWORKS; i++)
		if (strcmp(networks[i].name, ref) == 0)
			return &networks[i];
	for (size_t i = 0; ref[0] && i < NETWORKS; i++) {
		network_id(en, &networks[i], id);
		if (strncmp(id, ref, strlen(ref)) != 0)
			continue;
		if (found)
			return NULL;
		found = &networks[i];
	}
	return found;
}

int64_t network_created_ns(const struct engine *en)
{
	struct stat st;

	if (fstatat(en->root, "engine-id", &st, 0) < 0)
		return en->started_ns;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

const struct network *network_of(const struct container *c)
{
	const char *mode = spec_str(container_host_config(c), "NetworkMode");

	for (size_t i = 0; i < NETWORKS; i++)
		if (strcmp(networks[i].name, mode) == 0)
			return &networks[i];
	return NULL;
}

static void derive_of_run(const char *what, const struct container *c,
	const struct container_state *s, char ret[CONTAINER_ID_BYTES])
{
	ret[0] = '\0';
	if (container_runs(s) && network_of(c))
		derive(what, c->id, s->started_ns, ret);
}

void network_endpoint_id(
	const struct container *c, const struct container_state *s, char ret[CONTAINER_ID_BYTES])
{
	derive_of_run("endpoint", c, s, ret);
}

void network_sandbox_id(
	const struct container *c, const struct container_state *s, char ret[CONTAINER_ID_BYTES])
{
	derive_of_run("sandbox", c, s, ret);
}
