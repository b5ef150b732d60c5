#include "runtime/image/reference.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *skip_prefix(const char *s, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(s, prefix, len) == 0 ? s + len : s;
}

/* What follows the colon of the tag; NULL without one. A colon before the last slash is a port. */
static const char *find_tag(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	const char *colon = strchr(slash ? slash : ref, ':');

	return colon ? colon + 1 : NULL;
}

const char *reference_tag(const char *ref)
{
	const char *tag = find_tag(ref);

	if (strchr(ref, '@'))
		return NULL;
	return tag ? tag : "latest";
}

int reference_shorten(const char *ref, char *out, size_t size)
{
	const char *name = ref;
	int n;

	if (ref[0] == '\0' || strpbrk(ref, " \t\r\n"))
		return -EINVAL;
	name = skip_prefix(name, "docker.io/");
	name = skip_prefix(name, "index.docker.io/");
	name = skip_prefix(name, "library/");
	n = snprintf(out, size, "%s%s", name, find_tag(name) || strchr(name, '@') ? "" : ":latest");
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int reference_same(const char *a, const char *b)
{
	char x[REFERENCE_BYTES_MAX];
	char y[REFERENCE_BYTES_MAX];

	if (reference_shorten(a, x, sizeof(x)) < 0 || reference_shorten(b, y, sizeof(y)) < 0)
		return 0;
	return strcmp(x, y) == 0;
}

static const struct {
	const char *name;
	struct platform platform;
} platforms[] = {
	{"linux/amd64", {"linux", "amd64"}},
	{"linux/arm64", {"linux", "arm64"}},
	{"linux/arm64/v8", {"linux", "arm64"}},
};

int platform_parse(const char *s, struct platform *ret_platform)
{
	for (size_t i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++) {
		if (strcmp(s, platforms[i].name) == 0) {
			*ret_platform = platforms[i].platform;
			return 0;
		}
	}
	return -ENOTSUP;
}

struct platform platform_native(void)
{
#if defined(__aarch64__)
	return platforms[1].platform;
#else
	return platforms[0].platform;
#endif
}
